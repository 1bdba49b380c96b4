// How to reach the cluster and what the topics are called; librdkafka's own settings pass through,
// but for those that the protocol depends on (PROTOCOL.md rule 20).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/result.h"

struct rd_kafka_conf_s;

namespace tidings::kafka {

struct Settings {
    std::string brokers;                                          ///< "host:port,host:port"
    std::string prefix = "tidings";                               ///< of every topic's name
    std::vector<std::pair<std::string, std::string>> properties;  ///< librdkafka's, by name
    std::string client_id;                                        ///< in the broker's logs
    /// What a consumer fetches ahead of its reader, in KiB a partition. Also its pace: librdkafka
    /// before 2.2 that finds so much queued fetches nothing for a second (its issue 2879), and thus
    /// reads not much more than this in a second.
    int queued_kib = 32 * 1024;
};

enum class ClientKind { producer, consumer };

/// A librdkafka configuration; the caller owns it (rd_kafka_new takes it over). Errors: usage (a
/// property that librdkafka does not know or take, or that rule 20 keeps from being set).
Result<rd_kafka_conf_s*> make_conf(const Settings& settings, ClientKind kind);
/// The errors of make_conf for either kind, without anything made.
Result<void> check(const Settings& settings);

}  // namespace tidings::kafka
