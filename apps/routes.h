// All HTTP routes of the process: the API, the upstream deliveries, operations. Brings together
// connectors that do not know each other.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace tidings {
class Broker;
}
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
    bool operations = true;  ///< /healthz, /readyz, /metrics
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

private:
    void add_upstream_routes();
    void add_upstream_metrics();

    http::Metrics& metrics_;
    std::unique_ptr<http::Router> router_;
    std::unique_ptr<upstream::UpstreamIntake> intake_;
};

}  // namespace tidings::apps
