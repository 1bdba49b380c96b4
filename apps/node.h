// The running broker on one data directory: its lock, keys, partitions and the timer that tells
// callers when their time is over. What connectors see of it is Broker. On Kafka (node_cluster.cpp)
// it holds the partitions that fall to it among the live members; otherwise all of them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "apps/auditor.h"
#include "apps/cleaner.h"
#include "apps/cluster.h"
#include "apps/eraser.h"
#include "apps/history.h"
#include "apps/ingress_clock.h"
#include "apps/lock_file.h"
#include "apps/partition_host.h"
#include "apps/placement.h"
#include "apps/rebuilds.h"
#include "apps/sealer.h"
#include "connectors/kafka/keys_topic.h"
#include "connectors/keys.h"
#include "core/codec.h"
#include "events/embedded_log.h"
#include "projections/broker.h"

namespace tidings::apps {

struct NodeOptions {
    std::filesystem::path data;
    /// 0: as the log was made, or kDefaultPartitions for a new one. Another count than the log's is
    /// an error.
    std::uint32_t partitions = 0;
    std::filesystem::path deployment_key_file = {};  ///< empty: the data directory's own
    std::filesystem::path keys_data = {};  ///< whose keys/ to use; empty: the data directory's own
    std::optional<ClusterOptions> cluster = {};  ///< nothing: the embedded log
    std::size_t block_cache_bytes = 96u << 20;
    std::size_t write_buffer_bytes = 64u << 20;
    std::size_t row_cache_bytes = 128u << 20;  ///< all partitions together
    std::size_t log_buffer_bytes = 32u << 20;
    std::string audit_origin = "tidings.example";  ///< what the origins of checkpoints begin with
    SnapshotPolicy snapshots = {};
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
    /// Not after stop().
    const AuditSource& audit_source() const { return *auditor_; }
    /// Not after stop().
    Rebuilder& rebuilder() { return *rebuilds_; }
    PartitionFigures figures(PartitionId partition) const;
    /// Null on the embedded log.
    Cluster* cluster() { return cluster_.get(); }
    /// Null where nothing is published.
    const kafka::EventPublisher* publisher() const { return publisher_.get(); }
    /// Where other processes reach this one. Call once it listens.
    void advertise(std::string url);
    /// Commands are stamped this far before the clock: the demo plays past days.
    void stamp_behind(std::chrono::milliseconds lag) { lag_ms_ = lag.count(); }

    std::uint32_t partitions() const override;
    bool holds(PartitionId partition) const override;
    std::vector<std::string> holders(PartitionId partition) const override;
    PartitionId partition_of(const ProgramId& program) const override;
    ReadModelsPtr read(PartitionId partition) const override;
    using Broker::read;
    void read_past(const ProgramId& program, AsOf as_of,
                   const std::function<void(Result<ReadModelsPtr>)>& done) override;
    void receipt(const ProgramId& program, EventNumber message,
                 const std::optional<PartnerId>& partner,
                 const std::function<void(Result<SendReceipt>)>& done) override;
    void submit(Command command, Done done) override;
    void erase(Command command, Erased done) override;
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
    /// One partition. The balancing thread (or open(), before any other thread) writes it.
    struct Slot {
        std::unique_ptr<PartitionHost> owner;
        std::atomic<PartitionHost*> host{nullptr};  ///< never null again once it is set
        std::atomic<bool> held{false};              ///< fit to answer for
        std::chrono::steady_clock::time_point adopt_not_before{};
    };
    /// The members as last seen, for passing requests on.
    struct View {
        std::vector<std::vector<std::string>> holders;  ///< URLs of others, by partition
    };

    Node(const NodeOptions& options, LockFile lock, std::shared_ptr<const KeyRing> keys,
         std::shared_ptr<PartnerKeys> partner_keys);
    Result<void> open_embedded();
    Result<void> open_cluster();
    /// The live read models; where an older version made them, those that take their place.
    struct OpenedModels {
        std::unique_ptr<Models> models;
        std::filesystem::path anew = {};  ///< where those lie that take their place; else empty
    };
    Result<OpenedModels> open_models(PartitionId partition) const;
    Result<OpenedModels> open_anew(const Generations& generations, PartitionId partition,
                                   ModelsOptions options) const;
    PartitionHostOptions host_options(PartitionId partition,
                                      const std::filesystem::path& anew) const;
    void make_rebuilds();
    void put_host(PartitionId partition, std::unique_ptr<PartitionHost> host);
    PartitionHost* host_of(PartitionId partition) const;
    void append(Command command, Done done);
    void run_timer();
    void make_sealer();
    void make_eraser();
    Result<void> clean(PartitionId partition, const ErasedRows& erased);
    Result<Auditor::OpenedLog> open_audited(PartitionId partition);
    void make_auditor();
    /// A partition's log, read beside its own thread. Any thread.
    Result<std::unique_ptr<CommitSource>> open_log(PartitionId partition);
    Result<void> open_history();
    void add_history_metrics();

    // On Kafka.
    Result<void> start_cluster();
    Result<void> check_keys() const;
    Result<void> open_keys_topic();
    Result<void> note_last_plain();
    bool owes_elsewhere(PartitionId partition) const;
    void make_publisher();
    void run_balance();
    void balance();
    Result<void> adopt(PartitionId partition);
    void publish_view(const std::vector<kafka::Member>& live,
                      const std::vector<PlacedPartition>& placed);

    const NodeOptions options_;
    LockFile lock_;
    std::shared_ptr<const KeyRing> keys_;
    std::shared_ptr<PartnerKeys> partner_keys_;
    std::unique_ptr<Codec> codec_;
    IngressClock clock_;
    std::atomic<std::int64_t> lag_ms_{0};
    std::shared_ptr<StoreResources> store_resources_;
    std::shared_ptr<RowMemory> row_memory_;
    std::unique_ptr<Cluster> cluster_;              ///< outlives the hosts, which use its clients
    std::unique_ptr<kafka::KeysTopic> keys_topic_;  ///< null on the embedded log
    std::unique_ptr<Cleaner> cleaner_;              ///< null on the embedded log
    std::atomic<bool> cancelled_{false};  ///< the start: what is adopted from now on stops at once
    std::vector<EmbeddedLog*> embedded_logs_;  ///< by partition, owned by the hosts; empty on Kafka
    std::vector<Slot> slots_;                  ///< by partition
    std::unique_ptr<Sealer> sealer_;
    std::unique_ptr<Eraser> eraser_;
    std::unique_ptr<Auditor> auditor_;
    std::unique_ptr<kafka::EventPublisher> publisher_;  ///< null where nothing is published
    std::unique_ptr<History> history_;
    std::unique_ptr<Rebuilds> rebuilds_;  ///< null after stop()

    mutable std::mutex view_mutex_;
    std::shared_ptr<const View> view_;
    std::string url_;  ///< empty: not yet listening
    std::mutex balance_mutex_;
    std::condition_variable balance_wake_;
    bool balance_due_ = false, balance_stop_ = false;
    std::thread balance_thread_;

    std::mutex timer_mutex_;
    std::condition_variable timer_wake_;
    bool timer_stop_ = false;
    std::thread timer_;
};

}  // namespace tidings::apps
