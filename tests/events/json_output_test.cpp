#include "events/json_output.h"

#include "core/time.h"
#include "events/json_input.h"
#include "tests/events/acme.h"
#include "tests/support/catch.h"

namespace tidings {
namespace {

using testing::kAcme;

Bitmap bitmap_of(std::initializer_list<std::uint32_t> members) {
    Bitmap out;
    for (const std::uint32_t member : members) out.add(member);
    return out;
}

template <class Append, class... Arguments>
std::string text_of(Append append, const Arguments&... arguments) {
    std::string out;
    append(out, arguments...);
    return out;
}

/// The record as a tree: it must be valid JSON.
JsonValue tree_of(const std::string& text) {
    INFO(text);
    const auto value = parse_json(text);
    REQUIRE(value.has_value());
    return *value;
}

PartnerTexts shown(const PartnerState& partner) {
    return {partner.email.plain(), partner.name.plain(), partner.surname.plain()};
}

PartnerState grace() {
    PartnerState partner;
    partner.ordinal = {4};
    partner.id = {"p\"1"};
    partner.email = "grace@hopper.example";
    partner.name = "Gräce";
    partner.surname = "Ho\nper";
    partner.tags = {"a", "b"};
    partner.joined_at = *parse_time("2026-01-05T09:00:00.250Z");
    partner.metrics.clicks = 9007199254740991;
    partner.metrics.revenue = {{"EUR", 0}, {"USD", 99'990'000}};
    return partner;
}

TEST_CASE("strings are escaped by RFC 8259 and otherwise left alone") {
    CHECK(text_of(append_json_string, "") == "\"\"");
    CHECK(text_of(append_json_string, "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f é😀\u2028") ==
          "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f é😀\u2028\"");
}

TEST_CASE("a partner as the API shows it") {
    CHECK(text_of(append_partner, grace(), shown(grace())) ==
          R"({"id":"p\"1","email":"grace@hopper.example","name":"Gräce","surname":"Ho\nper",)"
          R"("status":"active","tags":["a","b"],"joined_at":"2026-01-05T09:00:00.250Z",)"
          R"("metrics":{"clicks":9007199254740991,"signups":0,"sales":0,"paid_accounts":0,)"
          R"("revenue":{"EUR":"0","USD":"99.99"},"commission":{}}})");
}

TEST_CASE("a partner as shown can be put back") {
    PartnerState partner = grace();
    partner.surname = "Hopper";
    JsonValue value = tree_of(text_of(append_partner, partner, shown(partner)));
    value.members.erase(value.members.begin());  // the id stands in the path
    FieldErrors errors;
    const PartnerPatch patch = partner_patch_from_json(value, PatchMode::put, errors);
    CHECK(errors.empty());
    CHECK(patch.email == partner.email);
    CHECK(patch.tags == partner.tags);
    CHECK(patch.joined_at == partner.joined_at);
    CHECK(patch.metrics.clicks == partner.metrics.clicks);
    CHECK(patch.metrics.revenue == partner.metrics.revenue);
}

TEST_CASE("audiences as sent, with room for more members") {
    CHECK(text_of(append_audience, kAcme, Audience{}) == R"({"type":"all"})");
    Audience named;
    named.type = Audience::Type::partners;
    named.partners = {{"a"}, {"b"}, {"a"}};
    CHECK(text_of(append_audience_members, kAcme, named) ==
          R"("type":"partners","partners":["a","b","a"])");
}

TEST_CASE("the writer puts commas where they belong") {
    std::string out;
    JsonWriter json(out);
    json.open_object().key("a").open_array().number(1).open_object().close_object().null();
    json.open_array().close_array().close_array().any_key("b\n").boolean(false);
    json.key("c").time(std::optional<Timestamp>()).key("d").signed_number(-1);
    json.key("e").time(std::optional<Timestamp>(Timestamp{0}));
    json.raw() += R"("f":1,"g":2)";
    json.key("h").string("x").close_object();
    CHECK(out ==
          R"({"a":[1,{},null,[]],"b\n":false,"c":null,"d":-1,"e":"1970-01-01T00:00:00.000Z",)"
          R"("f":1,"g":2,"h":"x"})");
}

Command command_with(CommandBody body) {
    Command command;
    command.id = CommandId::from(std::string(16, '\x11'));
    command.time = {1'000};
    command.program = kAcme;
    command.actor = {Role::owner, "o1", "Olga"};
    command.remember = true;
    command.body = std::move(body);
    return command;
}

TEST_CASE("every command can be shown") {
    UpsertPartners upsert;
    upsert.partners.push_back({.id = {"p"}, .email = "a@b", .tags = std::vector<std::string>{"t"}});
    upsert.partners.back().stamp = SourceStamp{5, sha256("x")};
    upsert.partners.back().status = PartnerStatus::deleted;
    upsert.hold_unknown = true;
    RecordOpens opens;
    opens.groups.push_back({{3}, bitmap_of({1, 2, 3, 9}), {}});
    opens.up_to = {8};
    SendMessage send{.subject = "s", .body = "b"};
    send.expect_digest = sha256("d");
    const std::vector<CommandBody> bodies{UpsertProgram{"Acme", Plan::partner},
                                          SetWebhookSecret{"\x01\x02"},
                                          upsert,
                                          AdjustMetrics{.partner = {"p"}, .clicks = -2},
                                          RecordCustomer{.key = "c"},
                                          RecordTransaction{.key = "t", .revenue = {{"USD", 1}}},
                                          send,
                                          opens,
                                          PostReply{{3}, {4}, "r"},
                                          MarkRead{{3}, {4}},
                                          ErasePartner{{"p"}}};
    CHECK(bodies.size() == std::variant_size_v<CommandBody>);
    for (const CommandBody& body : bodies) {
        const JsonValue tree = tree_of(text_of(append_command_json, command_with(body), nullptr));
        CHECK(tree.find("type")->text == name_of(body));
        CHECK(tree.find("body")->is_object());
        CHECK(tree.find("id")->text == "11111111111111111111111111111111");
        CHECK(tree.find("actor")->find("name")->text == "Olga");
    }
    const JsonValue shown = tree_of(text_of(append_command_json, command_with(opens), nullptr));
    const JsonValue& group = shown.find("body")->find("groups")->items.at(0);
    CHECK(group.find("message")->text == message_id(kAcme, {3}));
    CHECK(text_of(append_json, *group.find("partners")) == R"({"count":4,"runs":[[1,3],[9,9]]})");
    CHECK(shown.find("body")->find("up_to")->text == post_id(kAcme, {8}));
    const JsonValue patch = tree_of(text_of(append_command_json, command_with(upsert), nullptr));
    CHECK(text_of(append_json, *patch.find("body")->find("partners")->items.at(0).find("stamp")) ==
          R"({"micros":5,"tiebreak":")" + to_hex(sha256("x").view()) + "\"}");
}

TEST_CASE("every event can be shown") {
    MessageSent sent;
    sent.subject = "s";
    sent.recipients = bitmap_of({0, 1, 2});
    sent.audience.type = Audience::Type::filter;
    sent.audience.filter.kind = Filter::Kind::engagement;
    sent.audience.filter.message = {1};
    UpstreamFactsChanged facts;
    facts.held.push_back({.id = {"p"}});
    facts.customers.push_back({.key = "c"});
    facts.transactions.push_back({.key = "t"});
    facts.payers.push_back({{"p"}, "c", 2});
    Outcome outcome;
    outcome.program = kAcme;
    outcome.status = OutcomeStatus::applied;
    outcome.first_event = {5};
    outcome.answer = {9};
    outcome.events = {ProgramChanged{"Acme", Plan::advanced},
                      WebhookSecretSet{"\xff"},
                      PartnersChanged{{grace()}},
                      facts,
                      sent,
                      MessagesOpened{{{{9}, bitmap_of({7}), {{0}}}}},
                      ReplyPosted{.message = {9}, .body = "r"},
                      ConversationRead{.message = {9}, .up_to = {11}},
                      PartnerErased{{4}}};
    CHECK(outcome.events.size() == std::variant_size_v<Event>);
    outcome.rejected.push_back({2, {9}, ErrorCode::not_a_recipient});
    const JsonValue tree = tree_of(text_of(append_outcome_json, outcome, nullptr));
    const auto& events = tree.find("events")->items;
    for (std::size_t i = 0; i < events.size(); ++i) {
        CHECK(events[i].find("number")->text == std::to_string(5 + i));
        CHECK(events[i].find("type")->text == name_of(outcome.events[i]));
    }
    CHECK(events[4].find("id")->text == message_id(kAcme, {9}));
    CHECK(events[6].find("id")->text == post_id(kAcme, {11}));
    CHECK(tree.find("answer")->find("id")->text == message_id(kAcme, {9}));
    CHECK(tree.find("rejected")->items.at(0).find("code")->text == "not_a_recipient");
    CHECK(tree.find("refusal")->is_null());
}

TEST_CASE("a refusal is shown with its plan, a replay by its number alone") {
    Outcome outcome;
    outcome.program = kAcme;
    outcome.status = OutcomeStatus::refused;
    outcome.refusal = Refusal{ErrorCode::plan_required, "", "no messaging", Plan::starter};
    JsonValue tree = tree_of(text_of(append_outcome_json, outcome, nullptr));
    CHECK(text_of(append_json, *tree.find("refusal")) ==
          R"({"code":"plan_required","pointer":"","detail":"no messaging","plan":"starter"})");
    CHECK(tree.find("answer")->is_null());
    outcome.status = OutcomeStatus::replayed;
    outcome.refusal.reset();
    outcome.answer = {4};
    tree = tree_of(text_of(append_outcome_json, outcome, nullptr));
    CHECK(text_of(append_json, *tree.find("answer")) == R"({"number":4,"id":null})");
}

}  // namespace
}  // namespace tidings
