#include "connectors/http/problem.h"

#include "tests/connectors/http_routing.h"
#include "tests/support/catch.h"

namespace tidings::http {

using namespace routing_test;

TEST_CASE("every code has the status that API.md gives it") {
    const std::vector<std::pair<ErrorCode, unsigned>> table = {
        {ErrorCode::malformed, 400},
        {ErrorCode::unauthenticated, 401},
        {ErrorCode::forbidden, 403},
        {ErrorCode::plan_required, 403},
        {ErrorCode::replies_disabled, 403},
        {ErrorCode::not_found, 404},
        {ErrorCode::method_not_allowed, 405},
        {ErrorCode::not_acceptable, 406},
        {ErrorCode::idempotency_key_reused, 409},
        {ErrorCode::audience_changed, 409},
        {ErrorCode::payload_too_large, 413},
        {ErrorCode::unsupported_media_type, 415},
        {ErrorCode::invalid, 422},
        {ErrorCode::audience_empty, 422},
        {ErrorCode::unknown_partner, 422},
        {ErrorCode::rate_limited, 429},
        {ErrorCode::overloaded, 503},
        {ErrorCode::not_caught_up, 503},
        {ErrorCode::outcome_unknown, 503}};
    for (const auto& [code, status] : table) {
        const Response response = problem(error(code, "why"));
        CHECK(response.status == status);
        CHECK(status_of(code) == status);
        CHECK(code_of(response) == name_of(code));
        CHECK(header_of(response, "Retry-After").empty() == (status != 429 && status != 503));
    }
    CHECK(code_of(problem(error(ErrorCode::not_a_recipient, "why"))) == "not_found");
    for (const ErrorCode code :
         {ErrorCode::corruption, ErrorCode::log_mismatch, ErrorCode::newer_format}) {
        CHECK(code_of(problem(error(code, "secret"))) == "internal");
        CHECK(problem(error(code, "secret")).body.find("secret") == std::string::npos);
    }
    const Response unavailable = problem(error(ErrorCode::io, "secret"));
    CHECK(unavailable.status == status_of(ErrorCode::io));
    CHECK(code_of(unavailable) == "overloaded");
    CHECK_FALSE(header_of(unavailable, "Retry-After").empty());
    CHECK(unavailable.body.find("secret") == std::string::npos);
}

}  // namespace tidings::http
