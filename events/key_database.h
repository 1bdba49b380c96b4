// The RocksDB database of the partners' keys, which is opened again after a write that failed: a
// write-ahead log that has failed once takes nothing more, and RocksDB 7.8 as Debian builds it,
// with assertions, ends the process at the attempt.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "core/result.h"

namespace tidings {

/// Thread-safe.
class KeyDatabase {
public:
    /// Errors: io, corruption.
    static Result<std::unique_ptr<KeyDatabase>> open(const std::filesystem::path& directory,
                                                     rocksdb::Options options, bool read_only);

    /// The database, which stays open meanwhile: keep it shortly.
    class Use {
    public:
        rocksdb::DB* operator->() const { return &db_; }
        rocksdb::DB& operator*() const { return db_; }

    private:
        friend class KeyDatabase;
        Use(std::shared_lock<std::shared_mutex> lock, rocksdb::DB& db)
            : lock_(std::move(lock)), db_(db) {}
        std::shared_lock<std::shared_mutex> lock_;
        rocksdb::DB& db_;
    };
    /// Throws where the disk has let it be opened neither for writing nor for reading again.
    Use use() const;

    /// Errors: io (it may have been written or not; the next attempt opens the database again, but
    /// not more than once a second).
    Result<void> write(rocksdb::WriteBatch& batch, bool sync);
    /// What else writes failed, and left the database as a failed write does.
    void note_failure(Error error);

    Error to_error(const rocksdb::Status& status) const;

private:
    KeyDatabase(std::filesystem::path directory, rocksdb::Options options,
                std::unique_ptr<rocksdb::DB> db)
        : directory_(std::move(directory)), options_(std::move(options)), db_(std::move(db)) {}
    Result<std::unique_ptr<rocksdb::DB>> open_database(bool read_only) const;
    Result<void> open_again();
    void keep_failure(Error error);

    const std::filesystem::path directory_;
    const rocksdb::Options options_;
    mutable std::shared_mutex opening_;                 ///< shared: who uses db_
    std::unique_ptr<rocksdb::DB> db_;                   ///< null: closed
    std::mutex writing_;                                ///< guards what follows
    std::optional<Error> failed_;                       ///< the last write
    std::chrono::steady_clock::time_point not_before_;  ///< to open it again
};

}  // namespace tidings
