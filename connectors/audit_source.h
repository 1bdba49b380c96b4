// What audits need of the running broker besides its read models: the log's records, and the name
// and key that checkpoints are signed with. Implemented by apps/.
#pragma once

#include <functional>
#include <vector>

#include "connectors/proofs.h"
#include "core/log.h"

namespace tidings {

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
};

}  // namespace tidings
