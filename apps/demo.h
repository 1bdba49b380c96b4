// `serve --demo`: a believable program, made by sending the same HTTP requests that its users
// would.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "connectors/claims.h"
#include "core/result.h"

namespace tidings::apps {

struct DemoOptions {
    std::string url;  ///< of the running server, "http://127.0.0.1:8080"
    std::string program = "acme";
    std::function<Result<std::string>(const Claims&)> issue_token;
    /// Sets how far in the past the following commands are stamped.
    std::function<void(std::chrono::milliseconds)> stamp_behind;
};

/// Loads the program, unless it exists. Returns text for the user: commands to paste, with tokens
/// for the owner and two partners. Errors: io, or a request's refusal.
Result<std::string> load_demo(const DemoOptions& options);

}  // namespace tidings::apps
