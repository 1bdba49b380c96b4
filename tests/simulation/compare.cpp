#include "tests/simulation/compare.h"

#include "tests/simulation/compare_program.h"

namespace tidings::simulation {
namespace {

constexpr std::size_t kMost = 40;  ///< what is wrong beyond this is the same thing again

void add_some(std::vector<std::string>& out, const std::vector<std::string>& found) {
    for (const std::string& what : found) {
        if (out.size() < kMost) out.push_back(what);
    }
}

}  // namespace

void ProgramComparison::run() {
    program_itself();
    partners();
    tags();
    audiences();
    messages();
    for (const PartnerState& one : program_.partners) inbox(one.ordinal);
    conservation();
    tracked();
    if (full_) strangers();
}

void ProgramComparison::program_itself() {
    const std::optional<ProgramView> view = models_.program(id_);
    if (!view) return wrong("unknown");
    expect("id", view->id, id_);
    expect("name", view->name, program_.name);
    expect("plan", view->plan, program_.plan);
    expect("webhook secret", models_.webhook_secret(id_), program_.webhook_secret);

    std::uint64_t active = 0, unread = 0;
    for (const PartnerState& one : program_.partners) {
        if (one.status == PartnerStatus::active) ++active;
    }
    for (const auto& [number, message] : program_.messages) {
        for (const auto& [partner, talk] : message.conversations) unread += talk.unread_replies();
    }
    const ProgramSummary summary = models_.summary(id_);
    expect("summary.messages", summary.messages, program_.messages.size());
    expect("summary.partners", summary.partners, active);
    expect("summary.unread_replies", summary.unread_replies, unread);
}

/// What does not exist answers as if empty.
void ProgramComparison::strangers() {
    const PartnerOrdinal nobody{static_cast<std::uint32_t>(program_.partners.size())};
    const EventNumber nothing{program_.last_event.value + 1};
    if (models_.partner(id_, {"nobody at all"})) wrong("a partner that was never seen is known");
    for (const auto& [held, facts] : program_.held) {
        if (models_.partner(id_, held)) wrong("a held partner is visible: " + held.value);
    }
    if (models_.message(id_, nothing)) wrong("a message that was never sent is known");
    if (!program_.messages.empty()) {
        const EventNumber first = program_.messages.begin()->first;
        if (models_.is_recipient(id_, first, nobody)) wrong("nobody is a recipient");
        if (models_.conversation(id_, first, nobody)) wrong("nobody has a conversation");
        if (models_.opened_at(id_, first, nobody)) wrong("nobody opened a message");
    }
    expect("inbox of nobody", models_.inbox_summary(id_, nobody).total, 0u);
    const auto bad = models_.messages(id_, {5, "no cursor"});
    if (bad || bad.error().code != ErrorCode::invalid || bad.error().fields.empty() ||
        bad.error().fields.front().pointer != "/cursor") {
        wrong("a bad cursor is not refused as /cursor");
    }
}

void ProgramComparison::tracked() {
    for (const auto& [id, expected] : program_.tracked) {
        const std::string what = words("outcome of ", id, ' ');
        const std::optional<TrackedOutcome> got = models_.tracked(id_, id);
        if (!got) {
            if (program_.must_be_told(expected)) wrong(what + "is not kept");
            continue;
        }
        if (expected.doubtful) continue;
        expect(what + "caller", got->caller, expected.caller);
        expect(what + "status", got->status, expected.status);
        expect(what + "answer", got->answer, expected.answer);
        std::optional<ErrorCode> refusal;
        if (got->refusal) refusal = got->refusal->code;
        expect(what + "refusal", refusal, expected.refusal);
        if (got->refusal && expected.pointer) {
            expect(what + "pointer", got->refusal->pointer, *expected.pointer);
        }
        if (got->refusal) continue;
        expect(what + "message", got->message, expected.message);
        expect(what + "partner", got->partner, expected.partner);
    }
}

/// Received and unread by partner are received and unread by message, on the models' own numbers.
void ProgramComparison::conservation() {
    std::uint64_t received = 0, recipients = 0, unread_replies = 0;
    for (const PartnerState& one : program_.partners) {
        const InboxSummary inbox = models_.inbox_summary(id_, one.ordinal);
        if (inbox.unread > inbox.total) wrong(words("more unread than received by ", one.id));
        received += inbox.total;
    }
    for (const auto& [number, message] : program_.messages) {
        const MessageStats stats = models_.stats(id_, number);
        recipients += stats.recipients;
        unread_replies += stats.unread_replies;
        if (stats.opens > stats.recipients) wrong(words("more opens than recipients of ", number));
        if (stats.replied > stats.opens) wrong(words("more replied than opened ", number));
    }
    expect("received by all partners", received, recipients);
    expect("unread replies of all messages", unread_replies, models_.summary(id_).unread_replies);
}

std::vector<std::string> compare(const Models& models, const Oracle& oracle, Depth depth) {
    std::vector<std::string> out;
    for (const auto& [id, program] : oracle.programs()) {
        ProgramComparison comparison(models, id, program, depth);
        comparison.run();
        add_some(out, comparison.found());
    }
    if (depth == Depth::full) {
        if (models.program({"no such program"})) out.push_back("a program that never was is known");
        add_some(out, models.check());
    }
    return out;
}

}  // namespace tidings::simulation
