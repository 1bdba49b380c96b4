#include "connectors/upstream/cloudevents.h"

#include "core/time.h"
#include "tests/support/property.h"

namespace tidings::upstream {
namespace {

const Headers kStructured{{"content-type", "application/cloudevents+json; charset=utf-8"}};
const Headers kBatch{{"content-type", "application/CloudEvents-batch+json"}};

/// A structured event; `more` replaces or adds members.
std::string event_json(const std::string& type, const std::string& data,
                       const std::string& more = "") {
    return R"({"specversion":"1.0","id":"e1","source":"/shop","program":"acme","subject":"p1",)"
           R"("time":"2026-03-01T10:00:00.000001Z","type":"io.tidings.)" +
           type + "\"" + (data.empty() ? "" : ",\"data\":" + data) + more + "}";
}

Headers binary_headers(const std::string& type) {
    return {{"content-type", "application/json"},
            {"ce-specversion", "1.0"},
            {"ce-id", "e1"},
            {"ce-source", "/shop"},
            {"ce-program", "acme"},
            {"ce-subject", "p1"},
            {"ce-time", "2026-03-01T10:00:00.000001Z"},
            {"ce-type", "io.tidings." + type}};
}

Headers with(Headers headers, const std::string& name, const std::string& value) {
    std::erase_if(headers, [&](const auto& header) { return header.first == name; });
    if (!value.empty()) headers.emplace_back(name, value);
    return headers;
}

CloudEvent one(const Headers& headers, const std::string& body) {
    auto events = parse_cloudevents(headers, body);
    INFO(body);
    if (events.has_error()) FAIL(events.error().detail);
    REQUIRE(events->size() == 1);
    return std::move(events->front());
}

template <class Body>
Body command_of(const CloudEvent& event) {
    if (const auto* error = std::get_if<Error>(&event.what)) FAIL(error->detail);
    REQUIRE(std::holds_alternative<CommandBody>(event.what));
    const auto& body = std::get<CommandBody>(event.what);
    REQUIRE(std::holds_alternative<Body>(body));
    return std::get<Body>(body);
}

/// "pointer code, ..." of a rejected event; its detail if it names no field.
std::string rejected(const CloudEvent& event) {
    const auto* error = std::get_if<Error>(&event.what);
    if (error == nullptr) return "not rejected";
    std::string out;
    for (const FieldError& field : error->fields) {
        out += (out.empty() ? "" : ", ") + field.pointer + " " + field.code;
    }
    return out.empty() ? std::string(name_of(error->code)) + ": " + error->detail : out;
}

TEST_CASE("the three modes say the same") {
    const std::string data = R"({"email":"a@b","name":"Zoë","unheard":1})";
    const CloudEvent structured = one(kStructured, event_json("partner.upserted", data));
    const CloudEvent binary = one(binary_headers("partner.upserted"), " " + data + " ");
    const CloudEvent batched = one(kBatch, "[" + event_json("partner.upserted", data) + "]");
    const CloudEvent base64 = one(
        kStructured,
        event_json("partner.upserted", "",
                   R"(,"data_base64":"eyJlbWFpbCI6ImFAYiIsIm5hbWUiOiJab8OrIiwidW5oZWFyZCI6MX0=")"));
    for (const CloudEvent* event : {&structured, &binary, &batched, &base64}) {
        CHECK(event->id == "e1");
        CHECK(event->source == "/shop");
        CHECK(event->program.value == "acme");
        CHECK(event->subject == "p1");
        CHECK(event->content == structured.content);
        const auto command = command_of<UpsertPartners>(*event);
        CHECK(command.revive);
        CHECK(command.hold_unknown);
        REQUIRE(command.partners.size() == 1);
        CHECK(command.partners[0].id.value == "p1");
        CHECK(command.partners[0].name == "Zoë");
        CHECK(command.partners[0].stamp->micros ==
              *parse_time_micros("2026-03-01T10:00:00.000001Z"));
        CHECK(command == command_of<UpsertPartners>(structured));
    }
}

TEST_CASE("every type") {
    const auto program = command_of<UpsertProgram>(
        one(kStructured, event_json("program.upserted", R"({"name":"Acme","plan":"partner"})")));
    CHECK(program == UpsertProgram{"Acme", Plan::partner});

    const CloudEvent deletion = one(kStructured, event_json("partner.deleted", ""));
    const auto deleted = command_of<UpsertPartners>(deletion);
    CHECK(deleted.hold_unknown);
    CHECK_FALSE(deleted.revive);
    CHECK(deleted.partners.at(0).status == PartnerStatus::deleted);
    CHECK(deleted.partners.at(0).stamp.has_value());
    CHECK(one(kStructured, event_json("partner.deleted", R"({"why":"left"})")).content ==
          deletion.content);
    CHECK(one(binary_headers("partner.deleted"), "not json").content == deletion.content);

    const auto add = command_of<AdjustMetrics>(
        one(kStructured,
            event_json("partner.performance", R"({"mode":"add","metrics":{"clicks":-5,"x":1}})")));
    CHECK(add.partner.value == "p1");
    CHECK(add.clicks == -5);
    const auto set = command_of<AdjustMetrics>(one(
        kStructured,
        event_json("partner.performance", R"({"mode":"set","metrics":{"revenue":{"USD":"1"}}})")));
    CHECK(set.mode == AdjustMetrics::Mode::set);
    CHECK(set.stamp.micros == *parse_time_micros("2026-03-01T10:00:00.000001Z"));

    const CloudEvent opened =
        one(kStructured,
            event_json("message.opened", R"({"message":"msg_1","at":"2026-01-01T00:00:00Z"})"));
    REQUIRE(std::holds_alternative<UnresolvedOpen>(opened.what));
    CHECK(std::get<UnresolvedOpen>(opened.what) ==
          UnresolvedOpen{"msg_1", {"p1"}, parse_time("2026-01-01T00:00:00Z")});
    const CloudEvent timed =
        one(kStructured, event_json("message.opened", R"({"message":"msg_1"})"));
    CHECK(std::get<UnresolvedOpen>(timed.what).at == parse_time("2026-03-01T10:00:00Z"));
}

TEST_CASE("without a time nothing is stamped") {
    const Headers headers = with(binary_headers("partner.upserted"), "ce-time", "");
    CHECK_FALSE(command_of<UpsertPartners>(one(headers, "{}")).partners.at(0).stamp.has_value());
    const Headers performance = with(binary_headers("partner.performance"), "ce-time", "");
    CHECK(command_of<AdjustMetrics>(one(performance, R"({"mode":"set","metrics":{}})")).stamp ==
          SourceStamp{});
    const Headers open = with(binary_headers("message.opened"), "ce-time", "");
    CHECK_FALSE(std::get<UnresolvedOpen>(one(open, R"({"message":"m"})").what).at.has_value());
}

TEST_CASE("header values are unquoted and percent-decoded once") {
    const auto subject = [](const std::string& value) {
        return one(with(binary_headers("partner.upserted"), "ce-subject", value), "{}");
    };
    CHECK(subject("Euro%20%E2%82%AC%20%F0%9F%98%80").subject == "Euro € 😀");
    CHECK(subject("%41%2525").subject == "A%25");
    CHECK(subject(R"("a \"b\" c")").subject == R"(a "b" c)");
    CHECK(subject("żółw").subject == "żółw");
    for (const char* bad : {"%C0%A0", "%FF", "100%", "%4", "%zz", "\xFF"}) {
        CHECK(rejected(subject(bad)) == "/subject invalid_format");
    }
}

TEST_CASE("unknown types are ignored, whatever their data") {
    CHECK(std::holds_alternative<IgnoredEvent>(one(kStructured, event_json("un.heard", "7")).what));
    CHECK(std::holds_alternative<IgnoredEvent>(one(binary_headers("un.heard"), "\xFF").what));
    CHECK(std::holds_alternative<IgnoredEvent>(
        one(kStructured, R"({"specversion":"1.0","id":"1","source":"s","type":"com.example.x"})")
            .what));
}

TEST_CASE("attributes that are missing or wrong reject the event") {
    const auto structured = [](const std::string& json) {
        return rejected(one(kStructured, json));
    };
    CHECK(structured("{}") ==
          "/specversion required, /id required, /source required, /type required");
    CHECK(structured(R"({"specversion":"0.3","id":"","source":"s","type":"t"})") ==
          "/id required, /specversion invalid_value");
    CHECK(structured(R"({"specversion":"1.0","id":7,"source":"s","type":"t"})") ==
          "/id wrong_type");
    CHECK(structured(R"({"specversion":"1.0","id":null,"source":"s","type":"t"})") ==
          "/id required");
    CHECK(structured(R"({"specversion":"1.0","id":"i","source":"s","type":"t","time":"noon"})") ==
          "/time invalid_format");
    CHECK(
        structured(
            R"({"specversion":"1.0","id":"i","source":"s","type":"io.tidings.partner.deleted"})") ==
        "/program required, /subject required");
    CHECK(structured(
              R"({"specversion":"1.0","id":"i","source":"s","type":"io.tidings.partner.deleted",)"
              R"("program":"a/b","subject":"\n"})") ==
          "/program invalid_format, /subject invalid_format");
    CHECK(rejected(one(with(binary_headers("partner.upserted"), "ce-id", ""), "{}")) ==
          "/id required");
    CHECK(rejected(one(with(binary_headers("partner.upserted"), "ce-specversion", "2.0"), "{}")) ==
          "/specversion invalid_value");
}

TEST_CASE("data that is missing or wrong rejects the event") {
    const auto data = [](const std::string& type, const std::string& json) {
        return rejected(one(kStructured, event_json(type, json)));
    };
    CHECK(data("partner.upserted", "") == "/data required");
    CHECK(data("partner.upserted", "null") == "/data required");
    CHECK(data("partner.upserted", "[]") == "/data wrong_type");
    CHECK(data("partner.upserted", R"({"email":"x"})") == "/data/email invalid_format");
    CHECK(data("program.upserted", R"({"name":"A"})") == "/data/plan required");
    CHECK(data("partner.performance", R"({"mode":"add"})") == "/data/metrics required");
    CHECK(data("message.opened", R"({"at":1})") == "/data/message required, /data/at wrong_type");
    CHECK(data("message.opened", "\"msg_1\"") == "/data wrong_type");
    const auto base64 = [](const std::string& more) {
        return rejected(one(kStructured, event_json("partner.upserted", "", more)));
    };
    CHECK(base64(R"(,"data_base64":"e30=","data":{})") ==
          "invalid: /data_base64: must not stand beside data");
    for (const char* bad : {"e30", "e30*", "=e30", "e=30", "====", "e30=\\n", "ab==cd=="}) {
        CHECK(base64(",\"data_base64\":\"" + std::string(bad) + "\"") ==
              "invalid: /data_base64: is not base64");
    }
    CHECK(base64(R"(,"data_base64":7)") == "invalid: /data_base64: is not base64");
    CHECK(base64(R"(,"data_base64":"e30=","datacontenttype":"text/plain")") ==
          "invalid: /datacontenttype: must be a JSON type");
    CHECK(base64(R"(,"data_base64":"eyI=")").substr(0, 10) == "malformed:");
    CHECK(base64(R"(,"data_base64":"e30=","datacontenttype":"application/vnd.x+json")") ==
          "not rejected");
}

ErrorCode refusal(const Headers& headers, const std::string& body) {
    const auto events = parse_cloudevents(headers, body);
    REQUIRE(events.has_error());
    return events.error().code;
}

TEST_CASE("requests that hold no events are refused as a whole") {
    CHECK(refusal(kStructured, "{") == ErrorCode::malformed);
    CHECK(refusal(kBatch, "[{]") == ErrorCode::malformed);
    CHECK(refusal(kBatch, "{}") == ErrorCode::invalid);
    CHECK(refusal(kStructured, "[]") == ErrorCode::invalid);
    CHECK(refusal(binary_headers("partner.upserted"), "{") == ErrorCode::malformed);
    CHECK(refusal({{"content-type", "application/json"}}, "{}") == ErrorCode::invalid);
    CHECK(refusal({}, "{}") == ErrorCode::invalid);
    CHECK(refusal({{"content-type", "text/plain"}}, "{}") == ErrorCode::unsupported_media_type);
    CHECK(refusal({{"content-type", "application/cloudevents+avro"}}, "x") ==
          ErrorCode::unsupported_media_type);
    CHECK(refusal(with(binary_headers("partner.upserted"), "content-type", "text/xml"), "<a/>") ==
          ErrorCode::unsupported_media_type);
    CHECK(parse_cloudevents(kBatch, "[]")->empty());
}

TEST_CASE("one bad event of a batch spoils no other") {
    const auto events = parse_cloudevents(
        kBatch, "[" + event_json("partner.deleted", "") + ",7," + event_json("x", "1") + "]");
    REQUIRE(events.has_value());
    REQUIRE(events->size() == 3);
    CHECK(std::holds_alternative<CommandBody>(events->at(0).what));
    CHECK(std::holds_alternative<Error>(events->at(1).what));
    CHECK(events->at(1).index == 1);
    CHECK(std::holds_alternative<IgnoredEvent>(events->at(2).what));
}

TEST_CASE("content and command ids tell events apart") {
    const auto content = [](const std::string& data, const std::string& more = "") {
        return one(kStructured, event_json("partner.upserted", data, more)).content;
    };
    CHECK(content(R"({"name":"A"})") == content(R"({ "name" : "\u0041" })"));
    CHECK(content(R"({"name":"A"})") != content(R"({"name":"B"})"));
    CHECK(one(with(binary_headers("partner.upserted"), "ce-time", "2027-01-01T00:00:00Z"), "{}")
              .content == content("{}"));
    CHECK(one(with(binary_headers("partner.upserted"), "ce-subject", "p2"), "{}").content !=
          content("{}"));

    const CommandId id = cloudevent_command_id({"p"}, "s", "i");
    CHECK(id == cloudevent_command_id({"p"}, "s", "i"));
    CHECK(id != cloudevent_command_id({"ps"}, "", "i"));
    CHECK(id != cloudevent_command_id({"p"}, "si", ""));
    CHECK(id != cloudevent_command_id({"q"}, "s", "i"));
}

TEST_CASE("no mutation of an event upsets the parser") {
    const std::string seed =
        "[" + event_json("partner.upserted", R"({"email":"a@b","metrics":{"clicks":1}})") + "," +
        event_json("message.opened", R"({"message":"msg_1"})") + "," +
        event_json("partner.performance", R"({"mode":"add","metrics":{"sales":1}})") + "]";
    CHECK_PROPERTY([&] {
        std::string body = seed;
        const int edits = *rc::gen::inRange(1, 6);
        for (int i = 0; i < edits; ++i) {
            const auto at = *rc::gen::inRange<std::size_t>(0, body.size());
            if (*rc::gen::arbitrary<bool>())
                body.erase(at, *rc::gen::inRange<std::size_t>(1, 10));
            else
                body.replace(
                    at, 1,
                    *rc::gen::element<std::string>("null", "1", "\"", "{", "[]", "\xC3", ","));
            if (body.empty()) body = " ";
        }
        const auto events = parse_cloudevents(kBatch, body);
        if (events.has_value()) RC_ASSERT(events->size() <= 16U);
        const auto header = *rc::gen::arbitrary<std::string>();
        const auto lone =
            parse_cloudevents(with(binary_headers("x"), "ce-subject", header + "%"), "");
        RC_ASSERT(lone.has_value());
    });
}

}  // namespace
}  // namespace tidings::upstream
