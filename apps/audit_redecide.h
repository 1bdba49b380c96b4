// Decides a partition's commands again, today, and compares with what its log holds. Each command
// meets the facts as the log has them: after a difference the log's outcome is folded, so that one
// difference is not the cause of the next.
#pragma once

#include <string>
#include <vector>

#include "apps/audit_walk.h"
#include "projections/models.h"

namespace tidings::apps {

struct Difference {
    LogPosition commit;
    CommandPosition command;
    std::string id;                   ///< of the command, in hex
    std::string kind;                 ///< "SendMessage", …
    std::vector<std::string> fields;  ///< "status: applied -> refused", the log's value first
};

/// How `was` and `now` differ, field by field; empty if they are equal.
std::vector<std::string> differences(const Outcome& was, const Outcome& now);

class Redecision {
public:
    /// All outlive it. `models` are empty. `most`: as many differences are kept.
    Redecision(AuditedLog& log, const Codec& codec, LogPosition end, Models& models,
               std::size_t most)
        : log_(log), codec_(codec), models_(models), most_(most), walk_(log, codec, end) {}

    /// Decides the next commit's commands; false: there is none, or the log is not sound there
    /// (audit().fault). Errors: io, newer_format.
    Result<bool> step();

    const PartitionAudit& audit() const { return walk_.audit(); }
    std::uint64_t done() const { return walk_.done(); }
    std::uint64_t count() const { return count_; }
    const std::vector<Difference>& kept() const { return kept_; }

private:
    void compare(const WalkedCommit& commit, std::size_t index, Outcome now);

    AuditedLog& log_;
    const Codec& codec_;
    Models& models_;
    const std::size_t most_;
    AuditWalk walk_;
    std::uint64_t count_ = 0;
    std::vector<Difference> kept_;
};

}  // namespace tidings::apps
