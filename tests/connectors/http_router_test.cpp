#include "connectors/http/router.h"

#include <boost/json/parse.hpp>
#include <stdexcept>

#include "tests/connectors/http_routing.h"
#include "tests/support/catch.h"

namespace tidings::http {

using namespace routing_test;

TEST_CASE("paths are matched by segment, with literals before parameters and per method") {
    Routing r;
    const auto platform = r.token(Role::platform);
    CHECK(r.ask("GET", "/v1/programs/a/partners/b", {platform}).body ==
          "get:/v1/programs/a/partners/b|a|b");
    CHECK(r.ask("POST", "/v1/programs/a/partners/import", {platform}).body.rfind("import:", 0) ==
          0);
    CHECK(r.ask("PUT", "/v1/programs/a/partners/import", {platform, kJson}, "{}")
              .body.rfind("put:", 0) == 0);
    CHECK(r.ask("GET", "/v1/programs/a%20b/partners/%C3%BC", {platform}).body ==
          "get:/v1/programs/a%20b/partners/%C3%BC|a b|ü");
    CHECK(r.ask("GET", "/v1/programs/a/partners/\xc3\xbc", {platform}).status == 200);
    CHECK(r.ask("GET", "/ope%6e").status == 200);
    CHECK(r.ask("HEAD", "/open").status == 200);
    for (const char* path :
         {"/", "/opens", "/open/", "//open", "/v1/programs//partners/x", "/v1/programs/a/partners/",
          "/v1/programs/a%2Fb/partners/x", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t"}) {
        INFO(path);
        CHECK(code_of(r.ask("GET", path, {platform})) == "not_found");
    }
    for (const char* path : {"", "open", "*", "/%", "/%4", "/%zz", "/%ff", "/\xff", "/%C0%AF",
                             "/open?%", "/open?a=%ff"}) {
        INFO(path);
        CHECK(code_of(r.ask("GET", path)) == "malformed");
    }
}

TEST_CASE("another method is 405 and says which are allowed") {
    Routing r;
    const Response response = r.ask("DELETE", "/v1/programs/a/partners/import");
    CHECK(response.status == 405);
    CHECK(code_of(response) == "method_not_allowed");
    CHECK(header_of(response, "Allow") == "POST, GET, HEAD, PUT");
    CHECK(header_of(r.ask("OPTIONS", "/open"), "Allow") == "GET, HEAD");
    CHECK(r.ask("get", "/open").status == 405);
}

TEST_CASE("until a router opens, only what is public is answered") {
    std::atomic<bool> open{false};
    Routing r({.open = &open});
    const auto platform = r.token(Role::platform);
    const Response early = r.ask("GET", "/v1/programs/a/partners/b", {platform});
    CHECK(early.status == 503);
    CHECK(code_of(early) == "not_caught_up");
    CHECK(r.ask("GET", "/v1/programs/a/partners/b").status == 401);
    CHECK(r.ask("GET", "/open").status == 200);
    open = true;
    CHECK(r.ask("GET", "/v1/programs/a/partners/b", {platform}).status == 200);
}

TEST_CASE("token, role and program are checked in that order") {
    Routing r;
    const std::string path = "/v1/programs/acme/partners/p";
    const Response none = r.ask("GET", path);
    CHECK(none.status == 401);
    CHECK(code_of(none) == "unauthenticated");
    CHECK(header_of(none, "WWW-Authenticate") == "Bearer");
    CHECK(r.ask("GET", path, {{"authorization", "Basic YTpi"}}).status == 401);
    CHECK(r.ask("GET", path, {{"authorization", "Bearer"}}).status == 401);
    CHECK(r.ask("GET", path, {{"authorization", "Bearer x"}}).status == 401);
    CHECK(r.ask("GET", path, {r.token(Role::owner, "acme", nullptr, 1'000)}).status == 401);
    CHECK(r.ask("GET", path, {r.token(Role::owner)}).status == 401);
    CHECK(r.ask("GET", path, {r.token(Role::partner, "acme")}).status == 401);
    CHECK(code_of(r.ask("GET", path, {r.token(Role::partner, "acme", "p")})) == "forbidden");
    CHECK(code_of(r.ask("PUT", path, {r.token(Role::owner, "acme"), kJson}, "{}")) == "forbidden");
    CHECK(code_of(r.ask("PUT", path, {r.token(Role::owner, "other"), kJson}, "{}")) == "forbidden");
    CHECK(code_of(r.ask("GET", path, {r.token(Role::owner, "other")})) == "not_found");
    const Response good = r.ask("GET", path, {r.token(Role::owner, "acme")});
    CHECK(good.status == 200);
    CHECK(header_of(good, "X-Sub") == "sub");
    const auto [name, value] = r.token(Role::owner, "acme");
    CHECK(r.ask("GET", path, {{name, "bearer " + value.substr(7)}}).status == 200);
}

TEST_CASE("media types: Content-Type and Accept") {
    Routing r;
    const auto owner = r.token(Role::owner, "acme");
    const auto sent = [&r, &owner](const char* type) {
        return r.ask("POST", "/send", {owner, {"content-type", type}}, "{}").status;
    };
    CHECK(sent("application/json") == 200);
    CHECK(sent("Application/JSON ; charset=\"UTF-8\"") == 200);
    CHECK(sent("application/json; charset=latin1") == 415);
    CHECK(sent("text/plain") == 415);
    CHECK(sent("") == 415);
    CHECK(code_of(r.ask("POST", "/send", {owner}, "{}")) == "unsupported_media_type");
    CHECK(code_of(r.ask("POST", "/send", {owner, kJson})) == "malformed");
    CHECK(r.ask("POST", "/optional").status == 200);

    const auto accepted = [&r](const char* accept) {
        return header_of(r.ask("GET", "/table", {{"accept", accept}}), "X-Accepted");
    };
    CHECK(accepted("") == "application/json");
    CHECK(accepted("*/*") == "application/json");
    CHECK(accepted("text/csv") == "text/csv");
    CHECK(accepted("text/*") == "text/csv");
    CHECK(accepted("application/json;q=0.5, text/csv;q=0.9") == "text/csv");
    CHECK(accepted("*/*;q=0.1, application/json;q=0") == "text/csv");
    CHECK(accepted("text/html, */*;q=0.1") == "application/json");
    CHECK(code_of(r.ask("GET", "/table", {{"accept", "text/html"}})) == "not_acceptable");
    CHECK(code_of(r.ask("GET", "/table", {{"accept", "*/*;q=0"}})) == "not_acceptable");
    CHECK(code_of(r.ask("GET", "/open", {{"accept", "text/csv"}})) == "not_acceptable");
    CHECK(r.ask("GET", "/open", {{"accept", "text/csv"}, {"accept", "application/json"}}).status ==
          200);
}

TEST_CASE("query parameters that a route does not know, or knows once, are 422") {
    Routing r;
    CHECK(r.ask("GET", "/open?limit=1&cursor=x%20y").status == 200);
    CHECK(r.ask("GET", "/open?").status == 200);
    const Response unknown = r.ask("GET", "/open?limit=1&x/y=2&limit=3");
    CHECK(unknown.status == 422);
    const auto errors = boost::json::parse(unknown.body).at("errors");
    REQUIRE(errors.as_array().size() == 2);
    CHECK(errors.at(0).at("pointer") == "/x~1y");
    CHECK(errors.at(0).at("code") == "unknown_field");
    CHECK(errors.at(1).at("pointer") == "/limit");
    CHECK(errors.at(1).at("code") == "invalid");
    CHECK(r.ask("GET", "/late?limit=1").status == 200);
    CHECK(r.ask("GET", "/late?x=1").status == 422);
}

TEST_CASE("an Idempotency-Key has 1 to 255 characters and is given once") {
    Routing r;
    const auto owner = r.token(Role::owner, "acme");
    const auto ask = [&r, &owner](Headers keys) {
        keys.push_back(owner);
        keys.push_back(kJson);
        return r.ask("POST", "/send", keys, "{}");
    };
    CHECK(ask({}).body == "/send");
    CHECK(ask({{"idempotency-key", "k"}}).body == "/send#k");
    std::string longest;
    for (int i = 0; i < 255; ++i) longest += "ü";
    CHECK(ask({{"idempotency-key", longest}}).status == 200);
    CHECK(ask({{"idempotency-key", longest + "x"}}).status == 422);
    CHECK(ask({{"idempotency-key", ""}}).status == 422);
    CHECK(ask({{"idempotency-key", "\xff"}}).status == 400);
    CHECK(ask({{"idempotency-key", "a"}, {"idempotency-key", "a"}}).status == 422);
    CHECK(r.ask("GET", "/open", {{"idempotency-key", ""}}).status == 200);
}

TEST_CASE("an exception of a handler is 500 and keeps its reason to itself") {
    Routing r;
    const Response response = r.ask("GET", "/fail");
    CHECK(response.status == 500);
    CHECK(code_of(response) == "internal");
    CHECK(response.body.find("secret") == std::string::npos);
}

TEST_CASE("CORS answers the origins that are allowed, and only those") {
    Routing r({.cors_origins = {"https://portal.example"}});
    const Headers asks = {{"origin", "https://portal.example"},
                          {"access-control-request-method", "POST"}};
    const Response preflight = r.ask("OPTIONS", "/send", asks);
    CHECK(preflight.status == 204);
    CHECK(header_of(preflight, "Access-Control-Allow-Origin") == "https://portal.example");
    CHECK(header_of(preflight, "Access-Control-Allow-Methods") == "POST");
    CHECK(header_of(preflight, "Access-Control-Allow-Headers").find("Idempotency-Key") !=
          std::string::npos);
    CHECK(header_of(preflight, "Vary") == "Origin");
    const Response refused = r.ask("GET", "/send", {asks.front()});
    CHECK(refused.status == 405);
    CHECK(header_of(refused, "Access-Control-Allow-Origin") == "https://portal.example");
    CHECK(header_of(refused, "Access-Control-Expose-Headers").find("Tidings-Position") !=
          std::string::npos);
    const Response foreign = r.ask("GET", "/open", {{"origin", "https://portal.example.org"}});
    CHECK(foreign.status == 200);
    CHECK(header_of(foreign, "Access-Control-Allow-Origin").empty());
    CHECK(header_of(foreign, "Vary") == "Origin");
    Routing closed;
    CHECK(closed.ask("OPTIONS", "/send", asks).status == 405);
    CHECK(closed.ask("GET", "/open", {asks.front()}).headers.size() == 1);
}

TEST_CASE("a route that exists or cannot work is refused") {
    Routing r;
    CHECK_THROWS_AS(
        r.router.add({.method = "GET", .pattern = "/open", .name = "x", .handler = show}),
        std::invalid_argument);
    CHECK_THROWS_AS(r.router.add({.method = "GET", .pattern = "/new", .name = "x"}),
                    std::invalid_argument);
    CHECK_THROWS_AS(r.router.add({.method = "GET", .pattern = "new", .name = "x", .handler = show}),
                    std::invalid_argument);
}

}  // namespace tidings::http
