// What audits need of the running broker besides its read models: the log's records, and the name
// and key that checkpoints are signed with. Implemented by apps/.
#pragma once

#include <functional>
#include <vector>

#include "connectors/proofs.h"
#include "core/log.h"

namespace tidings {

/// A piece of a partition's log as lines of JSON, one for each command (`log cat --json`).
struct LogLines {
    std::string text;
    Tip tip;  ///< after the last commit that was read
};

class AuditSource {
public:
    virtual ~AuditSource() = default;
    virtual const CheckpointSigner& signer() const = 0;

    using Done = std::function<void(Result<std::vector<CommitRecord>>)>;
    /// Durable commit records, as Log::read_commits, read beside the partition's own thread. `done`
    /// is called exactly once, on a thread of the source; it must not block. Errors: those of
    /// read_commits, overloaded (too many questions wait).
    virtual void read_commits(PartitionId partition, LogPosition from, std::size_t max_bytes,
                              Done done) const = 0;

    struct LinesQuestion {
        PartitionId partition;
        Tip after;            ///< where to read on: of LogLines, or of the read models' ledger
        Sequence from, last;  ///< commits of which lines are made, both included
        std::optional<ProgramId> program = {};  ///< of this one alone
    };
    using LinesDone = std::function<void(Result<LogLines>)>;
    /// Reads at least one commit, of those from `after` to `last`, and as many as make a piece of
    /// moderate size: of a stretch without a line for `program` nothing but the tip behind it.
    /// REQUIRES: the log has `last`, and `after` lies before it. Errors: as read_commits,
    /// log_mismatch (the log does not continue `after`), newer_format.
    virtual void read_lines(LinesQuestion question, LinesDone done) const = 0;
};

}  // namespace tidings
