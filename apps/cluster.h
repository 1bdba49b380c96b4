// A process' place in a deployment on Kafka: its clients, the topics and their genesis, and the
// live members. Makes the log of each partition.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/config.h"
#include "connectors/kafka/bookmarks.h"
#include "connectors/kafka/event_publisher.h"
#include "connectors/kafka/kafka_log.h"
#include "connectors/kafka/members.h"
#include "connectors/kafka/topics.h"

namespace tidings::apps {

struct Roles {
    bool api = true, decider = true, projector = true;
    bool operator==(const Roles&) const = default;
};
/// "api,decider,projector" in any order. Errors: usage.
Result<Roles> parse_roles(std::string_view text);

struct ClusterOptions {
    kafka::Settings settings;
    Roles roles;
    std::uint32_t partitions =
        0;  ///< of new topics; 0: kDefaultClusterPartitions. Else: what must be
    std::uint32_t replication = 0;  ///< of new topics; 0: 3, or as many brokers as there are
    std::uint32_t replicas = 0;     ///< holders of each partition's read models; 0: everybody
    std::chrono::milliseconds member_timeout{3'000};
    bool publishes = true;  ///< where the roles have projector
    bool always_decides =
        false;  ///< every partition held, whoever else does: to try the protocol out
};

inline constexpr std::uint32_t kDefaultClusterPartitions = 8;

/// Of [cluster] and [kafka].
kafka::Settings kafka_settings(const Config& config);
/// That none of upstream.topics is one of the deployment's own: what it publishes would come back
/// to it as facts. Errors: usage.
Result<void> check_upstream_topics(const Config& config);

/// <data>/log_id: the log that the read models there follow; nothing if they follow none on Kafka.
/// Errors: corruption.
Result<std::optional<LogId>> read_log_id(const std::filesystem::path& data);

/// In one step, and durable before anything follows that log. Errors: io.
Result<void> write_log_id(const std::filesystem::path& data, const LogId& log);

class Cluster {
public:
    /// Makes missing topics, checks all, and reads the genesis records. `data`: remembers the log
    /// that this directory follows. Errors: usage, io, log_mismatch (what is wrong and what to do).
    static Result<std::unique_ptr<Cluster>> open(const ClusterOptions& options,
                                                 const std::filesystem::path& data,
                                                 const std::string& keys_fingerprint);

    const std::vector<Genesis>& genesis() const { return genesis_; }
    std::unique_ptr<Log> make_log(PartitionId partition) const;
    /// REQUIRES: leave() was not called.
    kafka::Members& members() { return *members_; }
    /// Tells the others that this process ends. Idempotent.
    void leave() { members_.reset(); }
    /// For everything but the log, which is not to wait behind it.
    kafka::Producer& producer() { return *events_producer_; }
    kafka::Consumer& consumer() { return *others_; }
    kafka::Bookmarks& bookmarks() { return *bookmarks_; }
    /// After that time the topic of the partners' keys closes what was written (segment.ms).
    std::chrono::milliseconds keys_segment() const { return keys_segment_; }
    const ClusterOptions& options() const { return options_; }
    const kafka::TopicNames& names() const { return names_; }

    /// What is wrong with the cluster at the moment, as far as it shows without asking: another
    /// number of partitions than the log was made with, for instance.
    std::optional<Error> fault() const;

    struct Figures {
        kafka::ClientFigures producer, commits, commands;
        std::uint64_t producer_restarts = 0;
    };
    Figures figures() const;
    std::size_t live_members() const { return members_ ? members_->live().size() : 0; }

private:
    explicit Cluster(ClusterOptions options)
        : options_(std::move(options)), names_(options_.settings.prefix) {}
    Result<void> connect();
    Result<void> open_topics(const std::filesystem::path& data);

    const ClusterOptions options_;
    const kafka::TopicNames names_;
    std::vector<Genesis> genesis_;
    std::chrono::milliseconds keys_segment_{0};
    // In this order: logs and members end before the clients that they use.
    std::unique_ptr<kafka::Consumer> commits_, commands_, others_;
    std::unique_ptr<kafka::Producer> producer_, events_producer_;
    std::unique_ptr<kafka::Bookmarks> bookmarks_;
    std::unique_ptr<kafka::Members> members_;
};

}  // namespace tidings::apps
