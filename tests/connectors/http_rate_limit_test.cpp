#include "connectors/http/rate_limit.h"

#include <atomic>
#include <set>
#include <thread>

#include "tests/connectors/forwarding.h"
#include "tests/connectors/http_routing.h"

namespace tidings::http {

using namespace routing_test;

namespace {

/// A clock that a test moves.
struct Clock {
    std::shared_ptr<std::int64_t> ms = std::make_shared<std::int64_t>(5'000);
    RateLimitOptions limit(std::int64_t rate, std::int64_t burst, std::size_t callers = 65'536) {
        return {rate, burst, callers, [now = ms] { return *now; }};
    }
};

std::size_t admitted(RateLimiter& limiter, std::string_view caller, std::size_t asked) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < asked; ++i) count += limiter.admit(caller) ? 1 : 0;
    return count;
}

Claims claims_of(Role role, const char* sub, const char* program = nullptr,
                 const char* partner = nullptr) {
    Claims claims;
    claims.role = role;
    claims.sub = sub;
    if (program != nullptr) claims.program = ProgramId{program};
    if (partner != nullptr) claims.partner = PartnerId{partner};
    return claims;
}

}  // namespace

TEST_CASE("a bucket gives its burst, then its rate") {
    Clock clock;
    RateLimiter limiter(clock.limit(10, 25));
    CHECK(admitted(limiter, "a", 100) == 25);
    CHECK(limiter.refused() == 75);
    *clock.ms += 99;
    CHECK(admitted(limiter, "a", 1) == 0);
    *clock.ms += 1;  // a tenth of a second is one request
    CHECK(admitted(limiter, "a", 2) == 1);
    *clock.ms += 1'000;
    CHECK(admitted(limiter, "a", 100) == 10);
    *clock.ms += 1'000'000'000'000;  // idle for ever saves the burst and no more
    CHECK(admitted(limiter, "a", 100) == 25);
    *clock.ms -= 60'000;  // two threads may read the clock out of order
    CHECK(admitted(limiter, "a", 100) == 0);
    CHECK(admitted(limiter, "b", 100) == 25);
}

TEST_CASE("without a burst a second's requests are saved") {
    Clock clock;
    RateLimiter limiter(clock.limit(3, 0));
    CHECK(admitted(limiter, "a", 100) == 3);
    *clock.ms += 400;
    CHECK(admitted(limiter, "a", 100) == 1);
}

TEST_CASE("the table of callers is bounded, and forgets who was seen longest ago") {
    Clock clock;
    RateLimiter limiter(clock.limit(1, 1, 16));  // one a shard
    for (int i = 0; i < 1'000; ++i) CHECK(limiter.admit("caller " + std::to_string(i)));
    CHECK(limiter.callers() <= 16);
    CHECK_FALSE(limiter.admit("caller 999"));

    RateLimiter two(clock.limit(1, 1, 2 * 16));
    CHECK(two.admit("kept"));
    for (int i = 0; i < 1'000; ++i) {
        CHECK_FALSE(two.admit("kept"));  // seen again and again, so never the oldest
        (void)two.admit("caller " + std::to_string(i));
    }
}

TEST_CASE("a caller's connections on several threads share its bucket") {
    Clock clock;
    RateLimiter limiter(clock.limit(1'000, 5'000));
    std::atomic<std::size_t> all{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&limiter, &all, thread] {
            for (int i = 0; i < 2'000; ++i) {
                all += limiter.admit("shared") ? 1 : 0;
                (void)limiter.admit("own " + std::to_string(thread) + "." + std::to_string(i % 8));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(all == 5'000);
    CHECK(limiter.callers() == 1 + 4 * 8);
}

TEST_CASE("a caller is role, program, and partner or sub") {
    const std::vector<Claims> all{
        claims_of(Role::platform, "s"),
        claims_of(Role::platform, "t"),
        claims_of(Role::owner, "s", "acme"),
        claims_of(Role::owner, "s", "other"),
        claims_of(Role::analyst, "s", "acme"),
        claims_of(Role::analyst, "s"),
        claims_of(Role::partner, "s", "acme", "p1"),
        claims_of(Role::partner, "s", "acme", "p2"),
    };
    std::set<std::string> keys;
    for (const Claims& claims : all) keys.insert(caller_key(claims));
    CHECK(keys.size() == all.size());
    // whoever signs in as a partner is that partner; a new token is no new bucket
    Claims other = claims_of(Role::partner, "t", "acme", "p1");
    other.expires_at_s = 7;
    CHECK(caller_key(other) == caller_key(all[6]));
}

TEST_CASE("a limited router answers 429 with Retry-After, and lets the caller in again") {
    Clock clock;
    Routing routing({.rate_limit = clock.limit(2, 3)});
    const std::string path = "/v1/programs/acme/partners/p1";
    const Headers olga{routing.token(Role::owner, "acme"), kJson};
    for (int i = 0; i < 3; ++i) CHECK(routing.ask("GET", path, olga).status == 200);
    const Response refused = routing.ask("GET", path, olga);
    CHECK(refused.status == 429);
    CHECK(code_of(refused) == "rate_limited");
    CHECK(header_of(refused, "Retry-After") == "1");
    CHECK(routing.router.rate_limited() == 1);

    // others, and paths without a token, are not concerned; a bad token empties nobody's bucket
    const Headers platform{routing.token(Role::platform)};
    CHECK(routing.ask("GET", path, platform).status == 200);
    for (int i = 0; i < 10; ++i) CHECK(routing.ask("GET", "/open").status == 200);
    for (int i = 0; i < 10; ++i) {
        CHECK(routing.ask("GET", path, {{"authorization", "Bearer x"}}).status == 401);
    }
    *clock.ms += 1'000;  // what Retry-After said
    CHECK(routing.ask("GET", path, olga).status == 200);
    // what a role may not do counts, too
    CHECK(routing.ask("PUT", path, olga, "{}").status == 403);
    CHECK(routing.ask("PUT", path, olga, "{}").status == 429);
}

TEST_CASE("what another process has passed on was counted there") {
    const tidings::testing::TemporaryDirectory data;
    const auto keys = std::move(KeyRing::open(data.path()).value());
    Clock clock;
    testing::ProcessParts far(*keys, {1});
    Forwarder forwarder(far.broker, {});
    Router router(*far.verifier, {.rate_limit = clock.limit(1, 1), .forwarder = &forwarder});
    add_api_routes(router, far.broker, {});
    far.serve(router);
    testing::Process near(*keys, {0});
    near.broker.others = {far.url()};
    testing::Caller caller{*keys};

    const testing::Who platform{Role::platform};
    const auto put = [&](std::uint16_t port, const std::string& headers = "") {
        return caller
            .ask(port, platform, "PUT", "/v1/programs/beta", R"({"name":"B","plan":"partner"})",
                 headers)
            .status;
    };
    for (int i = 0; i < 5; ++i) CHECK(put(near.port) == 200);
    CHECK(router.rate_limited() == 0);
    CHECK(put(far.port) == 200);
    CHECK(put(far.port) == 429);
    const std::string forged(32, 'a');
    CHECK(put(far.port, "Tidings-Forwarded: " + forged + ":" + forged + "\r\n") == 429);
    CHECK(put(near.port) == 200);
    far.server.reset();
}

TEST_CASE("a router without a limit never refuses") {
    Routing routing;
    const Headers olga{routing.token(Role::owner, "acme")};
    for (int i = 0; i < 1'000; ++i) {
        REQUIRE(routing.ask("GET", "/v1/programs/acme/partners/p1", olga).status == 200);
    }
    CHECK(routing.router.rate_limited() == 0);
}

}  // namespace tidings::http
