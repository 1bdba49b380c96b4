// What callers get again: remembered successes (in the digest) and the outcomes of sends and
// replies (not in it).
#pragma once

#include "projections/fold.h"

namespace tidings::idempotency {

/// A success whose id came from a key. Expires others, at points that the log alone decides
/// (PROTOCOL.md rule 14).
void remember(Fold& fold, const Outcome& outcome);
/// The outcome of a send or reply, refusals included; for GET /v1/commands/{id}.
void track(Run& run, std::uint32_t program, const Outcome& outcome);

std::optional<Remembered> find(const RowSource& rows, std::uint32_t program, const CommandId& id);
std::optional<TrackedOutcome> tracked(const RowSource& rows, std::uint32_t program,
                                      const CommandId& id);

}  // namespace tidings::idempotency
