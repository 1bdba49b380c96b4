#include "projections/idempotency.h"

namespace tidings::idempotency {

namespace {

Key remembered_key(std::uint32_t program, const CommandId& id) {
    return Key(Table::remembered, program).text(id.view());
}
Key outcome_key(std::uint32_t program, const CommandId& id) {
    return Key(Table::outcome, program).text(id.view());
}

/// Erases up to two of the oldest that are past their time, so that the window shrinks while it is
/// used.
template <class Row>
void expire(Run& run, std::uint32_t program, Table order, Table table, std::uint64_t& first,
            std::uint64_t next, Timestamp now) {
    for (int i = 0; i < 2 && next - first > limits::kIdempotencyMinimum; ++i) {
        const Key order_key = Key(order, program).u64(first);
        const auto id = run.find<CommandIdRow>(order_key);
        if (id) {
            const Key key = Key(table, program).text(id->id.view());
            const auto row = run.find<Row>(key);
            if (row && row->time.value + limits::kIdempotencyMs > now.value) return;
            if (row) run.erase(key);
            run.erase(order_key);
        }
        ++first;
    }
}

}  // namespace

void remember(Fold& fold, const Outcome& outcome) {
    const Key key = remembered_key(fold.number, outcome.id);
    RememberedRow& row = fold.run.edit<RememberedRow>(key);
    row = {outcome.digest, outcome.answer, outcome.time};
    const std::uint64_t number = fold.program.remembered_next++;
    fold.run.edit<CommandIdRow>(Key(Table::remembered_order, fold.number).u64(number)).id =
        outcome.id;
    expire<RememberedRow>(fold.run, fold.number, Table::remembered_order, Table::remembered,
                          fold.program.remembered_first, fold.program.remembered_next,
                          outcome.time);
}

void track(Run& run, std::uint32_t program, const Outcome& outcome) {
    if (outcome.status == OutcomeStatus::replayed) return;  // the first outcome stands
    const Key key = outcome_key(program, outcome.id);
    const auto known = run.find<OutcomeRow>(key);
    if (known && known->outcome.status == OutcomeStatus::applied) return;
    OutcomeRow row;
    row.outcome.caller = outcome.caller;
    row.outcome.status = outcome.status;
    row.outcome.answer = outcome.answer;
    row.outcome.refusal = outcome.refusal;
    row.time = outcome.time;
    for (const Event& event : outcome.events) {
        const auto* reply = std::get_if<ReplyPosted>(&event);
        if (reply == nullptr) continue;
        row.outcome.message = reply->message;
        row.outcome.partner = reply->partner;
    }
    run.edit<OutcomeRow>(key) = std::move(row);
    if (known) return;  // a refusal tried again: its place in the order stays
    OutcomeWindowRow& window = run.edit<OutcomeWindowRow>(Key(Table::outcome_window, program));
    run.edit<CommandIdRow>(Key(Table::outcome_order, program).u64(window.next++)).id = outcome.id;
    expire<OutcomeRow>(run, program, Table::outcome_order, Table::outcome, window.first,
                       window.next, outcome.time);
}

std::optional<Remembered> find(const RowSource& rows, std::uint32_t program, const CommandId& id) {
    const auto row = rows.find<RememberedRow>(remembered_key(program, id));
    if (!row) return std::nullopt;
    return Remembered{row->digest, row->answer};
}

std::optional<TrackedOutcome> tracked(const RowSource& rows, std::uint32_t program,
                                      const CommandId& id) {
    const auto row = rows.find<OutcomeRow>(outcome_key(program, id));
    if (!row) return std::nullopt;
    return row->outcome;
}

}  // namespace tidings::idempotency
