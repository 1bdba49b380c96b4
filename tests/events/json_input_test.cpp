#include "events/json_input.h"

#include <chrono>
#include <string>
#include <tuple>

#include "core/time.h"
#include "events/json_output.h"
#include "tests/events/acme.h"
#include "tests/support/property.h"

namespace tidings {
namespace {

using testing::kAcme;

JsonValue json(std::string_view text) {
    INFO(text);
    const auto value = parse_json(text);
    REQUIRE(value.has_value());
    return *value;
}

/// "pointer code" of every error, in order, joined by a comma.
std::string told(const FieldErrors& errors) {
    std::string out;
    for (const FieldError& field : errors.fields()) {
        CHECK_FALSE(field.detail.empty());
        if (!out.empty()) out += ", ";
        out += field.pointer + " " + field.code;
    }
    return out;
}

std::string repeated(const char* unit, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += unit;
    return out;
}

struct Read {
    PartnerPatch patch;
    std::string errors;
};
Read read_partner(std::string_view text, PatchMode mode,
                  UnknownMembers unknown = UnknownMembers::refuse) {
    FieldErrors errors;
    PartnerPatch patch = partner_patch_from_json(json(text), mode, errors, unknown);
    return {std::move(patch), told(errors)};
}

TEST_CASE("a whole partner") {
    const Read read = read_partner(
        R"({"id":"p/1","email":"zoe@łódź.example","name":"Zoë","surname":"","status":"pending",
            "tags":["b","a","b"],"joined_at":"2026-01-05T09:00:00Z",
            "metrics":{"clicks":1,"signups":2.0,"sales":3e0,"paid_accounts":9007199254740991,
                       "revenue":{"USD":"99.99","EUR":"0"},"commission":{"USD":"-5"}}})",
        PatchMode::import);
    CHECK(read.errors == "/id invalid_format");
    const PartnerPatch& patch = read.patch;
    CHECK(patch.email == "zoe@łódź.example");
    CHECK(patch.name == "Zoë");
    CHECK(patch.surname == "");
    CHECK(patch.status == PartnerStatus::pending);
    CHECK(patch.tags == std::vector<std::string>{"a", "b"});
    CHECK(patch.joined_at == parse_time("2026-01-05T09:00:00Z"));
    CHECK(patch.metrics.clicks == 1U);
    CHECK(patch.metrics.signups == 2U);
    CHECK(patch.metrics.sales == 3U);
    CHECK(patch.metrics.paid_accounts == 9007199254740991U);
    CHECK(patch.metrics.revenue == Money{{"EUR", 0}, {"USD", 99'990'000}});
    CHECK(patch.metrics.commission == Money{{"USD", -5'000'000}});
    CHECK_FALSE(patch.clear_metrics);
}

TEST_CASE("members left out stay out") {
    CHECK(read_partner("{}", PatchMode::put).patch == PartnerPatch{});
    CHECK(read_partner("{}", PatchMode::put).errors.empty());
    CHECK(read_partner("{}", PatchMode::import).errors == "/id required");
}

TEST_CASE("merge-patch null resets what can be reset") {
    const Read all = read_partner(R"({"name":null,"surname":null,"tags":null,"metrics":null})",
                                  PatchMode::merge_patch);
    CHECK(all.errors.empty());
    CHECK(all.patch.name == "");
    CHECK(all.patch.surname == "");
    CHECK(all.patch.tags == std::vector<std::string>{});
    CHECK(all.patch.clear_metrics);

    const Read some = read_partner(
        R"({"metrics":{"clicks":null,"revenue":null,"commission":{"USD":null,"EUR":"1"}}})",
        PatchMode::merge_patch);
    CHECK(some.errors.empty());
    CHECK(some.patch.metrics.clicks == 0U);
    CHECK(some.patch.clear_revenue);
    CHECK_FALSE(some.patch.clear_commission);
    CHECK(some.patch.metrics.commission == Money{{"EUR", 1'000'000}, {"USD", 0}});

    CHECK(read_partner(R"({"email":null,"status":null,"joined_at":null,"x":null})",
                       PatchMode::merge_patch)
              .errors ==
          "/email required, /status required, /joined_at required, /x unknown_field");
    CHECK(read_partner(R"({"name":null,"tags":null,"metrics":null})", PatchMode::put).errors ==
          "/name wrong_type, /tags wrong_type, /metrics wrong_type");
}

TEST_CASE("every bad partner field is told by pointer and rule") {
    const auto check = [](const std::string& text, const std::string& errors) {
        INFO(text);
        CHECK(read_partner(text, PatchMode::put).errors == errors);
    };
    check("[]", " wrong_type");
    check("null", " wrong_type");
    check(R"({"id":"x"})", "/id unknown_field");
    check(R"({"a/b~c":1})", "/a~1b~0c unknown_field");
    for (const char* email : {"", "a", "@", "a@", "@a", "a@b@c", "a b@c", "a@b\\n", "a\\u00a0@b"}) {
        check("{\"email\":\"" + std::string(email) + "\"}", "/email invalid_format");
    }
    check("{\"email\":\"" + std::string(252, 'a') + "@b\"}", "");
    check("{\"email\":\"" + std::string(253, 'a') + "@b\"}", "/email too_long");
    check(R"({"email":1})", "/email wrong_type");
    check("{\"name\":\"" + repeated("😀", 200) + "\"}", "");
    check("{\"name\":\"" + repeated("😀", 201) + "\"}", "/name too_long");
    check(R"({"surname":"a\u0007"})", "/surname invalid_format");
    check(R"({"status":"gone"})", "/status invalid_value");
    check(R"({"status":1})", "/status wrong_type");
    check(R"({"tags":"a"})", "/tags wrong_type");
    check(R"({"tags":["a"," ",1,"\t"]})", "/tags/1 blank, /tags/2 wrong_type, /tags/3 blank");
    check("{\"tags\":[\"" + std::string(101, 'x') + "\"]}", "/tags/0 too_long");
    std::string tags = "{\"tags\":[";
    for (int i = 0; i < 100; ++i) tags += "\"t" + std::to_string(i) + "\",";
    check(tags + "\"t0\"]}", "");
    check(tags + "\"more\"]}", "/tags too_many");
    check(R"({"joined_at":"yesterday"})", "/joined_at invalid_format");
    check(R"({"joined_at":0})", "/joined_at wrong_type");
    check(R"({"metrics":[]})", "/metrics wrong_type");
    check(R"({"metrics":{"clicks":-1}})", "/metrics/clicks out_of_range");
    check(R"({"metrics":{"clicks":9007199254740992}})", "/metrics/clicks out_of_range");
    check(R"({"metrics":{"clicks":99999999999999999999999}})", "/metrics/clicks out_of_range");
    check(R"({"metrics":{"sales":1.5}})", "/metrics/sales wrong_type");
    check(R"({"metrics":{"sales":"1"}})", "/metrics/sales wrong_type");
    check(R"({"metrics":{"likes":1}})", "/metrics/likes unknown_field");
    check(R"({"metrics":{"revenue":{"USD":1}}})", "/metrics/revenue/USD wrong_type");
    check(R"({"metrics":{"revenue":{"USD":null}}})", "/metrics/revenue/USD wrong_type");
    check(R"({"metrics":{"revenue":"1"}})", "/metrics/revenue wrong_type");
    check(R"({"metrics":{"revenue":{"U/D":"1"}}})", "/metrics/revenue/U~1D invalid_format");
    for (const char* amount :
         {"", "1e2", "1.1234567", "01", "+1", "1.", ".1", "1,5", "NaN", "9999999999999999"}) {
        check("{\"metrics\":{\"commission\":{\"EUR\":\"" + std::string(amount) + "\"}}}",
              "/metrics/commission/EUR invalid_format");
    }
    std::string currencies = R"({"metrics":{"revenue":{"A":"1")";
    for (int i = 0; i < 32; ++i) currencies += ",\"C" + std::to_string(i) + "\":\"1\"";
    check(currencies + "}}}", "/metrics/revenue too_many");
}

TEST_CASE("unknown members are ignored where that is asked for") {
    const Read read = read_partner(R"({"email":"a@b","x":1,"metrics":{"y":2,"clicks":3}})",
                                   PatchMode::put, UnknownMembers::ignore);
    CHECK(read.errors.empty());
    CHECK(read.patch.metrics.clicks == 3U);
}

TEST_CASE("field errors are bounded and told") {
    FieldErrors errors;
    for (int i = 0; i < 1000; ++i) errors.add("/x", field_code::kRequired, "is required");
    CHECK(errors.fields().size() == FieldErrors::kMax);
    const Error error = errors.error();
    CHECK(error.code == ErrorCode::invalid);
    CHECK(error.detail == "/x: is required");
    CHECK(error.fields.size() == FieldErrors::kMax);
}

TEST_CASE("programs and webhook secrets") {
    const auto program = [](std::string_view text) {
        FieldErrors errors;
        const UpsertProgram read = program_from_json(json(text), errors);
        return std::make_tuple(read.name, read.plan, told(errors));
    };
    CHECK(program(R"({"name":"Acme","plan":"advanced"})") ==
          std::make_tuple("Acme", Plan::advanced, ""));
    CHECK(std::get<2>(program("{}")) == "/name required, /plan required");
    CHECK(std::get<2>(program(R"({"name":" ","plan":"gold","x":1})")) ==
          "/name blank, /plan invalid_value, /x unknown_field");
    CHECK(std::get<2>(program(R"({"name":1,"plan":null})")) ==
          "/name wrong_type, /plan wrong_type");
    CHECK(std::get<2>(program("7")) == " wrong_type");

    const auto secret = [](std::string_view text) {
        FieldErrors errors;
        const std::string read = webhook_secret_from_json(json(text), errors);
        return errors.empty() ? read : told(errors);
    };
    CHECK(secret(R"({"secret":"whsec"})") == "whsec");
    CHECK(secret(R"({"secret":""})") == "/secret blank");
    CHECK(secret(R"({"secret":null})") == "/secret wrong_type");
    CHECK(secret(R"({})") == "/secret required");
    CHECK(secret("{\"secret\":\"" + std::string(513, 'x') + "\"}") == "/secret too_long");
}

std::string send_errors(std::string_view text) {
    FieldErrors errors;
    send_message_from_json(kAcme, json(text), errors);
    return told(errors);
}

TEST_CASE("a message to send") {
    FieldErrors errors;
    const std::string digest(64, 'a');
    const SendMessage send = send_message_from_json(
        kAcme,
        json(
            R"({"subject":"Hi","body":"a\n\tb","audience":{"type":"partners","partners":["a","a"]},)"
            R"("replies_enabled":true,"expect_digest":")" +
            digest + "\"}"),
        errors);
    CHECK(errors.empty());
    CHECK(send.subject == "Hi");
    CHECK(send.body == "a\n\tb");
    CHECK(send.audience.type == Audience::Type::partners);
    CHECK(send.audience.partners.size() == 2);
    CHECK(send.replies_enabled);
    CHECK(to_hex(send.expect_digest->view()) == digest);
    const SendMessage plain =
        send_message_from_json(kAcme, json(R"({"subject":"s","body":"b"})"), errors);
    CHECK(plain.audience == Audience{});
    CHECK_FALSE(plain.replies_enabled);
}

TEST_CASE("bad messages") {
    CHECK(send_errors("{}") == "/subject required, /body required");
    CHECK(send_errors("[]") == " wrong_type");
    CHECK(send_errors(R"({"subject":" \u3000","body":"\n"})") == "/subject blank, /body blank");
    CHECK(send_errors(R"({"subject":1,"body":null})") == "/subject wrong_type, /body wrong_type");
    CHECK(send_errors(R"({"subject":"a\nb","body":"b"})") == "/subject invalid_format");
    CHECK(send_errors("{\"subject\":\"" + repeated("é", 200) + "\",\"body\":\"b\"}").empty());
    CHECK(send_errors("{\"subject\":\"" + repeated("é", 201) + "\",\"body\":\"b\"}") ==
          "/subject too_long");
    CHECK(send_errors("{\"subject\":\"s\",\"body\":\"" + std::string(65'536, 'b') + "\"}").empty());
    CHECK(send_errors("{\"subject\":\"s\",\"body\":\"" + repeated("é", 32'769) + "\"}") ==
          "/body too_long");
    const auto with = [](const std::string& more) {
        return send_errors(R"({"subject":"s","body":"b",)" + more + "}");
    };
    CHECK(with(R"("replies_enabled":"yes")") == "/replies_enabled wrong_type");
    CHECK(with(R"("expect_digest":"abc")") == "/expect_digest invalid_format");
    CHECK(with(R"("expect_digest":1)") == "/expect_digest wrong_type");
    CHECK(with(R"("sender":"me")") == "/sender unknown_field");
    CHECK(with(R"("audience":[])") == "/audience wrong_type");
    CHECK(with(R"("audience":{})") == "/audience/type required");
    CHECK(with(R"("audience":{"type":"some"})") == "/audience/type invalid_value");
    CHECK(with(R"("audience":{"type":"all","partners":[]})") == "/audience/partners unknown_field");
    CHECK(with(R"("audience":{"type":"partners"})") == "/audience/partners required");
    CHECK(with(R"("audience":{"type":"partners","partners":["a",1,"b/c",""]})") ==
          "/audience/partners/1 wrong_type, /audience/partners/2 invalid_format, "
          "/audience/partners/3 blank");
    CHECK(with(R"("audience":{"type":"filter"})") == "/audience/filter required");
    CHECK(with(R"("audience":{"type":"filter","filter":{"tag":"x"},"exclude":"a"})") ==
          "/audience/exclude wrong_type");
}

TEST_CASE("replies, opens, read marks and audience requests") {
    FieldErrors errors;
    CHECK(reply_from_json(json(R"({"body":" hi "})"), errors) == " hi ");
    CHECK(open_from_json(json(R"({"message":"m","partner":"p"})"), errors).message == "m");
    CHECK(
        open_from_json(json(R"({"message":"m","partner":"p","at":"2026-01-01T00:00:00Z"})"), errors)
            .at == parse_time("2026-01-01T00:00:00Z"));
    CHECK(up_to_from_json(json("{}"), errors) == std::nullopt);
    CHECK(up_to_from_json(json(R"({"up_to":"post_1"})"), errors) == "post_1");
    const AudienceRequest request = audience_request_from_json(
        kAcme, json(R"({"audience":{"type":"all"},"limit":200,"cursor":"c"})"), errors);
    CHECK(request.limit == 200);
    CHECK(request.cursor == "c");
    CHECK(errors.empty());

    reply_from_json(json(R"({"body":"","x":1})"), errors);
    open_from_json(json(R"({"message":1,"at":"x","z":1})"), errors);
    up_to_from_json(json(R"({"up_to":1})"), errors);
    CHECK(told(errors) ==
          "/body blank, /x unknown_field, /message wrong_type, /partner required, /at "
          "invalid_format, "
          "/z unknown_field, /up_to wrong_type");
    for (const char* limit : {"0", "201", "-1", "1.5", "1e9"}) {
        FieldErrors bad;
        audience_request_from_json(
            kAcme, json(R"({"audience":{"type":"all"},"limit":)" + std::string(limit) + "}"), bad);
        CHECK(told(bad) == "/limit out_of_range");
    }
    FieldErrors bad;
    audience_request_from_json(kAcme, json(R"({"limit":"5","cursor":5})"), bad);
    CHECK(told(bad) == "/limit wrong_type, /cursor wrong_type");
    FieldErrors none;
    const AudienceRequest all = audience_request_from_json(kAcme, json("{}"), none);
    CHECK(none.empty());
    CHECK(all.audience == Audience{});
    CHECK(all.audience.type == Audience::Type::all);
    audience_request_from_json(kAcme, json(R"({"audience":{}})"), none);
    CHECK(told(none) == "/audience/type required");
}

std::string filter_errors(std::string_view text) {
    FieldErrors errors;
    filter_from_json(kAcme, json(text), "/f", errors);
    return told(errors);
}

TEST_CASE("bad filters") {
    CHECK(filter_errors("{}") == "/f required");
    CHECK(filter_errors("1") == "/f wrong_type");
    CHECK(filter_errors(R"({"tag":"a","not":{"tag":"b"}})") == "/f invalid_value");
    CHECK(filter_errors(R"({"all":{}})") == "/f/all wrong_type");
    CHECK(filter_errors(R"({"any":[{"tag":"a"},{"tag":7}]})") == "/f/any/1/tag wrong_type");
    CHECK(filter_errors(R"({"not":{"not":{"tag":""}}})") == "/f/not/not/tag blank");
    CHECK(filter_errors(R"({"tag":"a","op":"="})") == "/f/op unknown_field");
    CHECK(filter_errors(R"({"metric":"clicks"})") == "/f/op required, /f/value required");
    CHECK(filter_errors(R"({"metric":"likes","op":"~","value":1})") ==
          "/f/metric invalid_value, /f/op invalid_value");
    CHECK(filter_errors(R"({"metric":"clicks","op":"<","value":"1"})") == "/f/value wrong_type");
    CHECK(filter_errors(R"({"metric":"clicks","op":"<","value":1.5})") == "/f/value wrong_type");
    CHECK(filter_errors(R"({"metric":"clicks","op":"<","value":1e30})") != "");
    CHECK(filter_errors(R"({"metric":"clicks","op":"<","value":1,"currency":"USD"})") ==
          "/f/currency unknown_field");
    CHECK(filter_errors(R"({"metric":"revenue","op":"<","value":"1"})") == "/f/currency required");
    CHECK(filter_errors(R"({"metric":"revenue","op":"<","value":1,"currency":"$"})") ==
          "/f/currency invalid_format, /f/value wrong_type");
    CHECK(filter_errors(R"({"metric":"revenue","op":"<","value":"1e5","currency":"USD"})") ==
          "/f/value invalid_format");
    CHECK(filter_errors(R"({"joined":"before"})") == "/f/at required");
    CHECK(filter_errors(R"({"joined":"around","at":"x"})") ==
          "/f/joined invalid_value, /f/at invalid_format");
    const std::string own = message_id(kAcme, {7}), foreign = message_id({"other"}, {7});
    CHECK(filter_errors(R"({"engagement":"opened","message":")" + own + "\"}").empty());
    CHECK(filter_errors(R"({"engagement":"opened","message":")" + foreign + "\"}") ==
          "/f/message not_found");
    CHECK(filter_errors(R"({"engagement":"seen","message":"msg_1"})") ==
          "/f/engagement invalid_value, /f/message not_found");
    CHECK(filter_errors(R"({"engagement":"opened"})") == "/f/message required");
}

TEST_CASE("filters have a depth and a size") {
    const auto nested = [](int depth) {
        return repeated("{\"not\":", depth - 1) + R"({"tag":"x"})" + repeated("}", depth - 1);
    };
    CHECK(filter_errors(nested(16)).empty());
    CHECK(filter_errors(nested(17)) == "/f" + repeated("/not", 16) + " too_deep");
    const auto nested_arrays = [](int depth) {
        return R"({"subject":"s","body":"b","audience":{"type":"filter","filter":)" +
               repeated("{\"all\":[", depth - 1) + R"({"tag":"x"})" + repeated("]}", depth - 1) +
               "}}";
    };
    CHECK(send_errors(nested_arrays(16)).empty());
    CHECK(send_errors(nested_arrays(17)).find("too_deep") != std::string::npos);
    const auto wide = [](int nodes) {
        return "{\"any\":[" + repeated("{\"tag\":\"x\"},", nodes - 2) + "{\"tag\":\"x\"}]}";
    };
    CHECK(filter_errors(wide(256)).empty());
    CHECK(filter_errors(wide(257)) == "/f/any/255 too_many");
    CHECK(filter_errors(wide(60'000)) == "/f/any/255 too_many");
    CHECK(filter_errors(R"({"all":[]})").empty());
}

Filter any_filter(int depth) {
    Filter out;
    const int kind = *rc::gen::inRange(depth > 1 ? 0 : 3, 8);
    out.kind = static_cast<Filter::Kind>(kind);
    const auto children = [&](int count) {
        for (int i = 0; i < count; ++i) out.children.push_back(any_filter(depth - 1));
    };
    switch (out.kind) {
        case Filter::Kind::all:
        case Filter::Kind::any:
            children(*rc::gen::inRange(0, 4));
            break;
        case Filter::Kind::negation:
            children(1);
            break;
        case Filter::Kind::tag:
            out.tag = *rc::gen::element<std::string>("a", "é\"x", "premium");
            break;
        case Filter::Kind::metric:
            out.metric = static_cast<Metric>(*rc::gen::inRange(0, 6));
            out.op = static_cast<Comparison>(*rc::gen::inRange(0, 6));
            out.value = *rc::gen::inRange<std::int64_t>(-(1LL << 53) + 1, 1LL << 53);
            if (is_money(out.metric)) out.currency = *rc::gen::element<std::string>("USD", "EUR");
            break;
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after:
            out.joined.value = *rc::gen::inRange<std::int64_t>(0, 4'000'000'000'000);
            break;
        case Filter::Kind::engagement:
            out.engagement = static_cast<Engagement>(*rc::gen::inRange(0, 3));
            out.message.value = *rc::gen::inRange<std::uint64_t>(1, 1ULL << 40);
            break;
    }
    return out;
}

TEST_CASE("any audience survives writing and reading") {
    CHECK_PROPERTY([] {
        Audience audience;
        audience.type = static_cast<Audience::Type>(*rc::gen::inRange(0, 3));
        const auto ids = *rc::gen::container<std::vector<std::string>>(
            rc::gen::element<std::string>("a", "ł?", "partner 2"));
        for (const std::string& id : ids) {
            if (audience.type == Audience::Type::partners) audience.partners.push_back({id});
            if (audience.type == Audience::Type::filter) audience.exclude.push_back({id});
        }
        if (audience.type == Audience::Type::filter) audience.filter = any_filter(4);
        std::string text;
        append_audience(text, kAcme, audience);
        FieldErrors errors;
        const Audience back = audience_from_json(kAcme, *parse_json(text), "", errors);
        RC_LOG() << text << "\n";
        RC_ASSERT(errors.empty());
        RC_ASSERT(back == audience);
    });
}

TEST_CASE("any tree can be read as anything without a crash") {
    CHECK_PROPERTY([] {
        // words that some rule knows, put together at random
        const auto words =
            *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
                "{", "}", "[", "]", ",", ":", "\"type\"", "\"filter\"", "\"all\"", "\"not\"",
                "\"tag\"", "\"metrics\"", "\"revenue\"", "1", "null", "\"body\"", "\"audience\"",
                "\"id\"", "true"));
        std::string text;
        for (const std::string& word : words) text += word;
        const auto value = parse_json(text);
        if (value.has_error()) return;
        FieldErrors errors;
        partner_patch_from_json(*value, PatchMode::import, errors);
        partner_patch_from_json(*value, PatchMode::merge_patch, errors);
        adjust_metrics_from_json(*value, errors);
        send_message_from_json(kAcme, *value, errors);
        audience_request_from_json(kAcme, *value, errors);
        filter_from_json(kAcme, *value, "", errors);
        open_from_json(*value, errors);
        RC_ASSERT(!errors.empty());
    });
}

TEST_CASE("adjustments") {
    FieldErrors errors;
    const AdjustMetrics add = adjust_metrics_from_json(
        json(R"({"mode":"add","metrics":{"clicks":-3,"sales":2,"revenue":{"USD":"-1.5"}}})"),
        errors);
    CHECK(add.clicks == -3);
    CHECK(add.sales == 2);
    CHECK(add.revenue == Money{{"USD", -1'500'000}});
    const AdjustMetrics set = adjust_metrics_from_json(
        json(R"({"mode":"set","metrics":{"clicks":3,"commission":{"EUR":"2"}}})"), errors);
    CHECK(set.mode == AdjustMetrics::Mode::set);
    CHECK(set.set.clicks == 3U);
    CHECK(set.set.commission == Money{{"EUR", 2'000'000}});
    CHECK(errors.empty());
    adjust_metrics_from_json(json("{}"), errors);
    adjust_metrics_from_json(json(R"({"mode":"mul","metrics":{"clicks":"x"},"y":1})"), errors);
    adjust_metrics_from_json(json(R"({"mode":"set","metrics":{"clicks":-1}})"), errors);
    CHECK(told(errors) ==
          "/mode required, /metrics required, /y unknown_field, /mode invalid_value, "
          "/metrics/clicks wrong_type, /metrics/clicks out_of_range");
}

TEST_CASE("import line speed", "[slow]") {
    const std::string line =
        R"({"id":"partner_1234567","email":"grace.hopper.1234567@navy.example","name":"Grace",)"
        R"("surname":"Hopper","status":"active","tags":["premium","integration","eu"],)"
        R"("joined_at":"2026-01-05T09:00:00.000Z","metrics":{"clicks":1234,"signups":56,"sales":7,)"
        R"("paid_accounts":3,"revenue":{"USD":"1234.567891"},"commission":{"USD":"99.99"}}})";
    const auto start = std::chrono::steady_clock::now();
    constexpr int kLines = 100'000;
    std::size_t tags = 0;
    for (int i = 0; i < kLines; ++i) {
        FieldErrors errors;
        tags += partner_patch_from_json(*parse_json(line), PatchMode::import, errors).tags->size();
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    WARN("parse and read: " << seconds.count() / kLines * 1e6 << " us a line");
    CHECK(tags == kLines * 3U);
}

}  // namespace
}  // namespace tidings
