// Routes for those who run the broker: /healthz, /readyz, /metrics. No token; not added where they
// are switched off.
#pragma once

namespace tidings {
class Broker;
}

namespace tidings::http {

class Metrics;
class Router;

/// `broker` and `metrics` outlive the router.
void add_operations_routes(Router& router, const Broker& broker, Metrics& metrics);

}  // namespace tidings::http
