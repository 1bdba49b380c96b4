// Sending, looking at what was sent, and what tracked commands promise, on a real broker.
#include "tests/connectors/api_world.h"

namespace tidings::http::testing {
namespace {

const std::string kMessages = kAcme + "/messages";
const std::string kNews = R"({"subject":"S","body":"B"})";
const Headers kAsync = {{"prefer", "respond-async"}};

Headers keyed(const std::string& key, Headers more = {}) {
    more.emplace_back("idempotency-key", key);
    return more;
}

std::vector<std::string> ids_of(const Answer& page) {
    std::vector<std::string> ids;
    const auto json = page.json();
    for (const auto& row : json.at("data").as_array()) {
        ids.emplace_back(row.at("id").as_string());
    }
    return ids;
}

TEST_CASE("a message as the API shows it") {
    World world;
    world.make_program({"grace", "alan"});
    const Answer sent = world.post(
        kOwner, kMessages,
        R"({"subject":"S \"1\"","body":"B\n","audience":{"type":"filter","filter":{"not":{"tag":"x"}}}})");
    REQUIRE(sent.status == 201);
    const auto json = sent.json();
    CHECK(json.at("subject") == "S \"1\"");
    CHECK(json.at("body") == "B\n");
    CHECK(json.at("program") == "acme");
    CHECK(json.at("replies_enabled") == false);
    CHECK(boost::json::serialize(json.at("sender")) ==
          R"({"id":"olivia","name":"Name of olivia"})");
    CHECK(json.at("audience").at("type") == "filter");
    CHECK(boost::json::serialize(json.at("audience").at("filter")) == R"({"not":{"tag":"x"}})");
    CHECK(json.at("audience").at("digest").as_string().size() == 64);
    CHECK(json.at("audience").at("plan") == "partner");
    CHECK(
        sent.body.find(
            R"("stats":{"recipients":2,"opens":0,"open_rate":0,"replied":0,"unread_replies":0})") !=
        std::string::npos);
    CHECK(world.get(kOwner, kMessages + "/" + sent.id()).body == sent.body);
    CHECK(sent.header("Tidings-Position") == "0:4");

    world.post(World::partner("grace"), "/v1/portal/messages/" + sent.id() + "/open");
    const Answer opened = world.get(kOwner, kMessages + "/" + sent.id());
    CHECK(opened.json().at("stats").at("open_rate") == 0.5);
}

TEST_CASE("only the fields that were decoded count for a key") {
    World world;
    world.make_program({"grace"});
    const Answer first = world.post(kOwner, kMessages, kNews, keyed("k"));
    REQUIRE(first.status == 201);
    world.post(World::partner("grace"), "/v1/portal/messages/" + first.id() + "/open");
    const Answer again = world.post(
        kOwner, kMessages,
        R"({ "body":"\u0042", "replies_enabled":false, "audience":{"type":"all"}, "subject":"S" })",
        keyed("k"));
    CHECK(again.status == 201);
    CHECK(again.body == first.body);  // as it was at first, though one has opened it since
    CHECK(ids_of(world.get(kOwner, kMessages)).size() == 1);
    for (const char* other :
         {R"({"subject":"T","body":"B"})", R"({"subject":"S","body":"C"})",
          R"({"subject":"S","body":"B","replies_enabled":true})",
          R"({"subject":"S","body":"B","audience":{"type":"partners","partners":["grace"]}})"}) {
        const Answer conflict = world.post(kOwner, kMessages, other, keyed("k"));
        CHECK(conflict.status == 409);
        CHECK(conflict.code() == "idempotency_key_reused");
        CHECK_FALSE(conflict.header("Tidings-Position").empty());
    }
    World::Who oscar = kOwner;
    oscar.sub = "oscar";
    CHECK(world.post(oscar, kMessages, kNews, keyed("k")).id() != first.id());
    CHECK(world.post(kOwner, kMessages, kNews, keyed("")).fields().contains("/Idempotency-Key"));
}

TEST_CASE("checks come in the API's order") {
    World world;
    world.make_program({"grace"}, "starter");
    const std::string bad = R"({"subject":""})";
    CHECK(world.post(World::partner("grace"), kMessages, bad).status == 403);
    CHECK(world.post({Role::owner, "other"}, kMessages, bad).status == 404);
    CHECK(world.post({Role::owner, "none"}, "/v1/programs/none/messages", bad).status == 404);
    CHECK(world.post(kOwner, kMessages, bad).code() == "invalid");
    CHECK(world.post(kOwner, kMessages, kNews).code() == "plan_required");
    const std::string nobody =
        R"({"subject":"S","body":"B","audience":{"type":"partners","partners":["grace","nobody"]}})";
    CHECK(world.post(kOwner, kMessages, nobody).code() == "plan_required");
    world.make_program({});
    const Answer unknown = world.post(kOwner, kMessages, nobody);
    CHECK(unknown.status == 422);
    CHECK(unknown.code() == "unknown_partner");
    CHECK(unknown.fields().contains("/audience/partners/1"));
    const Answer empty = world.post(
        kOwner, kMessages,
        R"({"subject":"S","body":"B","audience":{"type":"filter","filter":{"tag":"none"}}})");
    CHECK(empty.code() == "audience_empty");
    CHECK_FALSE(empty.header("Tidings-Position").empty());
}

TEST_CASE("a filter may name only messages that were sent") {
    World world;
    world.make_program({"grace"});
    world.send();
    const std::string wanted = message_id(ProgramId{"acme"}, EventNumber{99});
    const std::string audience =
        R"({"type":"filter","filter":{"any":[{"tag":"a"},{"not":{"engagement":"opened","message":")" +
        wanted + R"("}}]}})";
    const std::string pointer = "/audience/filter/any/1/not/message";
    const std::size_t before = world.broker.submitted.size();
    CHECK(world.post(kOwner, kAcme + "/audiences", "{\"audience\":" + audience + "}")
              .fields()
              .contains(pointer));
    CHECK(world.post(kOwner, kMessages, R"({"subject":"S","body":"B","audience":)" + audience + "}")
              .fields()
              .contains(pointer));
    CHECK(world.broker.submitted.size() == before);
}

TEST_CASE("an audience is reviewed, then sent to as reviewed") {
    World world;
    world.make_program({"grace", "alan", "zoe"});
    const std::string audience =
        R"("audience":{"type":"filter","filter":{"all":[]},"exclude":["zoe"]})";
    const Answer preview =
        world.post(kOwner, kAcme + "/audiences", "{" + audience + R"(,"limit":1})");
    REQUIRE(preview.status == 200);
    CHECK(preview.json().at("count") == 2);
    CHECK(ids_of(preview) == std::vector<std::string>{"grace"});
    const Answer rest =
        world.post(kOwner, kAcme + "/audiences",
                   "{" + audience + R"(,"cursor":")" + preview.text("next_cursor") + "\"}");
    CHECK(ids_of(rest) == std::vector<std::string>{"alan"});
    CHECK(rest.json().at("next_cursor").is_null());
    const auto send = [&] {
        return world.post(kOwner, kMessages,
                          R"({"subject":"S","body":"B","expect_digest":")" +
                              preview.text("digest") + "\"," + audience + "}");
    };
    CHECK(send().status == 201);
    world.make_program({"pat"});
    CHECK(send().code() == "audience_changed");
    // left out, the audience is everyone, here as in a send
    const Answer everyone = world.post(kOwner, kAcme + "/audiences", "{}");
    CHECK(everyone.status == 200);
    CHECK(everyone.json().at("count") == 4);
    CHECK(everyone.body ==
          world.post(kOwner, kAcme + "/audiences", R"({"audience":{"type":"all"}})").body);
    CHECK(world
              .post({Role::analyst, "acme"}, kAcme + "/audiences",
                    R"({"audience":{"type":"filter","filter":{"any":[]}}})")
              .json()
              .at("count") == 0);
}

TEST_CASE("long lists of messages are whole whatever the pieces") {
    World world;
    world.make_program({"grace"});
    std::vector<std::string> sent;
    for (int i = 0; i < 35; ++i) sent.insert(sent.begin(), world.send());
    CHECK(ids_of(world.get(kOwner, kMessages)) == sent);
    CHECK(world.get(kOwner, kMessages).json().at("next_cursor").is_null());
    for (const std::size_t limit : {1, 15, 16, 17, 32, 33, 34, 35, 36}) {
        std::vector<std::string> seen;
        std::string cursor;
        do {
            const Answer page = world.get(kOwner, kMessages + "?limit=" + std::to_string(limit) +
                                                      (cursor.empty() ? "" : "&cursor=" + cursor));
            REQUIRE(page.status == 200);
            const auto ids = ids_of(page);
            CHECK(ids.size() == std::min(limit, sent.size() - seen.size()));
            seen.insert(seen.end(), ids.begin(), ids.end());
            const auto next = page.json().at("next_cursor");
            cursor = next.is_null() ? "" : std::string(next.as_string());
        } while (!cursor.empty());
        CHECK(seen == sent);
    }
}

TEST_CASE("recipients as JSON and as one CSV") {
    World world;
    world.make_program({"grace"});
    REQUIRE(world
                .ask(World::kPlatform, "PATCH", kAcme + "/partners/grace",
                     R"({"name":"Quote \" and, comma"})")
                .status == 200);
    std::string lines;
    for (int i = 0; i < 1'500; ++i) {
        lines += "{\"id\":\"p" + std::to_string(i) + "\",\"email\":\"p@x.example\"}\n";
    }
    world.stream(kAcme + "/partners/import", lines);
    const std::string message = world.send();
    const std::string path = kMessages + "/" + message + "/recipients";
    REQUIRE(world
                .post(World::partner("grace"), "/v1/portal/messages/" + message + "/replies",
                      R"({"body":"Hi"})")
                .status == 201);
    const Answer replied = world.get(kOwner, path + "?state=replied");
    const auto row = replied.json().at("data").at(0);
    CHECK(row.at("partner").at("id") == "grace");
    CHECK(row.at("unread_replies") == 1);
    CHECK(row.at("opened_at") == row.at("first_replied_at"));
    CHECK(
        world.get(kOwner, path + "?state=unopened&limit=200").json().at("data").as_array().size() ==
        200);

    const Answer csv = world.get(kOwner, path, {{"accept", "text/csv"}});
    CHECK(csv.type == "text/csv; charset=utf-8");
    CHECK(std::count(csv.body.begin(), csv.body.end(), '\n') == 1'502);
    CHECK(csv.body.find(
              "partner_id,email,name,surname,opened_at,first_replied_at,last_replied_at,"
              "unread_replies\r\ngrace,grace@x.example,\"Quote \"\" and, comma\",,2026-") == 0);
    CHECK(csv.body.find("\r\np1499,p@x.example,,,,,,0\r\n") != std::string::npos);
    const Answer one = world.get(kOwner, path + "?query=grace&limit=1", {{"accept", "text/csv"}});
    CHECK(std::count(one.body.begin(), one.body.end(), '\n') == 2);
    CHECK(world.get(kOwner, path + "?state=maybe").fields().at("/state") == "invalid_value");
    CHECK(world.get(kOwner, path, {{"accept", "image/png"}}).status == 406);

    const Answer opens = world.get(kOwner, kMessages + "/" + message + "/opens?interval=day");
    CHECK(opens.body == R"({"data":[{"at":"2026-01-05T00:00:00.000Z","opens":1}]})");
}

TEST_CASE("respond-async answers with the command, which can be asked for") {
    World world;
    world.make_program({"grace"});
    const Answer asked = world.post(kOwner, kMessages, kNews, kAsync);
    CHECK(asked.status == 202);
    CHECK(asked.header("Preference-Applied") == "respond-async");
    const std::string location = asked.header("Location");
    CHECK(location == "/v1/commands/" + asked.id());
    const Answer shown = world.get(kOwner, location);
    CHECK(shown.body == asked.body);
    CHECK(shown.text("state") == "done");
    CHECK(shown.json().at("status") == 201);
    const std::string message(shown.json().at("answer").at("id").as_string());
    CHECK(boost::json::serialize(shown.json().at("answer")) ==
          boost::json::serialize(world.get(kOwner, kMessages + "/" + message).json()));
    World::Who oscar = kOwner;
    oscar.sub = "oscar";
    for (const auto& other : {oscar, World::partner("grace"), World::kPlatform,
                              World::Who{Role::analyst}, World::Who{Role::owner, "other"}}) {
        CHECK(world.get(other, location).status == 404);
    }
    for (const char* bad : {"x", "00", "000102030405060708090a0b0c0d0e0f"}) {
        CHECK(world.get(kOwner, std::string("/v1/commands/") + bad).status == 404);
    }

    const Answer refused = world.post(
        kOwner, kMessages,
        R"({"subject":"S","body":"B","audience":{"type":"filter","filter":{"tag":"none"}}})",
        kAsync);
    CHECK(refused.status == 202);
    const Answer why = world.get(kOwner, refused.header("Location"));
    CHECK(why.text("state") == "refused");
    CHECK(why.json().at("status") == 422);
    CHECK(why.json().at("answer").at("code") == "audience_empty");
    CHECK(world.post(kOwner, kMessages, "{}", kAsync).status == 422);
}

TEST_CASE("a command is pending until it is decided, for its caller only") {
    World world;
    world.make_program({"grace"});
    world.broker.held = true;
    CHECK_FALSE(world.start(kOwner, "POST", kMessages, kNews, keyed("k")));
    const std::string path = "/v1/commands/" + to_hex(world.broker.submitted.back().id.view());
    const Command held = world.broker.submitted.back();
    CHECK(held.remember);
    CHECK(held.track);
    // Other callers ask while it waits; only one request at a time is kept by this world.
    const auto* waiting = &world.broker;
    CHECK(waiting->pending(ProgramId{"acme"}, held.id));
    world.broker.release();
    const auto answer = world.finish();
    REQUIRE(answer);
    CHECK(answer->status == 201);
    CHECK(world.get(kOwner, path).text("state") == "done");
}

TEST_CASE("a command that is decided, and whose read models are replaced, while it is asked for") {
    World world;
    world.make_program({"grace"});
    const auto copy = world.data.path() / "copy";
    REQUIRE(world.broker.models().snapshot(copy).has_value());
    world.broker.failure = Error{ErrorCode::outcome_unknown, "late"};
    const Answer late = world.post(kOwner, kMessages, kNews, keyed("k"));
    CHECK(late.code() == "outcome_unknown");
    world.broker.shown = Models::open({.directory = copy, .read_only = true}).value();
    world.broker.before_pending = [&] {
        world.broker.release();
        world.broker.shown = nullptr;
    };
    const Answer asked =
        world.get(kOwner, "/v1/commands/" + to_hex(world.broker.submitted.back().id.view()));
    CHECK(asked.text("state") == "done");
}

TEST_CASE("an unknown outcome says where to ask, and is pending there") {
    World world;
    world.make_program({"grace"});
    const std::string message = world.send();
    world.broker.failure = Error{ErrorCode::outcome_unknown, "it may yet happen", {}};
    const Answer unknown = world.post(kOwner, kMessages, kNews);
    CHECK(unknown.status == 503);
    CHECK(unknown.code() == "outcome_unknown");
    const std::string location = unknown.header("Location");
    const Answer pending = world.get(kOwner, location);
    CHECK(pending.text("state") == "pending");
    CHECK(pending.json().at("status").is_null());
    CHECK(pending.json().at("answer").is_null());
    CHECK(world.get(World::partner("grace"), location).status == 404);
    world.broker.release();
    CHECK(world.get(kOwner, location).text("state") == "done");

    world.broker.failure = Error{ErrorCode::outcome_unknown, "it may yet happen", {}};
    const Answer read = world.post(kOwner, kAcme + "/partners/grace/messages/" + message + "/read");
    CHECK(read.status == 503);
    CHECK(read.header("Location").empty());
}

TEST_CASE("reads wait for a position") {
    World world;
    world.make_program({"grace"});
    const auto at = [&](const char* position) {
        return world.get(kOwner, kAcme + "/summary", {{"tidings-min-position", position}});
    };
    CHECK(at("0:2").status == 200);
    CHECK(world.broker.waited_ms == 0);
    const Answer late = at("0:3");
    CHECK(late.status == 503);
    CHECK(late.code() == "not_caught_up");
    CHECK(world.broker.waited_ms == 2'000);
    CHECK(at("0:x").fields().contains("/Tidings-Min-Position"));
    CHECK(at("7:1").status == 422);
    CHECK(world
              .get({Role::owner, "none"}, "/v1/programs/none/summary",
                   {{"tidings-min-position", "x"}})
              .status == 404);
}

}  // namespace
}  // namespace tidings::http::testing
