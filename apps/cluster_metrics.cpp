#include "apps/cluster_metrics.h"

#include <array>

namespace tidings::apps {

namespace {

using http::Metrics;
using kafka::ClientFigures;

struct ClientMetric {
    const char* name;
    const char* help;
    Metrics::Kind kind;
    double (*value)(const ClientFigures&);
};

constexpr std::array<ClientMetric, 9> kClientMetrics{{
    {"tidings_kafka_brokers_up", "Brokers that are connected.", Metrics::Kind::gauge,
     [](const ClientFigures& f) { return static_cast<double>(f.brokers_up); }},
    {"tidings_kafka_queued_messages", "Messages waiting to be sent, or not yet acknowledged.",
     Metrics::Kind::gauge, [](const ClientFigures& f) { return static_cast<double>(f.queued); }},
    {"tidings_kafka_sent_messages_total", "Messages sent.", Metrics::Kind::counter,
     [](const ClientFigures& f) { return static_cast<double>(f.sent); }},
    {"tidings_kafka_received_messages_total", "Messages received.", Metrics::Kind::counter,
     [](const ClientFigures& f) { return static_cast<double>(f.received); }},
    {"tidings_kafka_sent_bytes_total", "Bytes sent to brokers.", Metrics::Kind::counter,
     [](const ClientFigures& f) { return static_cast<double>(f.sent_bytes); }},
    {"tidings_kafka_received_bytes_total", "Bytes received from brokers.", Metrics::Kind::counter,
     [](const ClientFigures& f) { return static_cast<double>(f.received_bytes); }},
    {"tidings_kafka_request_errors_total", "Requests to brokers that failed.",
     Metrics::Kind::counter,
     [](const ClientFigures& f) { return static_cast<double>(f.request_errors); }},
    {"tidings_kafka_disconnects_total", "Connections to brokers that were lost.",
     Metrics::Kind::counter,
     [](const ClientFigures& f) { return static_cast<double>(f.disconnects); }},
    {"tidings_kafka_round_trip_seconds", "Mean round trip to the slowest broker.",
     Metrics::Kind::gauge, [](const ClientFigures& f) { return f.round_trip_ms / 1e3; }},
}};

}  // namespace

void add_cluster_metrics(Metrics& metrics, const void* owner, Cluster& cluster,
                         const kafka::EventPublisher* publisher,
                         const kafka::UpstreamReader* upstream) {
    using Field = ClientFigures Cluster::Figures::*;
    const std::array<std::pair<const char*, Field>, 3> clients{{
        {"producer", &Cluster::Figures::producer},
        {"commits", &Cluster::Figures::commits},
        {"commands", &Cluster::Figures::commands},
    }};
    for (const ClientMetric& metric : kClientMetrics) {
        for (const auto& [name, field] : clients) {
            metrics.callback(owner, metric.kind, metric.name, metric.help, {{"client", name}},
                             [&cluster, field, value = metric.value] {
                                 return value(cluster.figures().*field);
                             });
        }
    }
    const auto add = [&](Metrics::Kind kind, const char* name, const char* help, auto value) {
        metrics.callback(owner, kind, name, help, {},
                         [value] { return static_cast<double>(value()); });
    };
    add(Metrics::Kind::counter, "tidings_kafka_producer_restarts_total",
        "Producers replaced after a fatal error.",
        [&cluster] { return cluster.figures().producer_restarts; });
    add(Metrics::Kind::gauge, "tidings_live_members",
        "Live processes of the deployment, as this one sees them.",
        [&cluster] { return cluster.live_members(); });
    if (publisher != nullptr) {
        add(Metrics::Kind::counter, "tidings_published_events_total",
            "Records of <prefix>.events that were acknowledged.",
            [publisher] { return publisher->figures().records; });
        add(Metrics::Kind::counter, "tidings_publisher_restarts_total",
            "Partitions whose publishing was taken up here, by a takeover or after an error.",
            [publisher] { return publisher->figures().restarts; });
    }
    if (upstream == nullptr) return;
    add(Metrics::Kind::counter, "tidings_upstream_records_total",
        "Records of upstream topics that were settled.",
        [upstream] { return upstream->figures().records; });
    add(Metrics::Kind::counter, "tidings_upstream_rejected_total",
        "Records put to <prefix>.upstream.rejected.",
        [upstream] { return upstream->figures().rejected; });
    add(Metrics::Kind::counter, "tidings_upstream_retries_total",
        "Batches of upstream records that had to be tried again.",
        [upstream] { return upstream->figures().retries; });
    add(Metrics::Kind::gauge, "tidings_upstream_lag_records",
        "Records of upstream topics read here that are not yet settled.",
        [upstream] { return upstream->figures().lag; });
}

}  // namespace tidings::apps
