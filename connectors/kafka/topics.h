// The topics of a deployment: their names, their settings (PROTOCOL.md rule 20), making them, and
// checking them. The genesis record of each commits partition (rule 1) is written here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "connectors/kafka/settings.h"
#include "core/chain.h"

namespace tidings::kafka {

class Consumer;
class PartitionReader;
class Producer;

struct TopicNames {
    explicit TopicNames(const std::string& prefix)
        : commands(prefix + ".commands"),
          commits(prefix + ".commits"),
          events(prefix + ".events"),
          members(prefix + ".members"),
          bookmarks(prefix + ".bookmarks"),
          keys(prefix + ".keys"),
          rejected(prefix + ".upstream.rejected") {}
    std::string commands, commits, events;
    std::string members;    ///< compacted; who is alive, and what they hold
    std::string bookmarks;  ///< compacted; how far upstream topics were read, and events published
    std::string keys;       ///< compacted; the partners' keys (keys_topic.h)
    std::string rejected;   ///< records of upstream topics that cannot be applied
};

/// What a topic must be, and what it is.
struct TopicSpec {
    std::string name;
    std::uint32_t partitions = 1;
    bool partitions_fixed = false;                           ///< another count is a fault
    std::map<std::string, std::string> settings;             ///< anything else is a fault
    std::map<std::string, std::string> first_settings = {};  ///< when it is made; the user's then
};

struct TopicState {
    bool exists = false;
    std::uint32_t partitions = 0;
    std::uint32_t replication = 0;
    std::map<std::string, std::string> settings;  ///< those that the spec names
};

/// All seven, for that many partitions.
std::vector<TopicSpec> topic_specs(const TopicNames& names, std::uint32_t partitions);

struct TopicReport {
    std::vector<std::string> faults;    ///< the deployment must not run with them
    std::vector<std::string> warnings;  ///< it may, but should not
    std::vector<std::string> lines;     ///< one a topic: what was found
};

/// Administrative requests on one connection. Errors of all: io.
class Topics {
public:
    /// `producer` and `consumer` outlive it.
    Topics(const Settings& settings, Producer& producer, Consumer& consumer);
    ~Topics();

    const TopicNames& names() const { return names_; }
    Result<std::uint32_t> brokers();
    Result<TopicState> describe(const TopicSpec& spec);
    /// Makes those of the specs that are missing. `replication` 0: as many as there are brokers, at
    /// most 3. True: at least one was made here.
    Result<bool> create_missing(const std::vector<TopicSpec>& specs, std::uint32_t replication);
    /// Compares with what the cluster has. What create_missing() made or found may take a moment to
    /// be known to every broker, and is waited for.
    Result<TopicReport> check(const std::vector<TopicSpec>& specs);

    /// The genesis of every partition of the commits topic, by number; makes those that are missing
    /// where that is safe. `known`: the log that this data directory already follows. Errors: io,
    /// log_mismatch (another log, another partition count, or a log that lost its beginning),
    /// corruption, newer_format.
    Result<std::vector<Genesis>> open_genesis(const std::optional<LogId>& known);

    /// Those that are there, without making any. Errors: as open_genesis().
    Result<std::vector<Genesis>> read_all_genesis(std::uint32_t partitions);

private:
    Result<std::optional<Genesis>> read_genesis(std::uint32_t partition);
    Result<std::optional<Genesis>> read_beginning(std::uint32_t partition);
    void start_reading(std::uint32_t partitions);
    Result<Genesis> make_genesis(const LogId& log, std::uint32_t partition, std::uint32_t count);

    const TopicNames names_;
    Producer& producer_;
    Consumer& consumer_;
    std::set<std::string> expected_;  ///< topics that are there, whatever one broker says
    /// Of the genesis records, all started at once: a fetch takes a turn of the broker's patience.
    std::map<std::uint32_t, std::unique_ptr<PartitionReader>> readers_;
};

}  // namespace tidings::kafka
