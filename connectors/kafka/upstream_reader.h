// Reads upstream topics and hands their records on, in order within a partition, until each is
// settled: applied, ignored, or put to <prefix>.upstream.rejected with the reason. A bookmark keeps
// how far that is, so that whoever takes over goes on there; whatever is handed on twice is known
// by the events' ids (PROTOCOL.md rule 19).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "connectors/kafka/bookmarks.h"
#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"
#include "connectors/kafka/topics.h"

namespace tidings::kafka {

struct UpstreamRecord {
    std::string key, value;
    std::vector<std::pair<std::string, std::string>> headers;
};

/// Why a record cannot be applied.
struct PoisonRecord {
    std::size_t index = 0;  ///< among those handed on
    std::string code, detail;
};

/// What became of the records handed on: all are settled, but for those that are poison. Errors:
/// they are to be handed on again.
using Settled = std::function<void(Result<std::vector<PoisonRecord>>)>;
/// Applies records in order; calls `settled` once, from any thread.
using DeliverRecords = std::function<void(std::vector<UpstreamRecord> records, Settled settled)>;

/// A partition of an upstream topic.
using UpstreamPartition = std::pair<std::string, std::uint32_t>;
/// Whether this process is the one that reads it.
using IsMine = std::function<bool(const UpstreamPartition&)>;

struct UpstreamFigures {
    std::uint64_t records = 0, rejected = 0, retries = 0;
    std::uint64_t lag = 0;  ///< records not yet settled, of the partitions read here
};

class UpstreamReader {
public:
    /// References, and what the functions refer to, outlive it.
    UpstreamReader(Producer& producer, Consumer& consumer, Bookmarks& bookmarks, TopicNames names,
                   std::vector<std::string> topics, DeliverRecords deliver, IsMine is_mine);
    /// Stops. What is still handed on may be answered later, to no effect.
    ~UpstreamReader();
    UpstreamReader(const UpstreamReader&) = delete;
    UpstreamReader& operator=(const UpstreamReader&) = delete;

    void start();
    UpstreamFigures figures() const;

private:
    struct Work;
    void run();
    void find_partitions();
    void choose();
    Result<void> take_up(Work& work);
    bool advance(Work& work);
    Result<void> reject(Work& work, const std::vector<PoisonRecord>& poison);

    Producer& producer_;
    Consumer& consumer_;
    Bookmarks& bookmarks_;
    const TopicNames names_;
    const std::vector<std::string> topics_;
    const DeliverRecords deliver_;
    const IsMine is_mine_;
    std::atomic<std::uint64_t> records_{0}, rejected_{0}, retries_{0}, lag_{0};
    std::atomic<bool> stop_{false};
    // Of the reader's thread.
    std::set<UpstreamPartition> known_;
    std::set<std::string> missing_;
    std::map<UpstreamPartition, std::unique_ptr<Work>> works_;
    std::thread thread_;
};

}  // namespace tidings::kafka
