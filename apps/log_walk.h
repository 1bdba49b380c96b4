// Reads one partition's log commit by commit, each with the commands that it answers; for `log` and
// `doctor`.
#pragma once

#include <deque>
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

class LogWalk {
public:
    /// Both outlive the walk. `from`: where to begin; genesis is not walked.
    LogWalk(const EmbeddedLogReader& reader, const Codec& codec, LogPosition from)
        : reader_(reader), codec_(codec), next_(from) {}

    /// The next commit; nothing at what is the end now (call again after a refresh).
    /// Errors: io, corruption, newer_format, log_mismatch (commands are missing or not those that
    /// were answered).
    Result<std::optional<WalkedCommit>> next();

private:
    Result<void> read_commands(WalkedCommit& commit) const;

    const EmbeddedLogReader& reader_;
    const Codec& codec_;
    LogPosition next_;
    std::deque<CommitRecord> read_;
};

}  // namespace tidings::apps
