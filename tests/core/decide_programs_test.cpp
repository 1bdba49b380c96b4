// Programs, log time, event numbers, remembered ids: what every command has in common.
#include "tests/core/scenario.h"

using namespace tidings;
using namespace tidings::testing;

TEST_CASE("a program is created, changed, and left alone when equal") {
    Scenario scenario;
    const Outcome created = scenario.when(UpsertProgram{"Acme", Plan::starter});
    CHECK(created.status == OutcomeStatus::applied);
    CHECK(created.first_event == EventNumber{1});
    CHECK(event_of<ProgramChanged>(created) == ProgramChanged{"Acme", Plan::starter});

    CHECK(scenario.when(UpsertProgram{"Acme", Plan::starter}).status == OutcomeStatus::unchanged);
    CHECK(scenario.when(UpsertProgram{"Acme", Plan::partner}).status == OutcomeStatus::applied);
    CHECK(scenario.when(UpsertProgram{"Acme 2", Plan::partner}).status == OutcomeStatus::applied);
    CHECK(scenario.program().last_event == EventNumber{3});
}

TEST_CASE("a program named as a default one is still created") {
    Scenario scenario;
    CHECK(scenario.when(UpsertProgram{}).status == OutcomeStatus::applied);
}

TEST_CASE("everything but its creation needs the program") {
    Scenario scenario;
    const std::vector<CommandBody> bodies{SetWebhookSecret{"x"},
                                          UpsertPartners{{patch("a")}},
                                          AdjustMetrics{},
                                          RecordCustomer{},
                                          RecordTransaction{},
                                          SendMessage{},
                                          RecordOpens{},
                                          PostReply{},
                                          MarkRead{}};
    for (const CommandBody& body : bodies) {
        INFO(name_of(body));
        CHECK(refusal_of(scenario.when(body)) == "not_found");
        CHECK(refusal_of(scenario.key("k", "c").when(body)) == "not_found");
    }
}

TEST_CASE("a webhook secret is a fact each time it is set") {
    Scenario scenario(Plan::starter);
    scenario.given(SetWebhookSecret{"one"}).given(SetWebhookSecret{"one"});
    scenario.given(SetWebhookSecret{"two"});
    CHECK(scenario.program().webhook_secret == "two");
}

TEST_CASE("log time never goes back, and events take it") {
    Scenario scenario(Plan::partner);
    scenario.at(5'000).given_partners(1);
    CHECK(scenario.partner("p0").joined_at == Timestamp{5'000});
    scenario.at(4'000).given(UpsertPartners{{patch("late")}});
    CHECK(scenario.partner("late").joined_at == Timestamp{5'000});
    CHECK(scenario.program().log_time == Timestamp{5'000});
    // What is refused leaves no trace, not even its time.
    scenario.at(9'000).when(PostReply{});
    CHECK(scenario.program().log_time == Timestamp{5'000});
    // The first command of a program, stamped before the epoch.
    Scenario other;
    other.at(-1);
    Command command;
    command.time = Timestamp{-1};
    command.program = ProgramId{"new"};
    command.body = UpsertProgram{"New", Plan::starter};
    CHECK(decide(other.facts(), command).time == Timestamp{0});
}

TEST_CASE("programs number their own events") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(3);
    scenario.in(ProgramId{"other"}).given(UpsertProgram{"Other", Plan::starter});
    CHECK(scenario.program().last_event == EventNumber{1});
}

TEST_CASE("a remembered id is answered from memory") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(2).as(kOwner);
    const SendMessage send{"Subject", "Body", {}, false, {}};
    const Outcome first = scenario.key("k", "content").when(send);
    REQUIRE(first.status == OutcomeStatus::applied);

    const Outcome again = scenario.key("k", "content").when(send);
    CHECK(again.status == OutcomeStatus::replayed);
    CHECK(again.answer == first.answer);
    CHECK(refusal_of(scenario.key("k", "other").when(send)) == "idempotency_key_reused");

    // Before every other check: the plan no longer allows it, the answer stands.
    scenario.given(UpsertProgram{"Acme", Plan::starter});
    CHECK(scenario.key("k", "content").when(send).status == OutcomeStatus::replayed);
    CHECK(refusal_of(scenario.key("k2", "content").when(send)) == "plan_required");
    // A refusal is not remembered.
    scenario.given(UpsertProgram{"Acme", Plan::advanced});
    CHECK(scenario.key("k2", "other").when(send).status == OutcomeStatus::applied);
    // Another program knows nothing of it.
    scenario.in(ProgramId{"other"}).given(UpsertProgram{"Other", Plan::partner}).given_partners(1);
    CHECK(scenario.key("k", "elsewhere").when(send).status == OutcomeStatus::applied);
}

TEST_CASE("without a key nothing is remembered") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(1).as(kOwner);
    const SendMessage send{"Subject", "Body", {}, false, {}};
    CHECK(scenario.when(send).answer != scenario.when(send).answer);
    CHECK(scenario.program().remembered.empty());
}

TEST_CASE("an event that changed nothing changes nothing when it comes again") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    AdjustMetrics less;
    less.partner = PartnerId{"p0"};
    less.clicks = -5;
    CHECK(scenario.key("event", "content").when(less).status == OutcomeStatus::unchanged);
    AdjustMetrics more = less;
    more.clicks = 10;
    scenario.given(more);
    CHECK(scenario.key("event", "content").when(less).status == OutcomeStatus::replayed);
    CHECK(scenario.partner("p0").metrics.clicks == 10);
}
