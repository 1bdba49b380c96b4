// Compares a partition's log, while it is walked, with checkpoints that were signed earlier: what a
// walk alone cannot see (audit_walk.h), a rewrite of the whole tail or its loss, shows here.
//
// Where the read models lie beside the log, and their tree is that of a checkpoint, their leaves
// say of every outcome what it was: then the first one that was changed is named. Without them only
// the records between two checkpoints can be.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/audit_walk.h"
#include "connectors/checkpoint.h"
#include "core/merkle.h"
#include "projections/read_models.h"

namespace tidings::apps {

class CheckpointCheck {
public:
    /// All outlive the check. `checkpoints`: of this partition, their signatures verified.
    /// `models`: null if there are none; they need not be sound.
    CheckpointCheck(const Codec& codec, std::vector<Checkpoint> checkpoints,
                    const ReadModels* models);

    /// The walk's next commit. False: it is not what a checkpoint covers (fault()).
    bool take(const WalkedCommit& commit);
    /// The log ended there. False: as take().
    bool finish(const Tip& tip);

    const std::optional<AuditFault>& fault() const { return fault_; }
    /// Checkpoints that the log was found to hold.
    std::size_t confirmed() const { return confirmed_; }

private:
    bool take_leaf(LogPosition position, const Hash256& leaf);
    bool compare_root(LogPosition position);
    bool compare_chain(const Envelope& envelope, LogPosition position);
    bool fail(LogPosition position, std::optional<CommandPosition> command, std::string detail);
    std::string since_confirmed(LogPosition position) const;

    const Codec& codec_;
    std::vector<Checkpoint> checkpoints_;  ///< by size
    const ReadModels* models_;
    std::uint64_t known_ = 0;  ///< leaves that `models_` has and a checkpoint vouches for
    merkle::Frontier tree_;
    std::size_t rooted_ = 0;  ///< of checkpoints_, the first whose size is not yet reached
    std::vector<std::size_t> by_sequence_;  ///< of checkpoints_, those that name a commit
    std::size_t chained_ = 0;               ///< of by_sequence_, the first not yet reached
    std::size_t confirmed_ = 0;
    LogPosition good_;  ///< up to here the log is what a checkpoint says
    std::optional<AuditFault> fault_;
};

/// Reads notes, one after the other, or the JSON list of GET /v1/audit/checkpoint.
/// Errors: malformed.
Result<std::vector<std::string>> split_notes(const std::string& text);

/// "name+01234567+AY8…", or a file of such lines. Errors: usage.
Result<std::vector<VerifierKey>> read_verifier_keys(const std::vector<std::string>& arguments);

/// Of each partition of the log. Errors: usage (no such file), malformed, forbidden, log_mismatch
/// (about another log).
using CheckpointsByPartition = std::map<PartitionId, std::vector<Checkpoint>>;
Result<CheckpointsByPartition> read_checkpoints(const std::vector<std::string>& files,
                                                const std::vector<VerifierKey>& keys,
                                                const Genesis& genesis);

/// Errors: usage.
Result<std::string> read_text_file(const std::string& name);

}  // namespace tidings::apps
