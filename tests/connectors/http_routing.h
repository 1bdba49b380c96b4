// A router with one route of every kind, asked without a socket.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "connectors/http/auth.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "connectors/keys.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::http::routing_test {

using Headers = std::vector<std::pair<std::string, std::string>>;

inline Task<Response> show(Request& request) {
    Response response;
    response.body = request.path;
    for (const std::string& parameter : request.parameters) response.body += "|" + parameter;
    if (request.idempotency_key) response.body += "#" + *request.idempotency_key;
    response.headers.emplace_back("X-Accepted", request.accepted);
    if (request.claims) response.headers.emplace_back("X-Sub", request.claims->sub);
    co_return response;
}

inline Task<Response> show_parameter_error(Request& request) {
    if (request.parameter_error) co_return problem(*request.parameter_error);
    co_return Response{};
}

inline Task<Response> fail(Request&) {
    throw std::runtime_error("secret reason");
    co_return Response{};
}

inline Handler named(const std::string& name) {
    return [name](Request& request) {
        return [](Request& inner, std::string text) -> Task<Response> {
            Response response = co_await show(inner);
            response.body = text + ":" + response.body;
            co_return response;
        }(request, name);
    };
}

struct Routing {
    tidings::testing::TemporaryDirectory data;
    std::unique_ptr<KeyRing> keys = std::move(KeyRing::open(data.path()).value());
    std::unique_ptr<TokenVerifier> verifier =
        std::move(TokenVerifier::create(keys->public_jwks(), {}).value());
    Router router;

    explicit Routing(RouterOptions options = {}) : router(*verifier, std::move(options)) {
        router.add({.method = "GET",
                    .pattern = "/open",
                    .name = "open",
                    .query = {"limit", "cursor"},
                    .handler = show});
        router.add({.method = "GET",
                    .pattern = "/v1/programs/{p}/partners/{id}",
                    .name = "get",
                    .roles = {Role::owner, Role::platform},
                    .handler = named("get")});
        router.add({.method = "PUT",
                    .pattern = "/v1/programs/{p}/partners/{id}",
                    .name = "put",
                    .body = BodyKind::json,
                    .roles = {Role::platform},
                    .handler = named("put")});
        router.add({.method = "POST",
                    .pattern = "/v1/programs/{p}/partners/import",
                    .name = "import",
                    .body = BodyKind::raw,
                    .consumes = {"application/x-ndjson", "application/json"},
                    .roles = {Role::platform},
                    .handler = named("import")});
        router.add({.method = "POST",
                    .pattern = "/send",
                    .name = "send",
                    .body = BodyKind::json,
                    .roles = {Role::owner},
                    .idempotency_header = true,
                    .handler = show});
        router.add({.method = "GET",
                    .pattern = "/late",
                    .name = "late",
                    .query = {"limit"},
                    .checks_parameters = true,
                    .handler = show_parameter_error});
        router.add({.method = "GET",
                    .pattern = "/table",
                    .name = "table",
                    .produces = {"application/json", "text/csv"},
                    .handler = show});
        router.add({.method = "POST",
                    .pattern = "/optional",
                    .name = "optional",
                    .body = BodyKind::json,
                    .body_optional = true,
                    .handler = show});
        router.add({.method = "GET", .pattern = "/fail", .name = "fail", .handler = fail});
    }

    Response ask(const std::string& method, const std::string& target, Headers headers = {},
                 std::string body = "") {
        Request request;
        request.method = method;
        request.headers = std::move(headers);
        request.body = std::move(body);
        boost::asio::io_context context;
        Response response;
        boost::asio::co_spawn(context, router.dispatch(request, target),
                              [&response](std::exception_ptr failure, Response answer) {
                                  REQUIRE_FALSE(failure);
                                  response = std::move(answer);
                              });
        context.run();
        return response;
    }

    std::pair<std::string, std::string> token(Role role, const char* program = nullptr,
                                              const char* partner = nullptr,
                                              std::int64_t expires = 4'000'000'000) {
        Claims claims{role, "sub", "Name", std::nullopt, std::nullopt, expires};
        if (program != nullptr) claims.program = ProgramId{program};
        if (partner != nullptr) claims.partner = PartnerId{partner};
        return {"authorization", "Bearer " + keys->issue_token(claims).value()};
    }
};

inline std::string header_of(const Response& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
        if (key == name) return value;
    }
    return "";
}

inline std::string code_of(const Response& response) {
    if (response.content_type != "application/problem+json") return "none";
    const auto document = boost::json::parse(response.body);
    CHECK(document.at("status").as_int64() == response.status);
    CHECK(document.at("type").as_string().size() > 0);
    CHECK(document.at("title").as_string().size() > 0);
    CHECK(document.at("detail").as_string().size() > 0);
    return std::string(document.at("code").as_string());
}

inline const std::pair<std::string, std::string> kJson = {"content-type", "application/json"};

}  // namespace tidings::http::routing_test
