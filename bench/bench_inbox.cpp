// P6: the first page of a partner's inbox, over HTTP.
#include <boost/json/parse.hpp>

#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/mixed_program.h"
#include "bench/partners.h"
#include "bench/report.h"

namespace tidings::bench {

namespace {

constexpr std::uint64_t kPages = 100'000;  ///< a run
constexpr std::size_t kInboxConnections = 32, kPage = 20;
constexpr std::size_t kChecked = 200;  ///< pages compared row by row
constexpr double kInboxTarget = 0.5, kInboxTargetMs = 2;
constexpr const char* kTargetPath = "/v1/portal/messages?limit=20";

void check_pages(MixedProgram& mixed) {
    for (std::size_t i = 0; i < std::min(kChecked, mixed.tokens().size()); ++i) {
        const std::uint32_t reader = mixed.readers()[i];
        const auto page = mixed.served().call("GET", kTargetPath, mixed.tokens()[i]);
        const auto expected = mixed.inbox(reader, kPage);
        const auto& rows = page.at("data").as_array();
        check_equal(rows.size(), expected.size(), "rows of an inbox page");
        for (std::size_t n = 0; n < expected.size(); ++n) {
            check(rows[n].at("id").as_string() == mixed.message(expected[n]).id,
                  "an inbox shows the wrong message");
            check(rows[n].at("unread").as_bool() != mixed.has_opened(expected[n], reader),
                  "an inbox shows the wrong unread mark");
        }
    }
}

Load pages(std::uint16_t port, const std::vector<std::string>& rests, bool ours) {
    Load load;
    load.port = port;
    load.connections = kInboxConnections;
    load.next = [line = request_line("GET", kTargetPath), &rests](std::uint64_t number,
                                                                  std::string& out) {
        if (number == kPages) return false;
        out.append(line).append(rests[mix(number) % rests.size()]);
        return true;
    };
    load.check = [ours](std::uint64_t number, unsigned status, std::string_view body) {
        if (status != 200) return false;
        if (!ours || number % 64 != 0) return true;  // looking at all would slow the load
        std::size_t rows = 0;
        for (auto at = body.find("\"id\":\"msg_"); at != std::string_view::npos;
             at = body.find("\"id\":\"msg_", at + 1)) {
            ++rows;
        }
        return rows == kPage;
    };
    return load;
}

}  // namespace

Row run_inbox(Environment& environment) {
    MixedProgram& mixed = mixed_program(environment);
    check_pages(mixed);
    std::vector<std::string> rests;
    for (const std::string& token : mixed.tokens()) rests.push_back(rest_of_get(token));
    const TokenCost cost = warm_up(mixed.served().port(), mixed.tokens());
    const LoadResult first = run_load(pages(mixed.served().port(), rests, true));
    const std::size_t body_bytes = first.body_bytes / first.requests;
    const auto empty = start_empty_server(environment, body_bytes);
    say("  reading");
    std::vector<double> ours, limit, ratio, p50, p99, limit_p99, cpu_us, limit_cpu_us;
    constexpr double kUsARequest = 1e6 / static_cast<double>(kPages);
    for (int i = 0; i < environment.repeats(5); ++i) {
        const double before = mixed.served().process().cpu_seconds();
        const LoadResult result = run_load(pages(mixed.served().port(), rests, true));
        cpu_us.push_back((mixed.served().process().cpu_seconds() - before) * kUsARequest);
        const double bare_before = empty->cpu_seconds();
        const LoadResult bare = run_load(pages(empty->port(), rests, false));
        limit_cpu_us.push_back((empty->cpu_seconds() - bare_before) * kUsARequest);
        ours.push_back(result.per_second());
        limit.push_back(bare.per_second());
        ratio.push_back(result.per_second() / bare.per_second());
        p50.push_back(result.latency.p50_us() / 1e3);
        p99.push_back(result.latency.p99_us() / 1e3);
        limit_p99.push_back(bare.latency.p99_us() / 1e3);
    }
    Row row;
    row.workload = "inbox page of 20 over HTTP by " + std::to_string(rests.size()) +
                   " random partners of " + format_number(static_cast<double>(mixed.partners())) +
                   ", 10,000 messages (20% to all, 10% to a tag, 70% to 1-1,000 named); 32 "
                   "connections; own generator (one epoll thread, same cores); limit: empty Beast "
                   "server, one io thread, same body size";
    row.unit = "requests/s";
    row.ours = median(ours);
    row.limit = median(limit);
    row.peer = "PostgreSQL 15, 8 prepared clients, without HTTP";
    row.target = ">= 0.5 of the empty server, p99 <= 2 ms";
    row.met = median(ratio) >= kInboxTarget && median(p99) <= kInboxTargetMs;
    row.extra["ratio"] = median(ratio);
    row.extra["p50_ms"] = median(p50);
    row.extra["p99_ms"] = median(p99);
    row.extra["limit_p99_ms"] = median(limit_p99);
    row.extra["cpu_us_per_request"] = median(cpu_us);
    row.extra["limit_cpu_us_per_request"] = median(limit_cpu_us);
    row.extra["body_bytes"] = body_bytes;
    row.extra["runs"] = to_json(ours);
    row.extra["limit_runs"] = to_json(limit);
    row.extra["cold_tokens_per_s"] = cost.cold_per_second;
    row.extra["warm_tokens_per_s"] = cost.warm_per_second;
    return row;
}

}  // namespace tidings::bench
