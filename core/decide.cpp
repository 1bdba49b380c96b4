// decide(): log time, remembered ids, dispatch; and what is decided about programs themselves.
#include "core/decide.h"

#include <algorithm>
#include <cassert>

#include "core/deciding.h"

namespace tidings {
namespace deciding {
namespace {

void upsert_program(const Context& context, const UpsertProgram& body, bool exists) {
    if (exists && context.program.name == body.name && context.program.plan == body.plan) return;
    context.emit(ProgramChanged{body.name, body.plan});
}

/// Parts for every kind of command; UpsertProgram alone needs to know whether the program exists.
struct Dispatch {
    const Context& context;
    bool exists;

    void operator()(const UpsertProgram& body) const { upsert_program(context, body, exists); }
    void operator()(const SetWebhookSecret& body) const {
        // The same secret sealed again has other bytes, so equality cannot be told: always a fact.
        context.emit(WebhookSecretSet{body.sealed});
    }
    void operator()(const UpsertPartners& body) const { upsert_partners(context, body); }
    void operator()(const AdjustMetrics& body) const { adjust_metrics(context, body); }
    void operator()(const RecordCustomer& body) const { record_customer(context, body); }
    void operator()(const RecordTransaction& body) const { record_transaction(context, body); }
    void operator()(const SendMessage& body) const { send_message(context, body); }
    void operator()(const RecordOpens& body) const { record_opens(context, body); }
    void operator()(const PostReply& body) const { post_reply(context, body); }
    void operator()(const MarkRead& body) const { mark_read(context, body); }
    void operator()(const ErasePartner& body) const { erase_partner(context, body); }
};

/// True if a success of the same id is remembered: the outcome is then complete.
bool answer_from_memory(const Context& context) {
    if (!context.command.remember) return false;
    const auto remembered = context.facts.remembered(context.id(), context.command.id);
    if (!remembered) return false;
    if (remembered->digest == context.command.digest) {
        context.outcome.status = OutcomeStatus::replayed;
        context.outcome.answer = remembered->answer;
    } else {
        context.refuse(ErrorCode::idempotency_key_reused,
                       "this key was already used with other content");
    }
    return true;
}

void finish(const Context& context) {
    Outcome& outcome = context.outcome;
    if (outcome.refusal) {
        outcome.status = OutcomeStatus::refused;
        outcome.events.clear();
        outcome.answer = {};
        outcome.created = outcome.updated = outcome.unchanged = outcome.first_opens = 0;
    } else if (!outcome.events.empty()) {
        outcome.status = OutcomeStatus::applied;
        outcome.first_event = EventNumber{context.program.last_event.value + 1};
    }
}

}  // namespace
}  // namespace deciding

Outcome decide(const Facts& facts, const Command& command) {
    const std::optional<ProgramFacts> known = facts.program(command.program);
    const ProgramFacts program = known.value_or(ProgramFacts{});
    Outcome outcome;
    outcome.id = command.id;
    outcome.digest = command.digest;
    outcome.caller = command.caller;
    outcome.program = command.program;
    outcome.time = std::max(program.log_time, command.time);
    outcome.remember = command.remember;
    outcome.track = command.track;
    const deciding::Context context{facts, command, program, outcome.time, outcome};
    if (!known && !std::holds_alternative<UpsertProgram>(command.body)) {
        context.refuse(ErrorCode::not_found, "no such program");
    } else if (!known || !deciding::answer_from_memory(context)) {
        std::visit(deciding::Dispatch{context, known.has_value()}, command.body);
    }
    deciding::finish(context);
    return outcome;
}

}  // namespace tidings
