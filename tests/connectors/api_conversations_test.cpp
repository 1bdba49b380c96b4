// The portal and the conversations, from both sides, on a real broker.
#include "tests/connectors/api_world.h"

namespace tidings::http::testing {
namespace {

const std::string kPortal = "/v1/portal/messages";

TEST_CASE("the portal shows, opens, and counts") {
    World world;
    world.make_program({"grace", "alan"});
    const World::Who grace = World::partner("grace");
    CHECK(world.get(grace, "/v1/portal/summary").body == R"({"unread":0,"total":0})");
    const std::string message = world.send();
    CHECK(world.get(grace, "/v1/portal/summary").body == R"({"unread":1,"total":1})");
    const Answer inbox = world.get(grace, kPortal);
    CHECK(
        inbox.body ==
        R"({"data":[{"id":")" + message +
            R"(","subject":"News","preview":"Hello.","sender":{"id":"olivia","name":"Name of olivia"},)"
            R"("sent_at":"2026-01-05T09:00:04.000Z","unread":true,"can_reply":true,"posts":0}],"next_cursor":null})");

    const Answer seen = world.get(grace, kPortal + "/" + message);
    CHECK(seen.status == 200);
    CHECK(seen.json().at("opened_at").is_null());
    CHECK(boost::json::serialize(seen.json().at("partner")) ==
          R"({"id":"grace","email":"grace@x.example","name":"","surname":""})");
    CHECK(world.get(grace, "/v1/portal/summary").json().at("unread") == 1);

    const Answer first = world.post(grace, kPortal + "/" + message + "/open");
    CHECK(first.body == R"({"opened_at":"2026-01-05T09:00:05.000Z","first":true})");
    const Answer again = world.post(grace, kPortal + "/" + message + "/open", "{}");
    CHECK(again.body == R"({"opened_at":"2026-01-05T09:00:05.000Z","first":false})");
    CHECK_FALSE(again.header("Tidings-Position").empty());
    CHECK(world.get(grace, kPortal + "?unread=true").json().at("data").as_array().empty());
    CHECK(world.get(grace, kPortal + "?unread=maybe").status == 422);
    CHECK(world.get(kOwner, kPortal).status == 403);
    CHECK(world.broker.submitted.back().digest.is_zero());
    CHECK_FALSE(world.broker.submitted.back().track);
}

TEST_CASE("a message that the partner did not receive is not there") {
    World world;
    world.make_program({"grace", "alan"});
    const Answer sent = world.post(
        kOwner, kAcme + "/messages",
        R"({"subject":"S","body":"B","replies_enabled":true,"audience":{"type":"partners","partners":["alan"]}})");
    const std::size_t before = world.broker.submitted.size();
    for (const std::string& id :
         {sent.id(), std::string("msg_x"), message_id(ProgramId{"other"}, EventNumber{1})}) {
        const std::string path = kPortal + "/" + id;
        CHECK(world.get(World::partner("grace"), path).code() == "not_found");
        CHECK(world.post(World::partner("grace"), path + "/open").code() == "not_found");
        CHECK(world.post(World::partner("grace"), path + "/replies", "{").code() == "not_found");
        const std::string owner = kAcme + "/partners/grace/messages/" + id;
        CHECK(world.get(kOwner, owner).code() == "not_found");
        CHECK(world.post(kOwner, owner + "/read").code() == "not_found");
        CHECK(world.post(kOwner, owner + "/replies", R"({"body":"B"})").code() == "not_found");
    }
    CHECK(world.broker.submitted.size() == before);
    CHECK(world.get(World::partner("nobody"), kPortal).status == 404);
    CHECK(world.get({Role::partner, "none", "grace"}, kPortal).status == 404);
}

TEST_CASE("a conversation goes to and fro") {
    World world;
    world.make_program({"grace"});
    const World::Who grace = World::partner("grace");
    const std::string message = world.send();
    const std::string owners = kAcme + "/partners/grace/messages/" + message;
    const std::string portal = kPortal + "/" + message;

    const Answer reply =
        world.post(grace, portal + "/replies", R"({"body":"Hi"})", {{"idempotency-key", "k"}});
    REQUIRE(reply.status == 201);
    CHECK(reply.text("from") == "partner");
    CHECK(reply.text("body") == "Hi");
    const Answer again =
        world.post(grace, portal + "/replies", R"({ "body" : "Hi" })", {{"idempotency-key", "k"}});
    CHECK(again.body == reply.body);
    CHECK(world.post(grace, portal + "/replies", R"({"body":"Ho"})", {{"idempotency-key", "k"}})
              .code() == "idempotency_key_reused");
    CHECK(world.get(kOwner, kAcme + "/summary").json().at("unread_replies") == 1);

    const Answer tab = world.get(kOwner, kAcme + "/partners/grace/messages");
    const auto row = tab.json().at("data").at(0);
    CHECK(row.at("id") == boost::json::string_view(message));
    CHECK(row.at("unread_replies") == 1);
    CHECK(row.at("replied_at").is_string());
    CHECK(row.at("opened_at") == row.at("replied_at"));

    const Answer answer = world.post(kOwner, owners + "/replies", R"({"body":"Hello"})");
    REQUIRE(answer.status == 201);
    CHECK(answer.text("from") == "owner");
    CHECK(world.get(kOwner, kAcme + "/summary").json().at("unread_replies") == 0);
    const Answer conversation = world.get(kOwner, owners);
    CHECK(conversation.json().at("posts").as_array().size() == 2);
    CHECK(conversation.json().at("partner").at("metrics").is_object());
    CHECK(conversation.json().at("can_reply") == true);
    CHECK(boost::json::serialize(conversation.json().at("posts").at(1)) ==
          boost::json::serialize(answer.json()));
    CHECK(world.get(grace, portal).json().at("posts") == conversation.json().at("posts"));
    CHECK(world.get({Role::analyst, "acme"}, owners).status == 403);
    CHECK(world.get({Role::analyst, "acme"}, kAcme + "/partners/grace/messages").status == 200);
    CHECK(world.get({Role::auditor}, owners).status == 200);

    CHECK(world.get(grace, "/v1/portal/summary").json().at("unread") == 1);
    const auto open = [&](const std::string& up_to) {
        return world.post(grace, portal + "/open", R"({"up_to":")" + up_to + "\"}");
    };
    CHECK(open("post_x").fields().contains("/up_to"));
    CHECK(open(post_id(ProgramId{"acme"}, EventNumber{1})).fields().contains("/up_to"));
    CHECK(open(reply.id()).status == 200);
    CHECK(world.get(grace, "/v1/portal/summary").json().at("unread") == 1);
    CHECK(open(answer.id()).status == 200);
    CHECK(world.get(grace, "/v1/portal/summary").json().at("unread") == 0);
}

TEST_CASE("replies are refused where off or not in the plan, reading goes on") {
    World world;
    world.make_program({"grace"});
    const World::Who grace = World::partner("grace");
    const Answer quiet = world.post(kOwner, kAcme + "/messages", R"({"subject":"S","body":"B"})");
    const std::string body = R"({"body":"B"})";
    CHECK(world.post(grace, kPortal + "/" + quiet.id() + "/replies", body).code() ==
          "replies_disabled");
    CHECK(world.post(kOwner, kAcme + "/partners/grace/messages/" + quiet.id() + "/replies", body)
              .code() == "replies_disabled");
    const std::string message = world.send();
    world.make_program({}, "starter");
    CHECK(world.post(grace, kPortal + "/" + message + "/replies", body).code() == "plan_required");
    const Answer shown = world.get(grace, kPortal + "/" + message);
    CHECK(shown.json().at("can_reply") == false);
    CHECK(world.post(grace, kPortal + "/" + message + "/open").status == 200);
    CHECK(world.post(grace, kPortal + "/" + message + "/replies", R"({"body":" \u2029"})")
              .fields()
              .at("/body") == "blank");
    CHECK(world.post(kOwner, kAcme + "/partners/grace/messages/" + message + "/read").status ==
          204);
}

TEST_CASE("marking replies read takes no members") {
    World world;
    world.make_program({"grace"});
    const std::string path = kAcme + "/partners/grace/messages/" + world.send() + "/read";
    CHECK(world.post(kOwner, path).status == 204);
    CHECK(world.post(kOwner, path, "{}").status == 204);
    const std::size_t before = world.broker.submitted.size();
    for (const char* bad : {"{", "x", "{\"x\":1", "\xFF"}) {
        CHECK(world.post(kOwner, path, bad).status == 400);
        CHECK(world.post(kOwner, path, bad).code() == "malformed");
    }
    const Answer unknown = world.post(kOwner, path, R"({"x":1,"up_to":"post_1"})");
    CHECK(unknown.status == 422);
    CHECK(unknown.fields() ==
          std::map<std::string, std::string>{{"/x", "unknown_field"}, {"/up_to", "unknown_field"}});
    CHECK(world.post(kOwner, path, "[]").fields().at("") == "wrong_type");
    CHECK(world.broker.submitted.size() == before);
}

}  // namespace
}  // namespace tidings::http::testing
