// Publishes what every commit holds to <prefix>.events (docs/analytics.md): at least once, in
// order, without a gap. Follows the commits by itself and stays behind the read models, which it
// needs to render. Every record says from which commit on a successor must publish.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "connectors/kafka/bookmarks.h"
#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"
#include "connectors/kafka/topics.h"
#include "core/codec.h"

namespace tidings::kafka {

struct EventRecord {
    std::string key, value;
};

/// Appends the records of one outcome of a commit that the read models have applied.
using RenderOutcome = std::function<void(const Outcome&, PartitionId, CommandPosition, Sequence,
                                         std::vector<EventRecord>&)>;
/// The newest commit that the read models here have applied.
using AppliedSequence = std::function<Sequence(PartitionId)>;

struct PublisherFigures {
    std::uint64_t records = 0;   ///< acknowledged
    std::uint64_t restarts = 0;  ///< partitions taken up, by a takeover or after an error
};

/// assign() and figures() are thread-safe.
class EventPublisher {
public:
    /// References, and what the functions refer to, outlive it. `genesis`: of every partition.
    EventPublisher(Producer& producer, Consumer& consumer, Bookmarks& bookmarks, TopicNames names,
                   std::vector<Genesis> genesis, const Codec& codec, RenderOutcome render,
                   AppliedSequence applied);
    /// Stops; what is under way may still arrive.
    ~EventPublisher();
    EventPublisher(const EventPublisher&) = delete;
    EventPublisher& operator=(const EventPublisher&) = delete;

    void start();
    /// The partitions that this process publishes from now on.
    void assign(std::set<std::uint32_t> partitions);
    PublisherFigures figures() const { return {*records_, restarts_}; }

private:
    struct Work;
    void run();
    Result<void> take_up(Work& work);
    bool advance(Work& work);
    Result<void> publish(Work& work, const Envelope& envelope, const std::string& commit);
    void settle(Work& work);

    Producer& producer_;
    Consumer& consumer_;
    Bookmarks& bookmarks_;
    const TopicNames names_;
    const std::vector<Genesis> genesis_;
    const Codec& codec_;
    const RenderOutcome render_;
    const AppliedSequence applied_;
    /// With delivery reports that may outlive the publisher.
    const std::shared_ptr<std::atomic<std::uint64_t>> records_ =
        std::make_shared<std::atomic<std::uint64_t>>(0);
    std::atomic<std::uint64_t> restarts_{0};
    std::atomic<bool> stop_{false};

    std::mutex mutex_;
    std::set<std::uint32_t> assigned_;
    std::map<std::uint32_t, std::unique_ptr<Work>> works_;  ///< of the publisher's thread
    std::thread thread_;
};

/// A tip as text: "sequence hash next_command next_record", and back.
std::string encode_tip(const Tip& tip);
std::optional<Tip> decode_tip(std::string_view text);

}  // namespace tidings::kafka
