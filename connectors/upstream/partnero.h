// Webhook deliveries of the Partnero affiliate platform, as commands (docs.partnero.com, "Outgoing
// webhooks"). Pure: no read model, no clock.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "connectors/upstream/headers.h"
#include "core/command.h"
#include "core/result.h"

namespace tidings::upstream {

/// True if a Signature or X-Partnero-Signature header is the hex HMAC-SHA-256 of the raw body under
/// `secret`. Compares in constant time.
bool verify_signature(std::string_view raw_body, std::string_view secret, const Headers& headers);

struct PartneroDelivery {
    std::string event;  ///< "partner.created", ...
    bool known = true;  ///< false: an event that this version has no meaning for
    /// Nothing: acknowledged and ignored (unknown events, and reward.*, which changes nothing by
    /// itself).
    std::optional<CommandBody> command;
};

/// Unknown members are ignored. Errors: malformed (not JSON), invalid with pointers into the
/// delivery (a member that is needed is missing or ill-typed). A partner's email may be missing: it
/// is needed only at first sight, so that is for the decider.
Result<PartneroDelivery> parse_delivery(std::string_view raw_body);

}  // namespace tidings::upstream
