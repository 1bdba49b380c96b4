// P8: all read models of a partition made anew from its log, on one thread: from the embedded log,
// and from Kafka beside the topic alone; and Kafka Streams that restores a store from its
// changelog.
#include <sys/resource.h>

#include <array>
#include <bit>
#include <chrono>
#include <thread>

#include "apps/audit_log.h"
#include "apps/node.h"
#include "apps/past.h"
#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/kafka_alone.h"
#include "bench/kafka_broker.h"
#include "bench/kafka_programs.h"
#include "bench/opens_in_bulk.h"
#include "bench/partners.h"
#include "bench/physical_limits.h"
#include "bench/report.h"
#include "bench/shell.h"
#include "core/chain.h"
#include "core/limits.h"

namespace tidings::bench {

namespace {

constexpr std::size_t kRebuildMessages =
    9;  ///< opened by everyone; with the partners 10 events each
constexpr std::uint64_t kSingles = 500'000;
constexpr double kRebuildTarget = 2e6, kRatioTarget = 0.6;
constexpr double kScanOfTarget = 6.4e6;  ///< rows/s where the target was set

using Clock = std::chrono::steady_clock;

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Of all threads of this process.
double processor_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

/// When the background threads have done what they can.
double processor_seconds_at_rest() {
    constexpr std::chrono::milliseconds kRest{300};
    constexpr double kWork = 0.01;
    for (double last = processor_seconds();;) {
        std::this_thread::sleep_for(kRest);
        const double now = processor_seconds();
        if (now - last < kWork) return now;
        last = now;
    }
}

struct Rebuilt {
    double wall_s = 0, processor_s = 0;
    apps::PastCost cost;
    std::unique_ptr<Models> models;
};

/// Into an empty directory, with the memory that `serve` has, until it is on disk.
Rebuilt rebuild(CommitSource& log, const std::filesystem::path& directory, Sequence last) {
    const apps::NodeOptions memory;
    ModelsOptions options;
    options.directory = directory;
    options.resources = make_store_resources(memory.block_cache_bytes, memory.write_buffer_bytes);
    options.row_memory = make_row_memory(memory.row_cache_bytes);
    options.bulk = true;
    Rebuilt out;
    out.models = value_of(Models::open(options), "read models");
    const CapnpCodec codec;
    apps::PastEnd end;
    end.last = last;
    const auto start = Clock::now();
    const double before = processor_seconds();
    while (out.models->tip().sequence < last) {
        value_of(apps::replay(log, codec, *out.models, end, out.cost), "rebuild");
    }
    value_of(out.models->flush(), "flush");
    out.wall_s = std::chrono::duration<double>(Clock::now() - start).count();
    value_of(out.models->end_bulk(), "end of bulk writing");
    out.processor_s = processor_seconds_at_rest() - before;
    return out;
}

/// What a rebuild does before it folds anything: reads, checks the chain, decodes. In seconds.
double decode_all(CommitSource& log, Sequence last) {
    const CapnpCodec codec;
    Tip at;
    at.hash = log.genesis().hash;
    const auto start = Clock::now();
    for (LogPosition from = at.next_record; at.sequence < last;) {
        std::vector<CommitRecord> records;
        value_of(log.read_commits(from, limits::kRunBytes, records), "log");
        for (const CommitRecord& record : records) {
            from = LogPosition{record.position.value + 1};
            const auto envelope = value_of(codec.decode_envelope(record.bytes), "envelope");
            if (judge(log.genesis(), at, envelope) != Verdict::accept) continue;
            at = advance(envelope, record.position);
            value_of(codec.decode_outcomes(record.bytes), "outcomes");
        }
    }
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Embedded {
    std::vector<double> per_core, wall, decoded, log_bytes;
};

/// Rebuilds the program's partition as it lies in `data`.
void rebuild_embedded(const Environment& environment, const std::filesystem::path& data,
                      const ProgramId& program, std::uint64_t events, std::uint64_t partners,
                      Embedded& runs) {
    apps::Config config;
    config.data = data.string();
    const auto logs = value_of(apps::open_audited_logs(config), "log");
    const PartitionId partition = route(program, static_cast<std::uint32_t>(logs.size()));
    apps::AuditedLog& log = *logs.at(partition.value);
    const auto end = value_of(log.end_of_commits(), "log");
    const Sequence last{end.value - 1};
    const Rebuilt done = rebuild(log, environment.fresh("rebuilt"), last);
    runs.decoded.push_back(static_cast<double>(events) / decode_all(log, last));
    check_equal(done.models->summary(program).partners, partners, "partners");
    runs.per_core.push_back(static_cast<double>(events) / done.processor_s);
    runs.wall.push_back(static_cast<double>(events) / done.wall_s);
    runs.log_bytes.push_back(static_cast<double>(done.cost.bytes) / static_cast<double>(events));
}

/// Partners, and messages that each of them opened, in bulk.
std::uint64_t make_log(const std::filesystem::path& data, std::uint64_t partners) {
    EmbeddedProgram program(data, partners);
    BulkOpens bulk;
    for (std::size_t i = 0; i < kRebuildMessages; ++i)
        bulk.messages.push_back(program.send_to_all());
    bulk.opens_per_message = partners;
    std::uint64_t opens = 0;
    make_open_commands(program, bulk, [&](const std::string& record) {
        opens += program.apply({&record, 1}).first_opens;
    });
    check_equal(opens, bulk.opens(), "first opens");
    program.flush();
    return partners + opens;
}

/// Opens that came one a command, a thousand or so a commit, as under load.
std::uint64_t make_log_of_singles(const std::filesystem::path& data, std::uint64_t partners) {
    EmbeddedProgram program(data, partners);
    const EventNumber message = program.send_to_all();
    std::uint64_t opens = 0;
    std::vector<std::string> records;
    for (std::uint64_t i = 0; i < partners; ++i) {
        RecordOpens open;
        open.groups.emplace_back().message = message;
        open.groups.back().partners.add(static_cast<std::uint32_t>(i));
        records.push_back(program.encode(std::move(open)));
        if (records.size() < 1'000 && i + 1 < partners) continue;
        opens += program.apply(records).first_opens;
        records.clear();
    }
    check_equal(opens, partners, "first opens");
    program.flush();
    return opens + partners;
}

struct OnKafka {
    std::vector<double> per_second, bytes_per_second, decoded, limit, ratio, peer;
    std::string missing;
};

std::array<char, 16> peer_key(std::uint64_t number) {
    const std::array<std::uint64_t, 2> words{number % kRebuildMessages, number / kRebuildMessages};
    return std::bit_cast<std::array<char, 16>>(words);
}

/// A changelog of so many different keys of 16 bytes with values of 8.
void run_peer(const Environment& environment, const KafkaBroker& broker, std::uint64_t events,
              OnKafka& runs) {
    const std::string id = broker.prefix() + ".restore" + std::to_string(runs.peer.size());
    const std::string changelog = id + "-opens-changelog";
    create_topic(broker.settings(), id + ".in", 1);
    create_topic(broker.settings(), changelog, 1);
    std::array<char, 16> key{};
    const std::array<char, 8> value{};
    produce_all(broker.brokers(), changelog, events, [&](std::uint64_t number, BareRecord& out) {
        key = peer_key(number);
        out = {0, {key.data(), key.size()}, {value.data(), value.size()}};
    });
    const std::string errors = environment.directory / "streams.log";
    std::string command = quoted(TIDINGS_SOURCE_DIR "/bench/kafka_streams/run") + " Restore";
    for (const std::string& word : {broker.brokers(), id, id + ".in", std::to_string(events),
                                    environment.fresh("streams").string()}) {
        command += ' ' + quoted(word);
    }
    const ShellResult done = run_shell("timeout 900 " + command + " 2>" + quoted(errors));
    if (done.good) {
        runs.peer.push_back(std::stod(done.out.substr(done.out.rfind('\n') + 1)));
    } else {
        runs.missing = last_line_of(errors);
    }
}

/// The only partition, as `tidings audit` reads it.
std::unique_ptr<apps::AuditedLog> audited_log(const KafkaBroker& broker) {
    apps::Config config;
    config.cluster_brokers = broker.settings().brokers;
    config.cluster_prefix = broker.settings().prefix;
    return std::move(value_of(apps::open_audited_logs(config), "log on Kafka").front());
}

OnKafka run_on_kafka(const Environment& environment, std::uint64_t partners, int repeats) {
    OnKafka runs;
    const KafkaBroker broker(environment, "rebuild");
    say("  the same on Kafka");
    std::string topic;
    Genesis genesis;
    Sequence last;
    {
        KafkaPrograms programs(broker.settings(), environment.fresh("kafka"), 1, partners);
        for (std::size_t i = 0; i < kRebuildMessages; ++i) {
            programs.open_in_bulk(0, programs.send_to_all(0), partners);
        }
        check_equal(programs.refused(), 0, "refused commands");
        topic = programs.commits_topic();
        genesis = programs.genesis();
        last = Sequence{programs.commits()};
    }
    const std::uint64_t events = partners * (kRebuildMessages + 1);
    const auto to = topic_ends(broker.settings(), topic, 1);
    for (int i = 0; i < repeats; ++i) {
        const double records_per_second = consume_all(broker.brokers(), topic, {0}, to);
        auto log = value_of(apps::open_kafka_log(broker.settings(), genesis), "log on Kafka");
        const Rebuilt done = rebuild(*log, environment.fresh("rebuilt"), last);
        log.reset();
        const double decode_s = decode_all(*audited_log(broker), last);
        const auto bytes = static_cast<double>(done.cost.bytes);
        runs.decoded.push_back(bytes / decode_s);
        runs.limit.push_back(records_per_second * bytes / static_cast<double>(to.front()));
        runs.per_second.push_back(static_cast<double>(events) / done.wall_s);
        runs.bytes_per_second.push_back(bytes / done.wall_s);
        runs.ratio.push_back(runs.bytes_per_second.back() / runs.limit.back());
        if (runs.missing.empty()) run_peer(environment, broker, events, runs);
    }
    return runs;
}

}  // namespace

Row run_rebuild(Environment& environment) {
    const std::uint64_t partners = environment.scaled(kPartners);
    const int repeats = environment.repeats(3);
    const std::filesystem::path data = environment.fresh("rebuild");
    const std::uint64_t events = make_log(data, partners);
    Embedded bulk, singles;
    std::vector<double> scans;
    for (int i = 0; i < repeats; ++i) {
        rebuild_embedded(environment, data, {kProgram}, events, partners, bulk);
        scans.push_back(measure_scan(environment.directory, events));
    }
    const std::filesystem::path data_of_singles = environment.fresh("singles");
    const std::uint64_t few = environment.scaled(kSingles);
    const std::uint64_t single_events = make_log_of_singles(data_of_singles, few);
    for (int i = 0; i < repeats; ++i) {
        rebuild_embedded(environment, data_of_singles, {kProgram}, single_events, few, singles);
    }
    Row row;
    row.workload = "all read models of a partition anew from " +
                   format_number(static_cast<double>(events)) + " events (" +
                   format_number(static_cast<double>(partners)) +
                   " partners by import, each opened 9 messages, in commands of 50,000), on one "
                   "thread, until they are on disk and merged there; by the processor time of all "
                   "threads";
    row.unit = "events/s a core";
    row.ours = median(bulk.per_core);
    row.limit = median(scans);
    const double target = kRebuildTarget * *row.limit / kScanOfTarget;
    row.extra["wall_per_s"] = median(bulk.wall);
    row.extra["decoded_per_s"] = median(bulk.decoded);
    row.extra["log_bytes_per_event"] = median(bulk.log_bytes);
    row.extra["singles_per_s_a_core"] = median(singles.per_core);
    row.extra["singles_wall_per_s"] = median(singles.wall);
    row.extra["singles_log_bytes_per_event"] = median(singles.log_bytes);
    row.extra["runs"] = to_json(bulk.per_core);
    row.target = ">= " + format_number(target) + " events/s a core (" +
                 format_number(kRebuildTarget) + " at " + format_number(kScanOfTarget) +
                 " rows/s scanned), and >= 0.6 of the bytes consumed from Kafka";
    row.peer = "Kafka Streams 4.1: see peer_restore_per_s, against kafka_events_per_s";
    try {
        const OnKafka kafka = run_on_kafka(environment, partners, repeats);
        row.met = row.ours >= target && median(kafka.ratio) >= kRatioTarget;
        row.extra["kafka_events_per_s"] = median(kafka.per_second);
        row.extra["kafka_bytes_per_s"] = median(kafka.bytes_per_second);
        row.extra["kafka_decoded_bytes_per_s"] = median(kafka.decoded);
        row.extra["kafka_raw_bytes_per_s"] = median(kafka.limit);
        row.extra["kafka_ratio_to_raw"] = median(kafka.ratio);
        if (kafka.peer.empty()) {
            row.peer += ": " + kafka.missing;
        } else {
            row.extra["peer_restore_per_s"] = median(kafka.peer);
            row.extra["kafka_ratio_to_peer"] = median(kafka.per_second) / median(kafka.peer);
            row.extra["peer_runs"] = to_json(kafka.peer);
        }
    } catch (const Skipped& reason) {
        row.peer += std::string(": ") + reason.what();
    }
    return row;
}

}  // namespace tidings::bench
