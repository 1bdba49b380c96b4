#include "projections/rocks_store_bulk.h"

#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "projections/chunks.h"

namespace tidings {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kOwnFileBytes = 256 << 10;  ///< of a table in a batch: more of them, larger
constexpr const char* kExtension = ".bulk";       ///< no name of RocksDB's

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::uint8_t table_of(const GatheredBatch::Entry& entry) {
    return static_cast<std::uint8_t>(entry.key[0]);
}

/// Partners' rows come behind all others, and so lie in the last level at once. A file that reached
/// across them would have them merged with it.
bool only_grows(std::uint8_t table) {
    return table == static_cast<std::uint8_t>(Table::partner) ||
           table == static_cast<std::uint8_t>(Table::partner_id);
}
/// Whether rows of `next` may lie in a file with those of `table`, the one before it in the batch.
bool share_a_file(std::uint8_t table, std::uint8_t next) {
    for (unsigned between = table; between <= next; ++between) {
        if (only_grows(static_cast<std::uint8_t>(between))) return false;
    }
    return true;
}

/// Files that are gone afterwards, unless the database has taken them.
class Files {
public:
    Files(rocksdb::DB& db, const fs::path& directory)
        : directory_(directory), options_(db.GetOptions()), compression_(options_.compression) {
        options_.bottommost_compression = rocksdb::kDisableCompressionOption;
    }
    ~Files() {
        for (const std::string& path : paths_) {
            std::error_code ignored;  // removed at the next start
            fs::remove(path, ignored);
        }
    }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    /// For rows of `table`, and perhaps others.
    rocksdb::Status begin(Table table) {
        // chunks are merged, and written once more
        options_.compression =
            chunk_kind(table) == ChunkKind::none ? compression_ : rocksdb::kNoCompression;
        const fs::path path = directory_ / (std::to_string(paths_.size()) + kExtension);
        // Never written over: a process that died here may have left the name of a live table.
        std::error_code failed;
        fs::remove(path, failed);
        if (failed) return rocksdb::Status::IOError(path.string(), failed.message());
        paths_.push_back(path);
        writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
        return writer_->Open(paths_.back());
    }
    bool writing() const { return writer_ != nullptr; }
    rocksdb::Status add(const GatheredBatch::Entry& entry) {
        switch (entry.change) {
            case GatheredBatch::Change::put:
                return writer_->Put(slice(entry.key), slice(entry.value));
            case GatheredBatch::Change::merge:
                return writer_->Merge(slice(entry.key), slice(entry.value));
            case GatheredBatch::Change::erase:
                break;
        }
        return writer_->Delete(slice(entry.key));
    }
    rocksdb::Status end() {
        rocksdb::Status status = writer_->Finish();
        writer_.reset();
        return status;
    }
    const std::vector<std::string>& paths() const { return paths_; }

private:
    const fs::path& directory_;
    rocksdb::Options options_;
    const rocksdb::CompressionType compression_;
    std::unique_ptr<rocksdb::SstFileWriter> writer_;
    std::vector<std::string> paths_;
};

}  // namespace

void GatheredBatch::add_kept(std::string_view key, std::string_view value, Change change) {
    bytes_ += key.size() + value.size();
    entries_.push_back({key, value, change});
}

std::string_view GatheredBatch::keep(std::string_view bytes) {
    if (bytes.empty()) return {};
    char* const kept = static_cast<char*>(memory_.allocate(bytes.size(), 1));
    std::memcpy(kept, bytes.data(), bytes.size());
    return {kept, bytes.size()};
}

void GatheredBatch::copy_to(StoreBatch& batch) const {
    for (const Entry& entry : entries_) {
        switch (entry.change) {
            case Change::put:
                batch.put(entry.key, entry.value);
                break;
            case Change::merge:
                batch.merge(entry.key, entry.value);
                break;
            case Change::erase:
                batch.erase(entry.key);
                break;
        }
    }
}

const std::vector<GatheredBatch::Entry>& GatheredBatch::sorted() {
    const auto before = [](const Entry& a, const Entry& b) { return a.key < b.key; };
    const auto tail = std::is_sorted_until(entries_.begin(), entries_.end(), before);
    std::sort(tail, entries_.end(), before);  // a run comes in order; a few rows follow it
    std::inplace_merge(entries_.begin(), tail, entries_.end(), before);
    return entries_;
}

rocksdb::Status write_as_files(rocksdb::DB& db, const fs::path& directory, GatheredBatch& batch) {
    const std::vector<GatheredBatch::Entry>& entries = batch.sorted();
    std::array<std::size_t, 256> bytes{};  // of each table
    for (const auto& entry : entries) bytes[table_of(entry)] += entry.value.size();
    Files files(db, directory);
    rocksdb::Status status;
    for (auto entry = entries.begin(); entry != entries.end() && status.ok();) {
        const std::uint8_t table = table_of(*entry);
        const bool own = bytes[table] >= kOwnFileBytes;
        if (files.writing()) {
            const std::uint8_t before = table_of(entry[-1]);
            if (own || bytes[before] >= kOwnFileBytes || !share_a_file(before, table))
                status = files.end();
        }
        if (status.ok() && !files.writing()) status = files.begin(static_cast<Table>(table));
        for (; entry != entries.end() && table_of(*entry) == table && status.ok(); ++entry)
            status = files.add(*entry);
    }
    if (status.ok() && files.writing()) status = files.end();
    if (!status.ok() || entries.empty()) return status;
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    options.snapshot_consistency = false;  // nobody reads what is built in bulk
    options.write_global_seqno = false;    // RocksDB before 5.16 needs it in the files
    return db.IngestExternalFile(files.paths(), options);
}

Result<void> remove_unfinished_files(const fs::path& directory) {
    std::error_code failed;
    for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end;
         entry.increment(failed)) {
        if (entry->path().extension() == kExtension) fs::remove(entry->path(), failed);
        if (failed) break;
    }
    if (!failed) return {};
    return Error{
        ErrorCode::io,
        "cannot remove unfinished files from " + directory.string() + ": " + failed.message(),
        {}};
}

rocksdb::Status merge_tables(rocksdb::DB& db, const std::atomic<bool>* cancelled) {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.canceled = const_cast<std::atomic<bool>*>(cancelled);  // it is only read
    rocksdb::Status status;
    for (int table = 0; table < 256 && status.ok(); ++table) {
        const char first = static_cast<char>(table), last = static_cast<char>(table + 1);
        const rocksdb::Slice begin(&first, 1), end(&last, 1);
        status = db.CompactRange(options, &begin, table < 255 ? &end : nullptr);
    }
    return status;
}

}  // namespace tidings
