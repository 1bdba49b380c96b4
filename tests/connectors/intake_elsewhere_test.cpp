// Events of partitions that the process lacks: grouped, delivered elsewhere, their results merged.
#include <boost/asio/co_spawn.hpp>

#include "connectors/upstream/intake.h"
#include "events/json_value.h"
#include "tests/connectors/forwarding.h"

namespace tidings::upstream {
namespace {

const Headers kBatchHeaders = {{"content-type", "application/cloudevents-batch+json"}};
const Actor kUp{Role::platform, "up", "Up"};

std::string event_of(int id, const std::string& program, const std::string& type,
                     const std::string& data) {
    return R"({"specversion":"1.0","source":"s","subject":"p","id":")" + std::to_string(id) +
           R"(","program":")" + program + R"(","type":"io.tidings.)" + type + R"(","data":)" +
           data + "}";
}
std::string program(int id, const std::string& name) {
    return event_of(id, name, "program.upserted", R"({"name":"P","plan":"partner"})");
}

struct Given {
    PartitionId partition;
    std::vector<std::string> events;
    Actor actor;
};

/// Holds partition 0 of the two; whatever is delivered elsewhere gets `answer`.
struct World {
    tidings::testing::TemporaryDirectory data;
    std::unique_ptr<KeyRing> keys = std::move(KeyRing::open(data.path()).value());
    http::testing::SteppedBroker inner{data.path(), *keys};
    http::testing::Shard broker{inner, {0}};
    std::vector<Given> given;
    Result<CloudEventsResult> answer = CloudEventsResult{};
    UpstreamIntake intake{
        broker, [this](PartitionId partition, std::vector<std::string> events, Actor actor) {
            given.push_back({partition, std::move(events), std::move(actor)});
            return reply(answer);
        }};

    static boost::asio::awaitable<Result<CloudEventsResult>> reply(Result<CloudEventsResult> what) {
        co_return what;
    }
    Result<CloudEventsResult> deliver(const std::string& events, bool may_pass_on = true) {
        auto parsed = parse_cloudevents(kBatchHeaders, "[" + events + "]", true);
        boost::asio::io_context context;
        std::optional<Result<CloudEventsResult>> result;
        boost::asio::co_spawn(
            context, intake.deliver_cloudevents(std::move(*parsed), kUp, may_pass_on),
            [&](const std::exception_ptr& failure, Result<CloudEventsResult> value) {
                REQUIRE_FALSE(failure);
                result = std::move(value);
            });
        context.run();
        return *result;
    }
};

TEST_CASE("a batch is split by what is held, and its result is merged") {
    World w;
    w.answer->accepted = 1;
    w.answer->duplicates = 2;
    w.answer->rejected = {{1, ErrorCode::not_found, "there"}};
    w.answer->positions = {{{1}, {7}}};
    const std::string adjust = event_of(5, "beta", "partner.performance",
                                        R"({"mode":"set","metrics":{"revenue":{"USD":"1.1"}}})");
    const auto result =
        w.deliver(program(1, "acme") + "," + program(2, "beta") + ",7," + program(3, "acme") + "," +
                  event_of(4, "beta", "un.heard", "{}") + "," + adjust + "," +
                  event_of(6, "beta", "partner.upserted", "3"));
    REQUIRE(result.has_value());
    REQUIRE(w.given.size() == 1);
    CHECK(w.given[0].partition == PartitionId{1});
    CHECK(w.given[0].actor == kUp);
    REQUIRE(w.given[0].events.size() == 2);  // bad and unheard ones are settled here
    CHECK((parse_json(w.given[0].events[0]).value() == parse_json(program(2, "beta")).value()));
    CHECK((parse_json(w.given[0].events[1]).value() == parse_json(adjust).value()));
    CHECK(w.inner.submitted.size() == 2);
    CHECK(result->accepted == 3);
    CHECK(result->duplicates == 2);
    CHECK(result->ignored == 1);
    REQUIRE(result->rejected.size() == 3);
    CHECK(result->rejected[0].index == 2);
    CHECK(result->rejected[1].index == 5);
    CHECK(result->rejected[1].detail == "there");
    CHECK(result->rejected[2].index == 6);
    CHECK(result->positions == Positions{{{0}, {2}}, {{1}, {7}}});
    CHECK(w.intake.counters().events_accepted == 2);
    CHECK(w.intake.counters().events_duplicate == 0);

    w.deliver(program(9, "acme")).value();
    CHECK(w.given.size() == 1);
}

TEST_CASE("what cannot be delivered elsewhere fails the request") {
    World w;
    w.answer = Error{ErrorCode::overloaded, "nobody", {}};
    const auto failed = w.deliver(program(1, "acme") + "," + program(2, "beta"));
    REQUIRE(failed.has_error());
    CHECK(failed.error().code == ErrorCode::overloaded);
    CHECK(w.inner.submitted.size() == 1);
    const auto second_hop = w.deliver(program(3, "acme") + "," + program(4, "beta"), false);
    REQUIRE(second_hop.has_error());
    CHECK(second_hop.error().code == ErrorCode::not_caught_up);
    CHECK(w.inner.submitted.size() == 1);
    CHECK(w.deliver(program(3, "acme"), false).has_value());
}

TEST_CASE("an event in binary mode is the same one in the JSON format") {
    const auto check = [](const std::string& type, const std::string& body) {
        const Headers headers = {{"content-type", "application/json"},
                                 {"ce-specversion", "1.0"},
                                 {"ce-id", "1"},
                                 {"ce-source", "/caf%C3%A9"},
                                 {"ce-type", "io.tidings." + type},
                                 {"ce-subject", "p"},
                                 {"ce-time", "2026-01-02T03:04:05.678901Z"},
                                 {"ce-program", "beta"}};
        const auto binary = parse_cloudevents(headers, body, true);
        REQUIRE(binary.has_value());
        const CloudEvent& event = binary->at(0);
        const auto structured = parse_cloudevents(kBatchHeaders, "[" + event.json + "]");
        REQUIRE(structured.has_value());
        CHECK(std::holds_alternative<CommandBody>(event.what));
        CHECK((structured->at(0).what == event.what));
        CHECK(structured->at(0).content == event.content);
        CHECK(structured->at(0).source == "/caf\xC3\xA9");
        CHECK(structured->at(0).time_micros == event.time_micros);
        CHECK(parse_cloudevents(headers, body)->at(0).json.empty());
    };
    check("partner.upserted",
          R"({"email":"a@b","metrics":{"revenue":{"USD":"9999999999.999999"}}})");
    check("partner.deleted", "anything");
    check("partner.deleted", "");
}

}  // namespace
}  // namespace tidings::upstream
