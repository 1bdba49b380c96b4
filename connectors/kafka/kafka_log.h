// The log on Kafka: <prefix>.commands and <prefix>.commits, a partition of each for a partition of
// the log. A position is the record's offset; the genesis record has offset 0.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"
#include "connectors/kafka/topics.h"
#include "core/log.h"

namespace tidings::kafka {

/// What all partitions' logs of a process share. Commits and commands are read by clients of their
/// own, so that a flood of the one does not hold up the other.
struct LogClients {
    Producer& producer;
    Consumer& commits;
    Consumer& commands;
    TopicNames names;
};

/// As Log says. Waits up to a second for a record that is known to be there; an append is never
/// given up (message.timeout.ms=0), so append_state() is unknown only after a fatal error of
/// librdkafka, and the same bytes go on through a new handle.
class KafkaLog final : public Log {
public:
    /// `clients` outlive the log. `genesis` was read from the partition.
    KafkaLog(LogClients clients, const Genesis& genesis);
    ~KafkaLog() override;

    const Genesis& genesis() const override { return genesis_; }
    Result<void> append_command(std::string record) override;
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override;
    void expect_commands(CommandPosition end) override { commands_.expect(end.value); }
    void append_commit(std::string record) override;
    AppendState append_state() override;
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override;
    Result<LogPosition> end_of_commits() override;
    std::uint64_t generation() const override;
    std::optional<Error> trouble() const override;
    void on_activity(const std::function<void()>& wake) override;
    void rest() override;
    void rest_commands() override { commands_.stop(); }

    /// Position after the last command. Errors: io.
    Result<CommandPosition> end_of_commands();

private:
    struct Shared;
    template <class Record, class Position>
    Result<void> read(PartitionReader& reader, std::uint64_t from, std::size_t max_bytes,
                      std::vector<Record>& out);

    const LogClients clients_;
    const Genesis genesis_;
    PartitionReader commits_;
    PartitionReader commands_;
    Result<std::uint64_t> end_of(PartitionReader& reader);

    std::uint64_t acknowledged_in_ = 0;  ///< the generation that acknowledgements are from
    std::shared_ptr<Shared> shared_;     ///< with delivery reports that may outlive the log
};

}  // namespace tidings::kafka
