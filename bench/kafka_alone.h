// What Kafka gives without us, through librdkafka alone: records produced, consumed, sent to and
// fro, and transactions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/histogram.h"
#include "connectors/kafka/settings.h"

namespace tidings::bench {

/// With the broker's defaults.
void create_topic(const kafka::Settings& settings, const std::string& topic,
                  std::uint32_t partitions);
/// The next offset of each partition.
std::vector<std::uint64_t> topic_ends(const kafka::Settings& settings, const std::string& topic,
                                      std::uint32_t partitions);

struct BareRecord {
    std::uint32_t partition = 0;
    std::string_view key, value;
};
/// Fills in the record `number` (0, 1, ...).
using BareRecords = std::function<void(std::uint64_t number, BareRecord& out)>;

/// Records a second, from the first to the acknowledgement of the last; idempotent, acks=all,
/// linger.ms=5, batches of up to 10,000 records and 1 MB.
double produce_all(const std::string& brokers, const std::string& topic, std::uint64_t count,
                   const BareRecords& records);
/// Records a second, by one consumer, from assigning the partitions to the last record.
double consume_all(const std::string& brokers, const std::string& topic,
                   const std::vector<std::uint64_t>& from, const std::vector<std::uint64_t>& to);

/// One after the other: a record to `commands`, read there, a record to `commits`, read there;
/// idempotent, acks=all, linger.ms=0. Both have one partition.
Histogram measure_round_trips(const std::string& brokers, const std::string& commands,
                              const std::string& commits, std::size_t count);
/// One after the other: begin, one record to `topic`, commit.
Histogram measure_transactions(const std::string& brokers, const std::string& topic,
                               std::size_t count);

}  // namespace tidings::bench
