// UpsertPartners: first sight, patches, stamps, rejections.
#include "core/limits.h"
#include "tests/core/scenario.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

UpsertPartners one_patch(PartnerPatch patch) {
    UpsertPartners out;
    out.partners.push_back(std::move(patch));
    return out;
}

UpsertPartners put(PartnerPatch patch) {
    UpsertPartners out = one_patch(std::move(patch));
    out.revive = true;
    return out;
}

/// As upstream deliveries come.
UpsertPartners delivery(PartnerPatch patch, SourceStamp stamp) {
    patch.stamp = stamp;
    UpsertPartners out = put(std::move(patch));
    out.hold_unknown = true;
    return out;
}

PartnerPatch only_status(const std::string& id, PartnerStatus status) {
    PartnerPatch out;
    out.id = PartnerId{id};
    out.status = status;
    return out;
}

}  // namespace

TEST_CASE("first sight takes the defaults") {
    Scenario scenario(Plan::starter);
    const Outcome outcome = scenario.at(7'000).when(one_patch(patch("a")));
    CHECK(outcome.created == 1);
    PartnerState expected;
    expected.id = PartnerId{"a"};
    expected.email = "a@example.com";
    expected.joined_at = Timestamp{7'000};
    CHECK(event_of<PartnersChanged>(outcome).partners == std::vector{expected});
}

TEST_CASE("first sight needs an email") {
    Scenario scenario(Plan::starter);
    CHECK(refusal_of(scenario.when(one_patch(only_status("a", PartnerStatus::active)))) ==
          "invalid /email");
    UpsertPartners many = one_patch(patch("a"));
    many.partners.push_back(only_status("b", PartnerStatus::active));
    many.partners.push_back(patch("c"));
    const Outcome outcome = scenario.when(many);
    CHECK(outcome.created == 2);
    CHECK(outcome.rejected == std::vector{Rejected{1, {}, ErrorCode::invalid}});
    CHECK_FALSE(scenario.knows("b"));
    CHECK(scenario.partner("c").ordinal == PartnerOrdinal{1});
}

TEST_CASE("PATCH and DELETE need the partner") {
    Scenario scenario(Plan::starter);
    UpsertPartners patch_it = one_patch(patch("a"));
    patch_it.must_exist = true;
    CHECK(refusal_of(scenario.when(patch_it)) == "not_found");
    patch_it.partners.push_back(patch("b"));
    const Outcome outcome = scenario.when(patch_it);
    CHECK(outcome.status == OutcomeStatus::unchanged);
    CHECK(outcome.rejected == std::vector{Rejected{0, {}, ErrorCode::not_found},
                                          Rejected{1, {}, ErrorCode::not_found}});
}

TEST_CASE("members left out keep their value") {
    Scenario scenario(Plan::starter);
    PartnerPatch full = patch("a");
    full.name = "Ada";
    full.surname = "Lovelace";
    full.tags = std::vector<std::string>{"math", "premium"};
    full.joined_at = Timestamp{5};
    full.metrics.clicks = 3;
    full.metrics.revenue["USD"] = 5'000'000;
    scenario.given(one_patch(full));
    const PartnerState before = scenario.partner("a");

    PartnerPatch change;
    change.id = PartnerId{"a"};
    change.surname = "King";
    change.metrics.revenue["EUR"] = 1;
    const Outcome outcome = scenario.when(one_patch(change));
    CHECK(outcome.updated == 1);
    PartnerState expected = before;
    expected.surname = "King";
    expected.metrics.revenue["EUR"] = 1;
    CHECK(scenario.partner("a") == expected);

    const Outcome same = scenario.when(one_patch(change));
    CHECK(same.status == OutcomeStatus::unchanged);
    CHECK(same.unchanged == 1);
}

TEST_CASE("clearing metrics keeps the currencies") {
    Scenario scenario(Plan::starter);
    PartnerPatch full = patch("a");
    full.metrics.clicks = 3;
    full.metrics.revenue = {{"EUR", 4}, {"USD", 5}};
    full.metrics.commission = {{"USD", 6}};
    scenario.given(one_patch(full));

    PartnerPatch clear;
    clear.id = PartnerId{"a"};
    clear.clear_revenue = true;
    clear.metrics.revenue = {{"USD", 1}};
    scenario.given(one_patch(clear));
    CHECK(scenario.partner("a").metrics ==
          Metrics{3, 0, 0, 0, {{"EUR", 0}, {"USD", 1}}, {{"USD", 6}}});

    PartnerPatch all;
    all.id = PartnerId{"a"};
    all.clear_metrics = true;
    all.metrics.sales = 2;
    scenario.given(one_patch(all));
    CHECK(scenario.partner("a").metrics ==
          Metrics{0, 0, 2, 0, {{"EUR", 0}, {"USD", 0}}, {{"USD", 0}}});
}

TEST_CASE("PUT revives a deleted partner, PATCH does not") {
    Scenario scenario(Plan::starter);
    scenario.given(put(patch("a")));
    UpsertPartners remove = one_patch(only_status("a", PartnerStatus::deleted));
    remove.must_exist = true;
    scenario.given(remove);
    CHECK(scenario.when(remove).status == OutcomeStatus::unchanged);

    UpsertPartners patch_it = one_patch(patch("a"));
    patch_it.must_exist = true;
    scenario.when(patch_it);
    CHECK(scenario.partner("a").status == PartnerStatus::deleted);
    scenario.given(put(patch("a")));
    CHECK(scenario.partner("a").status == PartnerStatus::active);
    CHECK(scenario.partner("a").ordinal == PartnerOrdinal{0});

    // Only deleted ones: another status stays, and a status given wins.
    scenario.given(one_patch(only_status("a", PartnerStatus::archived)));
    CHECK(scenario.when(put(patch("a"))).status == OutcomeStatus::unchanged);
    scenario.given(one_patch(only_status("a", PartnerStatus::deleted)));
    PartnerPatch pending = patch("a");
    pending.status = PartnerStatus::pending;
    scenario.given(put(pending));
    CHECK(scenario.partner("a").status == PartnerStatus::pending);
}

TEST_CASE("patches of one command see each other") {
    Scenario scenario(Plan::starter);
    scenario.given(one_patch(patch("old")));
    UpsertPartners many;
    many.partners = {patch("a"), patch("b"), patch("a"), patch("old")};
    many.partners[2].name = "Ada";
    many.partners[3].name = "Older";
    many.partners.push_back(many.partners[3]);
    const Outcome outcome = scenario.when(many);
    CHECK(outcome.created == 2);
    CHECK(outcome.updated == 2);
    CHECK(outcome.unchanged == 1);
    const auto& changed = event_of<PartnersChanged>(outcome).partners;
    REQUIRE(changed.size() == 3);
    CHECK(changed[0].name == "Older");
    CHECK(changed[1].name == "Ada");
    CHECK(changed[1].ordinal == PartnerOrdinal{1});
    CHECK(changed[2].ordinal == PartnerOrdinal{2});
}

TEST_CASE("a change and its reversal in one command is no change") {
    Scenario scenario(Plan::starter);
    scenario.given(one_patch(patch("a")));
    UpsertPartners many;
    many.partners = {only_status("a", PartnerStatus::archived),
                     only_status("a", PartnerStatus::active)};
    CHECK(scenario.when(many).status == OutcomeStatus::unchanged);
}

TEST_CASE("an older or equal upstream fact is ignored") {
    Scenario scenario(Plan::starter);
    PartnerPatch named = patch("a");
    named.name = "Newest";
    scenario.given(delivery(named, at_stamp(10, 5)));
    for (const SourceStamp stamp : {at_stamp(9, 9), at_stamp(10, 4), at_stamp(10, 5)}) {
        named.name = "Old";
        named.metrics.clicks = 100;
        const Outcome outcome = scenario.when(delivery(named, stamp));
        CHECK(outcome.status == OutcomeStatus::unchanged);
        CHECK(outcome.unchanged == 1);
    }
    named.name = "Newer";
    scenario.given(delivery(named, at_stamp(10, 6)));
    CHECK(scenario.partner("a").name == "Newer");
    CHECK(scenario.partner("a").profile_stamp == at_stamp(10, 6));

    // The same again but later: nothing to see, yet what lies in between is ignored from now on.
    const Outcome later = scenario.when(delivery(named, at_stamp(20)));
    CHECK(later.unchanged == 1);
    CHECK(later.status == OutcomeStatus::applied);
    named.name = "Between";
    CHECK(scenario.when(delivery(named, at_stamp(15))).status == OutcomeStatus::unchanged);

    // Our own API is not ordered against upstream, and leaves its stamp alone.
    scenario.given(put(named));
    CHECK(scenario.partner("a").name == "Between");
    CHECK(scenario.partner("a").profile_stamp == at_stamp(20));
}

TEST_CASE("a delete that arrives first is held until the partner is seen") {
    Scenario scenario(Plan::starter);
    const auto gone = only_status("a", PartnerStatus::deleted);
    const Outcome held = scenario.when(delivery(gone, at_stamp(5)));
    CHECK(held.status == OutcomeStatus::applied);
    CHECK(held.unchanged == 1);
    CHECK_FALSE(scenario.knows("a"));
    CHECK(scenario.when(delivery(gone, at_stamp(4))).status == OutcomeStatus::unchanged);

    SECTION("created before: deleted at once") {
        scenario.given(delivery(patch("a"), at_stamp(3)));
        CHECK(scenario.partner("a").status == PartnerStatus::deleted);
        CHECK(scenario.partner("a").profile_stamp == at_stamp(5));
        CHECK(scenario.program().held.empty());
    }
    SECTION("created after: the delete is history") {
        scenario.given(delivery(patch("a"), at_stamp(6)));
        CHECK(scenario.partner("a").status == PartnerStatus::active);
        CHECK(scenario.partner("a").profile_stamp == at_stamp(6));
    }
    SECTION("created through our API: active, but older upstream facts stay ignored") {
        scenario.given(put(patch("a")));
        CHECK(scenario.partner("a").status == PartnerStatus::active);
        CHECK(scenario.when(delivery(patch("a"), at_stamp(4))).status == OutcomeStatus::unchanged);
    }
    SECTION("within one command") {
        UpsertPartners both = delivery(only_status("b", PartnerStatus::deleted), at_stamp(9));
        both.partners.push_back(patch("b"));
        both.partners.back().stamp = at_stamp(8);
        const Outcome outcome = scenario.when(both);
        CHECK(outcome.events.size() == 1);
        CHECK(scenario.partner("b").status == PartnerStatus::deleted);
    }
}

TEST_CASE("without a stamp or an order to hold it, an unknown delete is rejected") {
    Scenario scenario(Plan::starter);
    const auto gone = only_status("a", PartnerStatus::deleted);
    CHECK(refusal_of(scenario.when(put(gone))) == "invalid /email");
}

TEST_CASE("out of range is refused, alone") {
    Scenario scenario(Plan::starter);
    PartnerPatch bad = patch("a");
    bad.metrics.clicks = limits::kCounterMax + 1;
    CHECK(refusal_of(scenario.when(one_patch(bad))) == "invalid /metrics");
    bad.metrics.clicks = limits::kCounterMax;
    scenario.given(one_patch(bad));
    PartnerPatch rich = patch("a");
    for (std::size_t i = 0; i <= limits::kCurrencies; ++i) {
        rich.metrics.revenue["C" + std::to_string(i)] = 1;
    }
    CHECK(refusal_of(scenario.when(one_patch(rich))) == "invalid /metrics");
}

TEST_CASE("a command whose after-states would not fit a commit rejects the rest of its patches") {
    Scenario scenario(Plan::starter);
    PartnerPatch heavy;
    heavy.tags.emplace();
    for (std::size_t i = 0; i < limits::kTagsPerPartner; ++i) {
        heavy.tags->push_back(std::string(4 * limits::kTagCharacters, 'x') + std::to_string(i));
    }
    UpsertPartners many;
    const std::size_t count = limits::kUpsertEventBytes / 40'000;
    for (std::size_t i = 0; i < count; ++i) {
        many.partners.push_back(patch("p" + std::to_string(i)));
        many.partners.back().tags = heavy.tags;
    }
    const Outcome outcome = scenario.when(many);
    CHECK(outcome.created + outcome.rejected.size() == count);
    REQUIRE_FALSE(outcome.rejected.empty());
    CHECK(outcome.rejected.front().code == ErrorCode::payload_too_large);
    CHECK(outcome.created > count / 2);
}
