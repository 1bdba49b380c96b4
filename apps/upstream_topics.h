// Upstream topics at work: what connectors/kafka reads goes through the same intake as CloudEvents
// over HTTP.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/cluster.h"
#include "connectors/kafka/upstream_reader.h"
#include "connectors/upstream/intake.h"

namespace tidings::apps {

/// Reads `topics` as far as they fall to this process. `cluster` and `intake` outlive the reader;
/// the executors (each of one thread) outlive what it has handed on.
std::unique_ptr<kafka::UpstreamReader> read_upstream_topics(
    Cluster& cluster, upstream::UpstreamIntake& intake, std::vector<std::string> topics,
    std::vector<boost::asio::any_io_executor> executors);

}  // namespace tidings::apps
