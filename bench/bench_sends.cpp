// P1: a send to all, one after the other on an otherwise idle server.
#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/partners.h"
#include "bench/physical_limits.h"
#include "bench/report.h"
#include "bench/served_program.h"

namespace tidings::bench {

namespace {

constexpr std::uint64_t kSends = 300;  ///< a run; a 99th percentile needs no fewer
constexpr double kTableSyncMs = 0.2;   ///< the limit in TARGETS.md
constexpr double kSendsTargetMs = 3;
constexpr std::size_t kWitnesses = 20;

LoadResult send(ServedProgram& program, std::uint64_t partners) {
    const std::string request =
        request_line("POST", program_path("/messages")) +
        rest_of_post(program.owner(), R"({"subject":"To everyone","body":"A message to all."})");
    const std::string recipients = "\"recipients\":" + std::to_string(partners) + ",";
    Load load;
    load.port = program.port();
    load.connections = 1;
    load.next = [&](std::uint64_t number, std::string& out) {
        out += request;
        return number < kSends;
    };
    load.check = [&](std::uint64_t, unsigned status, std::string_view body) {
        return status == 201 && body.find(recipients) != std::string_view::npos;
    };
    return run_load(load);
}

/// What was answered is in the inboxes, asked right behind it.
void check_visible(ServedProgram& program, std::uint64_t partners, std::uint64_t sent) {
    for (const std::uint32_t index : sample_partners(partners, kWitnesses, sent)) {
        const auto summary =
            program.call("GET", "/v1/portal/summary", program.partner_token(index));
        check_equal(summary.at("unread").to_number<std::uint64_t>(), sent, "unread messages");
    }
}

}  // namespace

Row run_sends(Environment& environment) {
    const std::uint64_t partners = environment.scaled(kPartners);
    ServedProgram program(environment, environment.fresh("sends"));
    say("  importing " + std::to_string(partners) + " partners");
    program.create(partners);
    std::vector<double> p50, p99, sync_p50, sync_p99;
    std::uint64_t sent = 0;
    for (int i = 0; i < environment.repeats(5); ++i) {
        const LoadResult result = send(program, partners);
        sent += kSends;
        check_visible(program, partners, sent);
        p50.push_back(result.latency.p50_us() / 1e3);
        p99.push_back(result.latency.p99_us() / 1e3);
        const Histogram sync = measure_sync(environment.directory, kSends);
        sync_p50.push_back(sync.p50_us() / 1e3);
        sync_p99.push_back(sync.p99_us() / 1e3);
    }
    Row row;
    row.workload = "send to all of " + format_number(static_cast<double>(partners)) +
                   " partners over HTTP, durable and visible in every inbox; one connection; "
                   "limit: write of 4 KiB and fdatasync, p50";
    row.unit = "ms p99";
    row.ours = median(p99);
    row.limit = median(sync_p50);
    row.peer = "PostgreSQL 15, INSERT ... SELECT of one row each (target: 800 times its speed)";
    const double target = kSendsTargetMs * *row.limit / kTableSyncMs;
    row.target = "<= " + format_number(target) + " ms p99 (3 ms at a sync of 0.2 ms)";
    row.met = row.ours <= target;
    row.extra["p50_ms"] = median(p50);
    row.extra["limit_p99_ms"] = median(sync_p99);
    row.extra["runs_ms"] = to_json(p99);
    row.extra["limit_runs_ms"] = to_json(sync_p50);
    row.extra["sends"] = sent;
    return row;
}

}  // namespace tidings::bench
