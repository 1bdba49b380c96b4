// The errors that several files here tell of.
#pragma once

#include <string>
#include <system_error>
#include <utility>

#include "core/result.h"

namespace tidings::apps {

/// "`what`: the system's reason".
inline Error io_error(const std::string& what, const std::error_code& error) {
    return {ErrorCode::io, what + ": " + error.message(), {}};
}

/// What the person who typed a command, or wrote a request for it, did wrong.
inline Error usage(std::string detail) { return {ErrorCode::usage, std::move(detail), {}}; }

/// Try again later.
inline Error overloaded(const char* why) { return {ErrorCode::overloaded, why, {}}; }

inline Error stopping() { return overloaded("the process is ending"); }

}  // namespace tidings::apps
