// The rebuilding of read models beside the live ones, as operators ask for it and see it.
// Implemented by apps/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/result.h"

namespace tidings {

enum class RebuildState : std::uint8_t {
    waiting,    ///< for its turn, or for the partition to have caught up
    building,   ///< commits are folded
    comparing,  ///< with the live ones, at one position
    done,       ///< it is live
    failed,     ///< `problem` says why; what was live still is
};

struct ComparedModel {
    std::string model;
    Hash256 live, rebuilt;  ///< digests at `compared`
};

struct RebuildProgress {
    PartitionId partition;
    RebuildState state = RebuildState::waiting;
    Sequence position, target;  ///< commits folded; and those that the live ones have
    double commits_per_second = 0;
    std::optional<std::uint64_t> seconds_left = {};
    std::optional<Sequence> compared = {};   ///< nothing: not yet
    std::vector<ComparedModel> models = {};  ///< empty: not yet, or the live ones cannot be read
    std::string problem = {};
};

/// Thread-safe.
class Rebuilder {
public:
    virtual ~Rebuilder() = default;
    /// Rebuilds these partitions one after the other; those that are under way already go on as
    /// they are. `accept_difference`: makes them live even if they differ from the live ones.
    /// Errors: invalid (this process does not hold one of them), overloaded (it is stopping).
    virtual Result<void> rebuild(const std::vector<PartitionId>& partitions,
                                 bool accept_difference) = 0;
    /// Of those under way or, if there are none, of the last ones, by partition.
    virtual std::vector<RebuildProgress> rebuilds() const = 0;
};

}  // namespace tidings
