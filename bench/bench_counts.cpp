// P7: one call each of the read models, on the data that P6 reads.
#include <chrono>

#include "apps/data_directory.h"
#include "apps/generations.h"
#include "apps/node.h"
#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/mixed_program.h"
#include "bench/partners.h"
#include "bench/physical_limits.h"
#include "bench/report.h"
#include "projections/models.h"

namespace tidings::bench {

namespace {

constexpr std::size_t kCalls = 200'000;  ///< a run
constexpr std::uint64_t kLimitRows = 1'000'000;
constexpr double kTargetUs = 50;

template <class Call>
Histogram measure(std::size_t calls, Call call) {
    Histogram out;
    for (std::size_t i = 0; i < calls; ++i) {
        const auto start = std::chrono::steady_clock::now();
        call(i);
        out.add(static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start).count()));
    }
    return out;
}

struct Question {
    const ReadModels& models;
    const ProgramId program;
    const MixedProgram& mixed;
    std::vector<EventNumber> all_messages, messages_to_all, messages_to_named;
};

void check_answers(const Question& q) {
    for (std::size_t i = 0; i < 100; ++i) {
        const std::uint32_t reader = q.mixed.readers()[i % q.mixed.readers().size()];
        const auto partner = q.models.partner(q.program, partner_id(reader));
        check(partner != nullptr && partner->ordinal.value == reader,
              "a partner has another place");
        const auto received = q.mixed.inbox(reader, q.mixed.messages().size());
        std::size_t unread = 0;
        for (const std::size_t message : received)
            unread += q.mixed.has_opened(message, reader) ? 0 : 1;
        const InboxSummary summary = q.models.inbox_summary(q.program, partner->ordinal);
        check_equal(summary.total, received.size(), "messages received");
        check_equal(summary.unread, unread, "unread messages");
    }
    std::uint64_t opens = 0;
    for (const EventNumber message : q.all_messages)
        opens += q.models.stats(q.program, message).opens;
    check_equal(opens, q.mixed.opens(), "opens over all messages");
}

Histogram measure_stats(const Question& q, const std::vector<EventNumber>& messages) {
    return measure(kCalls, [&](std::size_t i) {
        const MessageStats stats = q.models.stats(q.program, messages[mix(i) % messages.size()]);
        check(stats.recipients >= stats.opens, "more opens than recipients");
    });
}

Histogram measure_unread(const Question& q) {
    return measure(kCalls, [&](std::size_t i) {
        const PartnerOrdinal partner{static_cast<std::uint32_t>(mix(i) % q.mixed.partners())};
        const InboxSummary summary = q.models.inbox_summary(q.program, partner);
        check(summary.total >= summary.unread, "more unread than received");
    });
}

std::unique_ptr<Models> open_models(const MixedProgram& mixed, const std::filesystem::path& data) {
    const std::uint32_t partitions = value_of(apps::count_partitions(data), "log");
    const apps::NodeOptions defaults;
    ModelsOptions options;
    options.directory = apps::Generations(data, route({kProgram}, partitions)).live().value();
    options.resources =
        make_store_resources(defaults.block_cache_bytes, defaults.write_buffer_bytes);
    options.row_memory = make_row_memory(defaults.row_cache_bytes);
    options.read_only = true;
    auto models = value_of(Models::open(options), "read models");
    check_equal(models->summary({kProgram}).messages, mixed.messages().size(), "messages");
    return models;
}

}  // namespace

Row run_counts(Environment& environment) {
    MixedProgram& mixed = mixed_program(environment);
    mixed.served().stop();
    const auto models = open_models(mixed, mixed.served().data());
    Question q{*models, {kProgram}, mixed, {}, {}, {}};
    for (const MixedMessage& message : mixed.messages()) {
        const auto number = parse_message_id(q.program, message.id);
        check(number.has_value(), "not a message id: " + message.id);
        q.all_messages.push_back(*number);
        if (message.kind == MixedMessage::Kind::all) q.messages_to_all.push_back(*number);
        if (message.kind == MixedMessage::Kind::named) q.messages_to_named.push_back(*number);
    }
    const auto cold = measure_unread(q);  // the first touch of every row
    check_answers(q);
    std::vector<double> unread, stats, wide, narrow, limit, unread_p50, stats_p50;
    for (int i = 0; i < environment.repeats(3); ++i) {
        const Histogram counts = measure_unread(q), statistics = measure_stats(q, q.all_messages);
        unread.push_back(counts.p99_us());
        unread_p50.push_back(counts.p50_us());
        stats.push_back(statistics.p99_us());
        stats_p50.push_back(statistics.p50_us());
        wide.push_back(measure_stats(q, q.messages_to_all).p99_us());
        narrow.push_back(measure_stats(q, q.messages_to_named).p99_us());
        limit.push_back(
            measure_point_reads(environment.directory, environment.scaled(kLimitRows), kCalls)
                .p99_us());
    }
    Row row;
    row.workload =
        "unread count of a random partner and statistics of a random message, in "
        "process, each call timed, the slower of the two; the program of P6; limit: "
        "one RocksDB point read from its cache";
    row.unit = "us p99";
    row.ours = std::max(median(unread), median(stats));
    row.limit = median(limit);
    row.peer = "PostgreSQL 15, count over one message's recipients";
    row.target = "<= 50 us";
    row.met = row.ours <= kTargetUs;
    row.extra["unread_p50_us"] = median(unread_p50);
    row.extra["unread_p99_us"] = median(unread);
    row.extra["unread_first_touch_p99_us"] = cold.p99_us();
    row.extra["stats_p50_us"] = median(stats_p50);
    row.extra["stats_p99_us"] = median(stats);
    row.extra["stats_to_all_p99_us"] = median(wide);
    row.extra["stats_to_named_p99_us"] = median(narrow);
    return row;
}

}  // namespace tidings::bench
