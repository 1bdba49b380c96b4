// AdjustMetrics, RecordCustomer, RecordTransaction.
#include <limits>

#include "core/limits.h"
#include "tests/core/scenario.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

AdjustMetrics add(const std::string& partner) {
    AdjustMetrics out;
    out.partner = PartnerId{partner};
    return out;
}

AdjustMetrics set_clicks(const std::string& partner, std::uint64_t clicks, SourceStamp stamp) {
    AdjustMetrics out = add(partner);
    out.mode = AdjustMetrics::Mode::set;
    out.set.clicks = clicks;
    out.stamp = stamp;
    return out;
}

RecordCustomer customer(const std::string& key, const std::string& partner, std::int64_t at,
                        bool deleted = false) {
    return {key, PartnerId{partner}, deleted, at_stamp(at)};
}

RecordTransaction sale(const std::string& key, const std::string& partner, std::int64_t at,
                       std::int64_t amount = 10, const std::string& payer = "c") {
    return {key, PartnerId{partner}, payer, {{"USD", amount}}, {{"USD", 1}}, false, at_stamp(at)};
}

RecordTransaction refund(const std::string& key, const std::string& partner, std::int64_t at,
                         std::int64_t amount = 10) {
    RecordTransaction out = sale(key, partner, at, amount);
    out.deleted = true;
    return out;
}

Metrics sold(std::uint64_t sales, std::uint64_t paid, std::int64_t revenue,
             std::int64_t commission) {
    return {0, 0, sales, paid, {{"USD", revenue}}, {{"USD", commission}}};
}

}  // namespace

TEST_CASE("adding metrics stops at zero for counters, not for money") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    AdjustMetrics more = add("p0");
    more.clicks = 5;
    more.revenue = {{"USD", 3}};
    scenario.given(more);
    AdjustMetrics less = add("p0");
    less.clicks = -7;
    less.signups = std::numeric_limits<std::int64_t>::min();
    less.revenue = {{"USD", -10}};
    less.commission = {{"EUR", 0}};
    scenario.given(less);
    CHECK(scenario.partner("p0").metrics == Metrics{0, 0, 0, 0, {{"USD", -7}}, {{"EUR", 0}}});
    CHECK(scenario.when(add("p0")).status == OutcomeStatus::unchanged);
}

TEST_CASE("a sum out of range is refused whole") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    AdjustMetrics much = add("p0");
    much.clicks = static_cast<std::int64_t>(limits::kCounterMax);
    much.revenue = {{"USD", std::numeric_limits<std::int64_t>::max()}};
    scenario.given(much);
    AdjustMetrics click = add("p0");
    click.clicks = 1;
    CHECK(refusal_of(scenario.when(click)) == "invalid");
    AdjustMetrics cent = add("p0");
    cent.sales = 1;
    cent.revenue = {{"USD", 1}};
    CHECK(refusal_of(scenario.when(cent)) == "invalid");
    CHECK(refusal_of(scenario.when(sale("t", "p0", 1))) == "invalid");
    CHECK(scenario.partner("p0").metrics.sales == 0);
}

TEST_CASE("an older or equal set is ignored") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    scenario.given(set_clicks("p0", 7, at_stamp(10)));
    CHECK(scenario.when(set_clicks("p0", 8, at_stamp(9))).status == OutcomeStatus::unchanged);
    CHECK(scenario.when(set_clicks("p0", 8, at_stamp(10))).status == OutcomeStatus::unchanged);
    scenario.given(set_clicks("p0", 8, at_stamp(11)));
    CHECK(scenario.partner("p0").metrics.clicks == 8);
    // Not ordered against the profile.
    CHECK(scenario.partner("p0").profile_stamp == SourceStamp{});
}

TEST_CASE("metrics of a partner not yet known are held and given to it at first sight") {
    Scenario scenario(Plan::starter);
    AdjustMetrics clicks = add("late");
    clicks.clicks = 4;
    scenario.given(clicks);
    scenario.given(sale("t1", "late", 5));
    scenario.given(customer("c", "late", 5));
    CHECK_FALSE(scenario.knows("late"));
    const Outcome seen = scenario.when(UpsertPartners{{patch("late")}});
    CHECK(seen.created == 1);
    CHECK(scenario.partner("late").metrics == Metrics{4, 1, 1, 1, {{"USD", 10}}, {{"USD", 1}}});
    CHECK(scenario.program().held.empty());
    // And can be taken back from it.
    scenario.given(refund("t1", "late", 6));
    CHECK(scenario.partner("late").metrics == Metrics{4, 1, 0, 0, {{"USD", 0}}, {{"USD", 0}}});
}

TEST_CASE("a held set keeps its stamp") {
    Scenario scenario(Plan::starter);
    scenario.given(set_clicks("late", 7, at_stamp(10)));
    scenario.given(UpsertPartners{{patch("late")}});
    CHECK(scenario.when(set_clicks("late", 8, at_stamp(9))).status == OutcomeStatus::unchanged);
    CHECK(scenario.partner("late").metrics.clicks == 7);
}

TEST_CASE("a customer counts once, moves, and goes for good") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(2);
    const auto signups = [&scenario](const char* id) {
        return scenario.partner(id).metrics.signups;
    };
    scenario.given(customer("c", "p0", 5));
    CHECK(scenario.when(customer("c", "p0", 5)).status == OutcomeStatus::unchanged);
    CHECK(scenario.when(customer("c", "p1", 4)).status == OutcomeStatus::unchanged);
    CHECK(signups("p0") == 1);
    scenario.given(customer("c", "p1", 6));
    CHECK(signups("p0") == 0);
    CHECK(signups("p1") == 1);
    scenario.given(customer("c", "p1", 2, true));  // deleted, as an old delivery says
    CHECK(signups("p1") == 0);
    scenario.given(customer("c", "p0", 9));  // moves, still deleted
    CHECK(signups("p0") == 0);
    CHECK(scenario.program().customers.at("c").deleted);
}

TEST_CASE("a new version of what was counted does not count again after somebody's reset") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    scenario.given(customer("c", "p0", 5));
    scenario.given(sale("t1", "p0", 5));
    CHECK(scenario.partner("p0").metrics == [] {
        Metrics all = sold(1, 1, 10, 1);
        all.signups = 1;
        return all;
    }());
    PartnerPatch reset = patch("p0");
    reset.metrics.signups = reset.metrics.sales = reset.metrics.paid_accounts = 0;
    scenario.given(UpsertPartners{{reset}});
    scenario.given(customer("c", "p0", 6));
    scenario.given(sale("t1", "p0", 6));
    CHECK(scenario.partner("p0").metrics.signups == 0);
    CHECK(scenario.partner("p0").metrics.sales == 0);
    CHECK(scenario.partner("p0").metrics.paid_accounts == 0);
}

TEST_CASE("a customer that names no partner hides none") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    CHECK(scenario.when(customer("c", "", 9)).status == OutcomeStatus::unchanged);
    scenario.given(customer("c", "p0", 5));
    CHECK(scenario.partner("p0").metrics.signups == 1);
    CHECK(scenario.when(customer("c", "", 10)).status == OutcomeStatus::unchanged);
    scenario.given(customer("c", "", 3, true));
    CHECK(scenario.partner("p0").metrics.signups == 0);
}

TEST_CASE("a transaction counts once and is taken back once") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    scenario.given(sale("t1", "p0", 5));
    CHECK(scenario.when(sale("t1", "p0", 5)).status == OutcomeStatus::unchanged);
    CHECK(scenario.partner("p0").metrics == sold(1, 1, 10, 1));
    scenario.given(sale("t2", "p0", 6, 30));
    CHECK(scenario.partner("p0").metrics == sold(2, 1, 40, 2));  // the same customer
    scenario.given(refund("t1", "p0", 7));
    CHECK(scenario.when(refund("t1", "p0", 7)).status == OutcomeStatus::unchanged);
    CHECK(scenario.partner("p0").metrics == sold(1, 1, 30, 1));
    scenario.given(refund("t2", "p0", 8));
    CHECK(scenario.partner("p0").metrics == sold(0, 0, 0, 0));
    CHECK(scenario.program().payers.empty());
}

TEST_CASE("a refund before its sale cancels it and leaves the currency") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    scenario.given(refund("t", "p0", 9));
    CHECK(scenario.partner("p0").metrics == sold(0, 0, 0, 0));
    scenario.when(sale("t", "p0", 5));
    CHECK(scenario.partner("p0").metrics == sold(0, 0, 0, 0));
    scenario.when(sale("t", "p0", 12));
    CHECK(scenario.partner("p0").metrics == sold(0, 0, 0, 0));
}

TEST_CASE("the newest version of a transaction counts") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(2);
    scenario.given(sale("t", "p0", 7, 70));
    scenario.when(sale("t", "p0", 5, 50));
    CHECK(scenario.partner("p0").metrics == sold(1, 1, 70, 1));
    RecordTransaction euros = sale("t", "p1", 8);
    euros.revenue = {{"EUR", 8}};
    euros.customer = "d";
    scenario.given(euros);
    CHECK(scenario.partner("p0").metrics == sold(0, 0, 0, 0));
    CHECK(scenario.partner("p1").metrics == Metrics{0, 0, 1, 1, {{"EUR", 8}}, {{"USD", 1}}});
    // A late, older version does not win, but its currency was seen.
    RecordTransaction old = sale("t", "p1", 2);
    old.revenue = {{"GBP", 2}};
    scenario.given(old);
    CHECK(scenario.partner("p1").metrics.revenue == Money{{"EUR", 8}, {"GBP", 0}});
    CHECK(scenario.when(old).status == OutcomeStatus::unchanged);
}

TEST_CASE("a transaction without a customer pays no account") {
    Scenario scenario(Plan::starter);
    scenario.given_partners(1);
    scenario.given(sale("t", "p0", 1, 10, ""));
    CHECK(scenario.partner("p0").metrics == sold(1, 0, 10, 1));
}
