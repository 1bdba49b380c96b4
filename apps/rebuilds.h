// Builds new generations of read models beside the live ones, from the log, on a thread of its own;
// compares both at one position, and lets the partition's thread go on with the new one. What a
// process leaves unfinished, the next one goes on with.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "apps/erased_rows.h"
#include "apps/generations.h"
#include "apps/partition_host.h"
#include "connectors/http/metrics.h"
#include "connectors/rebuilder.h"
#include "core/codec.h"

namespace tidings::apps {

struct RebuildsOptions {
    std::filesystem::path data;
    std::uint32_t partitions = 0;
    std::shared_ptr<StoreResources> resources;  ///< those of the live ones, whose place they take
    std::shared_ptr<RowMemory> row_memory;
    std::shared_ptr<const Keys> keys;  ///< of sealed texts
    bool keys_are_shared = false;      ///< other processes erase, too
    /// Its own reader of a partition's log.
    std::function<Result<std::unique_ptr<CommitSource>>(PartitionId)> open_log;
    /// Null: this process does not hold it. Hosts outlive the rebuilds.
    std::function<PartitionHost*(PartitionId)> host;
    /// Pasts of the partition that were built so far are not to be trusted.
    std::function<void(PartitionId)> forget_past;
    http::Metrics* metrics = nullptr;  ///< outlives the rebuilds
};

class Rebuilds final : public Rebuilder {
public:
    explicit Rebuilds(RebuildsOptions options);
    ~Rebuilds() override;
    Rebuilds(const Rebuilds&) = delete;
    Rebuilds& operator=(const Rebuilds&) = delete;

    Result<void> rebuild(const std::vector<PartitionId>& partitions,
                         bool accept_difference) override;
    std::vector<RebuildProgress> rebuilds() const override;

    /// Goes on with what another process began, if there is something.
    void resume(PartitionId partition);
    /// What is under way is left for the next start.
    void stop();

    /// Runs `task` while nothing is built of the partition: a rebuild under way is interrupted, and
    /// goes on afterwards. Errors: overloaded (it does not pause in time), the task's.
    Result<void> run_alone(PartitionId partition, const std::function<Result<void>()>& task);
    /// Within such a task, when the partners' erasures are live: takes what was erased from the
    /// generations that are not. One that opened sealed texts of theirs begins anew. Errors:
    /// overloaded (somebody still reads one that was live), io.
    Result<void> erase_deleted(PartitionId partition, const ErasedRows& erased);

private:
    struct Job {
        RebuildProgress progress;
        bool accept_difference = false;
    };
    struct Build;
    /// No longer live, and read by requests that began before.
    struct Replaced {
        PartitionId partition;
        std::filesystem::path directory;
        std::shared_ptr<Models> models;
    };

    void run();
    std::optional<PartitionId> next_ready() const;
    bool is_over() const;
    Result<void> build(PartitionId partition, bool accept_difference);
    Result<void> open(Build& build);
    Result<void> fold(Build& build, Sequence last);
    Result<void> follow(Build& build);
    Result<void> end_bulk(Build& build);
    Result<void> compare(Build& build, bool accept_difference);
    Result<void> refuse_rebuilt(Build& build, const Error& why);
    Result<std::vector<ModelDigest>> read_digests(const std::filesystem::path& directory);
    Result<void> take_over(Build& build);
    Result<std::shared_ptr<Models>> replace(Build& build, const Tip& tip);
    Result<void> make_live(Build& build);
    std::vector<std::filesystem::path> read_still(PartitionId partition) const;
    void remove_replaced(std::optional<PartitionId> only);
    Result<void> erase_unfinished(PartitionId partition, const ErasedRows& erased);
    Result<void> pause(std::chrono::milliseconds time);
    void update(PartitionId partition, const std::function<void(RebuildProgress&)>& change);
    void add_metrics();

    const RebuildsOptions options_;
    const std::unique_ptr<Codec> codec_;
    std::atomic<bool> cancelled_{false};  ///< what is built now is to end
    std::atomic<std::uint64_t> commits_{0}, done_{0}, failed_{0};

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::map<PartitionId, Job> jobs_;
    std::optional<PartitionId> building_;
    std::optional<PartitionId> paused_;  ///< nothing is built of it
    std::vector<Replaced> replaced_;     ///< without models: being removed
    std::thread thread_;                 ///< started with the first job
};

}  // namespace tidings::apps
