#include "connectors/http/forwarder.h"

#include "connectors/canonical.h"
#include "connectors/rebuilder.h"
#include "tests/connectors/forwarding.h"

namespace tidings::http {

using namespace testing;
using tidings::testing::TemporaryDirectory;

namespace {

constexpr Who kBetaPlatform{Role::platform};
constexpr Who kBetaOwner{Role::owner, "beta"};
constexpr Who kBetaGrace{Role::partner, "beta", "grace", "grace"};

const std::string kProgram = "/v1/programs/beta";
const std::string kSend = R"({"subject":"News","body":"Hello.","replies_enabled":true})";
const std::string kNdjson = "Content-Type: application/x-ndjson\r\n";

/// `near` lacks partition 1, where program "beta" lives; `far` holds it.
struct Pair {
    explicit Pair(int response_timeout_ms = 20'000) : near(keys(), {0}, response_timeout_ms) {
        near.broker.others = {far.url()};
    }

    RawAnswer ask(const Who& who, const std::string& method, const std::string& target,
                  const std::string& body = "", const std::string& headers = "") const {
        return caller.ask(near.port, who, method, target, body, headers);
    }
    void make_program() const {
        REQUIRE(ask(kBetaPlatform, "PUT", kProgram, R"({"name":"Beta","plan":"partner"})").status ==
                200);
        REQUIRE(
            ask(kBetaPlatform, "PUT", kProgram + "/partners/grace", R"({"email":"g@x.example"})")
                .status == 200);
    }
    const KeyRing& keys() const { return *keys_; }
    const Command& last() const { return far.inner.submitted.back(); }

private:
    TemporaryDirectory data_;
    std::unique_ptr<KeyRing> keys_ = std::move(KeyRing::open(data_.path()).value());

public:
    Process far{*keys_, {1}};
    Process near;
    Caller caller{*keys_};
};

std::string code_of(const RawAnswer& answer) {
    CHECK(answer.header("Content-Type") == "application/problem+json");
    return std::string(boost::json::parse(answer.body).at("code").as_string());
}

std::string id_of(const RawAnswer& answer) {
    return std::string(boost::json::parse(answer.body).at("id").as_string());
}

std::string lines(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) {
        const std::string id = "p" + std::to_string(i);
        out += R"({"id":")" + id + R"(","email":")" + id + "@example.com\"}\n";
    }
    return out;
}

/// Asked for a rebuild, and has none.
struct Idle final : Rebuilder {
    Result<void> rebuild(const std::vector<PartitionId>&, bool) override { return {}; }
    std::vector<RebuildProgress> rebuilds() const override { return {}; }
};

/// As another process would sign it.
std::string forwarded_header(const KeyRing& keys, const CommandId& id, const std::string& method,
                             const std::string& target, const std::string& token) {
    Canonical canonical("tidings.forward.v1");
    canonical.add(id.view()).add(method).add(target).add("Bearer " + token);
    return "Tidings-Forwarded: " + to_hex(id.view()) + ":" +
           to_hex(keys.content_digest(canonical.bytes()).view()) + "\r\n";
}

}  // namespace

TEST_CASE("what this process lacks is read and written where it is held") {
    Pair w;
    w.make_program();
    CHECK(w.near.inner.submitted.empty());
    const RawAnswer put = w.ask(kBetaPlatform, "PUT", kProgram + "/partners/grace",
                                R"({"email":"g@x.example","name":"Grace Hopper"})");
    CHECK(put.status == 200);
    CHECK(put.header("Tidings-Position") == "1:3");

    const std::string query = kProgram + "/partners?query=Grace%20Hopper&limit=5";
    const RawAnswer here = w.ask(kBetaOwner, "GET", query);
    const RawAnswer there = w.caller.ask(w.far.port, kBetaOwner, "GET", query);
    CHECK(here.status == 200);
    CHECK(here.body == there.body);
    CHECK(here.body.find("Grace Hopper") != std::string::npos);
    CHECK(here.header("Content-Type") == "application/json");
    CHECK(here.head.find("Date: ") == here.head.rfind("Date: "));
    CHECK(w.ask(kBetaOwner, "HEAD", query).header("Content-Length") ==
          std::to_string(here.body.size()));

    CHECK(w.ask(kBetaGrace, "GET", "/v1/portal/summary").body == R"({"unread":0,"total":0})");
    CHECK(w.near.forwarder.counters().answered == 6);
    CHECK(w.far.forwarder.counters().answered == 0);
    // what is held stays here
    CHECK(w.ask(kBetaPlatform, "PUT", "/v1/programs/acme", R"({"name":"Acme","plan":"partner"})")
              .header("Tidings-Position") == "0:1");
    CHECK(w.near.inner.submitted.size() == 1);
    CHECK(w.near.forwarder.counters().answered == 6);
}

TEST_CASE("errors pass through as they are") {
    Pair w;
    const auto compare = [&w](const Who& who, const std::string& method, const std::string& target,
                              const std::string& body, int status) {
        const RawAnswer here = w.ask(who, method, target, body);
        const RawAnswer there = w.caller.ask(w.far.port, who, method, target, body);
        CHECK(here.status == status);
        CHECK(here.body == there.body);
        CHECK(here.header("Content-Type") == "application/problem+json");
    };
    compare(kBetaOwner, "GET", kProgram + "/summary", "", 404);
    w.make_program();
    compare(kBetaOwner, "POST", kProgram + "/messages", "{", 400);
    compare(kBetaOwner, "POST", kProgram + "/messages", R"({"subject":""})", 422);
    compare(kBetaOwner, "GET", kProgram + "/messages?limit=x", "", 422);
    w.ask(kBetaPlatform, "PUT", kProgram, R"({"name":"Beta","plan":"starter"})");
    compare(kBetaOwner, "POST", kProgram + "/messages", kSend, 403);
    // what needs no partition is told at once
    const auto answered = w.near.forwarder.counters().answered.load();
    CHECK(w.ask(kBetaGrace, "GET", kProgram + "/summary").status == 403);
    CHECK(w.ask(kBetaOwner, "GET", "/v1/programs/gamma/summary").status == 404);
    CHECK(w.near.forwarder.counters().answered == answered);
}

TEST_CASE("a stream goes through in pieces, and so does a long answer") {
    Pair w;
    w.make_program();
    constexpr int kPartners = 9'000;  // more than one command
    const std::string body = lines(kPartners);
    const RawAnswer whole =
        w.ask(kBetaPlatform, "POST", kProgram + "/partners/import", body, kNdjson);
    CHECK(whole.body == R"({"created":9000,"updated":0,"unchanged":0,"rejected":[]})");
    const std::size_t count = w.far.inner.submitted.size();
    CHECK(w.far.inner.submitted[count - 1].id != w.far.inner.submitted[count - 2].id);
    CHECK(w.ask(kBetaPlatform, "POST", kProgram + "/partners/import").body ==
          R"({"created":0,"updated":0,"unchanged":0,"rejected":[]})");

    const RawAnswer sent = w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend);
    REQUIRE(sent.status == 201);
    const std::string recipients = kProgram + "/messages/" + id_of(sent) + "/recipients";
    const RawAnswer csv = w.ask(kBetaOwner, "GET", recipients, "", "Accept: text/csv\r\n");
    CHECK(csv.status == 200);
    CHECK(csv.complete);
    CHECK(csv.header("Transfer-Encoding") == "chunked");
    CHECK(csv.header("Content-Type") == "text/csv; charset=utf-8");
    CHECK(std::count(csv.body.begin(), csv.body.end(), '\n') == kPartners + 2);
    // one connection for streams, and one for everything else
    CHECK(w.far.metrics.render().find("tidings_http_connections 2\n") != std::string::npos);
    CHECK(csv.body ==
          w.caller.ask(w.far.port, kBetaOwner, "GET", recipients, "", "Accept: text/csv\r\n").body);
}

TEST_CASE("a stream that is refused early gets its answer") {
    Pair w;
    const std::string body = lines(40'000);
    const RawAnswer refused =
        w.ask(kBetaPlatform, "POST", kProgram + "/partners/import", body, kNdjson);
    CHECK(refused.status == 404);
    RawClient cut(w.near.port);
    w.make_program();
    cut.send(w.caller.head(kBetaPlatform, "POST", kProgram + "/partners/import", body, kNdjson) +
             "\r\n" + body.substr(0, 1'000));
    cut.finish_sending();
    CHECK(cut.receive().status == 400);
}

TEST_CASE("a send is remembered by the id that it was passed on with") {
    Pair w;
    w.make_program();
    const RawAnswer sent = w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend);
    REQUIRE(sent.status == 201);
    CHECK(w.last().remember);
    CHECK(w.last().track);
    const CommandId id = w.last().id;
    const std::string target = kProgram + "/messages";
    const auto again = [&](const CommandId& with, const std::string& signed_target) {
        return w.caller.ask(
            w.far.port, kBetaOwner, "POST", target, kSend,
            forwarded_header(w.keys(), with, "POST", signed_target, w.caller.token(kBetaOwner)));
    };
    CHECK(id_of(again(id, target)) == id_of(sent));
    CHECK(w.last().id == id);

    const RawAnswer command = w.ask(kBetaOwner, "GET", "/v1/commands/" + to_hex(id.view()));
    CHECK(command.status == 200);
    CHECK(command.body.find(id_of(sent)) != std::string::npos);

    // a header that is not of this deployment, or of another request, is as good as none
    CHECK(id_of(again(id, target + "?")) != id_of(sent));
    CHECK(w.last().id != id);
    CHECK_FALSE(w.last().remember);
    const std::string forged =
        "Tidings-Forwarded: " + to_hex(id.view()) + ":" + std::string(32, '0') + "\r\n";
    CHECK(id_of(w.ask(kBetaOwner, "POST", target, kSend, forged)) != id_of(sent));
    CHECK(w.last().id != id);
    for (const char* bad : {"", ":", "xyz", "00:00"}) {
        const std::string header = std::string("Tidings-Forwarded: ") + bad + "\r\n";
        CHECK(w.ask(kBetaOwner, "GET", target, "", header).status == 200);
    }
}

TEST_CASE("an Idempotency-Key means the same here and there") {
    Pair w;
    w.make_program();
    const std::string key = "Idempotency-Key: k1\r\n";
    const RawAnswer here = w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend, key);
    const RawAnswer there =
        w.caller.ask(w.far.port, kBetaOwner, "POST", kProgram + "/messages", kSend, key);
    CHECK(here.status == 201);
    CHECK(id_of(here) == id_of(there));
}

TEST_CASE("one holder after the other is tried, with the same command id") {
    Pair w;
    w.make_program();
    FakePeer breaking(FakePeer::Then::close);
    w.near.broker.others = {refusing_url(), "nonsense", breaking.url(), w.far.url()};
    const RawAnswer sent = w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend);
    CHECK(sent.status == 201);
    REQUIRE(breaking.heads().size() == 1);
    const std::string seen = header_in(breaking.heads()[0], "tidings-forwarded");
    CHECK(seen.substr(0, seen.find(':')) == to_hex(w.last().id.view()));
    CHECK(w.near.forwarder.counters().retried == 3);
    CHECK(w.ask(kBetaOwner, "GET", kProgram + "/summary").status == 200);
}

TEST_CASE("without a holder that answers, a write that was sent may have happened") {
    Pair w;
    w.make_program();
    w.near.broker.others = {};
    const RawAnswer nobody = w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend);
    CHECK(nobody.status == 503);
    CHECK(code_of(nobody) == "overloaded");
    CHECK(nobody.header("Retry-After") == "1");
    CHECK(nobody.header("Location").empty());

    FakePeer breaking(FakePeer::Then::close);
    w.near.broker.others = {breaking.url(), refusing_url()};
    const RawAnswer sent = w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend);
    CHECK(code_of(sent) == "outcome_unknown");
    const std::string seen = header_in(breaking.heads().at(0), "tidings-forwarded");
    CHECK(sent.header("Location") == "/v1/commands/" + seen.substr(0, seen.find(':')));
    CHECK(code_of(w.ask(kBetaOwner, "GET", kProgram + "/summary")) == "overloaded");
    const RawAnswer put =
        w.ask(kBetaPlatform, "PUT", kProgram, R"({"name":"Beta","plan":"advanced"})");
    CHECK(code_of(put) == "outcome_unknown");
    CHECK(put.header("Location").empty());

    // the next one says that nothing happened: there
    w.near.broker.others = {breaking.url(), w.far.url()};
    w.far.inner.failure = Error{ErrorCode::overloaded, "full", {}};
    CHECK(code_of(w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend)) == "outcome_unknown");
    w.near.broker.others = {w.far.url()};
    w.far.inner.failure = Error{ErrorCode::overloaded, "full", {}};
    CHECK(code_of(w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend)) == "overloaded");
}

TEST_CASE("a holder that says nothing is waited for, and no other is tried") {
    Pair w(50);
    FakePeer silent(FakePeer::Then::nothing);
    w.near.broker.others = {silent.url(), w.far.url()};
    const RawAnswer sent =
        w.ask(kBetaOwner, "POST", kProgram + "/messages", kSend, "Idempotency-Key: k1\r\n");
    CHECK(code_of(sent) == "outcome_unknown");
    Claims claims;
    claims.role = Role::owner;
    claims.sub = kBetaOwner.sub;
    CHECK(sent.header("Location") ==
          "/v1/commands/" + to_hex(command_id_of_key(claims, {"beta"}, "k1").view()));
    CHECK(code_of(w.ask(kBetaOwner, "GET", kProgram + "/summary")) == "overloaded");
    CHECK(w.far.inner.submitted.empty());
}

TEST_CASE("a stream that was partly sent is not sent again") {
    Pair w;
    w.make_program();
    FakePeer breaking(FakePeer::Then::close);
    w.near.broker.others = {refusing_url(), breaking.url(), w.far.url()};
    const std::size_t before = w.far.inner.submitted.size();
    const std::string body = lines(40'000);
    CHECK(code_of(w.ask(kBetaPlatform, "POST", kProgram + "/partners/import", body, kNdjson)) ==
          "outcome_unknown");
    CHECK(w.far.inner.submitted.size() == before);
    CHECK(breaking.heads().size() == 1);
}

TEST_CASE("a request is passed on once") {
    Pair w;
    w.make_program();
    w.far.broker.held = {};
    w.far.broker.others = {w.near.url()};
    const RawAnswer moved = w.ask(kBetaOwner, "GET", kProgram + "/summary");
    CHECK(moved.status == 503);
    CHECK(code_of(moved) == "not_caught_up");
    CHECK(moved.header("Retry-After") == "1");
    CHECK(w.far.forwarder.counters().not_held == 1);
    CHECK(w.far.forwarder.counters().answered == 0);
}

TEST_CASE("a kept connection that has died is replaced") {
    Pair w;
    w.make_program();
    for (int i = 0; i < 3; ++i) {
        w.far.serve(w.far.router);
        CHECK(w.ask(kBetaOwner, "GET", kProgram + "/summary").status == 200);
    }
    CHECK(w.near.forwarder.counters().retried == 0);
}

TEST_CASE("Tidings-Min-Position speaks of what is held") {
    Pair w;
    w.make_program();
    const auto read = [&w](const std::string& positions) {
        return w.ask(kBetaOwner, "GET", kProgram + "/summary", "",
                     "Tidings-Min-Position: " + positions + "\r\n");
    };
    CHECK(read("0:99,1:2").status == 200);
    CHECK(read("0:99").status == 200);
    CHECK(code_of(read("0:1,1:99")) == "not_caught_up");
    CHECK(read("2:1").status == 422);
    w.far.broker.held = {0, 1};
    CHECK(code_of(read("0:99,1:2")) == "not_caught_up");
}

TEST_CASE("a process that serves no clients is still asked about itself") {
    Pair w;
    w.make_program();
    Idle rebuilder;
    Router router(*w.near.verifier, {.forwarder = &w.near.forwarder, .serves_clients = false});
    add_api_routes(router, w.near.broker, {.rebuilder = &rebuilder});
    w.near.serve(router);
    CHECK(code_of(w.ask(kBetaOwner, "GET", kProgram + "/summary")) == "overloaded");
    const RawAnswer asked = w.ask({Role::platform}, "GET", "/v1/operations/rebuild");
    CHECK(asked.status == 200);
    CHECK(asked.body == R"({"state":"none","partitions":[]})");
    CHECK(w.ask({Role::platform}, "POST", "/v1/operations/rebuild", "{}").status == 202);
    CHECK(w.ask(kBetaOwner, "GET", "/v1/operations/rebuild").status == 403);
    w.near.serve(w.near.router);
}

}  // namespace tidings::http
