#include "apps/forwarded_events.h"

#include <boost/asio/co_spawn.hpp>

#include "apps/routes.h"
#include "tests/connectors/forwarding.h"

namespace tidings::apps {

using namespace http::testing;

namespace {

constexpr Who kPlatform{Role::platform, nullptr, nullptr, "crm"};
const std::string kBatch = "Content-Type: application/cloudevents-batch+json\r\n";

struct RoutedProcess : ProcessParts {
    RoutedProcess(const KeyRing& keys, std::set<std::uint32_t> held)
        : ProcessParts(keys, std::move(held)),
          routes(broker, *verifier, metrics,
                 {.forwarding = true,
                  .forwarder = {.issue_internal_token = [&keys](const Actor& actor) {
                      Claims claims;
                      claims.role = actor.role;
                      claims.sub = actor.sub.plain();
                      claims.name = actor.name.plain();
                      claims.expires_at_s = 4'102'444'800;
                      return keys.issue_token(claims);
                  }}}) {
        serve(routes.router());
    }
    ~RoutedProcess() { server.reset(); }

    Routes routes;
};

/// `near` holds partition 0 (programs that begin with "a"), `far` holds 1.
struct Pair {
    tidings::testing::TemporaryDirectory data;
    std::unique_ptr<KeyRing> keys = std::move(KeyRing::open(data.path()).value());
    RoutedProcess far{*keys, {1}};
    RoutedProcess near{*keys, {0}};
    Caller caller{*keys};

    Pair() { near.broker.others = {far.url()}; }
    RawAnswer post(const std::string& events) const {
        return caller.ask(near.port, kPlatform, "POST", "/v1/events", "[" + events + "]", kBatch);
    }
    /// Without a request, as from a topic.
    Result<upstream::CloudEventsResult> deliver(const std::vector<std::string>& events) {
        std::vector<upstream::CloudEvent> parsed;
        for (const std::string& event : events) {
            parsed.push_back(upstream::parse_cloudevent_json(event).value());
            parsed.back().index = parsed.size() - 1;
        }
        boost::asio::io_context context;
        std::optional<Result<upstream::CloudEventsResult>> result;
        Actor actor{Role::platform, "topic", "Topic"};
        boost::asio::co_spawn(
            context, near.routes.intake().deliver_cloudevents(std::move(parsed), std::move(actor)),
            [&](const std::exception_ptr& failure, Result<upstream::CloudEventsResult> value) {
                REQUIRE_FALSE(failure);
                result = std::move(value);
            });
        context.run();
        return *result;
    }
};

std::string event(int id, const std::string& program, const std::string& type,
                  const std::string& data, const std::string& subject = "p") {
    return R"({"specversion":"1.0","source":"s","subject":")" + subject + R"(","id":")" +
           std::to_string(id) + R"(","program":")" + program + R"(","type":"io.tidings.)" + type +
           R"(","data":)" + data + "}";
}
std::string program(int id, const std::string& name) {
    return event(id, name, "program.upserted", R"({"name":"P","plan":"partner"})");
}

}  // namespace

TEST_CASE("a batch of several programs reaches the processes that hold them") {
    Pair w;
    const std::string events =
        program(1, "beta") + "," + program(2, "acme") + "," +
        event(3, "beta", "partner.upserted", "{}") + "," +  // no email at first sight
        event(4, "acme", "partner.upserted", R"({"email":"a@x.example"})") + "," +
        event(5, "beta", "partner.upserted", R"({"email":"b@x.example"})");
    const RawAnswer first = w.post(events);
    CHECK(first.status == 200);
    CHECK(first.header("Tidings-Position") == "0:2,1:3");
    CHECK(first.body.find(R"({"accepted":4,"duplicates":0,"ignored":0,"rejected":[{"index":2,)") ==
          0);
    REQUIRE(w.far.inner.submitted.size() == 3);
    CHECK(w.far.inner.submitted[0].actor.sub == "crm");
    CHECK(w.near.inner.submitted.size() == 2);
    const RawAnswer again = w.post(events);  // event 3 has its partner by now
    CHECK(again.body.find(R"({"accepted":1,"duplicates":4,)") == 0);

    // binary mode
    RawAnswer deleted = w.caller.ask(
        w.near.port, kPlatform, "POST", "/v1/events", "",
        "ce-specversion: 1.0\r\nce-id: 6\r\nce-source: s\r\nce-program: beta\r\n"
        "ce-subject: p\r\nce-type: io.tidings.partner.deleted\r\nContent-Length: 0\r\n");
    CHECK(deleted.status == 200);
    CHECK(deleted.header("Tidings-Position") == "1:7");
    CHECK(w.caller.ask(w.near.port, kPlatform, "GET", "/v1/programs/beta/partners/p")
              .body.find("\"deleted\"") != std::string::npos);
    CHECK(w.near.metrics.render().find(
              "tidings_forwarded_requests_total{result=\"answered\"} 4\n") != std::string::npos);
}

TEST_CASE("events that do not come over HTTP go out in requests of allowed size") {
    Pair w;
    std::vector<std::string> events = {program(0, "beta")};
    const std::string name = R"({"email":"a@x.example","name":")" + std::string(200, 'n') + "\"}";
    for (int i = 1; i < 5'000; ++i) {
        events.push_back(event(i, "beta", "partner.upserted", name, "p" + std::to_string(i)));
    }
    events[3] = event(3, "beta", "partner.upserted",
                      R"({"email":"a@x.example","unknown":")" + std::string(2 << 20, 'u') + "\"}");
    const auto result = w.deliver(events);
    REQUIRE(result.has_value());
    CHECK(result->accepted == 4'999);
    REQUIRE(result->rejected.size() == 1);
    CHECK(result->rejected[0].index == 3);
    CHECK(result->rejected[0].code == ErrorCode::payload_too_large);
    CHECK(w.far.inner.submitted.back().actor.sub == "topic");
    CHECK(w.far.metrics.render().find(
              R"(tidings_http_requests_total{route="deliver_cloudevents",status="2xx"} 3)") !=
          std::string::npos);
}

TEST_CASE("events are passed on once, and what cannot be is told") {
    Pair w;
    w.far.broker.held = {};
    w.far.broker.others = {w.near.url()};
    const RawAnswer moved = w.post(program(1, "beta"));
    CHECK(moved.status == 503);
    CHECK(moved.body.find("\"not_caught_up\"") != std::string::npos);
    w.near.broker.others = {refusing_url()};
    const RawAnswer nobody = w.post(program(1, "beta"));
    CHECK(nobody.status == 503);
    CHECK(nobody.body.find("\"overloaded\"") != std::string::npos);
    FakePeer breaking(FakePeer::Then::close);
    w.near.broker.others = {breaking.url()};
    CHECK(w.post(program(1, "beta")).body.find("\"outcome_unknown\"") != std::string::npos);
}

TEST_CASE("a webhook goes to its program's process as it is") {
    Pair w;
    REQUIRE(w.post(program(1, "beta")).status == 200);
    REQUIRE(w.caller
                .ask(w.near.port, kPlatform, "PUT", "/v1/programs/beta/webhooks/partnero",
                     R"({"secret":"sixteen letters or more"})")
                .status == 204);
    RawClient client(w.near.port);
    const RawAnswer refused = client.ask(
        "POST /v1/programs/beta/webhooks/partnero HTTP/1.1\r\nHost: t\r\n"
        "Signature: 00\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
        "{}");
    CHECK(refused.status == 401);
    CHECK(w.far.metrics.render().find(
              "tidings_webhook_deliveries_total{result=\"unauthorized\"} 1\n") !=
          std::string::npos);
}

}  // namespace tidings::apps
