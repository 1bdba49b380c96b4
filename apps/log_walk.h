// Reads one partition's log commit by commit, each with the commands that it answers; for `log`,
// `doctor` and `audit`.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "core/codec.h"
#include "events/embedded_log.h"

namespace tidings::apps {

struct WalkedCommit {
    CommitRecord record;
    Envelope envelope;
    std::vector<CommandRecord> commands;  ///< first to last of the envelope
    std::vector<Outcome> outcomes;        ///< one per command
};

/// Reads a partition's commands in order, some ahead of what is asked for, and keeps those.
class CommandsAhead {
public:
    /// As Log::read_commands.
    using Read =
        std::function<Result<void>(CommandPosition, std::size_t, std::vector<CommandRecord>&)>;
    explicit CommandsAhead(Read read) : read_(std::move(read)) {}

    /// Appends the commands that `envelope` answers to `out`, and checks their digest. Cheap where
    /// they follow those of the call before.
    /// Errors: those of reading, log_mismatch (they are missing, or not those that were answered).
    Result<void> take(const Envelope& envelope, std::vector<CommandRecord>& out);

private:
    Read read_;
    std::deque<CommandRecord> ahead_;
};

class LogWalk {
public:
    /// Both outlive the walk. `from`: where to begin; genesis is not walked.
    LogWalk(const EmbeddedLogReader& reader, const Codec& codec, LogPosition from)
        : reader_(reader),
          codec_(codec),
          next_(from),
          commands_(
              [&reader](CommandPosition at, std::size_t bytes, std::vector<CommandRecord>& out) {
                  return reader.read_commands(at, bytes, out);
              }) {}

    /// The next commit; nothing at what is the end now (call again after a refresh).
    /// Errors: io, corruption, newer_format, log_mismatch (commands are missing or not those that
    /// were answered).
    Result<std::optional<WalkedCommit>> next();

private:
    const EmbeddedLogReader& reader_;
    const Codec& codec_;
    LogPosition next_;
    std::deque<CommitRecord> read_;
    CommandsAhead commands_;
};

}  // namespace tidings::apps
