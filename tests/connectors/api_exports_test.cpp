// Exports through the router: shapes, parameters, roles, what they cost the thread.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sstream>

#include "connectors/http/handlers_common.h"
#include "connectors/http/render_export.h"
#include "tests/connectors/api_world.h"

namespace tidings::http::testing {
namespace {

const std::string kExports = "/v1/programs/acme/exports/";
constexpr ExportTable kTables[] = {ExportTable::messages, ExportTable::recipients,
                                   ExportTable::opens, ExportTable::conversations};
const std::vector<std::string> kNames = {"messages", "recipients", "opens", "conversations"};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::string joined_columns(ExportTable table) {
    std::string out;
    for (const std::string_view name : export_columns(table)) {
        out.append(out.empty() ? "" : ",").append(name);
    }
    return out;
}

/// A message to grace and alan; grace opens it and replies, and olivia answers.
std::string tell(World& world) {
    world.make_program({"grace", "alan"});
    const std::string message = world.send();
    const Who grace = World::partner("grace");
    CHECK(world.post(grace, "/v1/portal/messages/" + message + "/open").status == 200);
    CHECK(world
              .post(grace, "/v1/portal/messages/" + message + "/replies",
                    R"({"body":"one, \"two\"\nthree"})")
              .status == 201);
    CHECK(world
              .post(World::kOwner,
                    "/v1/programs/acme/partners/grace/messages/" + message + "/replies",
                    R"({"body":"=1+1"})")
              .status == 201);
    return message;
}

TEST_CASE("each table in NDJSON: flat, with these columns in this order") {
    World world;
    const std::string message = tell(world);
    const auto lines = [&](const std::string& name) {
        const Answer answer = world.get(World::kOwner, kExports + name);
        CHECK(answer.status == 200);
        CHECK(answer.type == "application/x-ndjson");
        CHECK(answer.header("Tidings-Position") == "0:7");
        return lines_of(answer.body);
    };
    const auto messages = lines("messages");
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].starts_with(
        R"({"message_id":")" + message +
        R"(","sent_at":"2026-01-05T09:00:04.000Z","sender_id":"olivia","sender_name":"Name of olivia","subject":"News","body":"Hello.","replies_enabled":true,"plan":"partner","audience_type":"all","audience":"{\"type\":\"all\"}","audience_digest":")"));
    CHECK(messages[0].ends_with(
        R"(","recipients":2,"opens":1,"open_rate":0.5,"replied":1,"unread_replies":0})"));
    const std::string of = R"({"message_id":")" + message + R"(",)";
    const std::string sent = of + R"("sent_at":"2026-01-05T09:00:04.000Z",)";
    CHECK(
        lines("recipients") ==
        std::vector<std::string>{
            sent +
                R"("partner_id":"grace","email":"grace@x.example","name":"","surname":"","status":"active","opened":true,"opened_at":"2026-01-05T09:00:05.000Z","replied":true,"first_replied_at":"2026-01-05T09:00:06.000Z","last_replied_at":"2026-01-05T09:00:06.000Z","unread_replies":0})",
            sent +
                R"("partner_id":"alan","email":"alan@x.example","name":"","surname":"","status":"active","opened":false,"opened_at":null,"replied":false,"first_replied_at":null,"last_replied_at":null,"unread_replies":0})"});
    CHECK(lines("opens") ==
          std::vector<std::string>{
              sent + R"("partner_id":"grace","opened_at":"2026-01-05T09:00:05.000Z"})"});
    const auto posts = lines("conversations");
    REQUIRE(posts.size() == 2);
    CHECK(posts[0].starts_with(of + R"("partner_id":"grace","post_id":"post_)"));
    CHECK(posts[0].ends_with(
        R"(","posted_by":"partner","author_id":"grace","author_name":"Name of grace","posted_at":"2026-01-05T09:00:06.000Z","body":"one, \"two\"\nthree"})"));
    CHECK(posts[1].find(R"("posted_by":"owner","author_id":"olivia")") != std::string::npos);
}

TEST_CASE("CSV has the same columns, says nothing for null, and keeps the bytes") {
    World world;
    const std::string message = tell(world);
    for (std::size_t i = 0; i < std::size(kTables); ++i) {
        const Answer named = world.get(World::kOwner, kExports + kNames[i] + "?format=csv");
        CHECK(named.type == "text/csv; charset=utf-8; header=present");
        CHECK(named.body.starts_with(joined_columns(kTables[i]) + "\r\n"));
        const Answer accepted =
            world.get(World::kOwner, kExports + kNames[i], {{"accept", "text/csv"}});
        CHECK(accepted.body == named.body);
        const Answer both = world.get(World::kOwner, kExports + kNames[i] + "?format=ndjson",
                                      {{"accept", "text/csv"}});
        CHECK(both.type == "application/x-ndjson");
        // the keys of each object, in order
        for (const std::string& line : lines_of(both.body)) {
            std::string keys;
            const auto row = boost::json::parse(line);
            for (const auto& member : row.as_object()) {
                keys.append(keys.empty() ? "" : ",").append(member.key());
            }
            CHECK(keys == joined_columns(kTables[i]));
        }
    }
    const Answer recipients = world.get(World::kOwner, kExports + "recipients?format=csv");
    CHECK(recipients.body.ends_with(message +
                                    ",2026-01-05T09:00:04.000Z,alan,alan@x.example,,,active,"
                                    "false,,false,,,0\r\n"));
    const Answer posts = world.get(World::kOwner, kExports + "conversations?format=csv");
    CHECK(posts.body.find("\"one, \"\"two\"\"\nthree\"\r\n") != std::string::npos);
    CHECK(posts.body.ends_with(",=1+1\r\n"));
}

TEST_CASE("a table without rows: a header line in CSV, nothing in NDJSON") {
    World world;
    world.make_program({"grace"});
    for (std::size_t i = 0; i < std::size(kTables); ++i) {
        CHECK(world.get(World::kOwner, kExports + kNames[i] + "?format=csv").body ==
              joined_columns(kTables[i]) + "\r\n");
        CHECK(world.get(World::kOwner, kExports + kNames[i]).body.empty());
    }
}

TEST_CASE("one message's rows") {
    World world;
    const std::string first = tell(world), second = world.send();
    for (const char* name : {"recipients", "opens", "conversations"}) {
        const std::string all = world.get(World::kOwner, kExports + name).body;
        const std::string one =
            world.get(World::kOwner, kExports + name + "?message=" + first).body;
        const std::string other =
            world.get(World::kOwner, kExports + name + "?message=" + second).body;
        CHECK_FALSE(one.empty());
        CHECK(one + other == all);
    }
}

TEST_CASE("what is wrong with a question for an export is said") {
    World world;
    const std::string message = tell(world);
    using Fields = std::map<std::string, std::string>;
    const auto ask = [&](const std::string& rest) {
        return world.get(World::kOwner, kExports + rest);
    };
    CHECK(ask("opens?format=parquet").fields() == Fields{{"/format", "invalid_value"}});
    CHECK(ask("opens?format=csv&format=csv").fields() == Fields{{"/format", "invalid"}});
    CHECK(ask("opens?limit=3").fields() == Fields{{"/limit", "unknown_field"}});
    CHECK(ask("messages?message=" + message).fields() == Fields{{"/message", "unknown_field"}});
    CHECK(ask("opens?message=").code() == "not_found");
    CHECK(ask("opens?message=msg_0").code() == "not_found");
    CHECK(ask("partners").code() == "not_found");
    CHECK(world.get(World::kOwner, kExports + "opens", {{"accept", "image/png"}}).status == 406);
    CHECK(world.get({Role::owner, "other"}, kExports + "opens").code() == "not_found");
    CHECK(world.get({Role::platform}, "/v1/programs/none/exports/opens").code() == "not_found");
    CHECK(world.get({Role::owner, "acme"}, kExports + "opens?as_of=0:1").code() == "forbidden");
    CHECK(world.ask(World::kOwner, "POST", kExports + "opens").status == 405);
    for (const std::string& name : kNames) {
        CHECK(world.get(World::partner("grace"), kExports + name).code() == "forbidden");
        const bool analysts = name != "conversations";
        CHECK(world.get({Role::analyst}, kExports + name).status == (analysts ? 200 : 403));
        for (const Role role : {Role::platform, Role::auditor}) {
            CHECK(world.get({role}, kExports + name).status == 200);
        }
    }
}

TEST_CASE("as many exports as there are places") {
    ExportPlaces places;
    const ProgramId late{"late"};
    std::vector<std::shared_ptr<void>> taken;
    for (std::size_t i = 0; i < limits::kExports; ++i) {
        taken.push_back(places.take({"p" + std::to_string(i / ExportPlaces::kOfProgram)}));
        REQUIRE(taken.back() != nullptr);
    }
    CHECK(places.take(late) == nullptr);
    CHECK(places.take(late) == nullptr);
    taken.pop_back();
    CHECK(places.take(late) != nullptr);
    CHECK(places.take(late) != nullptr);  // the one before was given back at once
}

TEST_CASE("one program cannot take all places for exports") {
    ExportPlaces places;
    const ProgramId busy{"busy"}, other{"other"};
    std::vector<std::shared_ptr<void>> taken;
    for (std::size_t i = 0; i < ExportPlaces::kOfProgram; ++i) taken.push_back(places.take(busy));
    CHECK(places.take(busy) == nullptr);
    CHECK(places.take(other) != nullptr);
    taken.pop_back();
    CHECK(places.take(busy) != nullptr);
}

/// Reads a streamed answer as fast as it comes; counts the pieces.
Task<void> read_all(const Router& router, Request& request, std::string target, std::string& body,
                    std::size_t& pieces) {
    const Response response = co_await router.dispatch(request, target);
    for (;;) {
        const auto piece = co_await response.chunks();
        if (!piece || !*piece) co_return;
        body += **piece;
        ++pieces;
        CHECK((*piece)->size() < 256 << 10);
    }
}

/// Somebody else on the same thread.
Task<void> take_turns(const bool& done, std::size_t& turns) {
    while (!done) {
        co_await boost::asio::post(boost::asio::use_awaitable);
        ++turns;
    }
}

TEST_CASE("the thread's others are served between two pieces") {
    World world;
    std::vector<std::string> ids;
    for (int i = 0; i < 2'000; ++i) ids.push_back("partner-" + std::to_string(i));
    world.make_program(ids);
    world.send();
    Claims claims;
    claims.role = Role::auditor;
    claims.sub = "ada";
    claims.expires_at_s = 4'102'444'800;
    Request request;
    request.method = "GET";
    request.headers.emplace_back("authorization",
                                 "Bearer " + world.keys->issue_token(claims).value());
    std::string body;
    std::size_t pieces = 0, turns = 0;
    bool done = false;
    world.context.restart();
    boost::asio::co_spawn(world.context, take_turns(done, turns), boost::asio::detached);
    boost::asio::co_spawn(world.context,
                          read_all(world.router, request, kExports + "recipients", body, pieces),
                          [&done](const std::exception_ptr&) { done = true; });
    world.context.run();
    CHECK(lines_of(body).size() == 2'000);
    CHECK(pieces > 3);
    CHECK(turns >= pieces);
}

}  // namespace
}  // namespace tidings::http::testing
