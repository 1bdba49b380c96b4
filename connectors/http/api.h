// The API of API.md on a router: Upstream platform, Program owner, Partner portal, the outcomes of
// tracked commands, the schemas of the analytics events and the API's own description. The webhook
// deliveries and POST /v1/events come from connectors/upstream and are added by the application.
#pragma once

#include <cstddef>

namespace tidings {
class AuditSource;
class Broker;
class Rebuilder;
}  // namespace tidings

namespace tidings::http {

class Router;

struct ApiOptions {
    int min_position_wait_ms = 2'000;    ///< how long a read waits for Tidings-Min-Position
    std::size_t bulk_commands = 3;       ///< under way at once for one import or bulk of opens
    std::size_t rejected_kept = 10'000;  ///< rejected lines told one by one; more only count
    std::size_t callers_kept = 50'000;   ///< of the latest sends and replies, while pending
    const AuditSource* audit = nullptr;  ///< outlives the router; null: no /v1/audit
    Rebuilder* rebuilder = nullptr;      ///< the same; null: no /v1/operations
};

/// `broker` outlives the router.
void add_api_routes(Router& router, Broker& broker, ApiOptions options);

}  // namespace tidings::http
