// Generations of one partition's read models: where they lie, and which one is live. A new one is
// built beside the live one, and becomes live in one step: a process that dies at any moment leaves
// one of the two live, never none.
//
//   <data>/models/p0          the first generation
//                /p0.1 ...    later ones. That after the live one is under construction
//                /p0.live     name of the live one; missing: the first
//                /p0.differs  one that was not made live, since it differed: kept to be looked at
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/result.h"

namespace tidings::apps {

/// Only the process that holds the data directory's lock changes anything.
class Generations {
public:
    Generations(const std::filesystem::path& data, PartitionId partition);

    /// The directory of the live one, which need not be there yet. Errors: io, corruption.
    Result<std::filesystem::path> live() const;
    /// Of the one after it: where a new one is built. Errors as live().
    Result<std::filesystem::path> next() const;
    /// Where copies are compared.
    std::filesystem::path scratch() const { return directory_ / (name_ + ".compare"); }
    std::filesystem::path differing() const { return directory_ / (name_ + ".differs"); }

    /// The generation in `directory` is live from now on; durable when it returns. After an error
    /// it may be live already, or not: calling it again does no harm. Errors: invalid (not a
    /// generation of this partition that is there), io, corruption.
    Result<void> make_live(const std::filesystem::path& directory) const;
    /// Removes all that are neither live, next nor `open`, and what a dead process left of a
    /// comparison. REQUIRES: no others are open. Errors: io, corruption.
    Result<void> remove_others(const std::vector<std::filesystem::path>& open = {}) const;

private:
    Result<std::uint64_t> live_number() const;
    std::filesystem::path directory_of(std::uint64_t number) const;

    const std::filesystem::path directory_;
    const std::string name_;
};

}  // namespace tidings::apps
