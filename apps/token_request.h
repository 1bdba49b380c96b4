// What `tidings token` is asked for, as claims. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "connectors/claims.h"
#include "core/result.h"

namespace tidings::apps {

struct TokenRequest {
    std::string role;
    std::optional<std::string> program, partner;
    std::string sub, name;  ///< empty: sub is the role, name is sub
    std::string ttl = "24h";
};

/// "90s", "30m", "24h", "7d" in seconds, at least one. Nothing if malformed or over a hundred
/// years.
std::optional<std::int64_t> parse_ttl_s(std::string_view text);

/// `now_s`: Unix time. Errors: usage (an unknown role, claims that do not fit it, a bad id or ttl).
Result<Claims> make_claims(const TokenRequest& request, std::int64_t now_s);

}  // namespace tidings::apps
