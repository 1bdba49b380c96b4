// Seals the personal texts of commands on their way into the log, on a thread of its own, since new
// keys wait for the disk: one sync for the keys of all commands that wait. What has nothing to seal
// goes by, unless it would overtake a command of its partition.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/command.h"
#include "events/partner_keys.h"

namespace tidings::apps {

/// Thread-safe.
class Sealer {
public:
    /// Asked on the sealer's thread; throws what it cannot find.
    using FindPartner = std::function<PartnerId(const ProgramId&, PartnerOrdinal)>;
    /// The key epoch that the read models know of the partner; 0: none, or no such partner. The
    /// same.
    using FindEpoch = std::function<std::uint16_t(const KeyOwner&)>;
    /// With the sealed command, on the sealer's thread, in the order of asking; or with why not.
    using Next = std::function<void(Result<Command>)>;

    Sealer(std::shared_ptr<PartnerKeys> keys, FindPartner find_partner, FindEpoch find_epoch,
           std::uint32_t partitions);
    ~Sealer();
    Sealer(const Sealer&) = delete;
    Sealer& operator=(const Sealer&) = delete;

    /// Whether the command has to go through seal(). Takes the names out of those that need none:
    /// opens, whose partner the ordinal tells.
    bool takes(Command& command, PartitionId partition) const;
    /// Errors given to `next`: overloaded (too much waits, or a key could not be stored).
    void seal(Command command, PartitionId partition, Next next);
    /// The same for an erasure: the keys that sealed what came before it seal nothing after it.
    /// Where keys are shared the command gets the epoch that it begins.
    void retire_and_pass(Command command, PartitionId partition, Next next);

    /// Finishes what waits, and refuses what comes from now on.
    void stop();

private:
    struct Job {
        Command command;
        PartitionId partition;
        Next next;
        bool retires = false;
        std::size_t bytes = 0;
    };
    void add(Job job);
    void run();
    void work(std::vector<Job>& jobs);
    Result<void> seal_all(std::span<Job> jobs);

    const std::shared_ptr<PartnerKeys> keys_;
    const FindPartner find_partner_;
    const FindEpoch find_epoch_;
    std::vector<std::atomic<std::uint32_t>> waiting_;  ///< by partition, the ones at work included

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> queue_;
    std::size_t queued_bytes_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace tidings::apps
