// One partition of the running broker: its log, its read models and its loop, stepped by one thread
// that sleeps while there is nothing to do, and the callers that wait for it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "apps/ingress_clock.h"
#include "apps/snapshots.h"
#include "apps/waiters.h"
#include "connectors/http/metrics.h"
#include "core/log.h"
#include "core/partition_loop.h"
#include "projections/models.h"

namespace tidings::apps {

/// What can be said about a partition without stopping it; for metrics and logs.
struct PartitionFigures {
    LoopCounters loop;
    std::array<std::uint64_t, 4> outcomes{};  ///< by OutcomeStatus
    Sequence applied;
    std::uint64_t lag = 0;          ///< commit records in the log that are not yet applied
    std::int64_t unapplied_ms = 0;  ///< how long there have been such; 0: there are none
    bool decides = false;
    std::size_t pending = 0;  ///< commands submitted here and not yet answered
    std::int64_t oldest_pending_ms = 0;
};

struct PartitionHostOptions {
    bool decides = true;              ///< at first; see set_decides
    bool patient = false;             ///< keeps trying to start where the log does not answer
    std::filesystem::path snapshots;  ///< where they are put; empty: none are made
    SnapshotPolicy snapshot_policy;
    http::Metrics* metrics = nullptr;  ///< outlives the host
    bool anew = false;                 ///< the models are being made from the log: says so
    /// Called once, by the partition's thread, when it has caught up with its log. An error ends
    /// it.
    std::function<Result<void>()> on_caught_up = {};
};

class PartitionHost final : private CommitObserver {
public:
    /// `codec` and `clock` outlive the host.
    PartitionHost(std::unique_ptr<Log> log, std::shared_ptr<Models> models, const Codec& codec,
                  IngressClock& clock, const PartitionHostOptions& options);
    /// Stops if stop() was not called. REQUIRES: no call is under way on another thread.
    ~PartitionHost() override;
    PartitionHost(const PartitionHost&) = delete;
    PartitionHost& operator=(const PartitionHost&) = delete;

    /// Starts the thread: it verifies, catches up, then decides. Call once.
    void start();
    /// Waits until it has caught up. Errors: why it stopped instead.
    Result<void> wait_started();

    /// `record`: the encoded command. `done` is called by the partition's thread, or by this call
    /// if nothing was appended (overloaded).
    void submit(const CommandId& id, const ContentDigest& digest, std::string record,
                std::int64_t timeout_ms, Broker::Done done);
    void wait_for(Sequence sequence, std::int64_t timeout_ms, PositionWaiters::Done done);
    /// Tells the callers whose time is over. Called now and then by the node's timer.
    void expire();
    bool pending(const CommandId& id) const { return outcomes_.pending(id); }

    /// Whether it decides, or only follows. From any thread; takes effect with the next step.
    void set_decides(bool decides);
    /// A parked partition does not follow its log, but can still be read as it was. Takes effect
    /// soon.
    void park(bool parked);
    bool parked() const { return parked_; }
    /// Follows its log and has all of it: fit to decide.
    bool caught_up() const;
    /// Fit to answer: it had caught up, and goes on or is trying to.
    bool serves() const;
    /// It had caught up, and an error ended it: it still knows what it knew.
    bool halted() const;

    /// Its thread has ended, whether it had caught up or not.
    bool stopped() const;

    /// Refuses new commands and lets the thread finish those accepted, for up to `grace`; then
    /// whoever still waits is told outcome_unknown. stop() waits for that, and flushes the models.
    void begin_stop(std::chrono::milliseconds grace);
    void stop();

    std::shared_ptr<const Models> models() const;

    /// `live`: what the partition folds into, at `tip`.
    using Task = std::function<Result<void>(Models& live, const Tip& tip)>;
    /// Runs `task` on the partition's thread between two steps, and waits for it. One caller at a
    /// time. Errors: overloaded (the partition has stopped, or `cancelled` was set before it
    /// began); the task's.
    Result<void> between_steps(const Task& task, const std::atomic<bool>& cancelled);
    /// Within a task: `models`, which stand at the tip, are the live ones from now on. Returns
    /// those that were; readers may hold them for a while. Errors: log_mismatch.
    Result<std::shared_ptr<Models>> replace_models(std::shared_ptr<Models> models);

    /// After an erasure: what was erased of the programs' partners leaves the disk, snapshots of
    /// these read models included. From any thread. Errors: io.
    Result<void> erase_deleted(const std::set<ProgramId>& programs);

    /// Errors: why commands are not accepted now.
    Result<void> ready() const;
    PartitionFigures figures() const;

private:
    enum class State { starting, running, retrying, parked, stopped };

    /// A task that waits for the partition's thread, or is run by it.
    struct Waiting {
        const Task& task;
        bool begun = false;
        std::optional<Result<void>> result;
    };

    void run();
    bool turn();
    void run_task();
    void end_tasks();
    bool wait_parked();
    std::string trouble() const;
    Result<StepResult> step();
    Result<void> catch_up();
    std::string how_far() const;
    void retry_later(const Error& error);
    void recovered();
    void end(std::optional<Error> error);
    void wake();
    void pause(std::chrono::milliseconds at_most);
    void keep_counters();
    void measure_lag();
    bool out_of_grace() const;
    void add_metrics(http::Metrics& metrics);
    void add_snapshot_metrics(http::Metrics& metrics, const http::Metrics::Labels& labels);
    void on_applied(std::span<const Outcome> outcomes, const Tip& tip) override;

    const PartitionId partition_;
    const std::unique_ptr<Log> log_;
    mutable std::mutex models_mutex_;
    std::shared_ptr<Models> models_;  ///< readers share it; the partition's thread replaces it
    IngressClock& clock_;
    const bool patient_, anew_;
    const std::function<Result<void>()> on_caught_up_;
    http::Metrics* const metrics_;
    PartitionLoop loop_;
    OutcomeWaiters outcomes_;
    PositionWaiters positions_;

    std::atomic<bool> accepting_{false};
    std::atomic<bool> troubled_{false};  ///< retrying: new commands are refused at once
    std::atomic<bool> decides_, parked_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<std::int64_t> stop_by_ms_{0};  ///< of clock_.steady_ms()

    mutable std::mutex state_mutex_;
    std::condition_variable started_;
    State state_ = State::starting;
    bool had_caught_up_ = false;
    std::optional<Error> problem_;  ///< while retrying or stopped

    std::mutex task_mutex_;
    std::condition_variable task_done_;
    Waiting* task_ = nullptr;
    bool takes_tasks_ = true;
    std::atomic<bool> has_task_{false};

    std::mutex sleep_mutex_;
    std::condition_variable sleep_;
    std::atomic<bool> signalled_{false};

    // Of the partition's thread.
    std::chrono::milliseconds backoff_{0};  ///< 0: the last step did not fail
    std::chrono::steady_clock::time_point measured_{};
    bool resuming_ = false;  ///< was parked, and has not caught up since
    std::optional<std::chrono::steady_clock::time_point> run_started_;
    std::optional<http::Histogram> commit_seconds_, run_commands_;
    std::optional<Snapshots> snapshots_;  ///< nothing: none are made

    struct Counters {
        std::atomic<std::uint64_t> commits{0}, commands{0}, own_commits{0}, lost_races{0},
            skipped{0}, alarms{0}, retries{0}, applied{0}, lag{0};
        std::atomic<std::int64_t> all_applied_ms{0};  ///< when nothing was left to apply
        std::atomic<std::uint64_t> catch_up_done{0}, catch_up_total{0};
        std::atomic<std::int64_t> catch_up_began_ms{0};
        std::array<std::atomic<std::uint64_t>, 4> outcomes{};
    };
    Counters counters_;
    std::thread thread_;
};

}  // namespace tidings::apps
