// A process of the simulated cluster: for each partition a store, read models, a loop, and the
// callers that wait; all of it production code but for the log and the disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "apps/ingress_clock.h"
#include "apps/waiters.h"
#include "core/partition_loop.h"
#include "events/codec.h"
#include "projections/models.h"
#include "tests/simulation/actions.h"
#include "tests/simulation/sim_log.h"
#include "tests/simulation/sim_store.h"

namespace tidings::simulation {

/// Told of everything that a node publishes.
class Witness {
public:
    virtual ~Witness() = default;
    virtual void published(std::uint32_t node, std::uint32_t partition,
                           std::span<const Outcome> outcomes, const Tip& tip) = 0;
};

/// To whom it is all the same.
Witness& nobody();

/// One partition in one process.
class Replica final : private CommitObserver {
public:
    /// References outlive the replica.
    Replica(std::uint32_t node, Topic& topic, const Setting& setting, const Codec& codec,
            Witness& witness);

    /// Opens the store, and lets the loop verify the log. `decides`: also appends commits.
    void start(bool decides);
    /// The process dies. Its disk keeps `kept` of the batches that were not flushed.
    void crash(std::size_t kept);
    bool running() const { return loop_ != nullptr; }
    /// Starts the loop again as decider or as follower; the process lives on.
    void become(bool decides);
    bool decides() const { return decides_; }

    /// One step of the loop, or of the verification before it. Returns false if there was nothing
    /// to do.
    bool step();
    /// Caught up once since it was started: commands are accepted.
    bool ready() const { return running() && ready_ && !problem_; }
    /// Why it stopped for good.
    const std::optional<Error>& problem() const { return problem_; }

    SimDisk disk;
    SimLog log;
    std::unique_ptr<Models> models;
    std::unique_ptr<apps::OutcomeWaiters> waiters;
    bool orphaned = false;  ///< it applied commits that the log has lost since
    Sequence must_reach;    ///< what the log had when it started, as far as it could see that
    bool early = false;     ///< it was ready before it had come so far
    Tip seen;               ///< of the commit published last, or of what it started from

private:
    void on_applied(std::span<const Outcome> outcomes, const Tip& tip) override;
    void make_loop();

    const std::uint32_t node_;
    const PartitionId partition_;
    const std::size_t memory_;
    const Codec& codec_;
    Witness& witness_;
    std::unique_ptr<PartitionLoop> loop_;
    bool decides_ = false, verified_ = false, ready_ = false;
    std::optional<Error> problem_;
};

}  // namespace tidings::simulation
