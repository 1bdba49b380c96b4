// Programs and partners, one by one and in bulk, through the router on a real broker.
#include "tests/connectors/api_world.h"

namespace tidings::http::testing {
namespace {

const std::string kGrace = kAcme + "/partners/grace";

TEST_CASE("a program is put and read") {
    World world;
    CHECK(world.get(kPlatform, kAcme).status == 404);
    const Answer put = world.ask(kPlatform, "PUT", kAcme, R"({"name":"Acme","plan":"starter"})");
    CHECK(put.status == 200);
    CHECK(put.body == R"({"id":"acme","name":"Acme","plan":"starter"})");
    CHECK(put.header("Tidings-Position") == "0:1");
    CHECK(world.get(kPlatform, kAcme).body == put.body);
    CHECK(world.get(kOwner, kAcme).status == 403);

    CHECK(world.get(World::partner("grace"), kAcme).status == 403);
    CHECK(world.ask(kOwner, "PUT", kAcme, R"({"name":"A","plan":"starter"})").status == 403);
    const Answer bad = world.ask(kPlatform, "PUT", kAcme, R"({"name":" ","plan":"gold","x":1})");
    CHECK(bad.status == 422);
    CHECK(bad.fields() == std::map<std::string, std::string>{{"/name", "blank"},
                                                             {"/plan", "invalid_value"},
                                                             {"/x", "unknown_field"}});
    CHECK(world.ask(kPlatform, "PUT", "/v1/programs/a%0Ab", R"({"name":"A","plan":"starter"})")
              .fields()
              .contains("/id"));
    CHECK(world.ask(kPlatform, "PUT", kAcme, "{").code() == "malformed");
}

TEST_CASE("a partner is created, patched, deleted and revived") {
    World world;
    world.make_program({});
    const Answer nameless = world.ask(kPlatform, "PUT", kGrace, R"({"name":"Grace"})");
    CHECK(nameless.status == 422);
    CHECK(nameless.fields().at("/email") == "required");
    CHECK(world.broker.submitted.size() == 1);  // told before it was a command
    CHECK(world.ask(kPlatform, "PATCH", kGrace, R"({"name":"Grace"})").status == 404);
    CHECK(world.ask(kPlatform, "DELETE", kGrace).status == 404);
    CHECK(world.get(kOwner, kGrace).status == 404);

    const Answer put = world.ask(
        kPlatform, "PUT", kGrace,
        R"({"email":"g@x.example","name":"Grace","tags":["b","a","b"],"metrics":{"clicks":3,"revenue":{"USD":"9.99"}}})");
    REQUIRE(put.status == 200);
    CHECK(put.body.find(R"("status":"active","tags":["a","b"])") != std::string::npos);
    CHECK(world.get(kOwner, kGrace).body == put.body);

    const Answer patched =
        world.ask(kPlatform, "PATCH", kGrace, R"({"name":null,"metrics":{"revenue":null}})");
    REQUIRE(patched.status == 200);
    CHECK(patched.text("name").empty());
    CHECK(patched.body.find(R"("clicks":3)") != std::string::npos);
    CHECK(patched.body.find(R"("revenue":{"USD":"0"})") != std::string::npos);

    CHECK(world.get(World::partner("grace"), "/v1/portal/summary").status == 200);
    const Answer gone = world.ask(kPlatform, "DELETE", kGrace);
    CHECK(gone.status == 204);
    CHECK(gone.body.empty());
    CHECK_FALSE(gone.header("Tidings-Position").empty());
    CHECK(world.get(kOwner, kGrace).text("status") == "deleted");
    CHECK(world.get(World::partner("grace"), "/v1/portal/summary").status == 404);
    CHECK(world.ask(kPlatform, "PUT", kGrace, "{}").text("status") == "active");
}

TEST_CASE("partners are listed by words, tag and status") {
    World world;
    world.make_program({"grace", "alan", "zoe"});
    REQUIRE(world.ask(kPlatform, "PATCH", kGrace, R"({"tags":["premium"]})").status == 200);
    REQUIRE(
        world.ask(kPlatform, "PATCH", kAcme + "/partners/zoe", R"({"status":"archived"})").status ==
        200);
    const auto ids = [&](const std::string& query) {
        const Answer answer = world.get(kOwner, kAcme + "/partners" + query);
        REQUIRE(answer.status == 200);
        std::string out;
        const auto json = answer.json();
        for (const auto& row : json.at("data").as_array()) {
            out += std::string(row.at("id").as_string()) + " ";
        }
        return out + (json.at("next_cursor").is_null() ? "." : "+");
    };
    CHECK(ids("") == "grace alan .");
    CHECK(ids("?status=all") == "grace alan zoe .");
    CHECK(ids("?status=archived") == "zoe .");
    CHECK(ids("?query=GRACE%40x") == "grace .");
    CHECK(ids("?tag=premium") == "grace .");
    CHECK(ids("?limit=1") == "grace +");
    const std::string cursor = world.get(kOwner, kAcme + "/partners?limit=1").text("next_cursor");
    CHECK(ids("?limit=1&cursor=" + cursor) == "alan .");
    CHECK(world.get(kOwner, kAcme + "/tags").body ==
          R"({"data":[{"tag":"premium","partners":1}],"next_cursor":null})");
    CHECK(world.get(kOwner, kAcme + "/summary").body ==
          R"({"messages":0,"partners":2,"unread_replies":0})");
    for (const char* bad :
         {"?status=gone", "?limit=0", "?cursor=x", "?surprise=1", "?limit=1&limit=2"}) {
        CHECK(world.get(kOwner, kAcme + "/partners" + bad).code() == "invalid");
    }
    CHECK(world.get({Role::owner, "none"}, "/v1/programs/none/partners?limit=0").status == 404);
}

TEST_CASE("the webhook secret is kept sealed") {
    World world;
    world.make_program({});
    const Answer put =
        world.ask(kPlatform, "PUT", kAcme + "/webhooks/partnero", R"({"secret":"whsec_1"})");
    CHECK(put.status == 204);
    const auto sealed = world.broker.models().webhook_secret(ProgramId{"acme"});
    REQUIRE(sealed);
    CHECK(sealed->find("whsec_1") == std::string::npos);
    CHECK(world.broker.open(*sealed, "acme").value() == "whsec_1");
    CHECK(world.broker.open(*sealed, "other").has_error());
    CHECK(world.ask(kPlatform, "PUT", kAcme + "/webhooks/partnero", R"({"secret":""})").status ==
          422);
}

TEST_CASE("an import applies good lines and tells the bad ones") {
    World world;
    world.make_program({});
    const std::string body =
        "{\"id\":\"a\",\"email\":\"a@x.example\"}\r\n"
        "\n"
        "{\n"
        "{\"id\":\"b\"}\n"
        "{\"id\":\"c\",\"email\":\"no at\"}\n"
        "\xff\xfe\n"
        "{\"id\":\"a\",\"name\":\"Ada\"}\n"
        "{\"id\":\"" +
        std::string(limits::kJsonBytes, 'x') +
        "\"}\n"
        "{\"id\":\"d\",\"email\":\"d@x.example\"}";
    for (const std::size_t piece : {std::size_t{7}, std::size_t{65'536}}) {
        const bool again = piece != 7;
        const Answer answer = world.stream(kAcme + "/partners/import", body, piece);
        REQUIRE(answer.status == 200);
        const auto json = answer.json();
        CHECK(json.at("created") == (again ? 0 : 2));
        CHECK(json.at("updated") == (again ? 0 : 1));
        CHECK(json.at("unchanged") == (again ? 3 : 0));
        std::string rejected;
        for (const auto& row : json.at("rejected").as_array()) {
            rejected += std::to_string(row.at("line").as_int64()) + " " +
                        std::string(row.at("code").as_string()) + "; ";
            CHECK_FALSE(row.at("detail").as_string().empty());
        }
        CHECK(rejected == "3 malformed; 4 invalid; 5 invalid; 6 malformed; 8 payload_too_large; ");
        CHECK_FALSE(answer.header("Tidings-Position").empty());
    }
    CHECK(world.get(kOwner, kAcme + "/partners/a").text("name") == "Ada");
}

TEST_CASE("a long import becomes several commands, bounded and in order") {
    World world;
    world.make_program({});
    std::string body;
    const std::size_t count = limits::kImportChunkPartners + 10;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string id = std::to_string(i);
        body += "{\"id\":\"p" + id + "\",\"email\":\"p" + id + "@x.example\"}\n";
    }
    for (int i = 0; i < 30; ++i) body += "{}\n";
    const std::size_t before = world.broker.submitted.size();
    const Answer answer = world.stream(kAcme + "/partners/import", body);
    const auto json = answer.json();
    CHECK(json.at("created") == count);
    CHECK(json.at("rejected").as_array().size() == 20);  // as many as this world keeps
    CHECK(json.at("rejected_total") == 30);
    CHECK(world.broker.submitted.size() == before + 2);
    std::size_t next = 0;
    for (std::size_t i = before; i < world.broker.submitted.size(); ++i) {
        const auto& upsert = std::get<UpsertPartners>(world.broker.submitted[i].body);
        CHECK(upsert.revive);
        CHECK(upsert.partners.size() <= limits::kImportChunkPartners);
        for (const PartnerPatch& patch : upsert.partners) {
            REQUIRE(patch.id.value == "p" + std::to_string(next++));
        }
    }
    CHECK(next == count);
    CHECK(world.get(kOwner, kAcme + "/summary").json().at("partners") == count);
}

TEST_CASE("lines whose partners do not fit into one event together are sent again") {
    World world;
    world.make_program({});
    std::string tags;
    for (int i = 0; i < 100; ++i) {
        tags += (i > 0 ? ",\"" : "\"") + std::string(90, 't') + std::to_string(i) + "\"";
    }
    // About 10 kB of tags each: 2,000 of them are more than one event may take once only ids are
    // sent.
    std::string tagged, named;
    const int count = 2'000;
    for (int i = 0; i < count; ++i) {
        const std::string id = "\"id\":\"p" + std::to_string(i) + "\"";
        tagged += "{" + id + ",\"email\":\"p@x.example\",\"tags\":[" + tags + "]}\n";
        named += "{" + id + ",\"name\":\"New\"}\n";
    }
    REQUIRE(world.stream(kAcme + "/partners/import", tagged).json().at("created") == count);
    const std::size_t before = world.broker.submitted.size();
    const Answer answer = world.stream(kAcme + "/partners/import", named);
    CHECK(answer.json().at("updated") == count);
    CHECK(answer.json().at("rejected").as_array().empty());
    CHECK(world.broker.submitted.size() > before + 1);
}

TEST_CASE("an import stops at a failing broker and says so") {
    World world;
    world.make_program({});
    world.broker.failure = Error{ErrorCode::overloaded, "too much", {}};
    const Answer answer =
        world.stream(kAcme + "/partners/import", "{\"id\":\"a\",\"email\":\"a@x.example\"}\n");
    CHECK(answer.status == 503);
    CHECK(answer.code() == "overloaded");
    CHECK(answer.text("detail").find("harmless") != std::string::npos);
    CHECK(answer.header("Location").empty());
}

TEST_CASE("an empty import is an answer") {
    World world;
    world.make_program({});
    CHECK(world.stream(kAcme + "/partners/import", "").body ==
          R"({"created":0,"updated":0,"unchanged":0,"rejected":[]})");
}

TEST_CASE("opens in bulk: first ones, repeated ones, and those that can't be") {
    World world;
    world.make_program({"grace", "alan", "zoe"});
    const std::string all = world.send();
    const Answer few = world.post(
        kOwner, kAcme + "/messages",
        R"({"subject":"S","body":"B","audience":{"type":"partners","partners":["alan"]}})");
    const auto line = [](const std::string& message, const char* partner,
                         const char* at = nullptr) {
        return "{\"message\":\"" + message + "\",\"partner\":\"" + partner + "\"" +
               (at != nullptr ? std::string(",\"at\":\"") + at + "\"" : "") + "}\n";
    };
    world.broker.clock.value += 3'600'000;
    const std::string body = line(few.id(), "alan") + line(all, "grace", "2026-01-05T09:30:00Z") +
                             line(all, "grace", "2026-01-05T09:40:00Z") + line(few.id(), "zoe") +
                             line(all, "nobody") + line("msg_x", "grace") + line(all, "zoe") +
                             "{\"partner\":\"zoe\"}\n" + line(few.id(), "zoe");
    const Answer answer = world.stream(kAcme + "/opens", body, 50);
    REQUIRE(answer.status == 200);
    const auto json = answer.json();
    CHECK(json.at("accepted") == 4);
    CHECK(json.at("first_opens") == 3);
    std::string rejected;
    for (const auto& row : json.at("rejected").as_array()) {
        rejected += std::to_string(row.at("line").as_int64()) + " " +
                    std::string(row.at("code").as_string()) + "; ";
    }
    CHECK(rejected ==
          "4 not_a_recipient; 5 not_found; 6 not_found; 8 invalid; 9 not_a_recipient; ");
    const Answer opened = world.get(kOwner, kGrace + "/messages/" + all);
    CHECK(opened.text("opened_at") == "2026-01-05T09:30:00.000Z");

    const Answer again = world.stream(kAcme + "/opens", line(all, "grace"));
    CHECK(again.body == R"({"accepted":1,"first_opens":0,"rejected":[]})");
    const Answer alone =
        world.stream(kAcme + "/opens", line(few.id(), "zoe") + line(few.id(), "zoe"));
    CHECK(alone.json().at("accepted") == 0);
    CHECK(alone.json().at("rejected").as_array().size() == 2);
    CHECK(alone.json().at("rejected").at(0).at("code") == "not_a_recipient");
}

TEST_CASE("opens in bulk are of the read models that are live when a line comes") {
    World world;
    world.make_program({"alan"});
    const auto copy = world.data.path() / "copy";
    REQUIRE(world.broker.models().snapshot(copy).has_value());
    world.make_program({"grace"});
    const std::string line = R"({"message":")" + world.send() + R"(","partner":"grace"})";
    world.broker.shown = Models::open({.directory = copy, .read_only = true}).value();
    const std::weak_ptr<const ReadModels> replaced = world.broker.shown;
    const Answer answer = world.stream(kAcme + "/opens", line, line.size(), [&](std::size_t) {
        world.broker.shown = nullptr;
        CHECK(replaced.expired());  // a stream lasts: it must not hold them
    });
    CHECK(answer.body == R"({"accepted":1,"first_opens":1,"rejected":[]})");
}

}  // namespace
}  // namespace tidings::http::testing
