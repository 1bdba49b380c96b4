// SendMessage, RecordOpens, PostReply, MarkRead.
#include "core/limits.h"
#include "tests/core/scenario.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

const SendMessage kToAll{"Subject", "Body", {}, true, {}};

Audience to(std::initializer_list<const char*> partners) {
    Audience out;
    out.type = Audience::Type::partners;
    for (const char* partner : partners) out.partners.push_back(PartnerId{partner});
    return out;
}

UpsertPartners status(const std::string& id, PartnerStatus status) {
    UpsertPartners out;
    out.partners.push_back(patch(id));
    out.partners.back().status = status;
    return out;
}

}  // namespace

TEST_CASE("a send freezes who is active") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(3).given(status("p1", PartnerStatus::archived)).as(kOwner).at(9'000);
    const Outcome outcome = scenario.when(kToAll);
    const auto& sent = event_of<MessageSent>(outcome);
    CHECK(outcome.answer == outcome.first_event);
    CHECK(sent.recipients == set_of({0, 2}));
    CHECK(sent.digest == audience_digest(set_of({2, 0})));
    CHECK(sent.sender == kOwner);
    CHECK(sent.sent_at == Timestamp{9'000});
    CHECK(sent.plan == Plan::partner);
    CHECK(sent.subject == "Subject");
    CHECK(sent.audience == Audience{});
    CHECK(sent.replies_enabled);
}

TEST_CASE("a send is refused in the documented order") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(2).as(kOwner);
    SendMessage send{"Subject", "Body", to({"p0", "nobody"}), true, Hash256{}};
    const Outcome by_plan = scenario.when(send);
    CHECK(refusal_of(by_plan) == "plan_required");
    CHECK(by_plan.refusal->plan == Plan::starter);

    scenario.given(UpsertProgram{"Acme", Plan::advanced});
    const Outcome unknown = scenario.when(send);
    CHECK(refusal_of(unknown) == "unknown_partner /audience/partners/1");
    CHECK(unknown.refusal->plan == Plan::advanced);

    send.audience.partners.clear();
    CHECK(refusal_of(scenario.when(send)) == "audience_empty /audience");
    send.audience = to({"p1"});
    CHECK(refusal_of(scenario.when(send)) == "audience_changed /expect_digest");
    send.expect_digest = audience_digest(set_of({1}));
    CHECK(scenario.when(send).status == OutcomeStatus::applied);
}

TEST_CASE("a program without active partners cannot be written to") {
    Scenario scenario(Plan::partner);
    CHECK(refusal_of(scenario.when(kToAll)) == "audience_empty /audience");
    scenario.given(status("p0", PartnerStatus::pending));
    CHECK(refusal_of(scenario.when(kToAll)) == "audience_empty /audience");
}

TEST_CASE("an open is the first one only") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(4);
    const EventNumber message = scenario.given_message(true, to({"p0", "p1", "p2"}));
    scenario.at(2'000);
    const Outcome first = scenario.when(opens_of(message, {0, 2}));
    CHECK(first.first_opens == 2);
    CHECK(event_of<MessagesOpened>(first).groups ==
          std::vector{MessagesOpened::Group{message, set_of({0, 2}), {}}});

    const Outcome again = scenario.at(3'000).when(opens_of(message, {0, 1, 2}));
    CHECK(again.first_opens == 1);
    CHECK(event_of<MessagesOpened>(again).groups.front().partners == set_of({1}));
    CHECK(scenario.when(opens_of(message, {0, 1, 2})).status == OutcomeStatus::unchanged);
    CHECK(scenario.message(message).opened.at(2) == Timestamp{2'000});
}

TEST_CASE("opens of others and of nothing are rejected, the rest applies") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(3);
    const EventNumber message = scenario.given_message(true, to({"p0"}));
    const EventNumber nothing{message.value + 1};
    RecordOpens opens = opens_of(message, {0, 1, 7});
    opens.groups.push_back({nothing, set_of({0}), {}});
    const Outcome outcome = scenario.when(opens);
    CHECK(outcome.first_opens == 1);
    CHECK(outcome.rejected == std::vector{Rejected{1, message, ErrorCode::not_a_recipient},
                                          Rejected{7, message, ErrorCode::not_a_recipient},
                                          Rejected{0, nothing, ErrorCode::not_found}});

    // One alone is answered as such; to a partner, someone else's message does not exist.
    CHECK(refusal_of(scenario.when(opens_of(nothing, {0}))) == "not_found");
    CHECK(refusal_of(scenario.when(opens_of(message, {1}))) == "not_a_recipient");
    scenario.as(partner_actor("p1"));
    CHECK(refusal_of(scenario.when(opens_of(message, {1}))) == "not_found");
}

TEST_CASE("times of opens stay between the send and now") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(4).at(5'000);
    const EventNumber message = scenario.given_message();
    scenario.given(opens_of(message, {1}));
    scenario.at(9'000);
    RecordOpens opens = opens_of(message, {0, 1, 2, 3});
    opens.groups[0].at = {Timestamp{1}, Timestamp{2}, Timestamp{7'000}, Timestamp{99'000}};
    const Outcome outcome = scenario.when(opens);
    CHECK(event_of<MessagesOpened>(outcome).groups ==
          std::vector{MessagesOpened::Group{
              message, set_of({0, 2, 3}), {Timestamp{5'000}, Timestamp{7'000}, Timestamp{9'000}}}});
}

TEST_CASE("times that all are now are left out") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(2);
    const EventNumber message = scenario.given_message();
    RecordOpens opens = opens_of(message, {0, 1});
    opens.groups[0].at = {scenario.now(), Timestamp{scenario.now().value + 50}};
    CHECK(event_of<MessagesOpened>(scenario.when(opens)).groups.front().at.empty());
}

TEST_CASE("opens that no ingress makes are refused, not fallen over") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(2);
    const EventNumber message = scenario.given_message();
    RecordOpens twice = opens_of(message, {0});
    twice.groups.push_back(twice.groups.front());
    RecordOpens empty = opens_of(message, {});
    RecordOpens times = opens_of(message, {0, 1});
    times.groups[0].at = {Timestamp{1}};
    RecordOpens many = opens_of(message, {});
    many.groups[0].partners.addRange(0, limits::kOpensChunk + 1);
    RecordOpens read_many = opens_of(message, {0, 1});
    read_many.up_to = message;
    for (const RecordOpens& opens : {twice, empty, times, many, read_many}) {
        CHECK(scenario.when(opens).refusal.value_or(Refusal{}).code == ErrorCode::invalid);
    }
    CHECK(scenario.when(RecordOpens{}).status == OutcomeStatus::unchanged);
}

TEST_CASE("a reply from a partner opens, and is refused in the documented order") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(2);
    const EventNumber deaf = scenario.given_message(false);
    const EventNumber message = scenario.given_message(true, to({"p0"}));
    scenario.as(partner_actor("p0")).at(4'000);
    const Outcome first = scenario.when(PostReply{message, {0}, "Hello"});
    REQUIRE(first.events.size() == 2);
    CHECK(first.first_opens == 1);
    CHECK(event_of<MessagesOpened>(first, 0).groups.front().partners == set_of({0}));
    CHECK(event_of<ReplyPosted>(first, 1) ==
          ReplyPosted{message, {0}, false, partner_actor("p0"), "Hello", Timestamp{4'000}});
    CHECK(first.answer.value == first.first_event.value + 1);
    const Outcome second = scenario.when(PostReply{message, {0}, "Again"});
    CHECK(second.events.size() == 1);
    CHECK(second.answer == second.first_event);

    CHECK(refusal_of(scenario.when(PostReply{message, {1}, "Not mine"})) == "not_found");
    CHECK(refusal_of(scenario.when(PostReply{{999}, {0}, "Nothing"})) == "not_found");
    CHECK(refusal_of(scenario.when(PostReply{deaf, {0}, "Deaf"})) == "replies_disabled");
    scenario.as(kPlatform).given(UpsertProgram{"Acme", Plan::starter}).as(partner_actor("p0"));
    CHECK(refusal_of(scenario.when(PostReply{deaf, {0}, "Deaf"})) == "plan_required");
    CHECK(refusal_of(scenario.when(PostReply{message, {1}, "Not mine"})) == "not_found");
}

TEST_CASE("an owner may write first and opens nothing") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(1);
    const EventNumber message = scenario.given_message();
    const Outcome outcome = scenario.as(kOwner).when(PostReply{message, {0}, "Well?"});
    CHECK(outcome.events.size() == 1);
    CHECK(event_of<ReplyPosted>(outcome).from_owner);
    CHECK(scenario.message(message).opened.empty());
}

TEST_CASE("opening reads the conversation, the first time and later") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(2);
    const EventNumber message = scenario.given_message();
    const EventNumber first = scenario.as(kOwner).when(PostReply{message, {0}, "Well?"}).answer;
    const Outcome opened = scenario.when(opens_of(message, {0, 1}));
    REQUIRE(opened.events.size() == 2);
    CHECK(event_of<ConversationRead>(opened, 1) == ConversationRead{message, {0}, false, first});
    CHECK(scenario.when(opens_of(message, {0, 1})).status == OutcomeStatus::unchanged);

    const EventNumber second = scenario.when(PostReply{message, {0}, "And?"}).answer;
    const EventNumber third = scenario.when(PostReply{message, {0}, "Hm."}).answer;
    scenario.as(partner_actor("p0"));
    RecordOpens up_to = opens_of(message, {0});
    up_to.up_to = second;
    const Outcome partly = scenario.when(up_to);
    CHECK(partly.first_opens == 0);
    CHECK(event_of<ConversationRead>(partly) == ConversationRead{message, {0}, false, second});
    CHECK(scenario.message(message).conversations.at(0).unread_by_partner());
    CHECK(scenario.when(up_to).status == OutcomeStatus::unchanged);
    up_to.up_to = first;  // older than what was read: nothing
    CHECK(scenario.when(up_to).status == OutcomeStatus::unchanged);
    up_to.up_to = third;
    scenario.given(up_to);
    CHECK_FALSE(scenario.message(message).conversations.at(0).unread_by_partner());

    up_to.up_to = message;
    CHECK(refusal_of(scenario.when(up_to)) == "invalid /up_to");
}

TEST_CASE("up_to of a conversation without that post is refused and opens nothing") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(2);
    const EventNumber message = scenario.given_message();
    const EventNumber others = scenario.as(kOwner).when(PostReply{message, {1}, "Hi"}).answer;
    RecordOpens opens = opens_of(message, {0});
    opens.up_to = others;
    CHECK(refusal_of(scenario.as(partner_actor("p0")).when(opens)) == "invalid /up_to");
    CHECK(scenario.message(message).opened.empty());
}

TEST_CASE("a partner's own reply leaves nothing unread for it") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(1);
    const EventNumber message = scenario.given_message();
    scenario.as(kOwner).given(PostReply{message, {0}, "Well?"});
    scenario.as(partner_actor("p0")).given(PostReply{message, {0}, "Yes"});
    CHECK(scenario.when(opens_of(message, {0})).status == OutcomeStatus::unchanged);
}

TEST_CASE("owners mark replies as read") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(2);
    const EventNumber message = scenario.given_message(true, to({"p0"}));
    CHECK(scenario.when(MarkRead{message, {0}}).status == OutcomeStatus::unchanged);
    CHECK(refusal_of(scenario.when(MarkRead{message, {1}})) == "not_found");
    CHECK(refusal_of(scenario.when(MarkRead{{77}, {0}})) == "not_found");

    scenario.as(partner_actor("p0")).given(PostReply{message, {0}, "One"});
    const EventNumber reply = scenario.when(PostReply{message, {0}, "Two"}).answer;
    CHECK(scenario.message(message).conversations.at(0).unread_replies() == 2);
    const Outcome read = scenario.as(kOwner).when(MarkRead{message, {0}});
    CHECK(event_of<ConversationRead>(read) == ConversationRead{message, {0}, true, reply});
    CHECK(scenario.when(MarkRead{message, {0}}).status == OutcomeStatus::unchanged);
    // Posting reads too.
    scenario.as(partner_actor("p0")).given(PostReply{message, {0}, "Three"});
    scenario.as(kOwner).given(PostReply{message, {0}, "Answer"});
    CHECK(scenario.message(message).conversations.at(0).unread_replies() == 0);
    CHECK(scenario.when(MarkRead{message, {0}}).status == OutcomeStatus::unchanged);
}
