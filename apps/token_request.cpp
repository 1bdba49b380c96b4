#include "apps/token_request.h"

#include <charconv>

#include "apps/errors.h"
#include "events/text.h"

namespace tidings::apps {

namespace {

constexpr std::int64_t kLongestTtlS = 100LL * 365 * 24 * 3600;

}  // namespace

std::optional<std::int64_t> parse_ttl_s(std::string_view text) {
    if (text.size() < 2) return std::nullopt;
    std::int64_t unit_s = 0;
    switch (text.back()) {
        case 's':
            unit_s = 1;
            break;
        case 'm':
            unit_s = 60;
            break;
        case 'h':
            unit_s = 3'600;
            break;
        case 'd':
            unit_s = 86'400;
            break;
        default:
            return std::nullopt;
    }
    const char* end = text.data() + text.size() - 1;
    std::int64_t amount = 0;
    const auto [stopped, error] = std::from_chars(text.data(), end, amount);
    if (error != std::errc() || stopped != end) return std::nullopt;
    if (amount < 1 || amount > kLongestTtlS / unit_s) return std::nullopt;
    return amount * unit_s;
}

Result<Claims> make_claims(const TokenRequest& request, std::int64_t now_s) {
    const std::optional<Role> role = parse_role(request.role);
    if (!role) {
        return usage("--role must be platform, owner, partner, analyst or auditor, not \"" +
                     request.role + "\"");
    }
    const bool needs_program = *role == Role::owner || *role == Role::partner;
    if (needs_program && !request.program) {
        return usage("--role " + request.role + " needs --program");
    }
    if (*role == Role::platform && request.program) {
        return usage("--role platform is for all programs: leave --program out");
    }
    if (*role == Role::partner && !request.partner) {
        return usage("--role partner needs --partner");
    }
    if (*role != Role::partner && request.partner) {
        return usage("--partner goes only with --role partner");
    }
    for (const auto& [option, id] :
         {std::pair("--program", request.program), std::pair("--partner", request.partner)}) {
        if (id && !is_valid_id(*id)) {
            return usage(
                std::string(option) +
                " must be 1 to 128 characters of UTF-8 without '/' and control characters");
        }
    }
    if (!valid_utf8(request.sub) || !valid_utf8(request.name)) {
        return usage("--sub and --name must be UTF-8");
    }
    const std::optional<std::int64_t> ttl_s = parse_ttl_s(request.ttl);
    if (!ttl_s) return usage("--ttl must be a number and s, m, h or d, as 24h");

    Claims claims;
    claims.role = *role;
    claims.sub = request.sub.empty() ? request.role : request.sub;
    claims.name = request.name.empty() ? claims.sub : request.name;
    if (request.program) claims.program = ProgramId{*request.program};
    if (request.partner) claims.partner = PartnerId{*request.partner};
    claims.expires_at_s = now_s + *ttl_s;
    return claims;
}

}  // namespace tidings::apps
