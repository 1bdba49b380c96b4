// What all commands have in common: log time, numbers, remembered ids; and the comparison of what
// must happen with what did.
#include "tests/simulation/oracle.h"

#include <algorithm>

#include "core/limits.h"
#include "tests/simulation/oracle_rules.h"
#include "tests/simulation/words.h"

namespace tidings::simulation {
namespace {

Timestamp log_time(const Program* program, const Command& command) {
    return std::max(program == nullptr ? Timestamp{} : program->log_time, command.time);
}

/// That the outcome answers this command, now, and numbers its events without gaps.
void check_frame(Differences& found, const Program* before, const Command& command,
                 const Outcome& outcome) {
    found.expect("id", outcome.id, command.id);
    found.expect("digest", outcome.digest, command.digest);
    found.expect("caller", outcome.caller, command.caller);
    found.expect("program", outcome.program, command.program);
    found.expect("remember", outcome.remember, command.remember);
    found.expect("track", outcome.track, command.track);
    found.expect("time", outcome.time, log_time(before, command));
    found.expect("has a refusal", outcome.refusal.has_value(),
                 outcome.status == OutcomeStatus::refused);
    found.expect("has events", !outcome.events.empty(), outcome.status == OutcomeStatus::applied);
    const std::uint64_t last = before == nullptr ? 0 : before->last_event.value;
    found.expect("first event", outcome.first_event.value, outcome.events.empty() ? 0 : last + 1);
}

void check_refusal(Differences& found, const Verdict& verdict, const Program* program,
                   const Refusal& refusal) {
    found.expect("refusal", name_of(refusal.code), name_of(verdict.refusal->code));
    if (verdict.refusal->pointer) {
        found.expect("pointer", refusal.pointer, *verdict.refusal->pointer);
    }
    // M7: the plan in force is recorded with the refusal.
    if (refusal.code == ErrorCode::plan_required && program != nullptr) {
        found.expect("plan refused", refusal.plan, program->plan);
    }
}

void check_sent(Differences& found, const std::set<PartnerOrdinal>& recipients,
                const Outcome& outcome) {
    const MessageSent* sent =
        outcome.events.size() == 1 ? std::get_if<MessageSent>(&outcome.events.front()) : nullptr;
    if (sent == nullptr) return found.add("a send without its one MessageSent");
    std::set<PartnerOrdinal> frozen;
    for (const std::uint32_t ordinal : sent->recipients) frozen.insert({ordinal});
    found.expect("recipients", frozen, recipients);
    found.expect("audience digest", sent->digest, digest_of(recipients));
    found.expect("sent at", sent->sent_at, outcome.time);
}

/// Whether the answer is a number after `last`, of the event that made the message or post.
bool is_made(const Outcome& outcome, EventNumber last) {
    const std::uint64_t index = outcome.answer.value - last.value - 1;
    if (outcome.answer <= last || index >= outcome.events.size()) return false;
    const Event& made = outcome.events[index];
    return std::holds_alternative<MessageSent>(made) || std::holds_alternative<ReplyPosted>(made);
}

/// REQUIRES: the outcome's events are not counted in `program` yet.
void check(Differences& found, const Verdict& verdict, const Program* program,
           const Outcome& outcome) {
    found.expect("status", name_of(outcome.status), name_of(verdict.status));
    if (verdict.refusal && outcome.refusal) {
        check_refusal(found, verdict, program, *outcome.refusal);
    } else if (outcome.refusal) {
        found.add(words("refused ", name_of(outcome.refusal->code), ' ', outcome.refusal->pointer,
                        " (", outcome.refusal->detail, ')'));
    } else if (verdict.refusal) {
        found.add(words("should be refused ", name_of(verdict.refusal->code), ' ',
                        verdict.refusal->pointer.value_or("")));
    }
    if (!verdict.makes_one) {
        found.expect("answer", outcome.answer, verdict.answer);
    } else if (!is_made(outcome, program->last_event)) {
        found.add(words("the answer is no new message or post: ", outcome.answer));
    }
    found.expect("created", outcome.created, verdict.created);
    found.expect("updated", outcome.updated, verdict.updated);
    found.expect("unchanged", outcome.unchanged, verdict.unchanged);
    found.expect("first opens", outcome.first_opens, verdict.first_opens);
    found.expect("rejected", outcome.rejected, verdict.rejected);
    if (verdict.recipients && outcome.status == OutcomeStatus::applied) {
        check_sent(found, *verdict.recipients, outcome);
    }
}

/// PROTOCOL.md rule 14 says what must be remembered, not at which point more is forgotten: past
/// both bounds, remembering and having forgotten are both right.
bool must_be_remembered(const Program& program, const RememberedAnswer& answer) {
    const Timestamp newest = std::max(program.log_time, program.last_remembered);
    return newest.value - answer.time.value < limits::kIdempotencyMs ||
           program.ever_remembered - answer.serial < limits::kIdempotencyMinimum;
}

bool answers_from_memory(const Outcome& outcome) {
    return outcome.status == OutcomeStatus::replayed ||
           (outcome.refusal && outcome.refusal->code == ErrorCode::idempotency_key_reused);
}

/// The answer to a repeated id, if it is one.
std::optional<Verdict> from_memory(const Program& program, const Command& command,
                                   const Outcome& outcome) {
    if (!command.remember) return std::nullopt;
    const auto found = program.remembered.find(command.id);
    if (found == program.remembered.end()) return std::nullopt;
    if (!must_be_remembered(program, found->second) && !answers_from_memory(outcome)) {
        return std::nullopt;
    }
    if (found->second.digest != command.digest) {
        return Verdict::refuse(ErrorCode::idempotency_key_reused);
    }
    Verdict out;
    out.status = OutcomeStatus::replayed;
    out.answer = found->second.answer;
    return out;
}

Verdict upsert_program(std::map<ProgramId, Program>& programs, const ProgramId& id,
                       const UpsertProgram& upsert) {
    const auto [found, created] = programs.try_emplace(id);
    Program& program = found->second;
    if (!created && program.name == upsert.name && program.plan == upsert.plan) {
        return Verdict::changed(false);
    }
    program.name = upsert.name;
    program.plan = upsert.plan;
    return Verdict::changed(true);
}

Verdict judge(Program& program, const SetWebhookSecret& secret, const Occasion&) {
    program.webhook_secret = secret.sealed;  // a fact each time: a secret is never read to compare
    return Verdict::changed(true);
}

Verdict judge_any(std::map<ProgramId, Program>& programs, const Command& command,
                  const Outcome& outcome, Timestamp now) {
    const auto found = programs.find(command.program);
    if (found != programs.end()) {
        if (auto answer = from_memory(found->second, command, outcome)) return *answer;
    }
    if (const auto* upsert = std::get_if<UpsertProgram>(&command.body)) {
        return upsert_program(programs, command.program, *upsert);
    }
    if (found == programs.end()) return Verdict::refuse(ErrorCode::not_found);
    const Occasion occasion{command, now, outcome.answer};
    return std::visit(
        [&](const auto& body) -> Verdict {
            if constexpr (std::is_same_v<std::decay_t<decltype(body)>, UpsertProgram>) {
                return {};
            } else {
                return judge(found->second, body, occasion);
            }
        },
        command.body);
}

void remember(Program& program, const Command& command, const Verdict& verdict,
              const Outcome& outcome) {
    const bool applied = verdict.status == OutcomeStatus::applied;
    const bool success = applied || verdict.status == OutcomeStatus::unchanged;
    const bool remembers = command.remember && success;
    // Events take the log time along, and so does what is remembered, since it expires by that
    // time; the rest leaves no time behind. (The test table says so of refusals.)
    if (applied || remembers) program.log_time = std::max(program.log_time, command.time);
    program.last_event.value += outcome.events.size();
    if (!remembers) return;
    program.last_remembered = std::max(program.last_remembered, outcome.time);
    const EventNumber answer = verdict.makes_one ? outcome.answer : EventNumber{};
    program.remembered[command.id] = {command.digest, answer, outcome.time,
                                      ++program.ever_remembered};
}

/// A command takes effect at most once: a success that was told once is told for ever. A refusal
/// may be followed by another try. (No document says more about an id that is used again.)
void track(Program& program, const Command& command, const Verdict& verdict,
           const Outcome& outcome) {
    if (!command.track || verdict.status == OutcomeStatus::replayed) return;
    program.last_tracked = std::max(program.last_tracked, outcome.time);
    ++program.ever_tracked;
    TrackedAnswer out;
    out.time = outcome.time;
    out.serial = program.ever_tracked;
    const auto told = program.tracked.find(command.id);
    if (told != program.tracked.end()) {
        told->second.doubtful = told->second.doubtful || !program.must_be_told(told->second);
        if (told->second.doubtful || !told->second.refusal) return;
        out.serial = told->second.serial;
    }
    out.caller = command.caller;
    out.status = verdict.status;
    out.answer = verdict.makes_one ? outcome.answer : verdict.answer;
    if (const auto* reply = std::get_if<PostReply>(&command.body)) {
        out.message = reply->message;
        out.partner = reply->partner;
    }
    if (verdict.refusal) {
        out.refusal = verdict.refusal->code;
        out.pointer = verdict.refusal->pointer;
    }
    program.tracked[command.id] = out;
}

}  // namespace

bool Program::must_be_told(const TrackedAnswer& answer) const {
    if (answer.doubtful) return false;
    return answer.time.value + limits::kIdempotencyMs > last_tracked.value ||
           ever_tracked - answer.serial < limits::kIdempotencyMinimum;
}

Verdict Verdict::refuse(ErrorCode code, std::optional<std::string> pointer) {
    Verdict out;
    out.status = OutcomeStatus::refused;
    out.refusal = Refused{code, std::move(pointer)};
    return out;
}

Verdict Verdict::changed(bool whether) {
    Verdict out;
    out.status = whether ? OutcomeStatus::applied : OutcomeStatus::unchanged;
    return out;
}

std::string Oracle::apply(const Command& command, const Outcome& outcome) {
    const auto known = programs_.find(command.program);
    const Program* before = known == programs_.end() ? nullptr : &known->second;
    Differences found;
    check_frame(found, before, command, outcome);
    const Verdict verdict = judge_any(programs_, command, outcome, log_time(before, command));
    const auto after = programs_.find(command.program);
    check(found, verdict, after == programs_.end() ? nullptr : &after->second, outcome);
    if (after != programs_.end()) {
        remember(after->second, command, verdict, outcome);
        track(after->second, command, verdict, outcome);
    }
    if (found.empty()) return "";
    return words(name_of(command.body), " in ", command.program, ": ", found.joined());
}

}  // namespace tidings::simulation
