// Read models at an older position: a snapshot's files, linked into a directory of their own, and
// the log's commits from there on, folded by the ordinary fold and checked by the chain on the way.
// So answers about the past come from the code that answered then.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "core/codec.h"
#include "core/log.h"
#include "events/scratch_directory.h"
#include "projections/broker.h"
#include "projections/models.h"

namespace tidings::apps {

/// Where the past is to end. All hold at once.
struct PastEnd {
    Sequence last;                          ///< no commit beyond this one
    std::optional<ProgramId> program = {};  ///< whom the others are about
    std::optional<Timestamp> time = {};     ///< no commit that brings the log time beyond it
    std::optional<EventNumber> event = {};  ///< no commit that brings this event
};

/// What it took to build one.
struct PastCost {
    Sequence base;                ///< of the snapshot; 0: none
    std::uint64_t commits = 0;    ///< replayed on it
    std::uint64_t bytes = 0;      ///< of their records
    LogPosition read;             ///< behind the last record that was read, accepted or not
    std::uint64_t log_bytes = 0;  ///< of all commits up to the end
    double seconds = 0;
};

/// The read models as they stood after one commit. Any thread may read.
class Past {
public:
    Past(ScratchDirectory directory, std::unique_ptr<Models> models,
         std::optional<CommitRecord> next, const PastCost& cost)
        : directory_(std::move(directory)),
          next_(std::move(next)),
          cost_(cost),
          models_(std::move(models)) {}

    const Models& models() const { return *models_; }
    const PastCost& cost() const { return cost_; }
    /// A durable copy, that shares files. Errors: io.
    Result<void> snapshot(const std::filesystem::path& directory) const;
    /// The commit behind it was looked at, and lies beyond the time or brings the event; so what
    /// comes later changes nothing about this end.
    bool is_final() const { return next_.has_value(); }

    /// The send of message `number` in the commit behind, and why it reached `partner`: from facts
    /// as they were just before. Errors: not_found (that commit does not send it), corruption.
    Result<SendReceipt> receipt(const Codec& codec, const ProgramId& program, EventNumber number,
                                const std::optional<PartnerId>& partner) const;

private:
    const ScratchDirectory directory_;  // outlives the models
    const std::optional<CommitRecord> next_;
    const PastCost cost_;
    mutable std::mutex writer_mutex_;  ///< of the models' calls that are for one thread at a time
    const std::unique_ptr<Models> models_;
};

/// That the log holds the commit that the tip is of. Errors: log_mismatch, io.
Result<void> check_on_chain(CommitSource& log, const Codec& codec, const Tip& tip);

/// Applies the log's commits behind the models' tip up to `end`, counts them in `cost`, and returns
/// the first one that `end`'s program rules out; nothing if it was reached by sequence, or the log
/// ends.
/// `on_publish` is called now and then, when the models' tip has moved.
/// Errors: log_mismatch (the log does not continue the models), corruption, newer_format, io,
/// overloaded (`cancelled` was set).
Result<std::optional<CommitRecord>> replay(CommitSource& log, const Codec& codec, Models& models,
                                           const PastEnd& end, PastCost& cost,
                                           const std::atomic<bool>* cancelled = nullptr,
                                           const std::function<void()>& on_publish = {});

struct PastPlace {
    std::filesystem::path snapshots;  ///< of the partition
    std::filesystem::path scratch;    ///< to be made; same file system, so that files can be linked
    std::shared_ptr<StoreResources> resources;
    std::shared_ptr<RowMemory> row_memory;
    std::shared_ptr<const Keys> keys = {};
    const std::atomic<bool>* cancelled = nullptr;  ///< set meanwhile: give up
};
/// Builds on the newest snapshot at or below `end` that lies on the log's chain, or from the log's
/// beginning. Errors: as replay, and io.
Result<std::shared_ptr<Past>> build_past(CommitSource& log, const Codec& codec,
                                         const PastPlace& place, const PastEnd& end);

}  // namespace tidings::apps
