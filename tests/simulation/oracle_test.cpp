// The oracle itself, rule by rule, with outcomes made by hand: right ones are accepted, wrong ones
// are told.
#include "core/limits.h"
#include "tests/simulation/oracle_story.h"

namespace tidings::simulation {

using namespace stories;

TEST_CASE("oracle: programs") {
    Story story;
    story.exactly(to_all(), refused(ErrorCode::not_found))
        .exactly(UpsertProgram{}, applied())
        .exactly(UpsertProgram{}, unchanged())
        .exactly(UpsertProgram{"", Plan::advanced}, applied())
        .exactly(SetWebhookSecret{"x"}, applied())
        .exactly(SetWebhookSecret{"x"}, applied());
    CHECK(story.program().plan == Plan::advanced);
    CHECK(story.program().webhook_secret == "x");
}

TEST_CASE("oracle: log time never goes back, and only events move it") {
    Story story;
    story.at(-5).right(UpsertProgram{"Acme", Plan::partner}, applied());
    story.at(5'000).right(one(patch("p0")), applied().with(&Said::created, 1));
    story.at(4'000).right(one(patch("p1")), applied().with(&Said::created, 1));
    CHECK(story.partner(1).joined_at == Timestamp{5'000});
    story.at(9'000).right(MarkRead{}, refused(ErrorCode::not_found));
    CHECK(story.program().log_time == Timestamp{5'000});
}

TEST_CASE("oracle: remembered ids") {
    Story story(2);
    story.key(1, 1).right(to_all(), sent(3, {0, 1}));
    story.key(1, 1).wrong(to_all(), sent(4, {0, 1}));
    story.key(1, 1).exactly(to_all(), replayed(3));
    story.key(1, 2).exactly(to_all(), refused(ErrorCode::idempotency_key_reused));
    story.right(UpsertProgram{"Acme", Plan::starter}, applied());
    story.key(1, 1).right(to_all(), replayed(3));
    story.key(2, 1).right(to_all(), refused(ErrorCode::plan_required));  // not remembered
    story.key(2, 2).right(SetWebhookSecret{"x"}, applied());
    // Without a key the same id is decided anew; what changed nothing is remembered all the same.
    story.right(SetWebhookSecret{"x"}, applied());
    story.key(3, 1).right(UpsertProgram{"Acme", Plan::starter}, unchanged());
    story.right(UpsertProgram{"Acme", Plan::partner}, applied());
    story.key(3, 1).exactly(UpsertProgram{"Acme", Plan::starter}, replayed(0));
}

TEST_CASE("oracle: partners") {
    Story story(0);
    story.exactly(one(patch("a")), applied().with(&Said::created, 1))
        .exactly(one(patch("a")), unchanged().with(&Said::unchanged, 1))
        .exactly(one(only_status("b", PartnerStatus::active)),
                 refused_part({0, {}, ErrorCode::invalid}, ErrorCode::invalid, "/email"))
        .exactly(UpsertPartners{{patch("b")}, true},
                 refused_part({0, {}, ErrorCode::not_found}, ErrorCode::not_found));
    PartnerPatch named = patch("a");
    named.name = "Ada";
    named.metrics.revenue = {{"USD", 5}};
    story.exactly(UpsertPartners{{named, only_status("b", PartnerStatus::active), patch("c")}},
                  applied()
                      .with(&Said::created, 1)
                      .with(&Said::updated, 1)
                      .rejecting({{1, {}, ErrorCode::invalid}}));
    PartnerPatch clear = only_status("a", PartnerStatus::deleted);
    clear.clear_metrics = true;
    story.exactly(one(clear), applied().with(&Said::updated, 1));
    CHECK(story.partner(0).name == "Ada");
    CHECK(story.partner(0).metrics.revenue == Money{{"USD", 0}});
    story.exactly(one(patch("a")), unchanged().with(&Said::unchanged, 1))
        .exactly(one(patch("a"), true), applied().with(&Said::updated, 1));
    CHECK(story.partner(0).status == PartnerStatus::active);
    // There and back again is two updates and no change.
    story.exactly(UpsertPartners{{only_status("a", PartnerStatus::archived),
                                  only_status("a", PartnerStatus::active)}},
                  unchanged().with(&Said::updated, 2));
    PartnerPatch much = patch("a");
    much.metrics.clicks = limits::kCounterMax + 1;
    story.exactly(one(much),
                  refused_part({0, {}, ErrorCode::invalid}, ErrorCode::invalid, "/metrics"));
}

TEST_CASE("oracle: stamps, and deletes that come first") {
    Story story(0);
    PartnerPatch named = patch("a");
    story.exactly(delivery(named, 10), applied().with(&Said::created, 1));
    named.name = "Older";
    story.exactly(delivery(named, 10), unchanged().with(&Said::unchanged, 1));
    story.exactly(delivery(patch("a"), 11), applied().with(&Said::unchanged, 1));
    CHECK(story.partner(0).profile_stamp == stamp(11));

    const PartnerPatch gone = only_status("b", PartnerStatus::deleted);
    story.exactly(delivery(gone, 5), applied().with(&Said::unchanged, 1))
        .exactly(delivery(gone, 4), unchanged().with(&Said::unchanged, 1))
        .exactly(delivery(patch("b"), 3), applied().with(&Said::created, 1));
    CHECK(story.partner(1).status == PartnerStatus::deleted);
    CHECK(story.partner(1).profile_stamp == stamp(5));
    story.right(delivery(only_status("c", PartnerStatus::deleted), 5),
                applied().with(&Said::unchanged, 1));
    story.right(delivery(patch("c"), 6), applied().with(&Said::created, 1));
    CHECK(story.partner(2).status == PartnerStatus::active);
    story.right(delivery(only_status("d", PartnerStatus::deleted), 5),
                applied().with(&Said::unchanged, 1));
    story.right(one(patch("d")), applied().with(&Said::created, 1));
    CHECK(story.partner(3).status == PartnerStatus::active);
    CHECK(story.partner(3).profile_stamp == stamp(5));
    CHECK(story.program().held.empty());
}

TEST_CASE("oracle: metrics added and set") {
    Story story(1);
    AdjustMetrics add;
    add.partner = {"p0"};
    story.exactly(add, unchanged());
    add.clicks = 5;
    add.revenue = {{"USD", -3}};
    story.exactly(add, applied());
    add.clicks = -9;
    story.exactly(add, applied());
    CHECK(story.partner(0).metrics == Metrics{0, 0, 0, 0, {{"USD", -6}}, {}});
    add.clicks = static_cast<std::int64_t>(limits::kCounterMax) + 1;
    story.exactly(add, refused(ErrorCode::invalid));

    AdjustMetrics set;
    set.partner = {"late"};
    set.mode = AdjustMetrics::Mode::set;
    set.set.sales = 7;
    set.stamp = stamp(5);
    story.exactly(set, applied()).exactly(set, unchanged());
    set.stamp = stamp(6);
    story.exactly(set, applied());
    story.right(one(patch("late")), applied().with(&Said::created, 1));
    CHECK(story.partner(1).metrics.sales == 7);
    CHECK(story.partner(1).metrics_stamp == stamp(6));
}

TEST_CASE("oracle: customers") {
    Story story(2);
    story.exactly(RecordCustomer{"c", {}, false, stamp(9)}, unchanged())
        .exactly(RecordCustomer{"c", {"p0"}, false, stamp(5)}, applied())
        .exactly(RecordCustomer{"c", {"p1"}, false, stamp(4)}, unchanged());
    CHECK(story.partner(0).metrics.signups == 1);
    story.exactly(RecordCustomer{"c", {"p1"}, false, stamp(6)}, applied());
    CHECK(story.partner(0).metrics.signups == 0);
    CHECK(story.partner(1).metrics.signups == 1);
    story.exactly(RecordCustomer{"c", {}, true, stamp(1)}, applied())
        .exactly(RecordCustomer{"c", {"p0"}, false, stamp(7)}, applied());
    CHECK(story.partner(0).metrics.signups == 0);
    CHECK(story.partner(1).metrics.signups == 0);
}

TEST_CASE("oracle: transactions") {
    Story story(2);
    const auto sale = [](const std::string& key, const std::string& partner, std::int64_t at,
                         const std::string& currency = "USD", bool deleted = false) {
        return RecordTransaction{key, {partner}, "c", {{currency, 10}}, {}, deleted, stamp(at)};
    };
    story.exactly(sale("t", "p0", 5), applied()).exactly(sale("t", "p0", 5), unchanged());
    story.exactly(sale("u", "p0", 5), applied());
    CHECK(story.partner(0).metrics == Metrics{0, 0, 2, 1, {{"USD", 20}}, {}});
    story.exactly(sale("t", "p1", 6, "EUR"), applied());
    CHECK(story.partner(0).metrics == Metrics{0, 0, 1, 1, {{"USD", 10}}, {}});
    CHECK(story.partner(1).metrics == Metrics{0, 0, 1, 1, {{"EUR", 10}}, {}});
    // An older version does not count, but its currency was seen.
    story.exactly(sale("t", "p1", 4, "GBP"), applied());
    CHECK(story.partner(1).metrics.revenue == Money{{"EUR", 10}, {"GBP", 0}});
    story.exactly(sale("t", "p1", 7, "EUR", true), applied());
    CHECK(story.partner(1).metrics == Metrics{0, 0, 0, 0, {{"EUR", 0}, {"GBP", 0}}, {}});
    // A refund before its sale.
    story.exactly(sale("v", "p1", 9, "USD", true), applied());
    story.exactly(sale("v", "p1", 8, "USD"), unchanged());
    CHECK(story.partner(1).metrics.sales == 0);
}

TEST_CASE("oracle: sends") {
    Story story(3, Plan::starter);
    story.exactly(to_all(), refused(ErrorCode::plan_required));
    story.right(UpsertProgram{"Acme", Plan::partner}, applied());
    story.right(one(only_status("p1", PartnerStatus::archived)), applied().with(&Said::updated, 1));
    story.wrong(to_all(), sent(5, {0, 1, 2}))
        .wrong(to_all(), sent(4, {0, 2}))  // an old number
        .wrong(to_all(), applied(5))       // no MessageSent
        .exactly(to_all(), sent(5, {0, 2}));
    story.exactly(to({{"p2"}, {"p0"}, {"p2"}}), sent(6, {0, 2}))
        .exactly(to({{"p2"}, {"p1"}}), refused(ErrorCode::unknown_partner, "/audience/partners/1"))
        .exactly(to(std::vector<PartnerId>{}), refused(ErrorCode::audience_empty, "/audience"))
        .exactly(to(tagged("none")), refused(ErrorCode::audience_empty, "/audience"));
    SendMessage checked = to_all();
    checked.expect_digest = digest_of({{0}});
    story.exactly(checked, refused(ErrorCode::audience_changed, "/expect_digest"));
    checked.expect_digest = digest_of({{0}, {2}});
    story.exactly(checked, sent(7, {0, 2}));
}

TEST_CASE("oracle: filters") {
    Story story(0);
    story.right(SetWebhookSecret{"x"}, applied());
    UpsertPartners upsert;
    for (std::uint32_t i = 0; i < 4; ++i) {
        upsert.partners.push_back(patch("p" + std::to_string(i)));
        upsert.partners[i].metrics.clicks = 10 * i;
        upsert.partners[i].joined_at = Timestamp{100 * i};
    }
    upsert.partners[0].tags = std::vector<std::string>{"premium"};
    upsert.partners[3].metrics.revenue = {{"USD", -1}};
    story.right(upsert, applied().with(&Said::created, 4));
    story.right(to(tagged("premium")), sent(4, {0}));
    story.right(to(tree(Filter::Kind::negation, {tagged("premium")})), sent(5, {1, 2, 3}));
    story.right(to(tree(Filter::Kind::all, {})), sent(6, {0, 1, 2, 3}));
    story.right(to(counted(Metric::clicks, Comparison::less_equal, 10)), sent(7, {0, 1}));
    story.right(to(counted(Metric::revenue, Comparison::greater_equal, 0, "USD")),
                sent(8, {0, 1, 2}));
    Filter joined;
    joined.kind = Filter::Kind::joined_after;
    joined.joined = Timestamp{100};
    story.right(to(tree(Filter::Kind::any, {joined, tagged("premium")})), sent(9, {0, 2, 3}));
    SendMessage all_but = to(tree(Filter::Kind::all, {}));
    all_but.audience.exclude = {{"p1"}, {"nobody"}};
    story.right(all_but, sent(10, {0, 2, 3}));

    story.right(opens(9, {0, 2}), applied().with(&Said::first_opens, 2));
    story.right(to(engaged(Engagement::opened, 9)), sent(12, {0, 2}));
    story.right(to(engaged(Engagement::not_opened, 9)), sent(13, {3}));
    story.exactly(to(engaged(Engagement::replied, 9)),
                  refused(ErrorCode::audience_empty, "/audience"));
    const Filter no_message = engaged(Engagement::opened, 2);
    story.exactly(to(tree(Filter::Kind::any, {joined, tree(Filter::Kind::negation, {no_message})})),
                  refused(ErrorCode::invalid, "/audience/filter/any/1/not/message"));
    Filter deep = tagged("premium");
    for (std::size_t i = 0; i < limits::kFilterDepth; ++i) {
        deep = tree(Filter::Kind::negation, {deep});
    }
    story.right(to(deep), refused(ErrorCode::invalid, "/wherever"));
}

TEST_CASE("oracle: opens") {
    Story story(3);
    story.at(5'000).right(to({{"p0"}, {"p1"}}), sent(3, {0, 1}));
    story.at(9'000).exactly(opens(3, {2}), refused_part({2, {3}, ErrorCode::not_a_recipient},
                                                        ErrorCode::not_a_recipient));
    story.exactly(opens(4, {0}),
                  refused_part({0, {4}, ErrorCode::not_found}, ErrorCode::not_found));
    story.as(kPartner)
        .exactly(opens(3, {2}),
                 refused_part({2, {3}, ErrorCode::not_a_recipient}, ErrorCode::not_found))
        .as(kOwner);
    RecordOpens early = opens(3, {0, 2});
    early.groups[0].at = {Timestamp{1}, Timestamp{1}};
    story.exactly(
        early,
        applied().with(&Said::first_opens, 1).rejecting({{2, {3}, ErrorCode::not_a_recipient}}));
    CHECK(story.program().messages.at({3}).opened.at({0}) == Timestamp{5'000});
    story.exactly(opens(3, {0}), unchanged());
    RecordOpens late = opens(3, {1});
    late.groups[0].at = {Timestamp{99'000}};
    story.exactly(late, applied().with(&Said::first_opens, 1));
    CHECK(story.program().messages.at({3}).opened.at({1}) == Timestamp{9'000});
    story.exactly(RecordOpens{}, unchanged());
    RecordOpens twice = opens(3, {0});
    twice.groups.push_back(twice.groups[0]);
    story.right(twice, refused(ErrorCode::invalid, "/wherever"));
}

TEST_CASE("oracle: replies and read marks") {
    Story story(2);
    story.right(to_all(false), sent(3, {0, 1})).right(to({{"p0"}}), sent(4, {0}));
    const auto reply = [](std::uint64_t message, std::uint32_t partner) {
        return PostReply{{message}, {partner}, "Hi"};
    };
    story.as(kPartner)
        .exactly(reply(3, 0), refused(ErrorCode::replies_disabled))
        .exactly(reply(4, 1), refused(ErrorCode::not_found))
        .exactly(reply(9, 0), refused(ErrorCode::not_found))
        .wrong(reply(4, 0), applied(5, 2).with(&Said::first_opens, 1))  // the open's number
        .exactly(reply(4, 0), applied(6, 2).with(&Said::first_opens, 1))
        .exactly(reply(4, 0), applied(7));
    const Message& message = story.program().messages.at({4});
    CHECK(message.conversation({0}).unread_replies() == 2);
    CHECK_FALSE(message.unread({0}));

    story.as(kOwner)
        .exactly(MarkRead{{4}, {1}}, refused(ErrorCode::not_found))
        .exactly(MarkRead{{4}, {0}}, applied())
        .exactly(MarkRead{{4}, {0}}, unchanged())
        .exactly(reply(4, 0), applied(9))
        .exactly(reply(4, 0), applied(10));
    CHECK(story.program().messages.at({4}).unread({0}));
    story.as(kPartner)
        .exactly(opens(4, {0}, 3), refused(ErrorCode::invalid, "/up_to"))
        .exactly(opens(4, {0}, 9), applied())
        .exactly(opens(4, {0}, 9), unchanged());
    CHECK(story.program().messages.at({4}).unread({0}));
    story.exactly(opens(4, {0}), applied()).exactly(opens(4, {0}), unchanged());
    CHECK_FALSE(story.program().messages.at({4}).unread({0}));
    story.right(UpsertProgram{"Acme", Plan::starter}, applied());
    story.exactly(reply(3, 0), refused(ErrorCode::plan_required))
        .exactly(reply(4, 1), refused(ErrorCode::not_found));
}

TEST_CASE("oracle: copies are independent values") {
    Oracle oracle;
    const Oracle before = oracle;
    CHECK(oracle == before);
    Command command;
    command.program = kProgram;
    command.body = UpsertProgram{"Acme", Plan::partner};
    Outcome outcome;
    outcome.program = kProgram;
    outcome.status = OutcomeStatus::applied;
    outcome.first_event = {1};
    outcome.events.push_back(ProgramChanged{"Acme", Plan::partner});
    CHECK(oracle.apply(command, outcome) == "");
    CHECK_FALSE(oracle == before);
    CHECK(before.programs().empty());
    outcome.first_event = {1};  // again: numbers are not used twice
    command.body = SetWebhookSecret{"x"};
    CHECK(oracle.apply(command, outcome).find("first event") != std::string::npos);
}

}  // namespace tidings::simulation
