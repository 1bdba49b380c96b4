// All HTTP routes of the process: the API, the upstream deliveries, operations. Brings together
// connectors that do not know each other.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connectors/http/forwarder.h"

namespace tidings {
class AuditSource;
class Broker;
class Rebuilder;
}  // namespace tidings
namespace tidings::http {
class Metrics;
class Router;
class TokenVerifier;
}  // namespace tidings::http
namespace tidings::upstream {
class UpstreamIntake;
}

namespace tidings::apps {

struct RoutesOptions {
    std::vector<std::string> allowed_origins;
    int min_position_wait_ms = 2'000;
    std::int64_t requests_per_second = 0;  ///< of each caller; 0: no limit
    std::int64_t request_burst = 0;        ///< 0: requests_per_second
    bool operations = true;                ///< /healthz, /readyz, /metrics
    /// The broker may lack partitions: requests for them are passed on to its holders().
    bool forwarding = false;
    bool serves_clients = true;  ///< with `forwarding`: false for a process without the role api
    const AuditSource* audit = nullptr;       ///< outlives the routes; null: no /v1/audit
    Rebuilder* rebuilder = nullptr;           ///< the same; null: no /v1/operations
    const std::atomic<bool>* open = nullptr;  ///< the same; see http::RouterOptions
    http::ForwarderOptions forwarder = {};    ///< with `forwarding`; needs issue_internal_token
};

class Routes {
public:
    /// All three outlive the routes.
    Routes(Broker& broker, http::TokenVerifier& verifier, http::Metrics& metrics,
           RoutesOptions options);
    ~Routes();
    Routes(const Routes&) = delete;
    Routes& operator=(const Routes&) = delete;

    const http::Router& router() const { return *router_; }
    /// For upstream facts that do not come over HTTP. Valid while the routes live.
    upstream::UpstreamIntake& intake() { return *intake_; }

private:
    void add_upstream_routes();
    void add_upstream_metrics();
    void add_router_metrics();
    void add_forwarder_metrics();

    http::Metrics& metrics_;
    std::unique_ptr<http::Forwarder> forwarder_;  ///< null without RoutesOptions::forwarding
    std::unique_ptr<http::Router> router_;
    std::unique_ptr<upstream::UpstreamIntake> intake_;
};

}  // namespace tidings::apps
