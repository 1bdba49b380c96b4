// `tidings rebuild --url`: asks a running broker to make its read models anew, and shows how far it
// is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tidings::apps {

struct RebuildRequest {
    std::string url, token;
    std::optional<std::uint32_t> partition;  ///< nothing: all that the process holds
    bool accept_difference = false;
};

/// Returns the exit status.
int rebuild_running(const RebuildRequest& request);

}  // namespace tidings::apps
