// One librdkafka handle with the thread that serves its callbacks: errors, statistics, delivery
// reports. Producer and Consumer are built on it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "connectors/kafka/settings.h"

struct rd_kafka_s;
struct rd_kafka_message_s;

namespace tidings::kafka {

/// Of one handle, once a second; for /metrics.
struct ClientFigures {
    std::uint64_t brokers_up = 0;
    std::uint64_t queued = 0;  ///< messages waiting to be sent or under way
    std::uint64_t sent = 0, received = 0, sent_bytes = 0, received_bytes = 0;
    std::uint64_t request_errors = 0, disconnects = 0;
    double round_trip_ms = 0;  ///< the worst broker's average
};

/// Thread-safe.
class Client {
public:
    using Delivered = std::function<void(const rd_kafka_message_s&)>;

    /// `delivered`: for producers, on the client's thread. Errors: usage, io.
    static Result<std::unique_ptr<Client>> create(const Settings& settings, ClientKind kind,
                                                  Delivered delivered = {});
    /// Purges what is still queued, reports it, and joins the thread. Not from a callback.
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    rd_kafka_s* handle() const { return handle_; }
    ClientFigures figures() const;
    /// Changes whenever a connection was lost or a partition got another leader.
    std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
    /// Why no broker answers; nothing: one does, or it was never tried.
    std::optional<Error> unreachable() const;
    /// A fatal error, after which a producer is of no more use.
    bool fatal() const { return fatal_.load(std::memory_order_acquire); }
    /// The partitions of `topic` as the cluster last said; 0: not known.
    std::uint32_t partitions_of(const std::string& topic) const;

private:
    Client(ClientKind kind, Delivered delivered);
    void serve();
    void stop_serving();
    void destroy();
    void on_error(int code, const char* reason);
    void on_statistics(std::string_view json);

    const ClientKind kind_;
    const Delivered delivered_;
    rd_kafka_s* handle_ = nullptr;
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<bool> fatal_{false}, stop_{false}, down_{false};
    std::chrono::steady_clock::time_point next_complaint_{};  ///< of the client's thread
    mutable std::mutex mutex_;
    std::string down_reason_;
    ClientFigures figures_;
    std::map<std::string, std::int64_t> leaders_;      ///< "topic/partition"
    std::map<std::string, std::uint32_t> partitions_;  ///< by topic
    std::thread thread_;
};

/// What librdkafka says, as an Error of code io.
Error kafka_error(int code, const std::string& what);

}  // namespace tidings::kafka
