// Reads partitions of topics from any position, by manual assignment and without a consumer group
// (PROTOCOL.md rule 21; DESIGN.md decision 8). One Consumer, a PartitionReader for each partition.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connectors/kafka/client.h"

struct rd_kafka_queue_s;

namespace tidings::kafka {

/// One record as read. Views stay valid while it lives.
class ConsumedRecord {
public:
    explicit ConsumedRecord(rd_kafka_message_s* message) : message_(message) {}
    std::uint64_t offset() const;
    std::string_view key() const;
    bool is_tombstone() const;
    std::string_view value() const;
    /// Milliseconds since the epoch; 0: none.
    std::int64_t timestamp() const;
    /// The newest header of that name.
    std::optional<std::string_view> header(const char* name) const;
    std::vector<std::pair<std::string, std::string>> headers() const;

private:
    struct Destroy {
        void operator()(rd_kafka_message_s* message) const;
    };
    std::unique_ptr<rd_kafka_message_s, Destroy> message_;
};

/// Thread-safe; its readers are not. Outlives them.
class Consumer {
public:
    /// Errors: usage, io.
    static Result<std::unique_ptr<Consumer>> create(const Settings& settings);
    Client& client() { return *client_; }
    const Client& client() const { return *client_; }

    /// First and next offset, asked from the leader. Errors: io, not_found (no such partition).
    Result<std::pair<std::uint64_t, std::uint64_t>> query_offsets(const std::string& topic,
                                                                  std::int32_t partition,
                                                                  std::chrono::milliseconds wait);

private:
    explicit Consumer(std::unique_ptr<Client> client) : client_(std::move(client)) {}
    std::unique_ptr<Client> client_;
};

/// One thread uses it; `wake` is called from any.
class PartitionReader {
public:
    /// Compacted topics, and those with a retention, have gaps.
    enum class Gaps { forbidden, allowed };
    PartitionReader(Consumer& consumer, std::string topic, std::int32_t partition,
                    Gaps gaps = Gaps::forbidden);
    ~PartitionReader();
    PartitionReader(const PartitionReader&) = delete;
    PartitionReader& operator=(const PartitionReader&) = delete;

    void on_arrival(std::function<void()> wake) { wake_ = std::move(wake); }

    /// The record at `from` (with gaps: the first one from there on), or nothing if it did not come
    /// within `wait`. Reading on behind the last one is cheap, elsewhere starts anew. Errors:
    /// log_mismatch (`from` is not there: it lies beyond the end or before the start, or there is a
    /// gap), io.
    Result<std::optional<ConsumedRecord>> read(std::uint64_t from, std::chrono::milliseconds wait);

    /// Next offset that the log will give, as known without asking: from the latest answer to a
    /// fetch, or else asked from the leader (for up to `wait`). Errors: io.
    Result<std::uint64_t> end(std::chrono::milliseconds wait);
    /// A lower end than this is not believed unless the leader says so.
    void expect(std::uint64_t end) { highest_ = std::max(highest_, end); }
    /// The same, asked from the leader in any case.
    Result<std::uint64_t> ask_end(std::chrono::milliseconds wait);

    /// First and next offset, asked from the leader. Errors: io, not_found (no such partition).
    Result<std::pair<std::uint64_t, std::uint64_t>> query(std::chrono::milliseconds wait) {
        return consumer_.query_offsets(topic_, partition_, wait);
    }

    /// Stops fetching; the next read starts anew.
    void stop();

    const std::string& topic() const { return topic_; }
    std::int32_t partition() const { return partition_; }

private:
    Result<void> start(std::uint64_t from);
    void release_queue();
    std::string name() const;

    Consumer& consumer_;
    const std::string topic_;
    const std::int32_t partition_;
    const Gaps gaps_;
    std::function<void()> wake_;
    rd_kafka_queue_s* queue_ = nullptr;  ///< while assigned
    std::optional<std::uint64_t> next_;  ///< what the queue gives next; nothing: not assigned
    /// Of the end since reading started at this place. What librdkafka remembers from before may be
    /// as old as the last fetch: hours, where the partition was at rest.
    bool end_known_ = false;
    /// Position after the newest record ever read, or told to be there. A leader that has just been
    /// elected may know of a lower end for a moment; it admits so when asked (KIP-207).
    std::uint64_t highest_ = 0;
};

}  // namespace tidings::kafka
