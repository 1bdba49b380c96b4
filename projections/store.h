// The ordered key-value store under the read models: the only way to RocksDB from here, so that a
// simulator can stand in for it. Rows of chunk tables may be changed by merge operands
// (projections/chunks.h).
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace tidings {

struct StoreResources;

/// Changes that become visible and (after a flush) durable together.
class StoreBatch {
public:
    virtual ~StoreBatch() = default;
    virtual void put(std::string_view key, std::string_view value) = 0;
    virtual void merge(std::string_view key, std::string_view operand) = 0;
    virtual void erase(std::string_view key) = 0;
    // The same with a key and bytes that stay as they are until the batch is written: may spare a
    // copy.
    virtual void put_kept(std::string_view key, std::string_view value) { put(key, value); }
    virtual void merge_kept(std::string_view key, std::string_view operand) { merge(key, operand); }
    virtual std::size_t bytes() const = 0;
};

/// Rows to read, from any thread. Failures are thrown as StorageFailure.
class StoreView {
public:
    virtual ~StoreView() = default;
    virtual std::optional<std::string> get(std::string_view key) const = 0;
    /// Rows with from <= key < to, ascending (or descending), until `visit` returns false.
    virtual void scan(
        std::string_view from, std::string_view to, bool descending,
        const std::function<bool(std::string_view, std::string_view)>& visit) const = 0;
};

/// One writer.
class Store : public StoreView {
public:
    virtual std::unique_ptr<StoreBatch> new_batch() const = 0;
    /// Atomic. Not durable before a flush; what is durable is always a prefix of the writes.
    virtual Result<void> write(StoreBatch& batch) = 0;
    /// The rows as they are now, whatever is written later: for long scans, whose rows are not
    /// worth a place in caches. Costs nothing but that what it sees is not thrown away. The store
    /// outlives it.
    virtual std::unique_ptr<StoreView> freeze() const = 0;
    /// Makes every write so far durable; with `wait` false only starts to.
    virtual Result<void> flush(bool wait) = 0;
    /// Puts a durable copy of every write so far into `directory`, which is made; its parent is
    /// there. Cheap: files that never change are shared. For the writer. Errors: io.
    virtual Result<void> snapshot(const std::filesystem::path& directory) = 0;
    /// Ends StoreOptions::bulk: merges what was written, and opens the database anew as readers
    /// like it. For the writer, while nobody reads; returns when that is done, and may be called
    /// again after an error. Errors: io, also if cancelled; then RocksDB merges after the next
    /// start.
    virtual Result<void> end_bulk() = 0;
    /// Makes older values of the rows of these ranges (first and last key) leave the disk, but for
    /// snapshots. From any thread. Errors: io.
    virtual Result<void> erase_deleted(
        const std::vector<std::pair<std::string, std::string>>& ranges) = 0;
};

struct StoreOptions {
    std::filesystem::path directory;
    std::shared_ptr<StoreResources> resources;
    bool read_only = false;
    bool scratch = false;  ///< thrown away when closed: nothing is compacted or written out for it
    bool bulk = false;     ///< much is written before it is read (Store::end_bulk)
    const std::atomic<bool>* cancelled = nullptr;  ///< once set, merging in bulk ends with an error
};

/// RocksDB without a write-ahead log: the log is the commits log (docs/decisions/0001).
/// Errors: io, corruption.
Result<std::unique_ptr<Store>> open_rocks_store(const StoreOptions& options);

/// The first key after every key that starts with `prefix`.
std::string prefix_end(std::string_view prefix);

}  // namespace tidings
