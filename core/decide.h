// The decider: a pure function of facts and one command. It reads no clock, entropy, configuration
// or locale, and nothing whose order of iteration is not fixed (PROTOCOL.md rule 13).
#pragma once

#include "core/facts.h"

namespace tidings {

/// Decides one command. The outcome's events are not yet part of `facts`: fold them before the next
/// call. Order of checks for sends and replies as in API.md: remembered key, plan,
/// replies_disabled, audience. Objects that do not exist are refusals here too (ingress checks them
/// first, but facts move on).
Outcome decide(const Facts& facts, const Command& command);

/// Who `audience` selects now: always among active partners.
/// Refusals: unknown_partner (pointer /audience/partners/N), invalid (a filter's message; pointer
/// to it). An empty set is returned as such: whether that is an error is the caller's matter.
struct ResolvedAudience {
    Bitmap recipients;
    std::optional<Refusal> refusal;
};
ResolvedAudience resolve_audience(const Facts& facts, const ProgramId& program,
                                  const Audience& audience);

}  // namespace tidings
