// The store of read models in memory, and the disk under it that outlives the process: a crash
// keeps a prefix of the batches that were not flushed, as RocksDB without a write-ahead log does.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "projections/store.h"

namespace tidings::simulation {

struct SimChange {
    enum class Kind { put, merge, erase } kind;
    std::string key, value;
};

/// Rows by key.
using SimRows = std::map<std::string, std::string, std::less<>>;

struct SimDisk {
    SimRows durable;
    std::vector<std::vector<SimChange>> unflushed;  ///< batches, oldest first
    bool full = false;                              ///< writes and flushes fail
    bool dead = false;      ///< its process has died: nothing that it still does arrives
    int failing_reads = 0;  ///< the next so many

    /// What the process saw is gone but for the first `kept` batches that were not flushed.
    void crash(std::size_t kept);
    void flush();
};

class SimStore final : public Store {
public:
    /// `disk` outlives the store.
    explicit SimStore(SimDisk& disk);
    std::unique_ptr<StoreBatch> new_batch() const override;
    Result<void> write(StoreBatch& batch) override;
    std::optional<std::string> get(std::string_view key) const override;
    void scan(std::string_view from, std::string_view to, bool descending,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override;
    std::unique_ptr<StoreView> freeze() const override;
    Result<void> flush(bool wait) override;
    Result<void> end_bulk() override { return {}; }  // it has no files
    /// The simulator copies disks instead ("restores from another node's snapshot").
    Result<void> snapshot(const std::filesystem::path&) override {
        return Error{ErrorCode::io, "a store in memory makes no snapshot", {}};
    }
    /// It keeps no older values.
    Result<void> erase_deleted(const std::vector<std::pair<std::string, std::string>>&) override {
        return {};
    }

private:
    void fail_if_due() const;
    SimDisk& disk_;
    SimRows rows_;
};

}  // namespace tidings::simulation
