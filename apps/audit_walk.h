// Reads one partition's log by the chain's rules and trusts nothing: every link, every hash, every
// command and outcome (PROTOCOL.md rules 3-6, 22). Stops at the first bad position and says what is
// wrong there.
//
// What it can promise: the records form one unbroken chain from genesis to the tip that it reports,
// and answer the commands that are stored. Whether another history was put in place of the last
// commits, or the last commits and their commands were cut off, only an older copy of a tip can
// tell: audit_checkpoints.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "apps/audit_log.h"
#include "apps/log_walk.h"

namespace tidings::apps {

enum class SkippedKind : std::uint8_t {
    duplicate,  ///< the hash of the commit accepted at that sequence: the same bytes
    loser,      ///< another record for a sequence that was taken
    genesis,    ///< of a process that started at the same time
};
const char* name_of(SkippedKind kind);

struct SkippedRecord {
    LogPosition position;
    Sequence sequence;
    SkippedKind kind = SkippedKind::duplicate;
    bool operator==(const SkippedRecord&) const = default;
};

struct AuditFault {
    LogPosition position;                    ///< of the commit record
    std::optional<CommandPosition> command;  ///< the first of those it is about, if it is commands
    std::string detail;
};
/// "position 7: …".
std::string to_text(const AuditFault& fault);

struct PartitionAudit {
    Tip tip;                                              ///< of the last sound commit
    std::uint64_t commits = 0, commands = 0, events = 0;  ///< accepted
    std::uint64_t bytes = 0;                              ///< of all records read
    std::uint64_t duplicates = 0, losers = 0, second_genesis = 0;
    std::vector<SkippedRecord> skipped;  ///< the first AuditWalk::kListed of them
    std::size_t checkpoints = 0;         ///< that the log was found to hold (audit_checkpoints.h)
    std::optional<AuditFault> fault;

    std::uint64_t skips() const { return duplicates + losers + second_genesis; }
};

class AuditWalk {
public:
    static constexpr std::size_t kListed = 1'000;

    /// Both outlive the walk. `end`: where to stop, as the log said at the beginning; it may grow
    /// meanwhile.
    AuditWalk(AuditedLog& log, const Codec& codec, LogPosition end);

    /// The next commit that counts; nothing at the end or at the first fault.
    std::optional<WalkedCommit> next();

    const PartitionAudit& audit() const { return audit_; }
    /// Commit records done with.
    std::uint64_t done() const { return next_.value - 1; }

private:
    bool fill();
    bool accept(WalkedCommit& commit);
    bool answers(const WalkedCommit& commit);
    bool check_answer(const CommandRecord& record, const Outcome& outcome);
    void skip(const Envelope& envelope, LogPosition at);
    void check_end();
    std::string why_not(const Envelope& envelope) const;
    bool fail(std::string detail, std::optional<CommandPosition> command = {});

    AuditedLog& log_;
    const Codec& codec_;
    const LogPosition end_;
    LogPosition next_{1};
    bool over_ = false;
    std::deque<CommitRecord> read_;
    std::optional<Error> read_failure_;  ///< of what lies behind read_
    CommandsAhead commands_;
    /// The first bytes of each accepted commit's hash, by sequence: 8 bytes a commit, and enough to
    /// tell a duplicate.
    std::vector<std::uint64_t> accepted_;
    PartitionAudit audit_;
};

}  // namespace tidings::apps
