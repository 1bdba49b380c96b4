#include "connectors/http/operations.h"

#include "connectors/http/metrics.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "projections/broker.h"

namespace tidings::http {

namespace {

Task<Response> health(Request&) {
    Response response;
    response.body = R"({"status":"ok"})";
    co_return response;
}

Task<Response> readiness(const Broker& broker, const std::atomic<bool>* open) {
    Result<void> ready = broker.ready();
    if (ready && open != nullptr && !*open) {
        ready = Error{ErrorCode::not_caught_up, "the broker is starting", {}};
    }
    if (!ready) co_return problem(error(ErrorCode::not_caught_up, ready.error().detail));
    Response response;
    response.body = R"({"status":"ready"})";
    co_return response;
}

Task<Response> scrape(const Metrics& metrics) {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics.render();
    co_return response;
}

}  // namespace

void add_operations_routes(Router& router, const Broker& broker, Metrics& metrics,
                           const std::atomic<bool>* open) {
    const auto add = [&router](std::string path, std::string name, Handler handler) {
        router.add({.method = "GET",
                    .pattern = std::move(path),
                    .name = std::move(name),
                    .produces = {},
                    .handler = std::move(handler)});
    };
    add("/healthz", "health", health);
    add("/readyz", "readiness", [&broker, open](Request&) { return readiness(broker, open); });
    add("/metrics", "metrics", [&metrics](Request&) { return scrape(metrics); });
}

}  // namespace tidings::http
