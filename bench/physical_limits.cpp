#include "bench/physical_limits.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <random>
#include <string>

#include "bench/check.h"

namespace tidings::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSyncBytes = 4096;
constexpr std::uint64_t kBatch = 1'000;
constexpr std::size_t kCacheBytes = 256u << 20;

std::uint64_t ns_since(Clock::time_point start) {
    return static_cast<std::uint64_t>((Clock::now() - start).count());
}

/// A database that is gone afterwards.
class ScratchDatabase {
public:
    explicit ScratchDatabase(const std::filesystem::path& directory) : path_(directory / "limit") {
        std::filesystem::remove_all(path_);
        open();
    }
    /// Nothing is in its cache then.
    void reopen() {
        db_.reset();
        open();
    }
    ~ScratchDatabase() {
        db_.reset();
        std::error_code ignored;  // the run's directory is removed later as a whole
        std::filesystem::remove_all(path_, ignored);
    }
    ScratchDatabase(const ScratchDatabase&) = delete;
    ScratchDatabase& operator=(const ScratchDatabase&) = delete;
    rocksdb::DB* operator->() const { return db_.get(); }

private:
    void open() {
        rocksdb::Options options;
        options.create_if_missing = true;
        rocksdb::BlockBasedTableOptions table;
        table.block_cache = rocksdb::NewLRUCache(kCacheBytes);
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
        options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
        rocksdb::DB* db = nullptr;
        const rocksdb::Status status = rocksdb::DB::Open(options, path_.string(), &db);
        check(status.ok(), "RocksDB alone: " + status.ToString());
        db_.reset(db);
    }

    const std::filesystem::path path_;
    std::unique_ptr<rocksdb::DB> db_;
};

std::array<char, 8> row_key(std::uint64_t number) {
    std::array<char, 8> out{};
    for (int i = 7; i >= 0; --i, number >>= 8)
        out[static_cast<std::size_t>(i)] = static_cast<char>(number);
    return out;
}

void put_all(ScratchDatabase& db, std::uint64_t puts, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    rocksdb::WriteBatch batch;
    for (std::uint64_t i = 0; i < puts;) {
        batch.Clear();
        for (std::uint64_t n = 0; n < kBatch && i < puts; ++n, ++i) {
            const auto key = row_key(i);
            const rocksdb::Slice slice(key.data(), key.size());
            check(batch.Put(slice, slice).ok(), "RocksDB alone: put");
        }
        check(db->Write(options, &batch).ok(), "RocksDB alone: write");
    }
}

}  // namespace

Histogram measure_sync(const std::filesystem::path& directory, std::size_t count) {
    const std::filesystem::path path = directory / "limit-sync";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(file >= 0, "cannot write " + path.string());
    const std::string block(kSyncBytes, 'x');
    const auto write_block = [&](std::size_t i) {
        return ::pwrite(file, block.data(), block.size(), static_cast<off_t>(i * kSyncBytes)) ==
               static_cast<ssize_t>(block.size());
    };
    // Written before, so that no sync has to store where the blocks lie or how long the file is: a
    // log that allocates ahead pays for neither.
    bool good = true;
    for (std::size_t i = 0; i < count && good; ++i) good = write_block(i);
    good = good && ::fsync(file) == 0;
    Histogram out;
    for (std::size_t i = 0; i < count && good; ++i) {
        const auto start = Clock::now();
        good = write_block(i) && ::fdatasync(file) == 0;
        out.add(ns_since(start));
    }
    ::close(file);
    std::filesystem::remove(path);
    check(good, "cannot write and sync " + path.string());
    return out;
}

double measure_synced_puts(const std::filesystem::path& directory, std::uint64_t puts) {
    ScratchDatabase db(directory);
    const auto start = Clock::now();
    put_all(db, puts, true);
    return static_cast<double>(puts) * 1e9 / static_cast<double>(ns_since(start));
}

Histogram measure_point_reads(const std::filesystem::path& directory, std::uint64_t rows,
                              std::size_t reads) {
    ScratchDatabase db(directory);
    put_all(db, rows, false);
    check(db->Flush({}).ok(), "RocksDB alone: flush");
    std::mt19937_64 random(1);
    Histogram out;
    std::string value;
    for (std::size_t i = 0; i < 2 * reads; ++i) {
        const auto key = row_key(random() % rows);
        const auto start = Clock::now();
        const bool found = db->Get({}, rocksdb::Slice(key.data(), key.size()), &value).ok();
        if (i >= reads) out.add(ns_since(start));  // the first half fills the cache
        check(found, "RocksDB alone: a key is missing");
    }
    return out;
}

double measure_scan(const std::filesystem::path& directory, std::uint64_t rows) {
    ScratchDatabase db(directory);
    put_all(db, rows, false);
    check(db->Flush({}).ok(), "RocksDB alone: flush");
    check(db->CompactRange({}, nullptr, nullptr).ok(), "RocksDB alone: merge");
    db.reopen();
    std::uint64_t found = 0;
    const auto start = Clock::now();
    const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}));
    for (it->SeekToFirst(); it->Valid(); it->Next()) found += it->value().size() == 8 ? 1 : 0;
    const double seconds = static_cast<double>(ns_since(start)) / 1e9;
    check_equal(found, rows, "rows");
    return static_cast<double>(rows) / seconds;
}

}  // namespace tidings::bench
