// Erasures of partners, from the decision to the last byte on this disk: on a thread of its own,
// which does all that wait together, since what each would have compacted is mostly the same.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "apps/erased_rows.h"
#include "apps/plain_records.h"
#include "events/partner_keys.h"
#include "projections/broker.h"

namespace tidings::apps {

/// What the node does for it; called on the eraser's thread.
struct EraserSteps {
    using Decided = std::function<void(std::uint16_t key_epoch, Result<Applied>)>;
    /// Retires the partner's keys, and has the command decided behind what they have sealed.
    std::function<void(Command, Decided)> decide;
    /// Takes what was erased from this partition's read models, snapshots and open pasts.
    std::function<Result<void>(PartitionId, const ErasedRows&)> clean;
    /// Fills in what the partition's log holds in plain.
    std::function<Result<void>(PartitionId, std::vector<PlainRecords>&)> count_plain;
    /// Null: not known.
    std::function<PartnerPtr(const KeyOwner&)> find;
    std::function<PartitionId(const ProgramId&)> partition_of;
    /// The last commit that is applied to the partition's read models.
    std::function<Sequence(PartitionId)> applied;
    /// Where other processes erase, too: called several times a second. Empty: none do.
    std::function<void()> clean_due = {};
};

class Eraser {
public:
    Eraser(std::shared_ptr<PartnerKeys> keys, EraserSteps steps);
    ~Eraser();
    Eraser(const Eraser&) = delete;
    Eraser& operator=(const Eraser&) = delete;

    /// `done` is called on the eraser's thread. Errors: overloaded (too many wait, or it stops),
    /// those of the steps; an erasure that was decided by then is finished all the same. From any
    /// thread.
    void erase(Command command, Broker::Erased done);
    /// Finishes what was begun at least `age` ago, decided, and cut off: for a start, before
    /// anybody asks. Errors: io, overloaded.
    Result<void> finish_begun(std::chrono::milliseconds age = {});
    /// Ends what it is at, and refuses the rest.
    void stop();

private:
    struct Job {
        Command command;
        Broker::Erased done;
        std::uint16_t key_epoch = 0;  ///< of the command as it was decided
        Result<Applied> applied = Error{};
        Erasure erasure;
        std::optional<Error> failed;
        KeyOwner owner() const {
            return {command.program, std::get<ErasePartner>(command.body).partner};
        }
    };
    void run();
    void decide(std::vector<Job>& jobs);
    void destroy(Job& job);
    Result<void> end_refused(const Job& job);
    void work(std::vector<Job>& jobs);
    void finish_again();
    void do_due();
    Result<void> finish(const BegunErasure& erasure);

    const std::shared_ptr<PartnerKeys> keys_;
    const EraserSteps steps_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Job> queue_;
    bool stopping_ = false;
    // Of the thread.
    bool unfinished_ = false;  ///< something that was decided
    std::chrono::steady_clock::time_point finish_at_{};
    std::thread thread_;
};

}  // namespace tidings::apps
