// Inside of decide(): what its parts share. Nothing outside core/decide*.cpp includes it.
#pragma once

#include <string>
#include <utility>

#include "core/facts.h"

namespace tidings::deciding {

/// One decision under way: what it reads, and the outcome it fills.
struct Context {
    const Facts& facts;
    const Command& command;
    const ProgramFacts& program;  ///< defaults for a program that does not exist yet
    Timestamp now;                ///< the program's log time, given to every event
    Outcome& outcome;

    const ProgramId& id() const { return command.program; }
    /// The number that the next event emitted will have.
    EventNumber next_event() const {
        return EventNumber{program.last_event.value + outcome.events.size() + 1};
    }
    void emit(Event event) const { outcome.events.push_back(std::move(event)); }
    /// Nothing of the outcome but the refusal (and what was rejected) remains.
    void refuse(Refusal refusal) const {
        refusal.plan = program.plan;
        outcome.refusal = std::move(refusal);
    }
    void refuse(ErrorCode code, std::string detail, std::string pointer = {}) const {
        refuse(Refusal{code, std::move(pointer), std::move(detail), program.plan});
    }
};

void upsert_partners(const Context&, const UpsertPartners&);
void adjust_metrics(const Context&, const AdjustMetrics&);
void record_customer(const Context&, const RecordCustomer&);
void record_transaction(const Context&, const RecordTransaction&);
void send_message(const Context&, const SendMessage&);
void record_opens(const Context&, const RecordOpens&);
void post_reply(const Context&, const PostReply&);
void mark_read(const Context&, const MarkRead&);
void erase_partner(const Context&, const ErasePartner&);

// Arithmetic on performance. False: out of range (limits::kCounterMax, 64-bit money,
// limits::kCurrencies); the target is then unusable and the whole change is refused.

/// Never below 0.
[[nodiscard]] bool add_count(std::uint64_t& target, std::int64_t delta);
/// Adds every amount, or takes it away; the currencies named stay, as 0 if nothing is left.
[[nodiscard]] bool add_money(Money& target, const Money& amounts, bool take_away);
[[nodiscard]] bool apply_metrics(Metrics& target, const MetricsPatch& patch);

}  // namespace tidings::deciding
