// P3: each open is one HTTP request of its own, and the first of that partner and message.
#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/partners.h"
#include "bench/report.h"
#include "bench/served_program.h"

namespace tidings::bench {

namespace {

constexpr std::uint64_t kSingleOpensOpens = 200'000;  ///< a run
constexpr std::size_t kSingleOpensConnections = 64;
constexpr std::size_t kAnswerBytes = 53;  // {"opened_at":"2024-01-01T00:00:00.000Z","first":true}
constexpr double kSingleOpensTarget = 0.5;

/// Request n: message n / readers, reader n % readers.
Load opens(std::uint16_t port, const std::vector<std::string>& lines,
           const std::vector<std::string>& rests) {
    Load load;
    load.port = port;
    load.connections = kSingleOpensConnections;
    load.next = [&lines, &rests](std::uint64_t number, std::string& out) {
        const std::uint64_t message = number / rests.size();
        if (message == lines.size()) return false;
        out.append(lines[message]).append(rests[number % rests.size()]);
        return true;
    };
    return load;
}

struct SingleOpensRuns {
    std::vector<double> ours, limit, ratio, p50, p99, limit_p99;
    std::vector<double> cpu_us, generator_us, limit_cpu_us, opens_per_commit;  ///< a request
    std::uint64_t opens = 0;
};

void run_once(ServedProgram& program, ServerProcess& empty, std::size_t messages,
              const std::vector<std::string>& rests, SingleOpensRuns& runs) {
    std::vector<std::string> ids, lines;
    for (std::size_t i = 0; i < messages; ++i) {
        ids.push_back(program.send_to_all());
        lines.push_back(request_line("POST", "/v1/portal/messages/" + ids.back() + "/open"));
    }
    Load ours = opens(program.port(), lines, rests);
    ours.check = [](std::uint64_t, unsigned status, std::string_view body) {
        return status == 200 && body.find("\"first\":true") != std::string_view::npos;
    };
    const double commits_before = program.metric("tidings_commits_total");
    const double cpu_before = program.process().cpu_seconds();
    const LoadResult result = run_load(ours);
    const double cpu = program.process().cpu_seconds() - cpu_before;
    const double commits = program.metric("tidings_commits_total") - commits_before;
    for (const std::string& id : ids) check_equal(program.opens_of(id), rests.size(), "opens");
    check_equal(result.body_bytes, result.requests * kAnswerBytes, "bytes of all answers");
    Load bare = opens(empty.port(), lines, rests);
    bare.check = [](std::uint64_t, unsigned status, std::string_view) { return status == 200; };
    const double bare_before = empty.cpu_seconds();
    const LoadResult limit = run_load(bare);
    const double bare_cpu = empty.cpu_seconds() - bare_before;
    const auto requests = static_cast<double>(result.requests);
    runs.opens_per_commit.push_back(requests / commits);
    runs.cpu_us.push_back(cpu / requests * 1e6);
    runs.generator_us.push_back(result.cpu_seconds / requests * 1e6);
    runs.limit_cpu_us.push_back(bare_cpu / requests * 1e6);
    check_equal(limit.requests, result.requests, "requests to the empty server");
    runs.ours.push_back(result.per_second());
    runs.limit.push_back(limit.per_second());
    runs.ratio.push_back(result.per_second() / limit.per_second());
    runs.p50.push_back(result.latency.p50_us() / 1e3);
    runs.p99.push_back(result.latency.p99_us() / 1e3);
    runs.limit_p99.push_back(limit.latency.p99_us() / 1e3);
    runs.opens += result.requests;
}

}  // namespace

Row run_single_opens(Environment& environment) {
    const std::uint64_t partners = environment.scaled(kPartners);
    ServedProgram program(environment, environment.fresh("single-opens"));
    say("  importing " + std::to_string(partners) + " partners");
    program.create(partners);
    const auto tokens = program.partner_tokens(sample_partners(partners, kTokens, 3));
    std::vector<std::string> rests;
    rests.reserve(tokens.size());
    for (const std::string& token : tokens) rests.push_back(rest_of_post(token));
    const TokenCost cost = warm_up(program.port(), tokens);
    const auto empty = start_empty_server(environment, kAnswerBytes);
    const std::size_t messages =
        std::max<std::size_t>(1, environment.scaled(kSingleOpensOpens) / tokens.size());
    say("  opening");
    SingleOpensRuns runs;
    for (int i = 0; i < environment.repeats(5); ++i) {
        run_once(program, *empty, messages, rests, runs);
    }
    Row row;
    row.workload =
        "RecordOpen, one HTTP request each, durable before the answer, every one a "
        "first open; 64 connections, " +
        std::to_string(tokens.size()) + " tokens, " + format_number(static_cast<double>(partners)) +
        " partners; own generator (one epoll thread, same cores); limit: empty Beast "
        "server, one io thread";
    row.unit = "requests/s";
    row.ours = median(runs.ours);
    row.limit = median(runs.limit);
    row.peer = "PostgreSQL 15, UPDATE, 8 prepared clients, synced (target: twice its speed)";
    row.target = ">= 0.5 of the empty server";
    const double ratio = median(runs.ratio);
    row.met = ratio >= kSingleOpensTarget;
    row.extra["ratio"] = ratio;
    row.extra["p50_ms"] = median(runs.p50);
    row.extra["p99_ms"] = median(runs.p99);
    row.extra["limit_p99_ms"] = median(runs.limit_p99);
    row.extra["opens_per_commit"] = median(runs.opens_per_commit);
    row.extra["cpu_us_per_request"] = median(runs.cpu_us);
    row.extra["generator_cpu_us_per_request"] = median(runs.generator_us);
    row.extra["limit_cpu_us_per_request"] = median(runs.limit_cpu_us);
    row.extra["runs"] = to_json(runs.ours);
    row.extra["limit_runs"] = to_json(runs.limit);
    row.extra["opens"] = runs.opens;
    row.extra["cold_tokens_per_s"] = cost.cold_per_second;
    row.extra["warm_tokens_per_s"] = cost.warm_per_second;
    return row;
}

}  // namespace tidings::bench
