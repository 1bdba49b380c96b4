// CloudEvents for partitions that this process lacks, delivered over http::Forwarder to a process
// that holds them. Joins two connectors that do not know each other.
#pragma once

#include <cstdint>

#include "connectors/upstream/intake.h"

namespace tidings::http {
class Forwarder;
}

namespace tidings::apps {

/// `forwarder` outlives the function and its coroutines. Each POST /v1/events holds as many events
/// as its body may; one follows the other. `partitions`: of the log.
upstream::DeliverElsewhere deliver_over(http::Forwarder& forwarder, std::uint32_t partitions);

}  // namespace tidings::apps
