#include "apps/log_walk.h"

#include <algorithm>
#include <string>

#include "core/limits.h"

namespace tidings::apps {

Result<std::optional<WalkedCommit>> LogWalk::next() {
    if (read_.empty()) {
        std::vector<CommitRecord> records;
        const Result<void> read = reader_.read_commits(next_, limits::kRunBytes, records);
        if (!read) return read.error();
        if (records.empty()) return std::optional<WalkedCommit>();
        std::move(records.begin(), records.end(), std::back_inserter(read_));
    }
    WalkedCommit commit;
    commit.record = std::move(read_.front());
    read_.pop_front();
    next_ = LogPosition{commit.record.position.value + 1};
    const std::string where = "commit at position " + std::to_string(commit.record.position.value);

    const Result<Envelope> envelope = codec_.decode_envelope(commit.record.bytes);
    if (!envelope) return Error{envelope.error().code, where + ": " + envelope.error().detail};
    commit.envelope = *envelope;
    Result<std::vector<Outcome>> outcomes = codec_.decode_outcomes(commit.record.bytes);
    if (!outcomes) return Error{outcomes.error().code, where + ": " + outcomes.error().detail};
    commit.outcomes = std::move(*outcomes);
    const Result<void> commands = commands_.take(commit.envelope, commit.commands);
    if (!commands) return Error{commands.error().code, where + ": " + commands.error().detail};
    if (commit.outcomes.size() != commit.commands.size()) {
        return Error{ErrorCode::corruption,
                     where + ": " + std::to_string(commit.outcomes.size()) + " outcomes for " +
                         std::to_string(commit.commands.size()) + " commands"};
    }
    return std::optional<WalkedCommit>(std::move(commit));
}

Result<void> CommandsAhead::take(const Envelope& envelope, std::vector<CommandRecord>& out) {
    Sha256 hash;
    for (CommandPosition at = envelope.first; at <= envelope.last; ++at.value) {
        while (!ahead_.empty() && ahead_.front().position < at) ahead_.pop_front();
        if (!ahead_.empty() && ahead_.front().position != at) ahead_.clear();
        if (ahead_.empty()) {
            std::vector<CommandRecord> records;
            const Result<void> read = read_(at, limits::kRunBytes, records);
            // what failed behind it is told when it is asked for
            if (records.empty() || records.front().position != at) {
                if (!read) return read.error();
                return Error{ErrorCode::log_mismatch,
                             "command " + std::to_string(at.value) + " is missing"};
            }
            std::move(records.begin(), records.end(), std::back_inserter(ahead_));
        }
        hash.update(ahead_.front().bytes);
        out.push_back(std::move(ahead_.front()));
        ahead_.pop_front();
    }
    if (hash.finish() == envelope.commands) return {};
    return Error{ErrorCode::log_mismatch, "the commands stored are not those that were answered"};
}

}  // namespace tidings::apps
