#include "connectors/kafka/topics.h"

#include <librdkafka/rdkafka.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"
#include "core/limits.h"
#include "events/envelope.h"

namespace tidings::kafka {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTopicsAnswer{10'000};  ///< of the cluster to an administrative request
constexpr milliseconds kPoll{50};
constexpr std::uint32_t kRecommendedReplication = 3;

template <class T, void (*destroy)(T*)>
struct Destroyer {
    void operator()(T* object) const { destroy(object); }
};
template <class T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Destroyer<T, destroy>>;
using Queue = Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using Resource = Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;

using MetadataStruct = struct rd_kafka_metadata;  // a function has the same name
void free_metadata(const MetadataStruct* metadata) { rd_kafka_metadata_destroy(metadata); }
using Metadata = Owned<const MetadataStruct, free_metadata>;

/// All topics, since asking for one that is missing may make it.
Result<Metadata> metadata_of(rd_kafka_t* handle) {
    const MetadataStruct* metadata = nullptr;
    const auto status =
        rd_kafka_metadata(handle, 1, nullptr, &metadata, static_cast<int>(kTopicsAnswer.count()));
    if (status != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return kafka_error(status, "the cluster does not describe itself");
    }
    return Metadata(metadata);
}

const rd_kafka_metadata_topic* find(const MetadataStruct& metadata, const std::string& name) {
    for (int i = 0; i < metadata.topic_cnt; ++i) {
        const rd_kafka_metadata_topic& topic = metadata.topics[i];
        if (topic.topic == name && topic.err == RD_KAFKA_RESP_ERR_NO_ERROR) return &topic;
    }
    return nullptr;
}

bool has_leaders(const rd_kafka_metadata_topic& topic) {
    for (int i = 0; i < topic.partition_cnt; ++i) {
        if (topic.partitions[i].leader < 0) return false;
    }
    return topic.partition_cnt > 0;
}

/// Every broker hears of a new topic a little later; this asks one of them.
Result<void> await_leaders(rd_kafka_t* handle, const std::vector<TopicSpec>& specs) {
    const auto until = std::chrono::steady_clock::now() + kTopicsAnswer;
    for (;;) {
        const auto now = metadata_of(handle);
        if (!now) return now.error();
        const bool all = std::all_of(specs.begin(), specs.end(), [&](const TopicSpec& spec) {
            const auto* topic = find(**now, spec.name);
            return topic != nullptr && has_leaders(*topic);
        });
        if (all) return {};
        if (std::chrono::steady_clock::now() > until) {
            return Error{ErrorCode::io, "the new topics have no leaders yet", {}};
        }
        std::this_thread::sleep_for(kPoll);
    }
}

Result<std::map<std::string, std::string>> read_settings(rd_kafka_t* handle,
                                                         const TopicSpec& spec) {
    const Resource resource(
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, spec.name.c_str()));
    const Queue queue(rd_kafka_queue_new(handle));
    std::array<rd_kafka_ConfigResource_t*, 1> asked = {resource.get()};
    rd_kafka_DescribeConfigs(handle, asked.data(), asked.size(), nullptr, queue.get());
    const Event event(rd_kafka_queue_poll(queue.get(), static_cast<int>(kTopicsAnswer.count())));
    if (!event) return Error{ErrorCode::io, spec.name + ": the cluster does not answer", {}};
    if (const auto status = rd_kafka_event_error(event.get())) {
        return kafka_error(status, spec.name + ": its settings");
    }
    std::size_t count = 0;
    const auto** resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event.get()), &count);
    std::map<std::string, std::string> out;
    for (std::size_t i = 0; i < count; ++i) {
        if (const auto status = rd_kafka_ConfigResource_error(resources[i])) {
            Error error = kafka_error(status, spec.name + ": its settings");
            if (status == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
                error.code = ErrorCode::not_found;
            return error;
        }
        std::size_t entries = 0;
        const auto** configs = rd_kafka_ConfigResource_configs(resources[i], &entries);
        for (std::size_t k = 0; k < entries; ++k) {
            const std::string name = rd_kafka_ConfigEntry_name(configs[k]);
            const char* value = rd_kafka_ConfigEntry_value(configs[k]);
            if (spec.settings.contains(name)) out[name] = value == nullptr ? "" : value;
        }
    }
    return out;
}

std::map<std::string, std::string> log_settings(std::size_t record_bytes) {
    return {{"cleanup.policy", "delete"},
            {"retention.ms", "-1"},
            {"retention.bytes", "-1"},
            {"unclean.leader.election.enable", "false"},
            {"max.message.bytes", std::to_string(record_bytes + (1 << 20))}};
}

Error lost_beginning(const std::string& what) {
    return {ErrorCode::log_mismatch,
            what +
                ". The topic was recreated or truncated: restore it, or start a new deployment "
                "with another prefix and an empty data directory",
            {}};
}

}  // namespace

std::vector<TopicSpec> topic_specs(const TopicNames& names, std::uint32_t partitions) {
    const std::map<std::string, std::string> compacted = {
        {"cleanup.policy", "compact"}, {"unclean.leader.election.enable", "false"}};
    // Rolled often, so that compaction comes to what is written several times a second.
    const std::map<std::string, std::string> small_segments = {{"segment.ms", "600000"}};
    // A key that was destroyed is gone from the brokers' disks within that, and a tombstone is seen
    // by every process that has not been cut off for a week.
    const std::map<std::string, std::string> destroying = {{"segment.ms", "600000"},
                                                           {"max.compaction.lag.ms", "3600000"},
                                                           {"delete.retention.ms", "604800000"}};
    const std::map<std::string, std::string> kept = {{"unclean.leader.election.enable", "false"}};
    return {{names.commands, partitions, true, log_settings(limits::kCommandBytes)},
            {names.commits, partitions, true, log_settings(limits::kCommitBytes)},
            {names.events, partitions, true, kept},
            {names.members, 1, true, compacted, small_segments},
            {names.bookmarks, 1, true, compacted, small_segments},
            {names.keys, 1, true, compacted, destroying},
            {names.rejected, 1, false, kept}};
}

Topics::Topics(const Settings& settings, Producer& producer, Consumer& consumer)
    : names_(settings.prefix), producer_(producer), consumer_(consumer) {}
Topics::~Topics() = default;

Result<std::uint32_t> Topics::brokers() {
    const auto metadata = metadata_of(producer_.client()->handle());
    if (!metadata) return metadata.error();
    return static_cast<std::uint32_t>((*metadata)->broker_cnt);
}

Result<TopicState> Topics::describe(const TopicSpec& spec) {
    const auto client = producer_.client();
    auto metadata = metadata_of(client->handle());
    if (!metadata) return metadata.error();
    const rd_kafka_metadata_topic* topic = find(**metadata, spec.name);
    // The broker that is asked may not have heard of a new topic yet.
    const auto until = std::chrono::steady_clock::now() + kTopicsAnswer;
    while (topic == nullptr && expected_.contains(spec.name) &&
           std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(kPoll);
        metadata = metadata_of(client->handle());
        if (!metadata) return metadata.error();
        topic = find(**metadata, spec.name);
    }
    TopicState state;
    if (topic == nullptr) return state;
    state.exists = true;
    state.partitions = static_cast<std::uint32_t>(topic->partition_cnt);
    state.replication = topic->partition_cnt == 0
                            ? 0
                            : static_cast<std::uint32_t>(topic->partitions[0].replica_cnt);
    auto settings = read_settings(client->handle(), spec);
    while (!settings && settings.error().code == ErrorCode::not_found &&
           std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(kPoll);
        settings = read_settings(client->handle(), spec);
    }
    if (!settings) return settings.error();
    state.settings = std::move(*settings);
    return state;
}

Result<bool> Topics::create_missing(const std::vector<TopicSpec>& specs,
                                    std::uint32_t replication) {
    const auto client = producer_.client();
    rd_kafka_t* const handle = client->handle();
    const auto metadata = metadata_of(handle);
    if (!metadata) return metadata.error();
    const auto brokers = static_cast<std::uint32_t>((*metadata)->broker_cnt);
    if (replication == 0) replication = std::clamp(brokers, 1u, kRecommendedReplication);

    std::vector<Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>> topics;
    for (const TopicSpec& spec : specs) {
        if (find(**metadata, spec.name) != nullptr) continue;
        std::array<char, 256> reason{};
        topics.emplace_back(
            rd_kafka_NewTopic_new(spec.name.c_str(), static_cast<int>(spec.partitions),
                                  static_cast<int>(replication), reason.data(), reason.size()));
        if (!topics.back()) {
            return Error{ErrorCode::usage, spec.name + ": " + reason.data(), {}};
        }
        for (const auto* settings : {&spec.settings, &spec.first_settings}) {
            for (const auto& [name, value] : *settings) {
                rd_kafka_NewTopic_set_config(topics.back().get(), name.c_str(), value.c_str());
            }
        }
        if (replication >= kRecommendedReplication) {
            rd_kafka_NewTopic_set_config(topics.back().get(), "min.insync.replicas", "2");
        }
    }
    for (const TopicSpec& spec : specs) expected_.insert(spec.name);
    if (topics.empty()) return false;

    std::vector<rd_kafka_NewTopic_t*> raw;
    raw.reserve(topics.size());
    for (const auto& topic : topics) raw.push_back(topic.get());
    const Queue queue(rd_kafka_queue_new(handle));
    rd_kafka_CreateTopics(handle, raw.data(), raw.size(), nullptr, queue.get());
    const Event event(rd_kafka_queue_poll(queue.get(), static_cast<int>(kTopicsAnswer.count())));
    if (!event) return Error{ErrorCode::io, "the cluster does not answer: topics not made", {}};
    if (const auto status = rd_kafka_event_error(event.get())) {
        return kafka_error(status, "the topics cannot be made");
    }
    std::size_t count = 0;
    const auto** results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event.get()), &count);
    bool made = false;
    for (std::size_t i = 0; i < count; ++i) {
        const auto status = rd_kafka_topic_result_error(results[i]);
        const std::string name = rd_kafka_topic_result_name(results[i]);
        if (status == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;  // another process did
        if (status != RD_KAFKA_RESP_ERR_NO_ERROR) {
            const char* reason = rd_kafka_topic_result_error_string(results[i]);
            return Error{ErrorCode::io, name + " cannot be made: " + (reason ? reason : ""), {}};
        }
        spdlog::info("kafka: made topic {} replication={}", name, replication);
        made = true;
    }
    if (const auto led = await_leaders(handle, specs); !led) return led.error();
    return made;
}

Result<TopicReport> Topics::check(const std::vector<TopicSpec>& specs) {
    TopicReport report;
    const auto count = brokers();
    if (!count) return count.error();
    for (const TopicSpec& spec : specs) {
        const auto state = describe(spec);
        if (!state) return state.error();
        if (!state->exists) {
            report.faults.push_back(spec.name + " is missing");
            continue;
        }
        report.lines.push_back(spec.name + ": " + std::to_string(state->partitions) +
                               " partitions, replication " + std::to_string(state->replication));
        if (spec.partitions_fixed && state->partitions != spec.partitions) {
            report.faults.push_back(
                spec.name + " has " + std::to_string(state->partitions) + " partitions, not " +
                std::to_string(spec.partitions) +
                ": their number is fixed when the log is made, since programs are spread by it. "
                "Make a new deployment with another prefix to have more");
        }
        for (const auto& [name, wanted] : spec.settings) {
            const auto found = state->settings.find(name);
            const std::string is = found == state->settings.end() ? "" : found->second;
            if (is == wanted) continue;
            if (name == "max.message.bytes" && !is.empty() && std::stoull(is) > std::stoull(wanted))
                continue;
            report.faults.push_back(spec.name + " has " + name + "=" + is + ", not " + wanted +
                                    ": set it with kafka-configs --alter --entity-type topics "
                                    "--entity-name " +
                                    spec.name + " --add-config " + name + "=" + wanted);
        }
        if (*count >= kRecommendedReplication && state->replication < kRecommendedReplication) {
            report.warnings.push_back(
                spec.name + " has replication " + std::to_string(state->replication) +
                " although there are " + std::to_string(*count) +
                " brokers: one broken disk loses what was acknowledged. Raise it to 3 with "
                "min.insync.replicas=2");
        }
    }
    return report;
}

Result<std::optional<Genesis>> Topics::read_genesis(std::uint32_t partition) {
    const auto number = static_cast<std::int32_t>(partition);
    const auto offsets = consumer_.query_offsets(names_.commits, number, kTopicsAnswer);
    if (!offsets) return offsets.error();
    if (offsets->second == 0) return std::optional<Genesis>();
    const std::string name = names_.commits + " [" + std::to_string(partition) + "]";
    if (offsets->first > 0) {
        return lost_beginning(name + " starts at " + std::to_string(offsets->first) +
                              ", so its beginning was deleted");
    }
    auto& reader = readers_[partition];
    if (!reader) reader = std::make_unique<PartitionReader>(consumer_, names_.commits, number);
    const auto record = reader->read(0, kTopicsAnswer);
    reader->stop();
    if (!record) return record.error();
    if (!*record) return Error{ErrorCode::io, name + ": its first record does not come", {}};
    const auto genesis = decode_genesis((*record)->value());
    if (!genesis) {
        Error error = genesis.error();
        error.detail = name + ", position 0: " + error.detail;
        return error;
    }
    return std::optional<Genesis>(*genesis);
}

Result<std::vector<Genesis>> Topics::read_all_genesis(std::uint32_t partitions) {
    std::vector<Genesis> all;
    start_reading(partitions);
    for (std::uint32_t p = 0; p < partitions; ++p) {
        const auto genesis = read_beginning(p);
        if (!genesis) return genesis.error();
        if (*genesis) all.push_back(**genesis);
    }
    return all;
}

void Topics::start_reading(std::uint32_t partitions) {
    for (std::uint32_t p = 0; p < partitions; ++p) {
        readers_[p] = std::make_unique<PartitionReader>(consumer_, names_.commits,
                                                        static_cast<std::int32_t>(p));
        (void)readers_[p]->read(0, milliseconds(0));
    }
}

/// Its genesis, and that neither log has lost its beginning.
Result<std::optional<Genesis>> Topics::read_beginning(std::uint32_t partition) {
    const std::string number = " [" + std::to_string(partition) + "]";
    const auto commands = consumer_.query_offsets(
        names_.commands, static_cast<std::int32_t>(partition), kTopicsAnswer);
    if (!commands) return commands.error();
    // After the commands were counted: whoever starts the log writes genesis before any command.
    auto genesis = read_genesis(partition);
    if (!genesis) return genesis;
    if (commands->first > 0) {
        return lost_beginning(names_.commands + number + " starts at " +
                              std::to_string(commands->first) + ", so its beginning was deleted");
    }
    if (!*genesis && commands->second > 0) {
        return lost_beginning(names_.commits + number + " is empty, but there are " +
                              std::to_string(commands->second) + " commands");
    }
    return genesis;
}

Result<Genesis> Topics::make_genesis(const LogId& log, std::uint32_t partition,
                                     std::uint32_t count) {
    Genesis genesis;
    genesis.log = log;
    genesis.partition = PartitionId{partition};
    genesis.partitions = count;
    // Shared: the answer may come after we have given up.
    struct Wait {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<Delivery> delivery;
    };
    const auto wait = std::make_shared<Wait>();
    ProducerRecord record;
    record.topic = names_.commits;
    record.partition = static_cast<std::int32_t>(partition);
    record.value = encode_genesis(genesis);
    const auto sent =
        producer_.send(std::move(record), true, [wait](Delivery delivery, std::uint64_t) {
            const std::lock_guard lock(wait->mutex);
            wait->delivery = delivery;
            wait->changed.notify_all();
        });
    if (!sent) return sent.error();
    {
        std::unique_lock lock(wait->mutex);
        if (!wait->changed.wait_for(lock, kTopicsAnswer,
                                    [&] { return wait->delivery.has_value(); })) {
            return Error{ErrorCode::io, "the genesis record is not acknowledged", {}};
        }
    }
    // Another process may have been first: what lies at position 0 counts.
    const auto first = read_genesis(partition);
    if (!first) return first.error();
    if (!*first) return Error{ErrorCode::io, "the genesis record cannot be read back", {}};
    return **first;
}

Result<std::vector<Genesis>> Topics::open_genesis(const std::optional<LogId>& known) {
    const auto state = describe({names_.commits, 0, false, {}});
    if (!state) return state.error();
    if (!state->exists) return Error{ErrorCode::io, names_.commits + " is missing", {}};
    const std::uint32_t count = state->partitions;
    std::vector<Genesis> all;
    LogId log;
    RAND_bytes(log.bytes.data(), static_cast<int>(log.bytes.size()));
    start_reading(count);
    for (std::uint32_t p = 0; p < count; ++p) {
        auto genesis = read_beginning(p);
        if (!genesis) return genesis.error();
        if (!*genesis) {
            const std::string name = names_.commits + " [" + std::to_string(p) + "]";
            if (known) return lost_beginning(name + " is empty, but this node already followed it");
            auto made = make_genesis(log, p, count);
            if (!made) return made.error();
            *genesis = *made;
        }
        const Genesis& found = **genesis;
        if (p == 0) log = found.log;
        if (found.log != log || found.partition.value != p) {
            return Error{ErrorCode::log_mismatch,
                         names_.commits + " [" + std::to_string(p) +
                             "] belongs to another log than partition 0",
                         {}};
        }
        if (found.partitions != count) {
            return Error{ErrorCode::log_mismatch,
                         names_.commits + " has " + std::to_string(count) +
                             " partitions, but the log was made with " +
                             std::to_string(found.partitions) +
                             ": programs are spread by that number, so it must not change. Make a "
                             "new deployment with another prefix to have more",
                         {}};
        }
        all.push_back(found);
    }
    if (known && !all.empty() && *known != log) {
        return lost_beginning("the topics hold log " + to_hex(log.view()) +
                              ", but this data directory follows log " + to_hex(known->view()));
    }
    return all;
}

}  // namespace tidings::kafka
