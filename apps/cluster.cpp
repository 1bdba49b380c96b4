#include "apps/cluster.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <charconv>
#include <fstream>
#include <iterator>

#include "apps/data_directory.h"

namespace tidings::apps {

namespace {

constexpr const char* kSegment = "segment.ms";

/// Holds the log's id in hex.
std::filesystem::path log_id_file(const std::filesystem::path& data) { return data / "log_id"; }

}  // namespace

Result<std::optional<LogId>> read_log_id(const std::filesystem::path& data) {
    std::ifstream in(log_id_file(data), std::ios::binary);
    if (!in) return std::optional<LogId>();
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!text.empty() && text.back() == '\n') text.pop_back();
    const auto bytes = from_hex(text);
    if (!bytes || bytes->size() != LogId::kSize) {
        return Error{ErrorCode::corruption, log_id_file(data).string() + " is not a log id", {}};
    }
    return std::optional<LogId>(LogId::from(*bytes));
}

Result<void> write_log_id(const std::filesystem::path& data, const LogId& log) {
    return replace_durably(log_id_file(data), to_hex(log.view()) + "\n");
}

Result<Roles> parse_roles(std::string_view text) {
    Roles roles{false, false, false};
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view word = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
        if (word == "api") {
            roles.api = true;
        } else if (word == "decider") {
            roles.decider = true;
        } else if (word == "projector") {
            roles.projector = true;
        } else {
            return Error{ErrorCode::usage,
                         "no role \"" + std::string(word) + "\": there are api, decider, projector",
                         {}};
        }
    }
    if (roles == Roles{false, false, false}) {
        return Error{ErrorCode::usage, "a process needs a role: api, decider, projector", {}};
    }
    return roles;
}

kafka::Settings kafka_settings(const Config& config) {
    kafka::Settings settings;
    settings.brokers = config.cluster_brokers;
    settings.prefix = config.cluster_prefix;
    settings.properties = config.kafka;
    return settings;
}

Result<void> check_upstream_topics(const Config& config) {
    const auto own = kafka::topic_specs(kafka::TopicNames(config.cluster_prefix), 1);
    for (const std::string& topic : config.upstream_topics) {
        const bool is_own = std::any_of(own.begin(), own.end(),
                                        [&](const auto& spec) { return spec.name == topic; });
        if (!is_own) continue;
        return Error{ErrorCode::usage,
                     "upstream.topics: " + topic +
                         " is a topic of this deployment itself (cluster.prefix = \"" +
                         config.cluster_prefix + "\"): name the platform's topics",
                     {}};
    }
    return {};
}

Result<void> Cluster::connect() {
    auto producer = kafka::Producer::create(options_.settings);
    if (!producer) return producer.error();
    producer_ = std::move(*producer);
    auto events = kafka::Producer::create(options_.settings);
    if (!events) return events.error();
    events_producer_ = std::move(*events);
    for (auto* consumer : {&commits_, &commands_, &others_}) {
        auto made = kafka::Consumer::create(options_.settings);
        if (!made) return made.error();
        *consumer = std::move(*made);
    }
    bookmarks_ = std::make_unique<kafka::Bookmarks>(*events_producer_, *others_, names_.bookmarks);
    return {};
}

Result<void> Cluster::open_topics(const std::filesystem::path& data) {
    kafka::Topics topics(options_.settings, *producer_, *commits_);
    const auto state = topics.describe({names_.commits, 0, false, {}});
    if (!state) return state.error();
    const std::uint32_t wanted =
        options_.partitions == 0 ? kDefaultClusterPartitions : options_.partitions;
    const std::uint32_t count = state->exists ? state->partitions : wanted;
    const auto known = read_log_id(data);
    if (!known) return known.error();
    if (!state->exists && *known) {
        return Error{ErrorCode::log_mismatch,
                     names_.commits + " is gone, but this data directory follows log " +
                         to_hex((*known)->view()) +
                         ": restore the topics, or start a new deployment with an empty data "
                         "directory",
                     {}};
    }
    const auto specs = topic_specs(names_, count);
    const auto made = topics.create_missing(specs, options_.replication);
    if (!made) return made.error();
    auto genesis = topics.open_genesis(*known);
    if (!genesis) return genesis.error();
    genesis_ = std::move(*genesis);
    const auto report = topics.check(specs);
    if (!report) return report.error();
    for (const std::string& warning : report->warnings) spdlog::warn("kafka: {}", warning);
    if (!report->faults.empty()) {
        std::string all;
        for (const std::string& fault : report->faults) all += (all.empty() ? "" : "; ") + fault;
        return Error{ErrorCode::log_mismatch, all, {}};
    }
    const auto keys = topics.describe({names_.keys, 1, true, {{kSegment, ""}}});
    if (!keys) return keys.error();
    const std::string segment =
        keys->settings.contains(kSegment) ? keys->settings.at(kSegment) : "";
    std::int64_t segment_ms = 0;
    std::from_chars(segment.data(), segment.data() + segment.size(), segment_ms);
    keys_segment_ = std::chrono::milliseconds(segment_ms);
    if (options_.partitions != 0 && options_.partitions != genesis_.size()) {
        return Error{ErrorCode::usage,
                     "the log has " + std::to_string(genesis_.size()) + " partitions, not " +
                         std::to_string(options_.partitions) + ": that number is fixed",
                     {}};
    }
    return *known ? Result<void>() : write_log_id(data, genesis_.front().log);
}

Result<std::unique_ptr<Cluster>> Cluster::open(const ClusterOptions& options,
                                               const std::filesystem::path& data,
                                               const std::string& keys_fingerprint) {
    std::unique_ptr<Cluster> cluster(new Cluster(options));
    if (const auto connected = cluster->connect(); !connected) return connected.error();
    if (const auto opened = cluster->open_topics(data); !opened) return opened.error();
    kafka::Member self;
    self.id = boost::uuids::to_string(boost::uuids::random_generator()());
    self.api = options.roles.api;
    self.decider = options.roles.decider;
    self.projector = options.roles.projector;
    self.keys = keys_fingerprint;
    cluster->members_ = std::make_unique<kafka::Members>(
        *cluster->producer_, *cluster->others_,
        kafka::MembersOptions{cluster->names_.members, options.member_timeout}, std::move(self));
    return cluster;
}

std::unique_ptr<Log> Cluster::make_log(PartitionId partition) const {
    return std::make_unique<kafka::KafkaLog>(
        kafka::LogClients{*producer_, *commits_, *commands_, names_}, genesis_.at(partition.value));
}

std::optional<Error> Cluster::fault() const {
    for (const auto& [client, topic] : {std::pair{&commits_->client(), &names_.commits},
                                        std::pair{&commands_->client(), &names_.commands}}) {
        const std::uint32_t count = client->partitions_of(*topic);
        if (count == 0 || count == genesis_.size()) continue;
        return Error{ErrorCode::log_mismatch,
                     *topic + " now has " + std::to_string(count) +
                         " partitions, but the log was made with " +
                         std::to_string(genesis_.size()) +
                         ": someone altered it. Programs stay where they are, and nothing is lost, "
                         "but no process will start again: recreate the deployment with another "
                         "prefix",
                     {}};
    }
    return std::nullopt;
}

Cluster::Figures Cluster::figures() const {
    return {producer_->figures(), commits_->client().figures(), commands_->client().figures(),
            producer_->restarts()};
}

}  // namespace tidings::apps
