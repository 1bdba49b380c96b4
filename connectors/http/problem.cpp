#include "connectors/http/problem.h"

#include <spdlog/spdlog.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace tidings::http {

namespace {

/// Seconds after which a refused caller may try again.
constexpr const char* kRetryAfterS = "1";

struct Kind {
    unsigned status;
    const char* title;
};

/// Nothing for the codes below the API.
std::optional<Kind> kind_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::malformed:
            return Kind{400, "The request is malformed"};
        case ErrorCode::unauthenticated:
            return Kind{401, "A valid token is needed"};
        case ErrorCode::forbidden:
            return Kind{403, "The token's role may not do this"};
        case ErrorCode::plan_required:
            return Kind{403, "The program's plan has no messaging"};
        case ErrorCode::replies_disabled:
            return Kind{403, "Replies are disabled"};
        case ErrorCode::not_found:
        case ErrorCode::not_a_recipient:
            return Kind{404, "Not found"};
        case ErrorCode::method_not_allowed:
            return Kind{405, "Method not allowed"};
        case ErrorCode::not_acceptable:
            return Kind{406, "Not acceptable"};
        case ErrorCode::idempotency_key_reused:
            return Kind{409, "The idempotency key was used for something else"};
        case ErrorCode::audience_changed:
            return Kind{409, "The audience has changed"};
        case ErrorCode::payload_too_large:
            return Kind{413, "The request is too large"};
        case ErrorCode::unsupported_media_type:
            return Kind{415, "Unsupported media type"};
        case ErrorCode::invalid:
            return Kind{422, "The request is invalid"};
        case ErrorCode::audience_empty:
            return Kind{422, "The audience is empty"};
        case ErrorCode::unknown_partner:
            return Kind{422, "Unknown partner"};
        case ErrorCode::rate_limited:
            return Kind{429, "Too many requests"};
        case ErrorCode::io:
        case ErrorCode::overloaded:
            return Kind{503, "Overloaded"};
        case ErrorCode::not_caught_up:
            return Kind{503, "Not caught up"};
        case ErrorCode::outcome_unknown:
            return Kind{503, "The outcome is not known yet"};
        case ErrorCode::corruption:
        case ErrorCode::log_mismatch:
        case ErrorCode::newer_format:
        case ErrorCode::older_format:
        case ErrorCode::usage:
            return std::nullopt;
    }
    return std::nullopt;
}

Response document(unsigned status, std::string_view title, std::string_view code,
                  const Error& error) {
    boost::json::object body;
    body["type"] = "urn:tidings:problem:" + std::string(code);
    body["title"] = boost::json::string_view(title.data(), title.size());
    body["status"] = status;
    body["detail"] = error.detail.empty() ? boost::json::string_view(title.data(), title.size())
                                          : boost::json::string_view(error.detail);
    body["code"] = boost::json::string_view(code.data(), code.size());
    if (!error.fields.empty()) {
        boost::json::array fields;
        for (const FieldError& field : error.fields) {
            fields.push_back(
                {{"pointer", field.pointer}, {"code", field.code}, {"detail", field.detail}});
        }
        body["errors"] = std::move(fields);
    }
    Response response;
    response.status = status;
    response.content_type = "application/problem+json";
    response.body = boost::json::serialize(body);
    return response;
}

}  // namespace

unsigned status_of(ErrorCode code) {
    const auto kind = kind_of(code);
    return kind ? kind->status : 500;
}

Response problem(const Error& error) {
    const auto kind = kind_of(error.code);
    if (error.code == ErrorCode::io) {
        spdlog::error("unavailable: {}", error.detail);
        return problem({ErrorCode::overloaded,
                        "the log or the disk does not answer; the server's log says why",
                        {}});
    }
    if (!kind) return internal_error(std::string(name_of(error.code)) + ": " + error.detail);
    const ErrorCode shown =
        error.code == ErrorCode::not_a_recipient ? ErrorCode::not_found : error.code;
    Response response = document(kind->status, kind->title, name_of(shown), error);
    if (kind->status == 429 || kind->status == 503) {
        response.headers.emplace_back("Retry-After", kRetryAfterS);
    }
    if (kind->status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

Response method_not_allowed(std::string_view allow) {
    Response response =
        problem(error(ErrorCode::method_not_allowed, "this path allows " + std::string(allow)));
    response.headers.emplace_back("Allow", allow);
    return response;
}

Response internal_error(std::string_view what) {
    spdlog::error("internal error: {}", what);
    return document(500, "Internal error", "internal",
                    error(ErrorCode::io, "the server failed; its log says why"));
}

std::string parameter_pointer(std::string_view name) {
    std::string out = "/";
    for (const char c : name) {
        if (c == '~') {
            out += "~0";
        } else if (c == '/') {
            out += "~1";
        } else {
            out.push_back(c);
        }
    }
    return out;
}

}  // namespace tidings::http
