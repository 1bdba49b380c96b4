// The metrics of a process on Kafka: its clients, what it publishes and what it reads upstream.
#pragma once

#include "apps/cluster.h"
#include "connectors/http/metrics.h"
#include "connectors/kafka/upstream_reader.h"

namespace tidings::apps {

/// Registers them under `owner` (Metrics::remove_callbacks). What they ask outlives that; the last
/// two may be null.
void add_cluster_metrics(http::Metrics& metrics, const void* owner, Cluster& cluster,
                         const kafka::EventPublisher* publisher,
                         const kafka::UpstreamReader* upstream);

}  // namespace tidings::apps
