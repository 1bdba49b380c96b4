// `serve --demo`: a believable program, made by the same requests that its users would send.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "apps/http_client.h"
#include "apps/ingress_clock.h"
#include "connectors/claims.h"
#include "core/result.h"

namespace tidings::apps {

struct DemoOptions {
    /// Gives a request (method, target, headers, body) to the API. Errors: io.
    std::function<Result<HttpResponse>(const char*, const std::string&, const Headers&,
                                       std::string)>
        ask;
    std::string program = "acme";
    std::function<Result<std::string>(const Claims&)> issue_token;
    /// Sets how far in the past the following commands are stamped, whoever sends them: while the
    /// demo loads, nobody else may be served.
    std::function<void(std::chrono::milliseconds)> stamp_behind;
    ClockSource clock = read_system_clocks;
};

/// Loads the program, or the rest of it if an earlier load was interrupted. One that is complete,
/// or was not made here, is left as it is. Errors: io, or a request's refusal.
Result<void> load_demo(const DemoOptions& options);

/// Text for the user: commands to paste for the server at `url`, with tokens for the owner and two
/// partners. Errors: as load_demo.
Result<std::string> demo_commands(const DemoOptions& options, const std::string& url);

}  // namespace tidings::apps
