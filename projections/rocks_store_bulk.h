// Batches that are written as sorted files of their own and become part of the database whole, past
// write-ahead log and memtable (RocksDB's wiki, "Creating and Ingesting SST files"): for building
// read models in bulk. Private to projections/; only files that use RocksDB anyway include it.
#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <filesystem>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "projections/store.h"

namespace tidings {

/// A batch that keeps its changes until it is known how they are written. REQUIRES: no key twice.
class GatheredBatch final : public StoreBatch {
public:
    enum class Change : char { put, merge, erase };
    struct Entry {
        std::string_view key, value;
        Change change;
    };

    void put(std::string_view key, std::string_view value) override {
        add(key, value, Change::put);
    }
    void merge(std::string_view key, std::string_view operand) override {
        add(key, operand, Change::merge);
    }
    void erase(std::string_view key) override { add(key, {}, Change::erase); }
    void put_kept(std::string_view key, std::string_view value) override {
        add_kept(key, value, Change::put);
    }
    void merge_kept(std::string_view key, std::string_view operand) override {
        add_kept(key, operand, Change::merge);
    }
    std::size_t bytes() const override { return bytes_; }

    void copy_to(StoreBatch& batch) const;
    /// In the order of keys; views into what it keeps.
    const std::vector<Entry>& sorted();

private:
    void add(std::string_view key, std::string_view value, Change change) {
        add_kept(keep(key), keep(value), change);
    }
    void add_kept(std::string_view key, std::string_view value, Change change);
    std::string_view keep(std::string_view bytes);

    std::pmr::monotonic_buffer_resource memory_;
    std::vector<Entry> entries_;
    std::size_t bytes_ = 0;
};

/// Writes the batch to files below `directory`, where the database lies, and makes them part of it,
/// all or none. A table with much in the batch has a file of its own, so that rows which only ever
/// come behind all others never have to be merged.
rocksdb::Status write_as_files(rocksdb::DB& db, const std::filesystem::path& directory,
                               GatheredBatch& batch);
/// What a process that died has left of such files. Errors: io.
Result<void> remove_unfinished_files(const std::filesystem::path& directory);
/// Merges the files of each table. Returns when that is done; with Incomplete, once `*cancelled`.
rocksdb::Status merge_tables(rocksdb::DB& db, const std::atomic<bool>* cancelled);

}  // namespace tidings
