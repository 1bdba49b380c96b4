// Who asks: what a verified token says. Shared by keys.h, which issues tokens, and http/auth.h,
// which verifies them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/command.h"

namespace tidings {

struct Claims {
    Role role = Role::platform;
    std::string sub;
    std::string name;
    std::optional<ProgramId> program;
    std::optional<PartnerId> partner;
    std::int64_t expires_at_s = 0;  ///< Unix time
    bool operator==(const Claims&) const = default;
};

}  // namespace tidings
