// A deployment's log as an audit reads it: every partition, nothing written anywhere; embedded
// (stopped, or beside the process that serves) or on Kafka.
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "apps/config.h"
#include "connectors/kafka/settings.h"
#include "core/log.h"

namespace tidings::apps {

/// One partition. One thread at a time; different partitions may be read by different threads.
class AuditedLog : public CommitSource {
public:
    /// As in Log. Genesis lies at position 0, the first commit at 1.
    virtual Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                                       std::vector<CommandRecord>& out) = 0;
    /// Position after the last commit record; 0 or 1: there is none.
    virtual Result<LogPosition> end_of_commits() = 0;
    /// True: only what counts is ever stored. A commit's position is its sequence, and every
    /// command has been answered. False: losers, duplicates and waiting commands are in order.
    virtual bool is_exact() const = 0;
};

/// The partitions in the order of their numbers; all of one log, with sound genesis records, and
/// the log that `<data>/log_id` names, if that is there. On Kafka if `config.cluster_brokers` is
/// set.
/// Errors: usage (no log), io, log_mismatch, corruption, newer_format.
Result<std::vector<std::unique_ptr<AuditedLog>>> open_audited_logs(const Config& config);

/// The same to tell where a log is damaged: an embedded partition that does not open, or not whole,
/// can be read up to there, and then reports what is wrong with it. Its end is kUnknownEnd.
inline constexpr LogPosition kUnknownEnd{std::numeric_limits<std::uint64_t>::max()};
Result<std::vector<std::unique_ptr<AuditedLog>>> open_logs_to_verify(const Config& config);

/// One partition on Kafka, with clients of its own. Errors: usage, io.
Result<std::unique_ptr<AuditedLog>> open_kafka_log(const kafka::Settings& settings,
                                                   const Genesis& genesis);

}  // namespace tidings::apps
