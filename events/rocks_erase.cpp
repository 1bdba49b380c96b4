#include "events/rocks_erase.h"

#include <chrono>
#include <set>
#include <thread>

namespace tidings {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPatience{20};
constexpr std::chrono::milliseconds kPause{2};

Error failed(const fs::path& directory, const std::string& why) {
    return {ErrorCode::io, directory.string() + ": " + why, {}};
}

/// Files of rows and of writes. Names are never used again.
Result<std::set<std::string>> data_files(const fs::path& directory) {
    std::set<std::string> out;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        const fs::path& path = entry->path();
        if (path.extension() == ".sst" || path.extension() == ".log") out.insert(path.filename());
    }
    if (error) return failed(directory, error.message());
    return out;
}

/// Whether any of `files` is still there and not needed.
Result<bool> has_obsolete(rocksdb::DB& db, const fs::path& directory,
                          const std::set<std::string>& files) {
    std::set<std::string> live;
    std::vector<std::string> tables;
    std::uint64_t manifest_size = 0;
    rocksdb::VectorLogPtr logs;
    rocksdb::Status status = db.GetLiveFiles(tables, &manifest_size, false);
    if (status.ok()) status = db.GetSortedWalFiles(logs);
    if (!status.ok()) return failed(directory, status.ToString());
    for (const std::string& path : tables) live.insert(fs::path(path).filename().string());
    for (const auto& log : logs) live.insert(fs::path(log->PathName()).filename().string());
    for (const std::string& file : files) {
        std::error_code gone;
        const auto size = fs::file_size(directory / file, gone);
        if (!gone && size > 0 && !live.contains(file)) return true;
    }
    return false;
}

/// Waits for who reads an older state than `now`, of which a compaction keeps everything.
Result<void> wait_unread(rocksdb::DB& db, rocksdb::SequenceNumber now) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
        std::uint64_t snapshots = 0, oldest = 0;
        db.GetIntProperty(rocksdb::DB::Properties::kNumSnapshots, &snapshots);
        db.GetIntProperty(rocksdb::DB::Properties::kOldestSnapshotSequence, &oldest);
        if (snapshots == 0 || oldest >= now) return {};
        if (std::chrono::steady_clock::now() > until) {
            return Error{ErrorCode::overloaded,
                         "somebody still reads an older state, an export perhaps: ask again",
                         {}};
        }
        std::this_thread::sleep_for(kPause);
    }
}

}  // namespace

Result<void> erase_deleted(rocksdb::DB& db, const fs::path& directory,
                           const std::vector<std::pair<std::string, std::string>>& ranges) {
    const auto before = data_files(directory);
    if (!before) return before.error();
    if (auto unread = wait_unread(db, db.GetLatestSequenceNumber()); !unread) return unread;
    rocksdb::Status status = db.Flush(rocksdb::FlushOptions());
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    options.exclusive_manual_compaction = false;
    for (const auto& [first, last] : ranges) {
        const rocksdb::Slice begin(first), end(last);
        if (status.ok()) status = db.CompactRange(options, &begin, &end);
    }
    if (!status.ok()) return failed(directory, status.ToString());
    // Files are removed by background threads, moments after the call that made them obsolete.
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (true) {
        const Result<bool> obsolete = has_obsolete(db, directory, *before);
        if (!obsolete) return obsolete.error();
        if (!*obsolete) return {};
        if (std::chrono::steady_clock::now() > until) {
            return failed(directory, "files that are no longer needed are still there");
        }
        std::this_thread::sleep_for(kPause);
    }
}

}  // namespace tidings
