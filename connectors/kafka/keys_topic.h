// The journal of the partners' keys (events/key_journal.h): the compacted topic <prefix>.keys, of
// one partition. Every process reads all of it at its start, and follows it from then on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"
#include "events/key_journal.h"

namespace tidings::kafka {

struct KeysTopicOptions {
    std::string topic;
    /// Of the topic: the broker closes a segment that is older when the next record comes, and only
    /// then compacts it.
    std::chrono::milliseconds segment{600'000};
    /// Called with what was read, in order; again with the same after an error.
    std::function<Result<void>(const std::vector<KeyRecord>&)> apply;
};

/// Thread-safe.
class KeysTopic final : public KeyJournal {
public:
    /// `producer` and `consumer` outlive it. Without a producer nothing is ever appended.
    KeysTopic(Producer* producer, Consumer& consumer, KeysTopicOptions options);
    /// Ends the thread.
    ~KeysTopic() override;
    KeysTopic(const KeysTopic&) = delete;
    KeysTopic& operator=(const KeysTopic&) = delete;

    /// Reads and applies the topic up to its end, on the caller's thread. Errors: io, not_found (no
    /// such topic), those of `apply`.
    Result<void> read_all();
    /// Follows it, on a thread. REQUIRES: read_all() was successful.
    void follow();

    /// Errors: io (not acknowledged in time, or not applied). REQUIRES: there is a producer, and
    /// the topic is followed.
    Result<void> append(std::vector<KeyRecord> records) override;
    Result<void> catch_up() override;

private:
    Result<std::size_t> read_some(std::chrono::milliseconds wait);
    void run();
    bool pause(std::chrono::milliseconds time);
    void close_old_segment();
    Result<void> wait_applied(std::uint64_t end);

    Producer* const producer_;
    Consumer& consumer_;
    const KeysTopicOptions options_;
    // Of whoever reads.
    PartitionReader reader_;
    std::int64_t last_ms_ = 0;       ///< when the newest record was written
    bool holds_destroyed_ = false;   ///< a tombstone's segment may still be open
    std::int64_t tombstone_ms_ = 0;  ///< when the newest one was written
    std::chrono::steady_clock::time_point mark_not_before_{};

    std::mutex mutex_;
    std::condition_variable moved_;
    std::uint64_t next_ = 0;  ///< everything before it is applied
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace tidings::kafka
