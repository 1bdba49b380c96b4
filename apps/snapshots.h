// Snapshots of one partition's read models: where they lie, what they say about themselves, when
// one is due and which are kept. Half-made ones are never seen: each is built under another name,
// synced, and renamed.
//
//   <data>/snapshots/p0/1234/snapshot.json   what it is: SnapshotMark
//                           /models/         RocksDB; shares its files with the live read models
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/result.h"
#include "projections/models.h"

namespace tidings::apps {

/// A file of a snapshot that is to leave this machine.
struct SnapshotFile {
    std::string path;  ///< within the snapshot
    std::uint64_t bytes = 0;
    Hash256 digest;
    bool operator==(const SnapshotFile&) const = default;
};

/// What a snapshot is of.
struct SnapshotMark {
    LogId log;
    PartitionId partition;
    std::uint32_t partitions = 1;
    Tip tip;
    std::uint64_t log_bytes = 0;      ///< of the commits up to the tip
    std::vector<SnapshotFile> files;  ///< all of them, where it was written out
    bool operator==(const SnapshotMark&) const = default;
};
/// Durable when it returns. Errors: io.
Result<void> write_mark(const std::filesystem::path& snapshot, const SnapshotMark& mark);
/// Errors: not_found (no mark there), corruption, newer_format.
Result<SnapshotMark> read_mark(const std::filesystem::path& snapshot);

/// Snapshots stand where the log's bytes cross a multiple of the spacing: `every`, doubled until
/// `most` of them fit.
struct SnapshotPolicy {
    std::uint64_t every = 16 << 20;  ///< bytes of commits
    std::uint64_t most = 16;         ///< kept per partition; 0: none are made

    std::uint64_t spacing(std::uint64_t log_bytes) const;
    /// `newest`: log_bytes of the newest snapshot; 0: there is none.
    bool is_due(std::uint64_t newest, std::uint64_t log_bytes) const;
    /// Which of the snapshots with these log_bytes, ascending, are to go.
    std::vector<std::size_t> surplus(const std::vector<std::uint64_t>& snapshots) const;
};

std::filesystem::path snapshots_directory(const std::filesystem::path& data, PartitionId partition);
/// The read models in a snapshot.
std::filesystem::path models_in(const std::filesystem::path& snapshot);

/// Sequences of the snapshots in `directory`, ascending; none if it is not there. Errors: io.
Result<std::vector<Sequence>> list_snapshots(const std::filesystem::path& directory);

/// One partition's, made as the policy says. Used by the partition's thread unless said; others may
/// read the directory. What fails is logged and is no trouble of the partition's: asking about the
/// past takes longer without it.
class Snapshots {
public:
    struct Figures {
        std::atomic<std::uint64_t> taken{0}, failed{0};
        std::atomic<double> seconds{0};  ///< of the partition's thread, for all of them
    };

    Snapshots(std::filesystem::path directory, const Genesis& genesis, SnapshotPolicy policy);

    /// Removes what a dead process left half-made, and measures how much log lies between the
    /// newest snapshot and `tip`: beyond one spacing only roughly, since one is due by then.
    void open(Log& log, const Tip& tip);
    /// `bytes`: of the commits applied since open(). `models` stand at their tip.
    void take_if_due(Models& models, std::uint64_t bytes);
    /// Removes all of them; the next is due when the log has grown. From any thread. Errors: io.
    Result<void> remove_all();

    const Figures& figures() const { return figures_; }

private:
    Result<void> find_newest(const Tip& tip);
    Result<void> take(Models& models, std::uint64_t log_bytes);
    Result<void> remove_surplus();
    Result<void> remove_unreadable(Sequence sequence, const Error& why);
    Result<void> remove(Sequence sequence);

    const std::filesystem::path directory_;
    const Genesis genesis_;
    const SnapshotPolicy policy_;
    bool usable_ = false;
    std::mutex mutex_;                            ///< of taking and removing
    std::atomic<std::uint64_t> newest_bytes_{0};  ///< log_bytes of the newest one
    SnapshotMark below_;               ///< of the newest one at or below the tip at open()
    std::uint64_t earlier_bytes_ = 0;  ///< log bytes up to that tip
    std::chrono::steady_clock::time_point not_before_{};  ///< after a failure
    Figures figures_;
};

}  // namespace tidings::apps
