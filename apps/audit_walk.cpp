#include "apps/audit_walk.h"

#include <cstring>

#include "core/commits.h"
#include "core/limits.h"

namespace tidings::apps {

namespace {

std::uint64_t beginning_of(const Hash256& hash) {
    std::uint64_t out = 0;
    std::memcpy(&out, hash.bytes.data(), sizeof out);
    return out;
}

std::string range_of(const Envelope& envelope) {
    return "commands " + std::to_string(envelope.first.value) + " to " +
           std::to_string(envelope.last.value);
}

bool is_malformed_refusal(const Outcome& outcome) {
    return outcome.refusal && outcome.refusal->code == ErrorCode::malformed &&
           outcome.id == CommandId{};
}

}  // namespace

const char* name_of(SkippedKind kind) {
    switch (kind) {
        case SkippedKind::duplicate:
            return "duplicate";
        case SkippedKind::loser:
            return "loser";
        case SkippedKind::genesis:
            break;
    }
    return "genesis";
}

std::string to_text(const AuditFault& fault) {
    return "commit record at position " + std::to_string(fault.position.value) +
           (fault.command ? ", command " + std::to_string(fault.command->value) : "") + ": " +
           fault.detail;
}

AuditWalk::AuditWalk(AuditedLog& log, const Codec& codec, LogPosition end)
    : log_(log),
      codec_(codec),
      end_(end),
      commands_([&log](CommandPosition at, std::size_t bytes, std::vector<CommandRecord>& out) {
          return log.read_commands(at, bytes, out);
      }) {
    audit_.tip = Tip{.hash = log.genesis().hash, .next_record = LogPosition{1}};
}

bool AuditWalk::fail(std::string detail, std::optional<CommandPosition> command) {
    audit_.fault = AuditFault{next_, command, std::move(detail)};
    over_ = true;
    return false;
}

/// False: nothing more.
bool AuditWalk::fill() {
    if (!read_.empty()) return true;
    if (next_ >= end_) return false;
    if (!read_failure_) {
        std::vector<CommitRecord> records;
        const Result<void> read = log_.read_commits(next_, limits::kRunBytes, records);
        if (!read) read_failure_ = read.error();  // what came before it counts
        std::move(records.begin(), records.end(), std::back_inserter(read_));
        if (!read_.empty()) return true;
    }
    return fail(read_failure_ ? read_failure_->detail
                              : "it is not there, though the log goes on to position " +
                                    std::to_string(end_.value - 1));
}

std::optional<WalkedCommit> AuditWalk::next() {
    while (!over_ && next_ < end_ && fill()) {
        WalkedCommit commit;
        commit.record = std::move(read_.front());
        read_.pop_front();
        audit_.bytes += commit.record.bytes.size();
        if (commit.record.position != next_) {
            fail("it is missing: the log goes on at position " +
                 std::to_string(commit.record.position.value));
            break;
        }
        const Result<Envelope> envelope = codec_.decode_envelope(commit.record.bytes);
        if (!envelope) {
            fail(envelope.error().detail);
            break;
        }
        commit.envelope = *envelope;
        switch (judge(log_.genesis(), audit_.tip, *envelope)) {
            case Verdict::skip:
                skip(*envelope, commit.record.position);
                break;
            case Verdict::alarm:
                fail(why_not(*envelope));
                break;
            case Verdict::accept:
                if (!accept(commit)) return std::nullopt;
                return commit;
        }
    }
    if (!over_) check_end();
    over_ = true;
    return std::nullopt;
}

bool AuditWalk::accept(WalkedCommit& commit) {
    const Envelope& envelope = commit.envelope;
    Result<std::vector<Outcome>> outcomes = codec_.decode_outcomes(commit.record.bytes);
    if (!outcomes)
        return fail("the outcomes of " + commit_name(envelope.sequence) + ": " +
                    outcomes.error().detail);
    commit.outcomes = std::move(*outcomes);
    // Before they are read: a forged range may be as long as it likes.
    if (envelope.last.value - envelope.first.value >= commit.outcomes.size()) {
        return fail(commit_name(envelope.sequence) + " has " +
                    std::to_string(commit.outcomes.size()) + " outcomes for " + range_of(envelope));
    }
    const Result<void> taken = commands_.take(envelope, commit.commands);
    for (const CommandRecord& command : commit.commands) audit_.bytes += command.bytes.size();
    if (!taken) {
        return fail(commit_name(envelope.sequence) + " answers " + range_of(envelope) + ": " +
                        taken.error().detail,
                    envelope.first);
    }
    if (!answers(commit)) return false;
    audit_.tip = advance(envelope, commit.record.position);
    accepted_.push_back(beginning_of(envelope.hash));
    next_ = audit_.tip.next_record;
    ++audit_.commits;
    audit_.commands += commit.commands.size();
    for (const Outcome& outcome : commit.outcomes) audit_.events += outcome.events.size();
    return true;
}

/// One outcome for each command, about that command (rule 3).
bool AuditWalk::answers(const WalkedCommit& commit) {
    if (commit.outcomes.size() != commit.commands.size()) {
        return fail(commit_name(commit.envelope.sequence) + " has " +
                    std::to_string(commit.outcomes.size()) + " outcomes for " +
                    range_of(commit.envelope));
    }
    for (std::size_t i = 0; i < commit.commands.size(); ++i) {
        if (!check_answer(commit.commands[i], commit.outcomes[i])) return false;
    }
    return true;
}

bool AuditWalk::check_answer(const CommandRecord& record, const Outcome& outcome) {
    const Result<Command> command = codec_.decode_command(record.bytes);
    if (command) {
        const bool same = outcome.id == command->id && outcome.digest == command->digest &&
                          outcome.caller == command->caller && outcome.program == command->program;
        // Refused as malformed by a version that could not read it: redecide tells.
        if (same || is_malformed_refusal(outcome)) return true;
        return fail("the outcome is about another command", record.position);
    }
    if (command.error().code == ErrorCode::malformed && is_malformed_refusal(outcome)) return true;
    return fail("it cannot be decoded: " + command.error().detail, record.position);
}

void AuditWalk::skip(const Envelope& envelope, LogPosition at) {
    if (log_.is_exact()) {
        fail("it holds " + commit_name(envelope.sequence) + ", which belongs at position " +
             std::to_string(envelope.sequence.value));
        return;
    }
    SkippedRecord record{at, envelope.sequence, SkippedKind::genesis};
    if (envelope.sequence.value == 0) {
        ++audit_.second_genesis;
    } else if (accepted_[envelope.sequence.value - 1] == beginning_of(envelope.hash)) {
        record.kind = SkippedKind::duplicate;
        ++audit_.duplicates;
    } else {
        record.kind = SkippedKind::loser;
        ++audit_.losers;
    }
    if (audit_.skipped.size() < kListed) audit_.skipped.push_back(record);
    next_ = LogPosition{at.value + 1};
}

/// Which of rules 4-6 it breaks.
std::string AuditWalk::why_not(const Envelope& envelope) const {
    const Genesis& genesis = log_.genesis();
    const Tip& tip = audit_.tip;
    const std::string name = commit_name(envelope.sequence);
    if (envelope.log != genesis.log) {
        return name + " is of another log, " + to_hex(envelope.log.view());
    }
    if (envelope.partition != genesis.partition) {
        return name + " is of partition " + std::to_string(envelope.partition.value);
    }
    if (envelope.sequence.value != tip.sequence.value + 1) {
        return name + " follows " + commit_name(tip.sequence) + ": what lay between is gone";
    }
    if (envelope.previous != tip.hash) {
        return name + " names another predecessor than the record at position " +
               std::to_string(tip.next_record.value - 1) + ": one of the two was replaced";
    }
    return name + " answers " + range_of(envelope) + ", but command " +
           std::to_string(tip.next_command.value) + " is next";
}

/// Commands without a commit, where each has one: the end of the commits was cut off.
void AuditWalk::check_end() {
    if (!log_.is_exact()) return;
    std::vector<CommandRecord> waiting;
    const Result<void> read = log_.read_commands(audit_.tip.next_command, 1, waiting);
    if (!read) {
        fail("behind the last commit: " + read.error().detail, audit_.tip.next_command);
    } else if (!waiting.empty()) {
        fail("it is missing: the log holds commands that no commit answers", waiting[0].position);
    }
}

}  // namespace tidings::apps
