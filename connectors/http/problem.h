// Errors as callers see them: RFC 9457 problem documents with the codes and statuses of API.md.
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "connectors/http/message.h"
#include "core/result.h"

namespace tidings::http {

/// The HTTP status that API.md gives to `code`; 500 for those below the API.
unsigned status_of(ErrorCode code);

/// application/problem+json: type, title, status, detail, code and, if any, errors. `rate_limited`
/// and the 503 codes carry Retry-After. not_a_recipient of a whole request is not_found. Codes
/// below the API become `internal` 500: their detail is logged and not shown.
Response problem(const Error& error);

/// 405 with Allow, e.g. "GET, PUT".
Response method_not_allowed(std::string_view allow);

/// 500 `internal`; `what` goes to the log alone.
Response internal_error(std::string_view what);

/// A short way to say an Error without fields.
inline Error error(ErrorCode code, std::string detail) { return {code, std::move(detail), {}}; }

/// 422 `invalid` for one field.
inline Error invalid_field(std::string pointer, std::string code, std::string detail) {
    return {ErrorCode::invalid, detail, {{std::move(pointer), std::move(code), detail}}};
}

/// The pointer of a query parameter or header in `errors`: "/limit" (RFC 6901 escapes).
std::string parameter_pointer(std::string_view name);

}  // namespace tidings::http
