// Port: how commands and commits become bytes. Implemented by events/.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/chain.h"
#include "core/event.h"

namespace tidings {

/// Stateless and thread-safe.
class Codec {
public:
    virtual ~Codec() = default;
    virtual std::string encode_command(const Command&) const = 0;
    /// Errors: malformed (becomes a refusal outcome), newer_format (stops the decider; rule 12).
    virtual Result<Command> decode_command(std::string_view bytes) const = 0;

    /// A whole commit record. Fills `envelope.hash`.
    virtual std::string encode_commit(Envelope& envelope,
                                      std::span<const Outcome> outcomes) const = 0;
    /// Checks magic, version, lengths and the self-hash, and looks at nothing else (rule 4).
    /// Errors: corruption, newer_format.
    virtual Result<Envelope> decode_envelope(std::string_view record) const = 0;
    /// Errors: corruption, newer_format: the reader stops, never skips (rule 8).
    virtual Result<std::vector<Outcome>> decode_outcomes(std::string_view record) const = 0;
    /// The leaves that a commit adds to its partition's Merkle tree, one per outcome, in order:
    /// made of the stored bytes, so that no later version sees others. Errors: corruption,
    /// newer_format. REQUIRES: decode_envelope accepted `record`.
    virtual Result<void> read_leaves(std::string_view record,
                                     const std::function<void(std::string_view)>& visit) const = 0;
    /// What was decided, from a leaf alone. Errors: corruption, newer_format.
    virtual Result<Outcome> decode_leaf(std::string_view leaf) const = 0;
};

}  // namespace tidings
