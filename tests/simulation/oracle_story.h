// Stories told to the oracle: commands with outcomes made by hand.
#pragma once

#include "tests/simulation/oracle.h"
#include "tests/support/catch.h"

namespace tidings::simulation::stories {

inline const ProgramId kProgram{"acme"};
inline const Actor kOwner{Role::owner, "olive", "Olive"};
inline const Actor kPartner{Role::partner, "p0", "Pat"};

/// What the product said, with as many events as there are facts. Made by the functions below.
struct Said {
    OutcomeStatus status = OutcomeStatus::unchanged;
    std::optional<Refusal> refusal;
    std::uint64_t answer = 0, events = 0;
    std::uint32_t created = 0, updated = 0, unchanged = 0, first_opens = 0;
    std::vector<Rejected> rejected;
    std::optional<Bitmap> recipients;

    Said with(std::uint32_t Said::*count, std::uint32_t value) const {
        Said out = *this;
        out.*count = value;
        return out;
    }
    Said rejecting(std::vector<Rejected> parts) const {
        Said out = *this;
        out.rejected = std::move(parts);
        return out;
    }
};

inline Said applied(std::uint64_t answer = 0, std::uint64_t events = 1) {
    Said out;
    out.status = OutcomeStatus::applied;
    out.answer = answer;
    out.events = events;
    return out;
}
inline Said unchanged() { return {}; }
inline Said replayed(std::uint64_t answer) {
    Said out;
    out.status = OutcomeStatus::replayed;
    out.answer = answer;
    return out;
}
inline Said refused(ErrorCode code, const std::string& pointer = "") {
    Said out;
    out.status = OutcomeStatus::refused;
    out.refusal = Refusal{code, pointer, "", Plan::starter};
    return out;
}
/// As a part that stands alone is refused.
inline Said refused_part(Rejected part, ErrorCode code, const std::string& pointer = "") {
    return refused(code, pointer).rejecting({part});
}
inline Said sent(std::uint64_t answer, std::initializer_list<std::uint32_t> recipients) {
    Said out = applied(answer);
    out.recipients.emplace();
    for (const std::uint32_t one : recipients) out.recipients->add(one);
    return out;
}

inline PartnerPatch patch(const std::string& id) {
    PartnerPatch out;
    out.id = {id};
    out.email = id + "@example.com";
    return out;
}
inline PartnerPatch only_status(const std::string& id, PartnerStatus status) {
    PartnerPatch out;
    out.id = {id};
    out.status = status;
    return out;
}
inline SourceStamp stamp(std::int64_t micros) { return {micros, {}}; }
inline RecordOpens opens(std::uint64_t message, std::initializer_list<std::uint32_t> partners,
                         std::uint64_t up_to = 0) {
    RecordOpens out;
    out.groups.push_back({{message}, {}, {}});
    for (const std::uint32_t one : partners) out.groups[0].partners.add(one);
    out.up_to = {up_to};
    return out;
}
inline SendMessage to_all(bool replies = true) { return {"Subject", "Body", {}, replies, {}}; }
inline SendMessage to(std::vector<PartnerId> partners) {
    SendMessage out = to_all();
    out.audience.type = Audience::Type::partners;
    out.audience.partners = std::move(partners);
    return out;
}
inline SendMessage to(Filter filter) {
    SendMessage out = to_all();
    out.audience.type = Audience::Type::filter;
    out.audience.filter = std::move(filter);
    return out;
}
inline Filter tree(Filter::Kind kind, std::vector<Filter> children) {
    Filter out;
    out.kind = kind;
    out.children = std::move(children);
    return out;
}
inline Filter tagged(const std::string& tag) {
    Filter out;
    out.kind = Filter::Kind::tag;
    out.tag = tag;
    return out;
}
inline Filter engaged(Engagement engagement, std::uint64_t message) {
    Filter out;
    out.kind = Filter::Kind::engagement;
    out.engagement = engagement;
    out.message = {message};
    return out;
}
inline Filter counted(Metric metric, Comparison op, std::int64_t value,
                      const std::string& currency = "") {
    Filter out;
    out.kind = Filter::Kind::metric;
    out.metric = metric;
    out.op = op;
    out.value = value;
    out.currency = currency;
    return out;
}

/// A log of one program, told to the oracle command by command.
class Story {
public:
    Story() = default;
    /// Event 1: the program; event 2, if there are any: partners "p0", "p1", …
    explicit Story(std::uint32_t partners, Plan plan = Plan::partner) {
        right(UpsertProgram{"Acme", plan}, applied());
        if (partners == 0) return;
        UpsertPartners upsert;
        for (std::uint32_t i = 0; i < partners; ++i) {
            upsert.partners.push_back(patch("p" + std::to_string(i)));
        }
        right(upsert, applied().with(&Said::created, partners));
    }

    Story& right(CommandBody body, const Said& said) {
        INFO(name_of(body));
        CHECK(tell(std::move(body), said) == "");
        return *this;
    }
    /// The oracle forgets it again.
    Story& wrong(CommandBody body, const Said& said) {
        const Story before = *this;
        INFO(name_of(body));
        CHECK(tell(std::move(body), said) != "");
        *this = before;
        return *this;
    }
    /// `said` is right, and nothing else that is near.
    Story& exactly(CommandBody body, const Said& said) {
        for (const auto count :
             {&Said::created, &Said::updated, &Said::unchanged, &Said::first_opens}) {
            wrong(body, said.with(count, said.*count + 1));
        }
        wrong(body, said.rejecting({{99, {99}, ErrorCode::io}}));
        if (said.status != OutcomeStatus::applied) wrong(body, applied());
        if (said.status != OutcomeStatus::unchanged) wrong(body, unchanged());
        if (said.status != OutcomeStatus::refused) wrong(body, refused(ErrorCode::invalid));
        if (said.refusal)
            wrong(body, refused(said.refusal->code, "/else").rejecting(said.rejected));
        return right(std::move(body), said);
    }

    Story& as(Actor actor) {
        command_.actor = std::move(actor);
        return *this;
    }
    Story& at(std::int64_t ms) {
        command_.time = {ms};
        return *this;
    }
    Story& key(std::uint8_t key, std::uint8_t content) {
        command_.remember = true;
        command_.id.bytes[0] = key;
        command_.digest.bytes[0] = content;
        return *this;
    }
    const Program& program() const { return oracle_.programs().at(kProgram); }
    const PartnerState& partner(std::uint32_t ordinal) const { return program().partners[ordinal]; }

private:
    std::string tell(CommandBody body, const Said& said) {
        Command command = command_;
        command.program = kProgram;
        command.body = std::move(body);
        const std::string out = oracle_.apply(command, outcome(command, said));
        if (said.status == OutcomeStatus::applied) log_time_ = std::max(log_time_, command.time);
        last_event_ += said.events;
        command_.remember = false;
        return out;
    }
    Outcome outcome(const Command& command, const Said& said) const {
        Outcome out;
        out.id = command.id;
        out.digest = command.digest;
        out.program = kProgram;
        out.remember = command.remember;
        out.time = std::max(log_time_, command.time);
        out.status = said.status;
        out.refusal = said.refusal;
        out.answer = {said.answer};
        out.created = said.created;
        out.updated = said.updated;
        out.unchanged = said.unchanged;
        out.first_opens = said.first_opens;
        out.rejected = said.rejected;
        if (said.events != 0) out.first_event = {last_event_ + 1};
        for (std::uint64_t i = 0; i < said.events; ++i) out.events.push_back(ConversationRead{});
        // What was made is the last of the events, if anything was.
        if (said.answer != 0 && said.events != 0) out.events.back() = ReplyPosted{};
        if (said.recipients) {
            MessageSent message;
            message.recipients = *said.recipients;
            message.digest = audience_digest(*said.recipients);
            message.sent_at = out.time;
            out.events.back() = message;
        }
        return out;
    }

    Oracle oracle_;
    Command command_;
    Timestamp log_time_;
    std::uint64_t last_event_ = 0;
};

inline UpsertPartners one(PartnerPatch patch, bool revive = false) {
    return {{patch}, false, revive};
}
inline UpsertPartners delivery(PartnerPatch patch, std::int64_t micros) {
    patch.stamp = stamp(micros);
    return {{patch}, false, true, true};
}

}  // namespace tidings::simulation::stories
