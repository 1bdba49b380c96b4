// Routes for those who run the broker: /healthz, /readyz, /metrics. No token; not added where they
// are switched off.
#pragma once

#include <atomic>

namespace tidings {
class Broker;
}

namespace tidings::http {

class Metrics;
class Router;

/// `broker`, `metrics` and `open` outlive the router. `open`: see RouterOptions; what refuses
/// everybody is not ready.
void add_operations_routes(Router& router, const Broker& broker, Metrics& metrics,
                           const std::atomic<bool>* open = nullptr);

}  // namespace tidings::http
