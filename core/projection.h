// Port: the read models as the partition loop sees them.
#pragma once

#include <span>
#include <vector>

#include "core/chain.h"
#include "core/facts.h"

namespace tidings {

/// An older commit that was verified before; where a forward rescan may start (PROTOCOL.md rule 7).
struct LedgerEntry {
    Tip tip;  ///< as it stood after that commit
};

/// One thread folds and publishes. Storage failures of publish are results; those of reads are
/// exceptions.
class Projection {
public:
    virtual ~Projection() = default;
    /// Of the last published commit; a default Tip (sequence 0, zero hash) when nothing was ever
    /// published.
    virtual Tip tip() const = 0;
    /// The newest ledger entry with sequence <= tip's that is at least a few commits old, or
    /// genesis' when young.
    virtual std::optional<LedgerEntry> ledger() const = 0;
    /// Tip plus everything folded since.
    virtual const Facts& facts() const = 0;
    /// Applies an outcome to the run in progress. Nothing of it is visible to readers yet.
    virtual void fold(const Outcome& outcome) = 0;
    /// Writes everything folded since the last publish, the Merkle tree grown by `leaves` (their
    /// hashes, one per outcome folded), and `tip`, in one batch; then readers see it at once.
    virtual Result<void> publish(const Tip& tip, std::span<const Hash256> leaves) = 0;
    /// Forgets everything folded since the last publish.
    virtual void drop() = 0;
};

}  // namespace tidings
