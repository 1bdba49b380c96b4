// The partition loop: follows the commits log by the chain's rules and, as its decider, appends to
// it with depth one (PROTOCOL.md rules 4-12, DESIGN.md decision 2). It owns no thread and never
// blocks: its host steps it.
#pragma once

#include <deque>
#include <optional>
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
    std::uint64_t bytes = 0;        ///< of their records
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
    /// All references outlive the loop, the projection until another takes its place. `decides`:
    /// false for a follower.
    PartitionLoop(Log& log, const Codec& codec, Projection& projection, CommitObserver& observer,
                  bool decides);

    /// Rule 7: reads forward from the ledger's entry and must reach exactly the stored tip.
    /// Errors: log_mismatch with the commit that is gone, corruption, io. Call once before step().
    Result<void> verify_start();

    /// That the command log still holds what the newest commit answers: that it is the one that
    /// belongs to this log, and was not cut off below the tip (rule 11). step() does it before it
    /// decides; followers may want to know at their start. Errors: log_mismatch, io.
    Result<void> check_answered_commands();

    /// One unit of work: publish a record read back, read on, or decide and append the next run.
    /// After an error the loop refuses to go on (every later step gives the same error), except
    /// `io`, which may be stepped again.
    Result<StepResult> step();

    /// Starts or stops deciding; a run that is already appended is still followed to its end.
    void set_decides(bool decides);
    bool decides() const { return decides_; }

    /// From now on `projection` is folded into. What is decided or accepted already, and not yet
    /// published, is folded into it in its turn. Errors: log_mismatch (its tip is another one;
    /// nothing changed).
    Result<void> continue_on(Projection& projection);

    /// True while everything is applied that the log has: its last read gave nothing, and nothing
    /// lies behind it.
    bool caught_up() const { return caught_up_; }
    const Tip& tip() const { return tip_; }
    const LoopCounters& counters() const { return counters_; }

private:
    /// Outcomes of one commit on their way into the projection.
    struct Batch {
        std::vector<Outcome> outcomes;
        bool folded = false;  ///< into the projection's run in progress
    };
    /// Made and appended here, not yet read back.
    struct Run {
        std::string record;
        Envelope envelope;
        Batch batch;
    };
    /// Accepted, not yet published: only a failing disk keeps one here between steps.
    struct Accepted {
        Tip tip;
        Batch batch;
        std::vector<Hash256> leaves;  ///< of the Merkle tree, by their hashes
        bool own = false;
    };

    Result<StepResult> advance_once();
    Result<bool> read_commits();
    Result<void> take(const CommitRecord& record);
    Result<void> accept(const CommitRecord& record, const Envelope& envelope);
    Result<void> check_commands(const Envelope& envelope);
    Result<void> publish();
    Result<void> alarm(const CommitRecord& record, Error reason);
    Result<void> rescan();
    Tip rescan_start() const;

    Result<StepResult> append_again(AppendState state);
    Result<StepResult> decide_run();
    Result<void> read_commands();
    Result<bool> decide_next(const CommandRecord& record, std::size_t& run_bytes, Batch& batch);
    Result<void> append_run(Batch batch);

    void forget_unpublished();
    Tip genesis_tip() const;

    Log& log_;
    const Codec& codec_;
    Projection* projection_;  ///< never null
    CommitObserver& observer_;
    bool decides_;
    bool caught_up_ = false;
    Tip tip_;                           ///< of the last published commit
    std::optional<Envelope> newest_;    ///< of that commit, while its commands are still unchecked
    std::uint64_t generation_;          ///< of the log when our tip was last verified
    LogPosition read_from_;             ///< the next commit record to read from the log
    std::deque<CommitRecord> records_;  ///< read, not yet taken
    std::optional<Accepted> accepted_;
    std::optional<Run> run_;
    std::deque<CommandRecord> queue_;  ///< from tip_.next_command on, without gaps
    std::size_t queue_bytes_ = 0;
    bool alarmed_ = false;  ///< since the last accepted commit
    LoopCounters counters_;
    std::optional<Error> stopped_;
};

}  // namespace tidings
