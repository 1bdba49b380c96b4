#include "apps/routes.h"

#include "apps/forwarded_events.h"
#include "connectors/http/api.h"
#include "connectors/http/metrics.h"
#include "connectors/http/operations.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "connectors/upstream/cloudevents.h"
#include "connectors/upstream/intake.h"
#include "events/json_output.h"
#include "events/text.h"

namespace tidings::apps {

namespace {

using http::Request;
using http::Response;
using http::Task;
using upstream::UpstreamCounters;
using upstream::UpstreamIntake;

void add_positions(Response& response, const upstream::Positions& positions) {
    std::string value;
    for (const auto& [partition, sequence] : positions) {
        if (!value.empty()) value += ',';
        value += std::to_string(partition.value) + ":" + std::to_string(sequence.value);
    }
    if (!value.empty()) response.headers.emplace_back("Tidings-Position", std::move(value));
}

Task<Response> deliver_webhook(UpstreamIntake& intake, Request& request) {
    using Status = upstream::DeliveryResult::Status;
    const std::string program = request.parameters.at(0);
    upstream::DeliveryResult result;
    if (is_valid_id(program)) {
        // Named: GCC 12 copies an aggregate that is a temporary of a co_await bytewise, and frees
        // it twice.
        ProgramId id{program};
        result = co_await intake.deliver_partnero(std::move(id), std::move(request.body),
                                                  request.headers);
    }
    Response response;
    switch (result.status) {
        case Status::accepted:
            response.body = R"({"status":"accepted"})";
            break;
        case Status::ignored:
            response.body = R"({"status":"ignored"})";
            break;
        case Status::refused:
            response = http::problem(result.error);
            break;
        case Status::unauthorized:
            response = http::problem(
                http::error(ErrorCode::unauthenticated, "the delivery's signature does not hold"));
            break;
    }
    add_positions(response, result.positions);
    co_return response;
}

std::string render(const upstream::CloudEventsResult& result) {
    std::string out;
    JsonWriter json(out);
    json.open_object();
    json.key("accepted").number(result.accepted);
    json.key("duplicates").number(result.duplicates);
    json.key("ignored").number(result.ignored);
    json.key("rejected").open_array();
    for (const auto& event : result.rejected) {
        json.open_object().key("index").number(event.index);
        json.key("code").string(name_of(event.code));
        json.key("detail").string(event.detail).close_object();
    }
    json.close_array().close_object();
    return out;
}

Task<Response> deliver_events(UpstreamIntake& intake, bool forwarding, Request& request) {
    auto events = upstream::parse_cloudevents(request.headers, request.body, forwarding);
    if (!events) co_return http::problem(events.error());
    Actor actor{request.claims->role, request.claims->sub, request.claims->name};
    const bool may_pass_on = !request.command_id;  // one hop
    const auto result =
        co_await intake.deliver_cloudevents(std::move(*events), std::move(actor), may_pass_on);
    if (!result) co_return http::problem(result.error());
    Response response;
    response.body = render(*result);
    add_positions(response, result->positions);
    co_return response;
}

}  // namespace

Routes::Routes(Broker& broker, http::TokenVerifier& verifier, http::Metrics& metrics,
               RoutesOptions options)
    : metrics_(metrics),
      forwarder_(options.forwarding
                     ? std::make_unique<http::Forwarder>(broker, std::move(options.forwarder))
                     : nullptr),
      router_(std::make_unique<http::Router>(
          verifier,
          http::RouterOptions{.cors_origins = std::move(options.allowed_origins),
                              .rate_limit = {.requests_per_second = options.requests_per_second,
                                             .burst = options.request_burst},
                              .forwarder = forwarder_.get(),
                              .serves_clients = options.serves_clients,
                              .open = options.open})),
      intake_(std::make_unique<UpstreamIntake>(
          broker, forwarder_ ? deliver_over(*forwarder_, broker.partitions())
                             : upstream::DeliverElsewhere())) {
    http::add_api_routes(*router_, broker,
                         http::ApiOptions{.min_position_wait_ms = options.min_position_wait_ms,
                                          .audit = options.audit,
                                          .rebuilder = options.rebuilder});
    add_upstream_routes();
    add_upstream_metrics();
    add_router_metrics();
    if (forwarder_) add_forwarder_metrics();
    if (options.operations) {
        http::add_operations_routes(*router_, broker, metrics, options.open);
    }
}

Routes::~Routes() { metrics_.remove_callbacks(this); }

void Routes::add_upstream_routes() {
    router_->add({.method = "POST",
                  .pattern = "/v1/programs/{p}/webhooks/partnero",
                  .name = "deliver_partnero_webhook",
                  .body = http::BodyKind::raw,
                  .consumes = {"*/*"},  // the signature covers the bytes, whatever they are called
                  .handler = [&intake = *intake_](Request& request) {
                      return deliver_webhook(intake, request);
                  }});
    router_->add(
        {.method = "POST",
         .pattern = "/v1/events",
         .name = "deliver_cloudevents",
         .body = http::BodyKind::raw,
         .consumes = {"*/*"},  // parse_cloudevents tells the modes apart, and refuses others
         .roles = {Role::platform},
         .spans_programs = true,
         .handler = [&intake = *intake_, forwarding = forwarder_ != nullptr](Request& request) {
             return deliver_events(intake, forwarding, request);
         }});
}

void Routes::add_router_metrics() {
    metrics_.callback(this, http::Metrics::Kind::counter, "tidings_rate_limited_total",
                      "Requests refused because their caller made too many.", {},
                      [&router = *router_] { return static_cast<double>(router.rate_limited()); });
}

void Routes::add_upstream_metrics() {
    using Field = std::atomic<std::uint64_t> UpstreamCounters::*;
    const auto add = [this](const char* name, const char* help, const char* result, Field field) {
        metrics_.callback(this, http::Metrics::Kind::counter, name, help, {{"result", result}},
                          [&counters = intake_->counters(), field] {
                              return static_cast<double>((counters.*field).load());
                          });
    };
    constexpr const char* kWebhooks = "tidings_webhook_deliveries_total";
    constexpr const char* kWebhooksHelp = "Webhook deliveries, by what became of them.";
    add(kWebhooks, kWebhooksHelp, "accepted", &UpstreamCounters::webhooks_accepted);
    add(kWebhooks, kWebhooksHelp, "ignored", &UpstreamCounters::webhooks_ignored);
    add(kWebhooks, kWebhooksHelp, "unauthorized", &UpstreamCounters::webhooks_unauthorized);
    add(kWebhooks, kWebhooksHelp, "refused", &UpstreamCounters::webhooks_refused);
    metrics_.callback(this, http::Metrics::Kind::counter, "tidings_webhook_unknown_events_total",
                      "Webhook deliveries ignored because their event is not known.", {},
                      [&counters = intake_->counters()] {
                          return static_cast<double>(counters.webhooks_unknown_event.load());
                      });
    constexpr const char* kEvents = "tidings_cloudevents_total";
    constexpr const char* kEventsHelp = "CloudEvents received, by what became of them.";
    add(kEvents, kEventsHelp, "accepted", &UpstreamCounters::events_accepted);
    add(kEvents, kEventsHelp, "duplicate", &UpstreamCounters::events_duplicate);
    add(kEvents, kEventsHelp, "ignored", &UpstreamCounters::events_ignored);
    add(kEvents, kEventsHelp, "rejected", &UpstreamCounters::events_rejected);
}

void Routes::add_forwarder_metrics() {
    using Field = std::atomic<std::uint64_t> http::ForwarderCounters::*;
    const auto add = [this](const char* name, const char* help, const http::Metrics::Labels& labels,
                            Field field) {
        metrics_.callback(this, http::Metrics::Kind::counter, name, help, labels,
                          [&counters = forwarder_->counters(), field] {
                              return static_cast<double>((counters.*field).load());
                          });
    };
    constexpr const char* kForwarded = "tidings_forwarded_requests_total";
    constexpr const char* kForwardedHelp =
        "Requests for partitions that this process lacks, by what became of them.";
    using Counters = http::ForwarderCounters;
    add(kForwarded, kForwardedHelp, {{"result", "answered"}}, &Counters::answered);
    add(kForwarded, kForwardedHelp, {{"result", "overloaded"}}, &Counters::overloaded);
    add(kForwarded, kForwardedHelp, {{"result", "outcome_unknown"}}, &Counters::outcome_unknown);
    add(kForwarded, kForwardedHelp, {{"result", "not_held"}}, &Counters::not_held);
    add("tidings_forwarding_retries_total",
        "Processes that failed a forwarded request, after which another one was tried.", {},
        &Counters::retried);
}

}  // namespace tidings::apps
