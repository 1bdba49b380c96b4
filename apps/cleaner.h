// Erasures that any process of a deployment on Kafka has decided: each process takes what was
// erased from its own disk, also where it holds the partition no longer, or was not running. How
// far it has done so is kept in <data>/erased/p0, p1, ...: a line for each program, the last commit
// whose erasures of its partners are cleaned up here, and the program.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "apps/erased_rows.h"

namespace tidings::apps {

struct CleanerSteps {
    std::function<PartitionId(const ProgramId&)> partition_of;
    /// The last commit applied to read models that follow the log; nothing: none are open.
    std::function<std::optional<Sequence>(PartitionId)> applied;
    /// Takes what was erased from this partition's read models, snapshots and open pasts.
    std::function<Result<void>(PartitionId, const ErasedRows&)> clean;
};

class Cleaner {
public:
    /// Errors: io, corruption.
    static Result<std::unique_ptr<Cleaner>> open(const std::filesystem::path& data,
                                                 std::uint32_t partitions,
                                                 std::shared_ptr<PartnerKeys> keys,
                                                 CleanerSteps steps);

    /// Whether something erased may still be on this disk: then the partition follows its log until
    /// it is not. Any thread.
    bool owes(PartitionId partition) const { return parts_[partition.value].owes; }
    /// The read models stand at `tip`: what was cleaned in newer ones does not count. Before they
    /// follow the log. Errors: io.
    Result<void> begin(PartitionId partition, Sequence tip);
    /// Everything that was erased of these programs is gone. Errors: io.
    Result<void> set_cleaned(PartitionId partition, const ErasedRows& erased);
    /// Looks at what was erased since, and cleans what can be cleaned. One thread.
    void run_due();

private:
    using Clock = std::chrono::steady_clock;
    using Cleaned = std::map<ProgramId, Sequence>;
    struct Part {
        std::atomic<bool> owes{false};
        Cleaned cleaned;    ///< under mutex_
        ErasedRows erased;  ///< of whoever calls run_due(), like what follows
        Clock::time_point not_before{};
        std::chrono::milliseconds backoff{0};
    };
    Cleaner(std::filesystem::path directory, std::uint32_t partitions,
            std::shared_ptr<PartnerKeys> keys, CleanerSteps steps);
    Result<Cleaned> read(PartitionId partition) const;
    Result<void> keep(PartitionId partition, Cleaned cleaned);
    void look();
    void clean(PartitionId partition, Part& part);
    std::filesystem::path file_of(PartitionId partition) const;

    const std::filesystem::path directory_;
    const std::shared_ptr<PartnerKeys> keys_;
    const CleanerSteps steps_;
    std::vector<Part> parts_;
    std::mutex mutex_;
    std::uint64_t version_ = 0;  ///< of the erasures that were looked at
};

}  // namespace tidings::apps
