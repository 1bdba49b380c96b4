// Proofs about a partition's Merkle tree: made from the read models and the log, and checked from
// their JSON and a public key alone. The forms are in docs/operations.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/checkpoint.h"
#include "connectors/keys.h"
#include "core/codec.h"
#include "core/log.h"
#include "core/merkle.h"
#include "projections/read_models.h"

namespace tidings {

/// Signs for the trees of one log. `keys` outlive it.
struct CheckpointSigner {
    std::string host;  ///< the setting audit.origin
    LogId log;
    const KeyRing& keys;

    VerifierKey key(PartitionId partition) const;
    /// The tree as it stands, with the commit after which it does.
    std::string sign(PartitionId partition, const TreeHead& head) const;
    /// The tree of an earlier size. REQUIRES: it had it.
    std::string sign(PartitionId partition, std::uint64_t size, const ReadModels& models) const;
};

/// What an auditor names: an event of a program, or a refusal by the place of its command.
struct EventName {
    std::optional<ProgramId> program;  ///< of an event: set
    EventNumber number;                ///< 0: a refusal
    PartitionId partition;             ///< of a refusal
    CommandPosition command;           ///< of a refusal
};
/// An id as in the analytics topic ("17", "17.2", "refused.3.41"), or a message's or a post's.
/// `program`: that it is about, if that is known. Nothing: it is none, or needs a program.
std::optional<EventName> parse_event_name(std::string_view id,
                                          const std::optional<ProgramId>& program);
std::string to_text(const EventName& name);

/// Looks for the leaf of a command among commit records that are read forward from `from()`.
class LeafSearch {
public:
    /// Both outlive the search. REQUIRES: the tree of `models` has the leaf.
    LeafSearch(const ReadModels& models, const Codec& codec, CommandPosition command);
    LogPosition from() const { return from_; }
    /// False: not yet found; read on from `from()`. Errors: corruption (it is not where it belongs,
    /// or is not the leaf of the tree), newer_format.
    Result<bool> look(std::span<const CommitRecord> records);
    const std::string& leaf() const { return leaf_; }
    Sequence sequence() const { return sequence_; }

private:
    const Codec& codec_;
    const CommandPosition command_;
    Hash256 hash_;
    LogPosition from_;
    Sequence sequence_;
    std::string leaf_;
};

struct InclusionProof {
    EventName event;
    std::uint64_t index = 0, size = 0;
    std::string leaf;
    merkle::Proof path;
    std::string checkpoint;  ///< a note about the tree of that size
};
struct ConsistencyProof {
    std::uint64_t from = 0, to = 0;
    merkle::Proof path;
    std::string checkpoint;  ///< a note about the tree of size `to`
};
std::string to_json(const InclusionProof& proof);
std::string to_json(const ConsistencyProof& proof);

/// What was found true.
struct ProvenOutcome {
    Checkpoint checkpoint;
    std::uint64_t index = 0;
    EventName event;
    Outcome outcome;
};
struct ProvenGrowth {
    Checkpoint from, to;
};
/// Errors: malformed (not such a proof), forbidden (its checkpoint is not signed by one of `keys`),
/// log_mismatch (it does not prove what it says).
Result<ProvenOutcome> check_inclusion(const Codec& codec, std::string_view json,
                                      const std::vector<VerifierKey>& keys);
/// `earlier`: a note that was kept, about the tree of size `from`.
Result<ProvenGrowth> check_consistency(std::string_view json, std::string_view earlier,
                                       const std::vector<VerifierKey>& keys);
/// Whether it is the one or the other. Errors: malformed.
Result<bool> is_consistency_proof(std::string_view json);

}  // namespace tidings
