#include "apps/waiters.h"

#include "tests/support/catch.h"

namespace tidings::apps {
namespace {

CommandId id_of(std::uint8_t byte) {
    CommandId id;
    id.bytes.fill(byte);
    return id;
}
ContentDigest digest_of(std::uint8_t byte) {
    ContentDigest digest;
    digest.bytes.fill(byte);
    return digest;
}
Outcome outcome_of(std::uint8_t id, std::uint8_t digest, std::uint64_t answer = 0) {
    Outcome outcome;
    outcome.id = id_of(id);
    outcome.digest = digest_of(digest);
    outcome.answer = EventNumber{answer};
    outcome.events.emplace_back(ProgramChanged{});
    return outcome;
}

/// Collects what the waiters are told: "name=answer" or "name:error".
struct Told {
    std::vector<std::string> lines;
    OutcomeWaiters::Done as(std::string name) {
        return [this, name = std::move(name)](Result<Applied> applied) {
            if (!applied) {
                lines.push_back(name + ":" + name_of(applied.error().code));
                return;
            }
            CHECK(applied->outcome.events.empty());
            lines.push_back(name + "=" + std::to_string(applied->outcome.answer.value) + "@" +
                            std::to_string(applied->sequence.value));
        };
    }
};

void add(OutcomeWaiters& waiters, std::uint8_t id, std::uint8_t digest, OutcomeWaiters::Done done,
         std::int64_t now_ms = 0, std::int64_t deadline_ms = 100) {
    REQUIRE(waiters.add(id_of(id), digest_of(digest), done, now_ms, deadline_ms).has_value());
}

void fire(OutcomeWaiters& waiters, std::vector<Outcome> outcomes, std::uint64_t sequence = 1) {
    waiters.fire(outcomes, PartitionId{0}, Sequence{sequence});
}

using Lines = std::vector<std::string>;

TEST_CASE("a waiter matches id and content") {
    OutcomeWaiters waiters;
    Told told;
    add(waiters, 1, 1, told.as("a"));
    add(waiters, 1, 2, told.as("b"));
    add(waiters, 2, 1, told.as("c"));
    fire(waiters, {outcome_of(1, 2, 7), outcome_of(9, 9)});
    CHECK(told.lines == Lines{"b=7@1"});
    CHECK(waiters.size() == 2);
    fire(waiters, {outcome_of(1, 1, 8), outcome_of(2, 1, 9)}, 2);
    CHECK(told.lines == Lines{"b=7@1", "a=8@2", "c=9@2"});
    CHECK(waiters.size() == 0);
}

TEST_CASE("duplicates get an outcome each, the oldest first") {
    OutcomeWaiters waiters;
    Told told;
    add(waiters, 1, 1, told.as("first"));
    add(waiters, 1, 1, told.as("second"));
    fire(waiters, {outcome_of(1, 1, 5)});
    CHECK(told.lines == Lines{"first=5@1"});
    CHECK(waiters.pending(id_of(1)));
    fire(waiters, {outcome_of(1, 1, 5)}, 2);
    CHECK(told.lines == Lines{"first=5@1", "second=5@2"});
    CHECK_FALSE(waiters.pending(id_of(1)));
}

TEST_CASE("who waited too long is told so once, and stays pending") {
    OutcomeWaiters waiters;
    Told told;
    add(waiters, 1, 1, told.as("a"), 0, 100);
    add(waiters, 2, 2, told.as("b"), 50, 150);
    waiters.expire(99);
    CHECK(told.lines.empty());
    waiters.expire(100);
    CHECK(told.lines == Lines{"a:outcome_unknown"});
    CHECK(waiters.pending(id_of(1)));
    CHECK(waiters.oldest_ms(160) == 160);
    fire(waiters, {outcome_of(1, 1)});
    CHECK(told.lines == Lines{"a:outcome_unknown"});
    CHECK_FALSE(waiters.pending(id_of(1)));
    CHECK(waiters.oldest_ms(160) == 110);
    fire(waiters, {outcome_of(2, 2, 3)});
    CHECK(told.lines == Lines{"a:outcome_unknown", "b=3@1"});
    CHECK(waiters.oldest_ms(160) == 0);
}

TEST_CASE("a withdrawn waiter is not told") {
    OutcomeWaiters waiters;
    Told told;
    auto done = told.as("a");
    const auto ticket = waiters.add(id_of(1), digest_of(1), done, 0, 100);
    REQUIRE(ticket.has_value());
    add(waiters, 1, 1, told.as("b"));
    CHECK(waiters.withdraw(id_of(1), *ticket).has_value());
    CHECK_FALSE(waiters.withdraw(id_of(1), *ticket).has_value());
    fire(waiters, {outcome_of(1, 1, 4)});
    CHECK(told.lines == Lines{"b=4@1"});
}

TEST_CASE("closing tells everyone, and refuses those who come later") {
    OutcomeWaiters waiters;
    Told told;
    add(waiters, 1, 1, told.as("a"));
    waiters.close({ErrorCode::outcome_unknown, ""}, {ErrorCode::overloaded, "closed"});
    CHECK(told.lines == Lines{"a:outcome_unknown"});
    auto done = told.as("b");
    const auto refused = waiters.add(id_of(2), digest_of(2), done, 0, 100);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::overloaded);
    CHECK(done != nullptr);
}

TEST_CASE("positions are waited for") {
    PositionWaiters waiters;
    std::vector<std::string> told;
    const auto as = [&told](std::string name) {
        return [&told, name = std::move(name)](const Result<void>& reached) {
            told.push_back(name +
                           (reached ? "" : std::string(":") + name_of(reached.error().code)));
        };
    };
    waiters.reached(Sequence{3});
    waiters.wait(Sequence{3}, 100, as("at once"));
    CHECK(told == Lines{"at once"});
    waiters.wait(Sequence{5}, 100, as("five"));
    waiters.wait(Sequence{4}, 200, as("four"));
    waiters.wait(Sequence{1'000'000}, 200, as("never"));
    waiters.reached(Sequence{4});
    CHECK(told == Lines{"at once", "four"});
    waiters.expire(100);
    CHECK(told == Lines{"at once", "four", "five:not_caught_up"});
    waiters.close();
    waiters.wait(Sequence{9}, 100, as("late"));
    waiters.wait(Sequence{4}, 100, as("known"));
    CHECK(told == Lines{"at once", "four", "five:not_caught_up", "never:not_caught_up",
                        "late:not_caught_up", "known"});
}

}  // namespace
}  // namespace tidings::apps
