// Port: one partition's log, made of a command log and a commits log. Two implementations: embedded
// (RocksDB) and Kafka. What is not there yet is an empty answer; for what is known to be there a
// read may wait a moment, and is an `io` error if it does not come.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/chain.h"
#include "core/result.h"

namespace tidings {

struct CommandRecord {
    CommandPosition position;
    std::string bytes;
};

struct CommitRecord {
    LogPosition position;
    std::string bytes;
};

/// The commits of one partition, as read beside whoever writes them. One thread at a time.
class CommitSource {
public:
    virtual ~CommitSource() = default;
    virtual const Genesis& genesis() const = 0;
    /// As in Log.
    virtual Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                                      std::vector<CommitRecord>& out) = 0;
};

enum class AppendState {
    idle,     ///< no append under way: the last one is in the log (or lost for good; reading tells)
    pending,  ///< under way
    unknown,  ///< timed out or failed: outcome unknown; append the same bytes again (PROTOCOL.md
              ///< rule 10)
};

/// One thread (the partition's) uses everything but `append_command`, which any thread may call.
class Log {
public:
    virtual ~Log() = default;
    virtual const Genesis& genesis() const = 0;

    /// Queues a command record. It becomes visible to read_commands in the order of the calls; it
    /// is durable at the latest when the commit that answers it is. Errors: overloaded (more than
    /// limits::kQueueBytes are waiting).
    virtual Result<void> append_command(std::string record) = 0;

    /// Appends up to `max_bytes` (at least one record if there is any) of command records from
    /// `from` on to `out`. Errors: log_mismatch (a gap, or the log starts after `from`; rule 11),
    /// io.
    virtual Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                                       std::vector<CommandRecord>& out) = 0;

    /// Commands before `end` were answered, so they are there, or gone: read_commands may give
    /// nothing for them only where it has made sure.
    virtual void expect_commands(CommandPosition end) { (void)end; }

    /// Starts to append a commit record. REQUIRES: append_state() is not pending.
    virtual void append_commit(std::string record) = 0;
    virtual AppendState append_state() = 0;

    /// Appends commit records from `from` on to `out`, up to `max_bytes` (at least one if there is
    /// any). Only durable records are returned. Errors: log_mismatch (`from` lies beyond the end +
    /// 1), io, corruption.
    virtual Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                                      std::vector<CommitRecord>& out) = 0;

    /// Position after the last commit record that is known to be durable; 0: genesis alone is
    /// there.
    virtual Result<LogPosition> end_of_commits() = 0;

    /// Another number than before once the connection was lost or the log's leader changed: what
    /// was read earlier may be gone, and other records of the same length may lie there (rule 7).
    virtual std::uint64_t generation() const { return 0; }

    /// Why nothing gets into the log at the moment, although it keeps trying; nothing: all is well.
    virtual std::optional<Error> trouble() const { return std::nullopt; }

    /// `wake` is called, from any thread, when there may be something new to read or an append may
    /// be over. Call before the first read. A log that changes only by its own calls need not.
    virtual void on_activity(const std::function<void()>& /*wake*/) {}

    /// Gives back what reading holds; the next read takes it again.
    virtual void rest() {}
    /// The same of the commands alone: a follower needs none.
    virtual void rest_commands() {}
};

}  // namespace tidings
