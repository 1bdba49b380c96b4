// The partition loop: follows the commits log by the chain's rules and, as its decider, appends to
// it with depth one (PROTOCOL.md rules 4-12, DESIGN.md decision 2). It owns no thread and never
// blocks: its host steps it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/codec.h"
#include "core/log.h"
#include "core/projection.h"

namespace tidings {

/// Called on the thread that steps, after the outcomes were published, in log order.
class CommitObserver {
public:
    virtual ~CommitObserver() = default;
    virtual void on_applied(std::span<const Outcome> outcomes, const Tip& tip) = 0;
};

struct LoopCounters {
    std::uint64_t commits = 0;      ///< accepted
    std::uint64_t commands = 0;     ///< answered by accepted commits
    std::uint64_t own_commits = 0;  ///< accepted and made here
    std::uint64_t lost_races = 0;   ///< runs dropped because another commit was first
    std::uint64_t skipped = 0;      ///< losers and duplicates
    std::uint64_t alarms = 0;       ///< rule 6
    std::uint64_t retries = 0;      ///< the same bytes appended again (rule 10)
};

enum class StepResult {
    worked,   ///< there may be more to do at once
    waiting,  ///< an append is under way
    idle,     ///< nothing to read, nothing to decide
};

class PartitionLoop {
public:
    /// All references outlive the loop. `decides`: false for a follower.
    PartitionLoop(Log& log, const Codec& codec, Projection& projection, CommitObserver& observer,
                  bool decides);

    /// Rule 7: reads forward from the ledger's entry and must reach exactly the stored tip.
    /// Errors: log_mismatch with the commit that is gone, corruption, io. Call once before step().
    Result<void> verify_start();

    /// One unit of work: publish a record read back, read on, or decide and append the next run.
    /// After an error the loop refuses to go on (every later step gives the same error), except
    /// `io`, which may be stepped again.
    Result<StepResult> step();

    /// True once every commit that was in the log at the last read is applied.
    bool caught_up() const { return caught_up_; }
    const Tip& tip() const { return tip_; }
    const LoopCounters& counters() const { return counters_; }

private:
    struct Run {
        std::string record;
        Hash256 hash;
        Sequence sequence;
        std::vector<Outcome> outcomes;
    };

    Result<bool> follow();
    Result<void> accept(const CommitRecord& record, const Envelope& envelope);
    Result<bool> decide_run();
    Result<void> rescan(const Tip& from);
    Outcome decide_one(const CommandRecord& record, Result<void>& status);

    Log& log_;
    const Codec& codec_;
    Projection& projection_;
    CommitObserver& observer_;
    bool decides_;
    bool caught_up_ = false;
    Tip tip_;
    std::vector<Run> run_;  ///< at most one: made, appended, not yet read back
    std::vector<CommandRecord>
        queue_;  ///< read from the log, not yet answered by an accepted commit
    LoopCounters counters_;
    std::optional<Error> stopped_;
};

}  // namespace tidings
