// P5: commands that lie in a topic of Kafka already, each one open, through deciding and commits to
// the read models; beside it the topic alone, and Kafka Streams that counts unique opens.
#include <array>
#include <bit>
#include <chrono>
#include <thread>

#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/kafka_alone.h"
#include "bench/kafka_broker.h"
#include "bench/kafka_programs.h"
#include "bench/partners.h"
#include "bench/report.h"
#include "bench/shell.h"

namespace tidings::bench {

namespace {

constexpr std::uint64_t kDrainOpens = 2'000'000;
constexpr std::uint32_t kPartitions = 2;    ///< of the topic; the peer has a thread for each
constexpr std::size_t kDrainMessages = 10;  ///< in each partition
constexpr double kDrainTarget = 500'000, kDrainTableLimit = 1.86e6, kPeerTarget = 4;
constexpr std::chrono::milliseconds kDrainPoll{1};
constexpr std::chrono::seconds kStuck{60};

using Clock = std::chrono::steady_clock;

/// What one run opens: in each partition every message by the same number of partners, in no order.
struct Opens {
    std::uint64_t per_partition = 0;
    std::vector<std::uint32_t> partners;  ///< a prefix of it for each message

    explicit Opens(const Environment& environment)
        : per_partition(environment.scaled(kDrainOpens) / kPartitions / kDrainMessages *
                        kDrainMessages),
          partners(sample_partners(environment.scaled(kPartners) / kPartitions,
                                   per_partition / kDrainMessages, 5)) {
        check(!partners.empty() && partners.size() * kDrainMessages == per_partition,
              "too small a scale for P5");
    }
    std::uint64_t all() const { return per_partition * kPartitions; }
    static std::uint32_t partition(std::uint64_t number) { return number % kPartitions; }
    static std::size_t message(std::uint64_t number) {
        return number / kPartitions % kDrainMessages;
    }
    std::uint32_t partner(std::uint64_t number) const {
        // Shifted, so that no two messages are opened by the partners in the same order.
        const std::uint64_t place = number / kPartitions / kDrainMessages;
        return partners[(place + message(number) * 7919) % partners.size()];
    }
};

struct DrainRuns {
    std::vector<double> ours, produce, consume, exactly_once, at_least_once, ratio;
    std::vector<double> opens_per_commit, record_bytes;
};

std::array<char, 8> big_endian(std::uint64_t number) {
    return std::bit_cast<std::array<char, 8>>(__builtin_bswap64(number));
}

/// The peer's topic: the message as key and the partner as value, 8 bytes each.
void preload_peer(const KafkaBroker& broker, const std::string& topic, const Opens& opens) {
    create_topic(broker.settings(), topic, kPartitions);
    std::array<char, 8> key{}, value{};
    produce_all(broker.brokers(), topic, opens.all(), [&](std::uint64_t number, BareRecord& out) {
        key = big_endian(Opens::message(number) * kPartitions + Opens::partition(number));
        value = big_endian(opens.partner(number));
        out = {Opens::partition(number), {key.data(), key.size()}, {value.data(), value.size()}};
    });
}

/// Opens a second of Kafka Streams; nothing, and why, if it cannot be had.
std::optional<double> run_peer(const Environment& environment, const KafkaBroker& broker,
                               const std::string& topic, std::uint64_t opens,
                               const std::string& guarantee, std::string& missing) {
    const std::string errors = environment.directory / "streams.log";
    std::string command = quoted(TIDINGS_SOURCE_DIR "/bench/kafka_streams/run") + " UniqueOpens";
    for (const std::string& word : {broker.brokers(), topic, std::to_string(opens), guarantee,
                                    environment.fresh("streams").string()}) {
        command += ' ' + quoted(word);
    }
    const ShellResult done = run_shell("timeout 600 " + command + " 2>" + quoted(errors));
    if (done.good) return std::stod(done.out.substr(done.out.rfind('\n') + 1));
    missing = last_line_of(errors);
    return std::nullopt;
}

/// Lays up new messages' opens, reads them with nothing else going on, then lets the programs
/// decide.
void run_once(const KafkaBroker& broker, KafkaPrograms& programs, const Opens& opens,
              DrainRuns& runs) {
    std::array<std::vector<EventNumber>, kPartitions> messages;
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
        for (std::size_t i = 0; i < kDrainMessages; ++i)
            messages[p].push_back(programs.send_to_all(p));
    }
    std::vector<std::string> records;
    records.reserve(opens.all());
    std::uint64_t bytes = 0;
    for (std::uint64_t n = 0; n < opens.all(); ++n) {
        const std::uint32_t p = Opens::partition(n);
        records.push_back(
            programs.encode_open(p, messages[p][Opens::message(n)], opens.partner(n)));
        bytes += records.back().size();
    }
    programs.set_decides(false);
    const std::string& topic = programs.commands_topic();
    const auto from = topic_ends(broker.settings(), topic, kPartitions);
    runs.produce.push_back(
        produce_all(broker.brokers(), topic, records.size(), [&](std::uint64_t n, BareRecord& out) {
            out = {Opens::partition(n), {}, records[n]};
        }));
    records = {};
    const auto to = topic_ends(broker.settings(), topic, kPartitions);
    runs.consume.push_back(consume_all(broker.brokers(), topic, from, to));

    const std::uint64_t answered = programs.answered(), commits = programs.commits();
    const auto start = Clock::now();
    programs.set_decides(true);
    while (programs.answered() < answered + opens.all()) {
        check(Clock::now() - start < kStuck * opens.all() / 100'000 + kStuck, "draining is stuck");
        std::this_thread::sleep_for(kDrainPoll);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    check_equal(programs.answered(), answered + opens.all(), "commands answered");
    check_equal(programs.refused(), 0, "refused commands");
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
        for (const EventNumber message : messages[p])
            check_equal(programs.opens_of(p, message), opens.partners.size(), "opens of a message");
    }
    const auto count = static_cast<double>(opens.all());
    runs.ours.push_back(count / seconds);
    runs.opens_per_commit.push_back(count / static_cast<double>(programs.commits() - commits));
    runs.record_bytes.push_back(static_cast<double>(bytes) / count);
}

}  // namespace

Row run_drain(Environment& environment) {
    const Opens opens(environment);
    const KafkaBroker broker(environment, "drain");
    const std::string peer_topic = broker.prefix() + ".peer.opens";
    preload_peer(broker, peer_topic, opens);
    const std::uint64_t partners = environment.scaled(kPartners) / kPartitions;
    say("  making " + std::to_string(kPartitions) + " programs of " + std::to_string(partners) +
        " partners");
    KafkaPrograms programs(broker.settings(), environment.fresh("drain"), kPartitions, partners);
    DrainRuns runs;
    std::string missing;
    for (int i = 0; i < environment.repeats(3); ++i) {
        say("  draining");
        run_once(broker, programs, opens, runs);
        if (!missing.empty()) continue;
        for (auto& [guarantee, figures] : {std::pair{"exactly_once_v2", &runs.exactly_once},
                                           std::pair{"at_least_once", &runs.at_least_once}}) {
            const auto peer =
                run_peer(environment, broker, peer_topic, opens.all(), guarantee, missing);
            if (!peer) break;
            figures->push_back(*peer);
            if (figures == &runs.exactly_once) runs.ratio.push_back(runs.ours.back() / *peer);
        }
    }
    Row row;
    row.workload =
        format_number(static_cast<double>(opens.all())) +
        " RecordOpen commands of one open each, preloaded in a topic of 2 partitions, a program "
        "of " +
        format_number(static_cast<double>(partners)) +
        " partners and 10 messages in each; until all are in the read models, exactly once; in "
        "process, a thread a partition, the broker on the same cores; peer: unique opens per "
        "message, records of 16 bytes, 2 threads, a persistent store with its changelog, defaults "
        "otherwise; limit: one bare consumer of the same records";
    row.unit = "opens/s";
    row.ours = median(runs.ours);
    row.limit = median(runs.consume);
    row.peer = "Kafka Streams 4.1, exactly_once_v2";
    if (!missing.empty() || runs.ratio.empty()) {
        row.peer += ": " + missing;
    } else {
        row.peer_figure = median(runs.exactly_once);
        row.extra["ratio_to_peer"] = median(runs.ratio);
        row.extra["peer_runs"] = to_json(runs.exactly_once);
        row.extra["peer_at_least_once"] = median(runs.at_least_once);
    }
    const double target = kDrainTarget * *row.limit / kDrainTableLimit;
    row.target = ">= " + format_number(target) +
                 " opens/s (500,000 at 1,860,000 consumed/s) and >= 4 of the peer";
    row.met = row.ours >= target && row.peer_figure && median(runs.ratio) >= kPeerTarget;
    row.extra["bare_produce_per_s"] = median(runs.produce);
    row.extra["opens_per_commit"] = median(runs.opens_per_commit);
    row.extra["command_bytes"] = median(runs.record_bytes);
    row.extra["runs"] = to_json(runs.ours);
    row.extra["limit_runs"] = to_json(runs.consume);
    return row;
}

}  // namespace tidings::bench
