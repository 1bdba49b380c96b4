// ErasePartner: the texts go, the numbers stay, and who is erased is seen again only like a new
// one.
#include "tests/core/scenario.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

UpsertPartners one(PartnerPatch patch, bool revive = false, bool must_exist = false) {
    UpsertPartners out;
    out.partners.push_back(std::move(patch));
    out.revive = revive;
    out.must_exist = must_exist;
    return out;
}

/// p0 and p1; p0 has a name, numbers, and a conversation about the message that is returned.
EventNumber life(Scenario& scenario) {
    scenario.given_partners(2);
    PartnerPatch named;
    named.id = {"p0"};
    named.name = "Grace";
    named.surname = "Hopper";
    named.tags = {"premium"};
    named.metrics.clicks = 12;
    scenario.given(one(named));
    const EventNumber message = scenario.given_message();
    scenario.as({Role::partner, "p0", "Grace Hopper"}).given(PostReply{message, {0}, "secret"});
    scenario.as(kOwner).given(PostReply{message, {0}, "you said secret"});
    scenario.as({Role::partner, "p1", "Alan"}).given(PostReply{message, {1}, "mine"});
    scenario.as(kPlatform);
    return message;
}

}  // namespace

TEST_CASE("erasing takes the texts and leaves the numbers") {
    Scenario scenario(Plan::partner);
    const EventNumber message = life(scenario);
    const PartnerState before = scenario.partner("p0");
    const Outcome outcome = scenario.when(ErasePartner{{"p0"}});
    REQUIRE(outcome.status == OutcomeStatus::applied);
    PartnerState expected = before;
    expected.email = expected.name = expected.surname = "";
    expected.erased = true;
    expected.status = PartnerStatus::deleted;
    CHECK(event_of<PartnersChanged>(outcome, 0).partners == std::vector{expected});
    CHECK(event_of<PartnerErased>(outcome, 1) == PartnerErased{{0}});
    CHECK(scenario.partner("p0") == expected);
    const auto& posts = scenario.message(message).conversations.at(0).posts;
    REQUIRE(posts.size() == 2);
    CHECK(posts[0].body.empty());
    CHECK(posts[0].author == Actor{Role::partner, {}, {}});
    CHECK(posts[1].body.empty());
    CHECK(posts[1].author == kOwner);
    CHECK(scenario.message(message).conversations.at(1).posts[0].body == "mine");
    CHECK(scenario.when(ErasePartner{{"p0"}}).status == OutcomeStatus::unchanged);
    CHECK(refusal_of(scenario.when(ErasePartner{{"nobody"}})) == "not_found");
}

TEST_CASE("an erased partner takes no posts, from nobody") {
    Scenario scenario(Plan::partner);
    const EventNumber message = life(scenario);
    scenario.given(ErasePartner{{"p0"}});
    scenario.as(kOwner);
    CHECK(refusal_of(scenario.when(PostReply{message, {0}, "?"})) == "not_found");
    scenario.as({Role::partner, "p0", "Grace"});
    CHECK(refusal_of(scenario.when(PostReply{message, {0}, "?"})) == "not_found");
    CHECK(scenario.when(PostReply{message, {1}, "!"}).status == OutcomeStatus::applied);
}

TEST_CASE("whoever is erased is seen again only with an email") {
    Scenario scenario(Plan::partner);
    life(scenario);
    scenario.given(ErasePartner{{"p0"}});
    PartnerPatch named;
    named.id = {"p0"};
    named.name = "Grace";
    for (const bool revive : {false, true}) {
        CHECK(refusal_of(scenario.when(one(named, revive))) == "invalid /email");
    }
    PartnerPatch active;
    active.id = {"p0"};
    active.status = PartnerStatus::active;
    CHECK(refusal_of(scenario.when(one(active, false, true))) == "invalid /email");
    PartnerPatch counted;
    counted.id = {"p0"};
    counted.metrics.clicks = 13;
    CHECK(refusal_of(scenario.when(one(counted, true))) == "invalid /email");
    CHECK(scenario.when(one(counted, false, true)).updated == 1);  // numbers are no person
    PartnerPatch gone;
    gone.id = {"p0"};
    gone.status = PartnerStatus::deleted;
    CHECK(scenario.when(one(gone, true)).unchanged == 1);
    CHECK(scenario.partner("p0").erased);

    named.email = "new@example.com";
    scenario.given(one(named, true));
    const PartnerState& back = scenario.partner("p0");
    CHECK_FALSE(back.erased);
    CHECK(back.ordinal == PartnerOrdinal{0});
    CHECK(back.status == PartnerStatus::active);
    CHECK(back.metrics.clicks == 13);
    CHECK(back.surname.empty());
    CHECK(scenario.when(ErasePartner{{"p0"}}).status == OutcomeStatus::applied);
}

TEST_CASE("an upstream fact from before the erasure brings nothing back") {
    Scenario scenario(Plan::partner);
    PartnerPatch patch;
    patch.id = {"p0"};
    patch.email = "grace@example.com";
    patch.stamp = at_stamp(10);
    scenario.given(one(patch, true));
    scenario.given(ErasePartner{{"p0"}});
    patch.stamp = at_stamp(9);
    CHECK(scenario.when(one(patch, true)).status == OutcomeStatus::unchanged);
    CHECK(scenario.partner("p0").erased);
    patch.stamp = at_stamp(11);
    scenario.given(one(patch, true));
    CHECK(scenario.partner("p0").email == "grace@example.com");
}

TEST_CASE("sealed texts are compared as they are stored") {
    Scenario scenario(Plan::partner);
    PartnerPatch patch;
    patch.id = {"p0"};
    patch.email =
        "\xff"
        "first sealed bytes";
    CHECK(scenario.when(one(patch, true)).created == 1);
    CHECK(scenario.when(one(patch, true)).unchanged == 1);
    patch.email =
        "\xff"
        "other sealed bytes";
    CHECK(scenario.when(one(patch, true)).updated == 1);
}

namespace {

/// As if sealed under a key of that epoch.
PersonalText sealed(std::uint16_t epoch, const std::string& text) {
    std::string out = "\xfflocr";
    out += static_cast<char>(epoch);
    out += static_cast<char>(epoch >> 8);
    return out + "id" + "sixteen bytes tag" + text;
}

UpsertPartners with_name(std::uint16_t epoch, const std::string& name, bool email = true) {
    PartnerPatch patch;
    patch.id = {"p0"};
    if (email) patch.email = sealed(epoch, "mail");
    patch.name = sealed(epoch, name);
    return one(patch);
}

}  // namespace

TEST_CASE("what is sealed under a key that an erasure destroys is refused behind it") {
    Scenario scenario(Plan::partner);
    const EventNumber message = life(scenario);
    const std::uint16_t epoch = GENERATE(std::uint16_t{1}, std::uint16_t{300});
    scenario.given(with_name(0, "Grace"));
    REQUIRE(scenario.when(ErasePartner{{"p0"}, epoch}).status == OutcomeStatus::applied);
    CHECK(scenario.partner("p0").key_epoch == epoch);
    const auto stale = static_cast<std::uint16_t>(epoch - 1);
    const Outcome refused = scenario.when(with_name(stale, "late"));
    CHECK(refusal_of(refused) == "not_found");
    CHECK(refused.refusal->detail == "this partner was erased");
    CHECK(scenario.partner("p0").erased);
    UpsertPartners many = with_name(stale, "late");
    many.partners.push_back(with_name(stale, "fine").partners.front());
    many.partners.back().id = {"p1"};
    const Outcome some = scenario.when(many);
    REQUIRE(some.rejected.size() == 1);
    CHECK(some.rejected.front() == Rejected{0, {}, ErrorCode::not_found});
    CHECK(scenario.partner("p1").name == sealed(stale, "fine"));

    scenario.given(with_name(epoch, "new"));
    CHECK_FALSE(scenario.partner("p0").erased);
    CHECK(scenario.partner("p0").name == sealed(epoch, "new"));
    CHECK(refusal_of(scenario.when(with_name(stale, "late"))) == "not_found");
    scenario.as({Role::partner, "p0", "Grace Hopper"});
    CHECK(refusal_of(scenario.when(PostReply{message, {0}, sealed(stale, "late")})) == "not_found");
    CHECK(scenario.when(PostReply{message, {0}, sealed(epoch, "new")}).status ==
          OutcomeStatus::applied);
}

TEST_CASE("two erasures at once: the later one never spares what it would not destroy") {
    Scenario scenario(Plan::partner);
    life(scenario);
    scenario.given(with_name(0, "Grace"));
    scenario.given(ErasePartner{{"p0"}, 1});
    SECTION("of the same epoch: there is nothing left to erase") {
        CHECK(scenario.when(ErasePartner{{"p0"}, 1}).status == OutcomeStatus::unchanged);
    }
    SECTION("of the same epoch, and the partner was seen again") {
        scenario.given(with_name(1, "new"));
        CHECK(refusal_of(scenario.when(ErasePartner{{"p0"}, 1})) == "overloaded");
        CHECK(scenario.partner("p0").name == sealed(1, "new"));
    }
    SECTION("of the next epoch: keys of the one before take no more texts") {
        const Outcome outcome = scenario.when(ErasePartner{{"p0"}, 2});
        CHECK(outcome.events.size() == 1);  // the partner's state alone
        CHECK(scenario.partner("p0").key_epoch == 2);
        CHECK(refusal_of(scenario.when(with_name(1, "late"))) == "not_found");
    }
    SECTION("of the next epoch, and the partner was seen again") {
        scenario.given(with_name(1, "new"));
        const Outcome outcome = scenario.when(ErasePartner{{"p0"}, 2});
        CHECK(outcome.events.size() == 2);
        CHECK(scenario.partner("p0").erased);
    }
}
