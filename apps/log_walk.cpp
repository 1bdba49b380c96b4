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
    const Result<void> commands = read_commands(commit);
    if (!commands) return Error{commands.error().code, where + ": " + commands.error().detail};
    if (commit.outcomes.size() != commit.commands.size()) {
        return Error{ErrorCode::corruption,
                     where + ": " + std::to_string(commit.outcomes.size()) + " outcomes for " +
                         std::to_string(commit.commands.size()) + " commands"};
    }
    return std::optional<WalkedCommit>(std::move(commit));
}

Result<void> LogWalk::read_commands(WalkedCommit& commit) const {
    const Envelope& envelope = commit.envelope;
    Sha256 hash;
    CommandPosition at = envelope.first;
    while (at <= envelope.last) {
        std::vector<CommandRecord> records;
        const Result<void> read = reader_.read_commands(at, limits::kRunBytes, records);
        if (!read) return read.error();
        if (records.empty()) {
            return Error{ErrorCode::log_mismatch,
                         "command " + std::to_string(at.value) + " is missing"};
        }
        for (CommandRecord& record : records) {
            if (record.position > envelope.last) break;
            hash.update(record.bytes);
            at = CommandPosition{record.position.value + 1};
            commit.commands.push_back(std::move(record));
        }
    }
    if (hash.finish() == envelope.commands) return {};
    return Error{ErrorCode::log_mismatch, "the commands stored are not those that were answered"};
}

}  // namespace tidings::apps
