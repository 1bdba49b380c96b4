// P4: opens in bulk through the broker's inside: the log, deciding, the chain, the read models.
#include <chrono>

#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/opens_in_bulk.h"
#include "bench/partners.h"
#include "bench/physical_limits.h"
#include "bench/report.h"

namespace tidings::bench {

namespace {

constexpr std::uint64_t kBulkOpensOpens = 8'000'000;
constexpr std::size_t kBulkOpensMessages = 20;
constexpr std::uint64_t kLimitPuts = 2'000'000;
constexpr double kBulkOpensTarget = 2e6, kBulkOpensTableLimit = 1.23e6;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct BulkOpensRuns {
    std::vector<double> per_second, with_flush, log_bytes, models_bytes, opens_per_commit;
};

void run_once(EmbeddedProgram& program, std::uint64_t opens, bool with_times, BulkOpensRuns& runs) {
    BulkOpens bulk;
    for (std::size_t i = 0; i < kBulkOpensMessages; ++i)
        bulk.messages.push_back(program.send_to_all());
    bulk.opens_per_message = opens / kBulkOpensMessages;
    bulk.with_times = with_times;
    std::vector<std::string> records;
    make_open_commands(program, bulk,
                       [&records](std::string record) { records.push_back(std::move(record)); });
    program.flush();
    const std::uint64_t log_before = program.log_bytes(), models_before = program.models_bytes();
    const std::uint64_t commits_before = program.counters().commits;

    const auto start = Clock::now();
    const EmbeddedProgram::Applied applied = program.apply(records);
    const double visible = seconds_since(start);
    program.flush();
    const double flushed = seconds_since(start);

    check_equal(applied.refused, 0, "refused commands");
    check_equal(applied.first_opens, bulk.opens(), "first opens");
    for (const EventNumber message : bulk.messages) {
        check_equal(program.models().stats(program.id(), message).opens, bulk.opens_per_message,
                    "opens of a message");
    }
    const auto count = static_cast<double>(bulk.opens());
    runs.per_second.push_back(count / visible);
    runs.with_flush.push_back(count / flushed);
    runs.log_bytes.push_back(static_cast<double>(program.log_bytes() - log_before) / count);
    runs.models_bytes.push_back(
        (static_cast<double>(program.models_bytes()) - static_cast<double>(models_before)) / count);
    runs.opens_per_commit.push_back(
        count / static_cast<double>(program.counters().commits - commits_before));
}

}  // namespace

Row run_bulk_opens(Environment& environment) {
    const std::uint64_t opens = environment.scaled(kBulkOpensOpens);
    say("  making " + std::to_string(environment.scaled(kPartners)) + " partners");
    EmbeddedProgram program(environment.fresh("bulk-opens"), environment.scaled(kPartners));
    BulkOpensRuns timed, untimed;
    std::vector<double> limit;
    for (int i = 0; i < environment.repeats(3); ++i) {
        run_once(program, opens, true, timed);
        run_once(program, opens, false, untimed);
        limit.push_back(measure_synced_puts(environment.directory, environment.scaled(kLimitPuts)));
    }
    Row row;
    row.workload = format_number(static_cast<double>(opens)) +
                   " opens of 20 messages by random partners of " +
                   format_number(static_cast<double>(program.partners())) +
                   ", each with its own time, in commands of 50,000; one thread, in process, "
                   "durable; limit: RocksDB alone, synced batches of 1,000 sequential puts";
    row.unit = "opens/s";
    row.ours = median(timed.per_second);
    row.limit = median(limit);
    const double target = kBulkOpensTarget * *row.limit / kBulkOpensTableLimit;
    row.target = ">= " + format_number(target) + " opens/s (2,000,000 at 1,230,000 puts/s)";
    row.met = row.ours >= target;
    row.extra["with_flush_per_s"] = median(timed.with_flush);
    row.extra["without_times_per_s"] = median(untimed.per_second);
    row.extra["log_bytes_per_open"] = median(timed.log_bytes);
    row.extra["models_bytes_per_open"] = median(timed.models_bytes);
    row.extra["without_times_log_bytes_per_open"] = median(untimed.log_bytes);
    row.extra["without_times_models_bytes_per_open"] = median(untimed.models_bytes);
    row.extra["log_bytes"] = program.log_bytes();
    row.extra["models_bytes"] = program.models_bytes();
    row.extra["opens_per_commit"] = median(timed.opens_per_commit);
    row.extra["runs"] = to_json(timed.per_second);
    row.extra["limit_runs"] = to_json(limit);
    return row;
}

}  // namespace tidings::bench
