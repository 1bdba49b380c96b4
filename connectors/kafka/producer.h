// Appends records to topics, at least once and in order, for as long as it takes: a send never
// expires (PROTOCOL.md rule 19). After a fatal error of librdkafka the same records go on through a
// new handle (rule 10), which takes none before the old one has reported all of its own: nothing
// overtakes what was sent before it to the same partition, but for a single record that a broker
// refuses (the right to write was taken away), which goes on behind those under way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "connectors/kafka/client.h"

namespace tidings::kafka {

struct ProducerRecord {
    std::string topic;
    std::int32_t partition = 0;
    std::string key;
    std::optional<std::string> value;  ///< nothing: a tombstone
    std::vector<std::pair<std::string, std::string>> headers = {};
};

/// What became of a record. `unknown`: a fatal error; it may or may not be in the log.
enum class Delivery { done, unknown };

/// Thread-safe.
class Producer {
public:
    /// Called once, on a thread of the producer, unless the producer is destroyed before. With
    /// `done`, the offset that the record has.
    using Done = std::function<void(Delivery, std::uint64_t offset)>;

    /// Errors: usage, io.
    static Result<std::unique_ptr<Producer>> create(const Settings& settings);
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    /// Queues a record. `insist`: after a fatal error it is sent again by the new handle, and
    /// `done` is only ever told `done`. `restarts`: only while restarts() is still that, so that
    /// what was sent before is not lost in front of it. Errors: overloaded (the queue is full),
    /// payload_too_large, io.
    Result<void> send(ProducerRecord record, bool insist, Done done,
                      std::optional<std::uint64_t> restarts = std::nullopt);

    /// How long nothing has been acknowledged although something was under way; 0: nothing is.
    std::chrono::milliseconds stalled() const;
    std::uint64_t restarts() const { return restarts_; }
    ClientFigures figures() const;
    std::optional<Error> unreachable() const;
    /// The handle now in use, for administrative requests. REQUIRES: the producer outlives their
    /// use.
    std::shared_ptr<Client> client() const;

private:
    struct UnderWay;
    explicit Producer(Settings settings);
    Result<std::shared_ptr<Client>> make_client();
    Result<void> enqueue(std::unique_ptr<UnderWay>& record);
    void delivered(const rd_kafka_message_s& message);
    void restart_when_fatal();
    std::shared_ptr<Client> replaced();
    void send_again(std::unique_lock<std::mutex>& lock);

    const Settings settings_;
    mutable std::mutex mutex_;
    std::shared_ptr<Client> client_;
    std::uint64_t sent_ = 0;  ///< ever
    std::size_t under_way_ = 0;
    std::chrono::steady_clock::time_point progress_;  ///< of the last acknowledgement
    std::vector<std::unique_ptr<UnderWay>> again_;    ///< to be sent by the handle now in use
    std::atomic<std::uint64_t> restarts_{0};

    std::condition_variable wake_;
    bool stop_ = false;
    std::thread watcher_;  ///< replaces the handle after a fatal error
};

}  // namespace tidings::kafka
