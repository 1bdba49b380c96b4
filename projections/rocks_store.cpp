#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include "events/rocks_erase.h"
#include "events/silent_logger.h"
#include "projections/bytes.h"
#include "projections/chunks.h"
#include "projections/models.h"
#include "projections/rocks_store_bulk.h"

namespace tidings {

struct StoreResources {
    std::shared_ptr<rocksdb::Cache> cache;
    std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
    std::size_t write_buffer_bytes = 0;
};

std::shared_ptr<StoreResources> make_store_resources(std::size_t cache_bytes,
                                                     std::size_t write_buffer_bytes) {
    auto resources = std::make_shared<StoreResources>();
    resources->cache = rocksdb::NewLRUCache(cache_bytes);
    resources->write_buffers =
        std::make_shared<rocksdb::WriteBufferManager>(write_buffer_bytes, nullptr);
    resources->write_buffer_bytes = write_buffer_bytes;
    return resources;
}

std::string prefix_end(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
    if (!end.empty()) ++end.back();
    return end;
}

namespace {

ErrorCode code_of(const rocksdb::Status& status) {
    return status.IsCorruption() ? ErrorCode::corruption : ErrorCode::io;
}

Error to_error(const rocksdb::Status& status, const char* doing) {
    return {code_of(status), std::string("read models: ") + doing + ": " + status.ToString(), {}};
}

/// Files written in bulk before they are merged: most of them once, at the end. A reader looks into
/// each.
constexpr std::uint64_t kMostBulkFiles = 256;
/// Nobody waits while they are merged, be it by RocksDB itself after the next start.
constexpr int kSlowdownFiles = 2 * kMostBulkFiles, kStopFiles = 3 * kMostBulkFiles;
constexpr std::size_t kBulkBatchBytes = 1 << 20;  ///< smaller ones are not worth files of their own

/// Chunk rows: operands are lists of operations, which concatenate.
class ChunkMerge final : public rocksdb::MergeOperator {
public:
    bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
        std::vector<std::string_view> operands;
        operands.reserve(in.operand_list.size());
        for (const rocksdb::Slice& operand : in.operand_list)
            operands.emplace_back(operand.data(), operand.size());
        std::optional<std::string_view> base;
        if (in.existing_value) base.emplace(in.existing_value->data(), in.existing_value->size());
        try {
            out->new_value =
                merge_chunk({in.key.data(), in.key.size()}, base, operands.data(), operands.size());
        } catch (const StorageFailure&) {
            return false;  // RocksDB reports the row as corrupt
        }
        return true;
    }
    bool PartialMergeMulti(const rocksdb::Slice&, const std::deque<rocksdb::Slice>& operands,
                           std::string* out, rocksdb::Logger*) const override {
        out->clear();
        for (const rocksdb::Slice& operand : operands) out->append(operand.data(), operand.size());
        return true;
    }
    const char* Name() const override { return "tidings.chunks.v1"; }
};

class RocksBatch final : public StoreBatch {
public:
    void put(std::string_view key, std::string_view value) override {
        check(batch.Put({key.data(), key.size()}, {value.data(), value.size()}));
    }
    void merge(std::string_view key, std::string_view operand) override {
        check(batch.Merge({key.data(), key.size()}, {operand.data(), operand.size()}));
    }
    void erase(std::string_view key) override { check(batch.Delete({key.data(), key.size()})); }
    std::size_t bytes() const override { return batch.GetDataSize(); }

    rocksdb::WriteBatch batch;

private:
    static void check(const rocksdb::Status& status) {
        if (!status.ok()) throw StorageFailure("batch: " + status.ToString());
    }
};

std::optional<std::string> get_row(rocksdb::DB& db, const rocksdb::ReadOptions& options,
                                   std::string_view key) {
    std::string value;
    const rocksdb::Status status = db.Get(options, {key.data(), key.size()}, &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) throw StorageFailure("read: " + status.ToString(), code_of(status));
    return value;
}

void scan_rows(rocksdb::DB& db, rocksdb::ReadOptions options, std::string_view from,
               std::string_view to, bool descending,
               const std::function<bool(std::string_view, std::string_view)>& visit) {
    const rocksdb::Slice lower(from.data(), from.size()), upper(to.data(), to.size());
    options.iterate_lower_bound = &lower;
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options));
    for (descending ? it->SeekToLast() : it->SeekToFirst(); it->Valid();
         descending ? it->Prev() : it->Next()) {
        const rocksdb::Slice key = it->key(), value = it->value();
        if (!visit({key.data(), key.size()}, {value.data(), value.size()})) return;
    }
    if (!it->status().ok()) {
        throw StorageFailure("scan: " + it->status().ToString(), code_of(it->status()));
    }
}

class RocksView final : public StoreView {
public:
    explicit RocksView(rocksdb::DB& db) : db_(db), snapshot_(&db) {
        options_.snapshot = snapshot_.snapshot();
        options_.fill_cache = false;
    }
    std::optional<std::string> get(std::string_view key) const override {
        return get_row(db_, options_, key);
    }
    void scan(std::string_view from, std::string_view to, bool descending,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
        scan_rows(db_, options_, from, to, descending, visit);
    }

private:
    rocksdb::DB& db_;
    rocksdb::ManagedSnapshot snapshot_;
    rocksdb::ReadOptions options_;
};

rocksdb::Options make_options(const StoreResources& resources) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.merge_operator = std::make_shared<ChunkMerge>();
    options.write_buffer_manager = resources.write_buffers;
    options.write_buffer_size = std::max<std::size_t>(resources.write_buffer_bytes / 2, 1 << 20);
    options.max_write_buffer_number = 4;
    options.memtable_whole_key_filtering = true;  // look-ups of what is not there are frequent
    options.memtable_prefix_bloom_size_ratio = 0.05;
    options.compression = rocksdb::kLZ4Compression;
    options.bottommost_compression = rocksdb::kZSTD;
    options.info_log = std::make_shared<SilentLogger>();
    options.max_open_files = 512;
    options.max_background_jobs = 2;
    options.avoid_flush_during_shutdown = false;
    options.paranoid_checks = true;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = resources.cache;
    table.block_size = 4 << 10;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    // In the bounded cache, but in small partitions: a whole file's filter can be over a megabyte,
    // and an import looks up every id.
    table.cache_index_and_filter_blocks = true;
    table.cache_index_and_filter_blocks_with_high_priority = true;
    table.pin_top_level_index_and_filter = true;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_block_size = 4 << 10;
    table.optimize_filters_for_memory = true;
    table.format_version = 5;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

rocksdb::Options make_options(const StoreOptions& options, bool bulk) {
    rocksdb::Options out = make_options(*options.resources);
    out.level0_slowdown_writes_trigger = kSlowdownFiles;
    out.level0_stop_writes_trigger = kStopFiles;
    if (bulk) {
        out.disable_auto_compactions = true;
        // Merged into the last level at once, which is the first of the ordinary ones, and fast:
        // what is merged with something else later is compressed better there.
        out.num_levels = 2;
        out.bottommost_compression = out.compression;
    }
    if (options.scratch) {
        out.disable_auto_compactions = true;
        out.avoid_flush_during_shutdown = true;
    }
    return out;
}

Result<std::unique_ptr<rocksdb::DB>> open_database(const StoreOptions& options, bool bulk) {
    rocksdb::Options settings = make_options(options, bulk);
    rocksdb::DB* raw = nullptr;
    const std::string directory = options.directory.string();
    rocksdb::Status status = options.read_only
                                 ? rocksdb::DB::OpenForReadOnly(settings, directory, &raw)
                                 : rocksdb::DB::Open(settings, directory, &raw);
    if (bulk && status.IsInvalidArgument()) {
        // It was in ordinary use already, when the process died before that was known.
        settings.num_levels = rocksdb::Options().num_levels;
        status = rocksdb::DB::Open(settings, directory, &raw);
    }
    if (!status.ok()) return to_error(status, "open");
    return std::unique_ptr<rocksdb::DB>(raw);
}

class RocksStore final : public Store {
public:
    RocksStore(std::unique_ptr<rocksdb::DB> db, const StoreOptions& options)
        : options_(options), db_(std::move(db)), bulk_(options.bulk) {}

    std::unique_ptr<StoreBatch> new_batch() const override {
        if (bulk_) return std::make_unique<GatheredBatch>();
        return std::make_unique<RocksBatch>();
    }

    Result<void> write(StoreBatch& batch) override {
        if (!db_) return Error{ErrorCode::io, "the read models are not open", {}};
        rocksdb::Status status = try_to_write(batch);
        if (!status.ok() && db_->Resume().ok())  // a full disk that has room again
            status = try_to_write(batch);
        if (!status.ok()) return to_error(status, "write");
        return {};
    }

    std::optional<std::string> get(std::string_view key) const override {
        return get_row(database(), {}, key);
    }

    void scan(std::string_view from, std::string_view to, bool descending,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
        scan_rows(database(), {}, from, to, descending, visit);
    }

    std::unique_ptr<StoreView> freeze() const override {
        return std::make_unique<RocksView>(database());
    }

    Result<void> flush(bool wait) override {
        if (!db_) return Error{ErrorCode::io, "the read models are not open", {}};
        rocksdb::FlushOptions options;
        options.wait = wait;
        options.allow_write_stall = wait;
        rocksdb::Status status = db_->Flush(options);
        if (status.IsTryAgain() && !wait) return {};  // one is under way
        if (!status.ok() && db_->Resume().ok()) status = db_->Flush(options);
        if (!status.ok()) return to_error(status, "flush");
        return {};
    }

    Result<void> end_bulk() override {
        if (!bulk_) return {};
        if (db_) {
            const rocksdb::Status merged = merge_tables(*db_, options_.cancelled);
            if (!merged.ok()) return to_error(merged, "end of bulk writing");
            if (auto flushed = flush(true); !flushed) return flushed;
        }
        db_.reset();
        auto database = open_database(options_, false);
        if (!database) return database.error();
        db_ = std::move(*database);
        bulk_ = false;
        return {};
    }

    Result<void> snapshot(const std::filesystem::path& directory) override {
        rocksdb::Checkpoint* raw = nullptr;
        rocksdb::Status status = rocksdb::Checkpoint::Create(&database(), &raw);
        const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
        if (status.ok()) status = checkpoint->CreateCheckpoint(directory.string());
        if (!status.ok()) return to_error(status, "snapshot");
        return {};
    }

    Result<void> erase_deleted(
        const std::vector<std::pair<std::string, std::string>>& ranges) override {
        return tidings::erase_deleted(database(), options_.directory, ranges);
    }

private:
    rocksdb::Status try_to_write(StoreBatch& batch) {
        if (auto* gathered = dynamic_cast<GatheredBatch*>(&batch)) return write_bulk(*gathered);
        return write_to_memtable(static_cast<RocksBatch&>(batch));
    }
    rocksdb::Status write_bulk(GatheredBatch& batch) {
        std::string files;
        if (!db_->GetProperty(rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0", &files))
            return rocksdb::Status::Corruption("the number of files is unknown");
        if (std::stoull(files) >= kMostBulkFiles) {
            rocksdb::Status merged = merge_tables(*db_, options_.cancelled);
            if (!merged.ok()) return merged;
        }
        if (batch.bytes() >= kBulkBatchBytes)
            return write_as_files(*db_, options_.directory, batch);
        RocksBatch small;
        batch.copy_to(small);
        return write_to_memtable(small);
    }
    rocksdb::Status write_to_memtable(RocksBatch& batch) {
        rocksdb::WriteOptions options;
        options.disableWAL = true;
        options.memtable_insert_hint_per_batch = true;  // batches come in key order
        return db_->Write(options, &batch.batch);
    }

    rocksdb::DB& database() const {
        if (!db_) throw StorageFailure("the read models are not open", ErrorCode::io);
        return *db_;
    }

    const StoreOptions options_;
    std::unique_ptr<rocksdb::DB> db_;  ///< null after an end_bulk() that could not open it again
    bool bulk_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_rocks_store(const StoreOptions& given) {
    StoreOptions options = given;
    if (!options.resources) options.resources = make_store_resources(8 << 20, 16 << 20);
    if (!options.read_only) {
        std::error_code failed;
        std::filesystem::create_directories(options.directory, failed);
        if (failed) {
            return Error{ErrorCode::io,
                         "cannot create " + options.directory.string() + ": " + failed.message(),
                         {}};
        }
    }
    auto database = open_database(options, options.bulk);
    if (!database) return database.error();
    if (!options.read_only) {  // nobody else's: it is locked
        if (auto removed = remove_unfinished_files(options.directory); !removed)
            return removed.error();
    }
    return std::unique_ptr<Store>(std::make_unique<RocksStore>(std::move(*database), options));
}

}  // namespace tidings
