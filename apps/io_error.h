// What a failed call of the file system is to whoever asked.
#pragma once

#include <string>
#include <system_error>

#include "core/result.h"

namespace tidings::apps {

/// "`what`: the system's reason".
inline Error io_error(const std::string& what, const std::error_code& error) {
    return {ErrorCode::io, what + ": " + error.message(), {}};
}

}  // namespace tidings::apps
