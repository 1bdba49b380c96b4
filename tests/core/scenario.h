// Given/when/then for decide(): `given` must be applied, `when` returns the outcome, `then` is the
// test's own checks. Every decision is made twice (it must be pure), and what was decided is folded
// into the oracle.
#pragma once

#include "core/decide.h"
#include "tests/support/catch.h"
#include "tests/support/memory_facts.h"

namespace tidings::testing {

inline const ProgramId kProgram{"acme"};
inline const Actor kOwner{Role::owner, "olive", "Olive Owner"};
inline const Actor kPlatform{Role::platform, "upstream", "Upstream"};

inline Actor partner_actor(const std::string& id) { return {Role::partner, id, "Partner " + id}; }

/// A patch that suffices at first sight.
inline PartnerPatch patch(const std::string& id) {
    PartnerPatch out;
    out.id = PartnerId{id};
    out.email = id + "@example.com";
    return out;
}

inline SourceStamp at_stamp(std::int64_t micros, std::uint8_t tiebreak = 0) {
    SourceStamp out;
    out.micros = micros;
    out.tiebreak.bytes[0] = tiebreak;
    return out;
}

/// Facts, or at least its key: an event from upstream that changed nothing today must not change
/// anything when it is delivered again tomorrow.
inline bool leaves_trace(const Outcome& outcome) {
    return outcome.status == OutcomeStatus::applied ||
           (outcome.status == OutcomeStatus::unchanged && outcome.remember);
}

class Scenario {
public:
    Scenario() = default;
    explicit Scenario(Plan plan) { given(UpsertProgram{"Acme", plan}); }

    Scenario& given(CommandBody body) {
        const Outcome outcome = when(std::move(body));
        INFO(outcome.refusal.value_or(Refusal{}).detail);
        REQUIRE(outcome.status == OutcomeStatus::applied);
        return *this;
    }
    /// Active partners "p0", "p1", ... with these ordinals.
    Scenario& given_partners(std::size_t count) {
        UpsertPartners upsert;
        for (std::size_t i = 0; i < count; ++i) {
            upsert.partners.push_back(patch("p" + std::to_string(i)));
        }
        return given(std::move(upsert));
    }
    EventNumber given_message(bool replies_enabled = true, Audience audience = {}) {
        as(kOwner);
        SendMessage send{"Subject", "Body", std::move(audience), replies_enabled, {}};
        const Outcome outcome = when(std::move(send));
        REQUIRE(outcome.status == OutcomeStatus::applied);
        as(kPlatform);
        return outcome.answer;
    }

    Scenario& as(Actor actor) {
        actor_ = std::move(actor);
        return *this;
    }
    Scenario& at(std::int64_t ms) {
        time_ = Timestamp{ms};
        return *this;
    }
    Scenario& in(ProgramId program) {
        program_ = std::move(program);
        return *this;
    }
    /// The next command only: remembered under this key, with this content.
    Scenario& key(const std::string& key, const std::string& content) {
        key_ = key;
        content_ = content;
        return *this;
    }

    Outcome when(CommandBody body) {
        Command command;
        command.time = time_;
        command.program = program_;
        command.actor = actor_;
        command.body = std::move(body);
        command.remember = !key_.empty();
        command.track = true;
        const std::string id = key_.empty() ? "command " + std::to_string(++commands_) : key_;
        command.id = CommandId::from(sha256(id).view().substr(0, CommandId::kSize));
        command.digest = ContentDigest::from(sha256(content_).view().substr(0, 16));
        command.caller = CallerDigest::from(sha256(actor_.sub.stored()).view().substr(0, 16));
        key_.clear();
        return decide_and_fold(command);
    }

    const MemoryProgram& program() const { return state_.programs.at(program_); }
    const PartnerState& partner(const std::string& id) const {
        const PartnerState* found = program().partner(PartnerId{id});
        REQUIRE(found != nullptr);
        return *found;
    }
    bool knows(const std::string& id) const { return program().partner(PartnerId{id}) != nullptr; }
    const MemoryMessage& message(EventNumber number) const { return program().messages.at(number); }
    const MemoryFacts& facts() const { return facts_; }
    const MemoryState& state() const { return state_; }
    Timestamp now() const { return time_; }

private:
    Outcome decide_and_fold(const Command& command) {
        const MemoryState before = state_;
        const Outcome outcome = decide(facts_, command);
        REQUIRE(outcome == decide(facts_, command));
        check_frame(command, outcome);
        fold(state_, outcome);
        if (!leaves_trace(outcome)) REQUIRE(state_ == before);
        return outcome;
    }
    void check_frame(const Command& command, const Outcome& outcome) const {
        REQUIRE(outcome.id == command.id);
        REQUIRE(outcome.digest == command.digest);
        REQUIRE(outcome.caller == command.caller);
        REQUIRE(outcome.program == command.program);
        REQUIRE(outcome.remember == command.remember);
        REQUIRE(outcome.track == command.track);
        REQUIRE(outcome.time >= command.time);
        REQUIRE(outcome.refusal.has_value() == (outcome.status == OutcomeStatus::refused));
        REQUIRE(outcome.events.empty() == (outcome.status != OutcomeStatus::applied));
        const auto known = state_.programs.find(command.program);
        const std::uint64_t last =
            known == state_.programs.end() ? 0 : known->second.last_event.value;
        REQUIRE(outcome.first_event.value == (outcome.events.empty() ? 0 : last + 1));
    }

    MemoryState state_;
    MemoryFacts facts_{state_};
    ProgramId program_ = kProgram;
    Actor actor_ = kPlatform;
    Timestamp time_{1'000};
    std::string key_, content_;
    std::uint64_t commands_ = 0;
};

/// The refusal's word and pointer, or "" if there is none.
inline std::string refusal_of(const Outcome& outcome) {
    if (!outcome.refusal) return "";
    return std::string(name_of(outcome.refusal->code)) +
           (outcome.refusal->pointer.empty() ? "" : " " + outcome.refusal->pointer);
}

template <class T>
const T& event_of(const Outcome& outcome, std::size_t index = 0) {
    REQUIRE(index < outcome.events.size());
    REQUIRE(std::holds_alternative<T>(outcome.events[index]));
    return std::get<T>(outcome.events[index]);
}

inline Bitmap set_of(std::initializer_list<std::uint32_t> members) {
    Bitmap out;
    for (const std::uint32_t member : members) out.add(member);
    return out;
}

inline RecordOpens opens_of(EventNumber message, std::initializer_list<std::uint32_t> partners) {
    RecordOpens out;
    out.groups.push_back({message, set_of(partners), {}});
    return out;
}

}  // namespace tidings::testing
