// What version 0.1.0 wrote, of every kind of command and event, with every member set: any later
// version reads it, and as the same.
#include "tests/events/first_format.h"

#include <map>
#include <set>

#include "events/codec.h"
#include "tests/support/catch.h"

namespace tidings {
namespace {

constexpr std::int64_t kNow = 1'767'225'600'123;

SourceStamp stamp(std::int64_t micros) { return {micros, sha256("stamp")}; }

Filter tagged(const char* tag) {
    Filter filter;
    filter.kind = Filter::Kind::tag;
    filter.tag = tag;
    return filter;
}

/// One of each kind.
Filter every_filter() {
    Filter clicks, revenue, before, after, opened, replied, none, any, all;
    clicks.kind = revenue.kind = Filter::Kind::metric;
    clicks.metric = Metric::paid_accounts;
    clicks.op = Comparison::greater;
    clicks.value = 100;
    revenue.metric = Metric::revenue;
    revenue.op = Comparison::less_equal;
    revenue.value = -1'500'000;
    revenue.currency = "EUR";
    before.kind = Filter::Kind::joined_before;
    before.joined = {kNow};
    after.kind = Filter::Kind::joined_after;
    after.joined = {-1};
    opened.kind = replied.kind = Filter::Kind::engagement;
    opened.engagement = Engagement::not_opened;
    opened.message = {5};
    replied.engagement = Engagement::replied;
    replied.message = {6};
    none.kind = Filter::Kind::negation;
    none.children = {tagged("łódź")};
    any.kind = Filter::Kind::any;
    any.children = {clicks, revenue, before, after};
    all.children = {any, none, opened, replied};
    return all;
}

Audience filtered() {
    Audience audience;
    audience.type = Audience::Type::filter;
    audience.filter = every_filter();
    audience.exclude = {{"alan"}, {"nobody"}};
    return audience;
}

Audience named() {
    Audience audience;
    audience.type = Audience::Type::partners;
    audience.partners = {{"grace"}, {"alan"}, {"grace"}};
    return audience;
}

PartnerPatch patch() {
    PartnerPatch patch;
    patch.id = {"grace"};
    patch.email = "grace@hopper.example";
    patch.name = "Grace";
    patch.surname = "";
    patch.status = PartnerStatus::archived;
    patch.tags = std::vector<std::string>{"eu", "premium"};
    patch.joined_at = Timestamp{kNow - 1};
    patch.metrics.clicks = 1;
    patch.metrics.signups = 2;
    patch.metrics.sales = 3;
    patch.metrics.paid_accounts = 9'007'199'254'740'991;
    patch.metrics.revenue = {{"EUR", 0}, {"USD", 99'990'000}};
    patch.metrics.commission = {{"USD", 1}};
    patch.clear_metrics = patch.clear_revenue = patch.clear_commission = true;
    patch.stamp = stamp(7);
    return patch;
}

/// By the name of what they ask, and a number where there are two of a kind.
std::map<std::string, CommandBody> bodies() {
    AdjustMetrics add{.partner = {"grace"},
                      .mode = AdjustMetrics::Mode::add,
                      .clicks = -1,
                      .signups = 2,
                      .sales = -3,
                      .paid_accounts = 4,
                      .set = {},
                      .revenue = {{"USD", -5}},
                      .commission = {{"EUR", 6}},
                      .stamp = {}};
    AdjustMetrics set{.partner = {"grace"},
                      .mode = AdjustMetrics::Mode::set,
                      .set = patch().metrics,
                      .revenue = {},
                      .commission = {},
                      .stamp = stamp(8)};
    PartnerPatch bare;
    bare.id = {"zoë"};
    return {
        {"UpsertProgram", UpsertProgram{"Acme", Plan::advanced}},
        {"SetWebhookSecret", SetWebhookSecret{std::string("sealed\0\xFF", 8)}},
        {"UpsertPartners", UpsertPartners{{patch(), bare}, true, true, true}},
        {"AdjustMetrics", std::move(add)},
        {"AdjustMetrics 2", std::move(set)},
        {"RecordCustomer", RecordCustomer{"customer", {"grace"}, true, stamp(9)}},
        {"RecordTransaction", RecordTransaction{.key = "sale",
                                                .partner = {"grace"},
                                                .customer = "customer",
                                                .revenue = {{"USD", 10}},
                                                .commission = {{"EUR", 11}},
                                                .deleted = true,
                                                .stamp = stamp(12)}},
        {"SendMessage", SendMessage{"Subject", "Body ☃", filtered(), true, sha256("reviewed")}},
        {"SendMessage 2", SendMessage{"S", "B", named(), false, std::nullopt}},
        {"RecordOpens",
         RecordOpens{{{.message = {7},
                       .partners = Bitmap::bitmapOf(3, 1U, 70'000U, 123'456U),
                       .at = {{kNow}, {kNow - 5'000}, {kNow + 1}}},
                      {.message = {8}, .partners = Bitmap::bitmapOf(1, 2U), .at = {}}},
                     {}}},
        {"RecordOpens 2",
         RecordOpens{{{.message = {7}, .partners = Bitmap::bitmapOf(1, 123'456U), .at = {}}}, {9}}},
        {"PostReply", PostReply{{7}, {123'456}, "Reply\nof two lines"}},
        {"MarkRead", MarkRead{{7}, {123'456}}},
    };
}

Command first_command_of(const CommandBody& body) {
    Command command;
    command.id = CommandId::from("command-id-00001");
    command.digest = ContentDigest::from("content-digest-1");
    command.caller = CallerDigest::from("caller-digest-01");
    command.program = {"acme"};
    command.actor = {Role::owner, "olivia", "Olivia"};
    command.time = {kNow};
    command.remember = command.track = true;
    command.body = body;
    return command;
}

std::vector<Event> events() {
    Metrics metrics{1, 2, 3, 4, {{"EUR", 0}, {"USD", 5}}, {{"USD", 6}}};
    PartnerState partner{.ordinal = {123'456},
                         .id = {"grace"},
                         .email = "grace@hopper.example",
                         .name = "Grace",
                         .surname = "Hopper",
                         .status = PartnerStatus::deleted,
                         .tags = {"eu", "premium"},
                         .joined_at = {kNow},
                         .metrics = metrics,
                         .profile_stamp = stamp(1),
                         .metrics_stamp = stamp(2)};
    UpstreamFactsChanged facts;
    facts.held = {{{"held"}, metrics, stamp(3), stamp(4)}};
    facts.customers = {{"customer", {"grace"}, true, stamp(5)}};
    facts.transactions = {
        {"sale", {"grace"}, "customer", {{"USD", 7}}, {{"EUR", 8}}, true, stamp(6)}};
    facts.payers = {{{"grace"}, "customer", 9}};
    const Bitmap recipients = Bitmap::bitmapOf(4, 0U, 1U, 70'000U, 123'456U);
    return {
        ProgramChanged{"Acme", Plan::partner},
        WebhookSecretSet{std::string("sealed\0\xFF", 8)},
        PartnersChanged{{std::move(partner)}},
        std::move(facts),
        MessageSent{.subject = "Subject",
                    .body = "Body ☃",
                    .replies_enabled = true,
                    .sender = {Role::owner, "olivia", "Olivia"},
                    .sent_at = {kNow},
                    .audience = filtered(),
                    .plan = Plan::advanced,
                    .recipients = recipients,
                    .digest = audience_digest(recipients)},
        MessagesOpened{{{.message = {7},
                         .partners = Bitmap::bitmapOf(2, 1U, 70'000U),
                         .at = {{kNow - 5'000}, {kNow}}},
                        {.message = {8}, .partners = Bitmap::bitmapOf(1, 2U), .at = {}}}},
        ReplyPosted{.message = {7},
                    .partner = {123'456},
                    .from_owner = true,
                    .author = {Role::owner, "olivia", "Olivia"},
                    .body = "Answer",
                    .posted_at = {kNow}},
        ConversationRead{{7}, {123'456}, true, {13}},
    };
}

/// One outcome of each status; the first has every event.
std::vector<Outcome> outcomes() {
    Outcome applied;
    applied.id = CommandId::from("command-id-00001");
    applied.digest = ContentDigest::from("content-digest-1");
    applied.caller = CallerDigest::from("caller-digest-01");
    applied.program = {"acme"};
    applied.time = {kNow};
    applied.status = OutcomeStatus::applied;
    applied.remember = applied.track = true;
    applied.first_event = {100};
    applied.answer = {104};
    applied.created = 1;
    applied.updated = 2;
    applied.unchanged = 3;
    applied.first_opens = 4;
    applied.events = events();
    Outcome unchanged = applied;
    unchanged.status = OutcomeStatus::unchanged;
    unchanged.events.clear();
    unchanged.first_event = unchanged.answer = {};
    unchanged.rejected = {{5, {}, ErrorCode::invalid}, {123'456, {7}, ErrorCode::not_a_recipient}};
    Outcome replayed = unchanged;
    replayed.status = OutcomeStatus::replayed;
    replayed.rejected.clear();
    replayed.answer = {104};
    Outcome refused = unchanged;
    refused.status = OutcomeStatus::refused;
    refused.rejected.clear();
    refused.refusal = Refusal{ErrorCode::plan_required, "/audience", "no", Plan::starter};
    return {applied, unchanged, replayed, refused};
}

TEST_CASE("commands of the first format stay readable") {
    std::set<std::size_t> kinds;
    for (const auto& [name, body] : bodies()) {
        INFO(name);
        const auto decoded = CapnpCodec().decode_command(*from_hex(kFirstCommands.at(name)));
        REQUIRE(decoded.has_value());
        CHECK(*decoded == first_command_of(body));
        kinds.insert(body.index());
    }
    // What was added since then has its own literals.
    CHECK(kinds.size() == 10);
}

TEST_CASE("outcomes and events of the first format stay readable") {
    const std::string record = *from_hex(kFirstCommit);
    const auto envelope = CapnpCodec().decode_envelope(record);
    REQUIRE(envelope.has_value());
    CHECK(envelope->sequence.value == 42);
    const auto decoded = CapnpCodec().decode_outcomes(record);
    REQUIRE(decoded.has_value());
    REQUIRE(decoded->size() == 4);
    const std::vector<Event> expected = events();
    REQUIRE(decoded->front().events.size() == expected.size());
    std::set<std::size_t> kinds;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        INFO(name_of(expected[i]));
        CHECK(decoded->front().events[i] == expected[i]);
        kinds.insert(expected[i].index());
    }
    CHECK(kinds.size() == 8);
    CHECK(*decoded == outcomes());
}

}  // namespace
}  // namespace tidings
