// The running broker on one data directory: its lock, keys, partitions and the timer that tells
// callers when their time is over. What connectors see of it is Broker.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "apps/ingress_clock.h"
#include "apps/lock_file.h"
#include "apps/partition_host.h"
#include "connectors/keys.h"
#include "core/codec.h"
#include "projections/broker.h"

namespace tidings::apps {

struct NodeOptions {
    std::filesystem::path data;
    /// 0: as the log was made, or kDefaultPartitions for a new one. Another count than the log's is
    /// an error.
    std::uint32_t partitions = 0;
    std::filesystem::path deployment_key_file = {};  ///< empty: the data directory's own
    std::size_t block_cache_bytes = 96u << 20;
    std::size_t write_buffer_bytes = 64u << 20;
    std::size_t row_cache_bytes = 128u << 20;  ///< all partitions together
    std::size_t log_buffer_bytes = 32u << 20;
    std::int64_t outcome_timeout_ms = 15'000;
    ClockSource clock = read_system_clocks;
    http::Metrics* metrics = nullptr;  ///< outlives the node
};

class Node final : public Broker {
public:
    /// Makes what is missing. Errors: overloaded (in use by another process), usage (another
    /// partition count), io, corruption, newer_format, log_mismatch.
    static Result<std::unique_ptr<Node>> open(const NodeOptions& options);
    /// Stops at once if stop() was not called.
    ~Node() override;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Starts the threads, and waits until every partition has verified its log and caught up.
    /// Errors: why one could not. Call once.
    Result<void> start();
    /// Lets start() return early, with an error. From any thread.
    void cancel_start();
    /// Refuses new commands, finishes those accepted (for up to `grace`), tells whoever still waits
    /// outcome_unknown, flushes the read models. Reads stay possible.
    void stop(std::chrono::milliseconds grace);

    const KeyRing& keys() const { return *keys_; }
    PartitionFigures figures(PartitionId partition) const;
    /// Commands are stamped this far before the clock: the demo plays past days.
    void stamp_behind(std::chrono::milliseconds lag) { lag_ms_ = lag.count(); }

    std::uint32_t partitions() const override;
    PartitionId partition_of(const ProgramId& program) const override;
    const ReadModels& read(PartitionId partition) const override;
    using Broker::read;
    void submit(Command command, Done done) override;
    bool pending(const ProgramId& program, const CommandId& id) const override;
    void wait_for(PartitionId partition, Sequence sequence, int timeout_ms,
                  std::function<void(Result<void>)> done) override;
    ContentDigest content_digest(std::string_view canonical) const override;
    CallerDigest caller_digest(std::string_view canonical) const override;
    std::string seal(std::string_view plain, std::string_view context) const override;
    Result<std::string> open(std::string_view sealed, std::string_view context) const override;
    Result<void> ready() const override;
    Timestamp now() const override;

private:
    Node(const NodeOptions& options, LockFile lock, std::unique_ptr<KeyRing> keys);
    void run_timer();

    const std::int64_t outcome_timeout_ms_;
    LockFile lock_;
    std::unique_ptr<KeyRing> keys_;
    std::unique_ptr<Codec> codec_;
    IngressClock clock_;
    std::atomic<std::int64_t> lag_ms_{0};
    std::vector<std::unique_ptr<PartitionHost>> hosts_;

    std::mutex timer_mutex_;
    std::condition_variable timer_wake_;
    bool timer_stop_ = false;
    std::thread timer_;
};

}  // namespace tidings::apps
