// One partition's log as RocksDB tables.
#include "events/embedded_log_tables.h"

#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "events/embedded_log_resources.h"
#include "events/envelope.h"
#include "events/little_endian.h"
#include "events/silent_logger.h"

namespace tidings {
namespace {

constexpr const char* kCommandsFamily = "commands";
constexpr std::size_t kBlockBytes =
    32 << 10;  ///< a commit of the flood fills several; an idle one shares
constexpr std::uint64_t kFileBytes = 64 << 20;
constexpr std::uint64_t kLevelBytes = 1 << 30;
constexpr int kOpenFiles = 256;
constexpr std::size_t kReadAhead = 1 << 20;

Error error_of(const rocksdb::Status& status, const std::filesystem::path& directory) {
    const std::string text = status.ToString();
    const std::string where = "log in " + directory.string() + ": ";
    if (text.find("While lock file") != std::string::npos ||
        text.find("lock hold by current process") != std::string::npos) {
        return {ErrorCode::io, where + "in use by another process", {}};
    }
    if (status.IsCorruption()) return {ErrorCode::corruption, where + text, {}};
    return {ErrorCode::io, where + text, {}};
}

rocksdb::ColumnFamilyOptions family_options(const LogResources& resources) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = resources.cache;
    table.block_size = kBlockBytes;
    table.cache_index_and_filter_blocks = true;
    table.format_version = 5;
    rocksdb::ColumnFamilyOptions options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    // Keys only ascend, so files never overlap and compaction moves them down as they are.
    options.compression = rocksdb::kZSTD;
    options.compression_opts.level = 1;
    options.write_buffer_size = resources.write_buffer_bytes;
    options.target_file_size_base = kFileBytes;
    options.max_bytes_for_level_base = kLevelBytes;
    options.ttl = 0;  // no rewriting of what is old
    options.periodic_compaction_seconds = 0;
    return options;
}

rocksdb::Options database_options(const LogResources& resources, LogTables::Mode mode,
                                  bool create) {
    rocksdb::Options options(rocksdb::DBOptions(), family_options(resources));
    if (resources.env) options.env = resources.env.get();
    options.create_if_missing = create;
    options.create_missing_column_families = create;
    // The default recovery stops at a flipped byte and silently drops every synced record behind
    // it. The strictest one is tried first, so that a tail that is cut off does not go unnoticed.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    if (mode == LogTables::Mode::write) {
        options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
    } else if (mode == LogTables::Mode::damaged) {
        options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    }
    options.atomic_flush = true;  // both tables cover the same commits, and the WAL is free at once
    options.write_buffer_manager = resources.write_buffers;
    options.max_total_wal_size = 2 * resources.write_buffer_bytes;
    options.max_open_files = mode == LogTables::Mode::follow ? -1 : kOpenFiles;
    options.skip_stats_update_on_db_open = true;
    options.max_background_jobs = 2;
    options.max_bgerror_resume_count = 0;  // EmbeddedLog opens again instead
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    options.info_log = std::make_shared<SilentLogger>();
    return options;
}

rocksdb::ReadOptions scan_options() {
    rocksdb::ReadOptions options;
    options.readahead_size = kReadAhead;
    options.fill_cache = false;
    return options;
}

/// The records of one value of the commands table; nothing if malformed.
std::optional<std::vector<std::string_view>> split_commands(std::string_view value) {
    if (value.size() < 4) return std::nullopt;
    const auto count = get_le<std::uint32_t>(value, 0);
    if (count == 0 || count > value.size() / 4 - 1) return std::nullopt;
    std::size_t at = 4 + 4 * std::size_t{count};
    std::vector<std::string_view> records;
    records.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto length = get_le<std::uint32_t>(value, 4 + 4 * std::size_t{i});
        if (length > value.size() - at) return std::nullopt;
        records.push_back(value.substr(at, length));
        at += length;
    }
    if (at != value.size()) return std::nullopt;
    return records;
}

std::string_view view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

std::optional<std::uint64_t> position_of(const rocksdb::Iterator& at) {
    if (at.key().size() != sizeof(std::uint64_t)) return std::nullopt;
    return from_big_endian<std::uint64_t>(view(at.key()));
}

Error corrupt(const std::filesystem::path& directory, const std::string& what) {
    return {ErrorCode::corruption, "log in " + directory.string() + ": " + what, {}};
}

}  // namespace

std::shared_ptr<LogResources> make_log_resources(std::size_t cache_bytes,
                                                 std::size_t write_buffer_bytes) {
    auto resources = std::make_shared<LogResources>();
    resources->cache = rocksdb::NewLRUCache(cache_bytes);
    resources->write_buffers =
        std::make_shared<rocksdb::WriteBufferManager>(2 * write_buffer_bytes);
    resources->write_buffer_bytes = write_buffer_bytes;
    return resources;
}

Result<std::unique_ptr<LogTables>> LogTables::open(const std::filesystem::path& directory,
                                                   Mode mode, bool create,
                                                   std::shared_ptr<LogResources> resources) {
    std::unique_ptr<LogTables> tables(new LogTables);
    tables->resources_ = std::move(resources);
    tables->directory_ = directory;
    const rocksdb::Options options = database_options(*tables->resources_, mode, create);
    const rocksdb::Status there = options.env->FileExists((directory / "CURRENT").string());
    if (there.IsNotFound() && !create) {
        return Error{ErrorCode::not_found, "there is no log in " + directory.string(), {}};
    }
    if (!there.ok() && !there.IsNotFound()) return error_of(there, directory);
    if (create) {
        std::error_code failed;
        std::filesystem::create_directories(directory, failed);
        if (failed) return Error{ErrorCode::io, directory.string() + ": " + failed.message(), {}};
    }
    rocksdb::Status status = tables->open_database(options, mode);
    if (status.IsCorruption() && mode == Mode::write) {
        // Either its end is cut off, which the second mode accepts, or it is damaged, which none
        // does.
        rocksdb::Options tolerant = options;
        tolerant.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
        status = tables->open_database(tolerant, mode);
        tables->tail_was_cut_ = status.ok();
    }
    if (!status.ok()) return error_of(status, directory);
    return tables;
}

rocksdb::Status LogTables::open_database(rocksdb::Options options, Mode mode) {
    const std::vector<rocksdb::ColumnFamilyDescriptor> families{
        {rocksdb::kDefaultColumnFamilyName, options}, {kCommandsFamily, options}};
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    rocksdb::Status status;
    const std::string path = directory_.string();
    switch (mode) {
        case Mode::write:
            status = rocksdb::DB::Open(options, path, families, &handles, &db);
            break;
        case Mode::offline:
        case Mode::damaged:
            status = rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &db);
            break;
        case Mode::follow:
            // The second path would hold the follower's info log, which is silent.
            status = rocksdb::DB::OpenAsSecondary(options, path, path, families, &handles, &db);
            break;
    }
    if (!status.ok()) return status;
    db_.reset(db);
    commits_ = handles.at(0);
    commands_ = handles.at(1);
    return status;
}

LogTables::~LogTables() {
    if (!db_) return;
    for (auto* handle : {commits_, commands_}) {
        // Closing reports nothing that an earlier synced write did not.
        db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    db_->Close().PermitUncheckedError();
}

std::unique_ptr<rocksdb::Iterator> LogTables::commits() const {
    return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(scan_options(), commits_));
}
std::unique_ptr<rocksdb::Iterator> LogTables::commands() const {
    return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(scan_options(), commands_));
}

Result<std::optional<Genesis>> LogTables::genesis() const {
    std::string record;
    const auto status =
        db_->Get(rocksdb::ReadOptions(), commits_, big_endian(std::uint64_t{0}), &record);
    if (status.IsNotFound()) {
        auto end = end_of_commits();
        if (!end) return end.error();
        if (end->value != 0) return corrupt(directory_, "its genesis record is gone");
        return std::optional<Genesis>();
    }
    if (!status.ok()) return error_of(status, directory_);
    auto genesis = decode_genesis(record);
    if (!genesis) return genesis.error();
    return std::optional<Genesis>(*genesis);
}

Result<void> LogTables::put_genesis(const std::string& record) {
    rocksdb::WriteOptions options;
    options.sync = true;
    auto status = db_->Put(options, commits_, big_endian(std::uint64_t{0}), record);
    if (!status.ok()) return error_of(status, directory_);
    std::unique_ptr<rocksdb::Directory> parent;
    status = db_->GetEnv()->NewDirectory(
        std::filesystem::absolute(directory_).parent_path().string(), &parent);
    if (status.ok()) status = parent->Fsync();
    if (!status.ok()) return error_of(status, directory_);
    return {};
}

Result<LogPosition> LogTables::end_of_commits() const {
    const auto at = commits();
    at->SeekToLast();
    if (!at->status().ok()) return error_of(at->status(), directory_);
    if (!at->Valid()) return LogPosition{0};
    const auto position = position_of(*at);
    if (!position) return corrupt(directory_, "a key that is none");
    return LogPosition{*position + 1};
}

Result<Envelope> LogTables::commit_at(std::uint64_t sequence, std::string& record) const {
    const auto status = db_->Get(rocksdb::ReadOptions(), commits_, big_endian(sequence), &record);
    const std::string name = "commit " + std::to_string(sequence);
    if (status.IsNotFound()) return corrupt(directory_, name + " is gone");
    if (!status.ok()) return error_of(status, directory_);
    auto envelope = decode_commit(record);
    if (envelope && envelope->sequence.value != sequence) {
        return corrupt(directory_, name + " lies where another belongs");
    }
    return envelope;
}

Result<Tip> LogTables::tail(const Genesis& genesis) const {
    auto end = end_of_commits();
    if (!end) return end.error();
    Tip tip{
        .sequence = {}, .hash = genesis.hash, .next_command = {}, .next_record = LogPosition{1}};
    if (end->value <= 1) return tip;
    std::string record;
    if (end->value > 2) {
        auto before = commit_at(end->value - 2, record);
        if (!before) return before.error();
        tip = advance(*before, LogPosition{end->value - 2});
    }
    auto last = commit_at(end->value - 1, record);
    if (!last) return last.error();
    if (judge(genesis, tip, *last) != Verdict::accept) {
        return corrupt(directory_, "commit " + std::to_string(last->sequence.value) +
                                       " does not continue the one before it");
    }
    if (auto checked = check_commands(*last); !checked) return checked.error();
    return advance(*last, LogPosition{end->value - 1});
}

Result<void> LogTables::check_commands(const Envelope& envelope) const {
    const auto at = commands();
    at->SeekToLast();
    if (!at->status().ok()) return error_of(at->status(), directory_);
    const std::string name = "commit " + std::to_string(envelope.sequence.value);
    if (!at->Valid() || position_of(*at) != envelope.first.value) {
        return corrupt(directory_, "the commands of " + name + " are not the last ones");
    }
    const auto records = split_commands(view(at->value()));
    if (!records || records->size() != envelope.last.value - envelope.first.value + 1) {
        return corrupt(directory_, "the commands of " + name + " are not as many as it answers");
    }
    Sha256 hash;
    for (const auto record : *records) hash.update(record);
    if (hash.finish() != envelope.commands) {
        return corrupt(directory_, "the commands of " + name + " are not those that it answers");
    }
    return {};
}

Result<void> LogTables::read_commits(LogPosition from, std::size_t max_bytes,
                                     std::vector<CommitRecord>& out) const {
    std::uint64_t next = std::max<std::uint64_t>(from.value, 1);
    const auto at = commits();
    std::size_t bytes = 0;
    for (at->Seek(big_endian(next)); at->Valid(); at->Next()) {
        if (bytes > 0 && bytes + at->value().size() > max_bytes) return {};
        if (position_of(*at) != next) {
            return corrupt(directory_, "commit " + std::to_string(next) + " is gone");
        }
        out.push_back({LogPosition{next++}, at->value().ToString()});
        bytes += at->value().size();
    }
    if (!at->status().ok()) return error_of(at->status(), directory_);
    if (bytes > 0) return {};
    auto end = end_of_commits();
    if (!end) return end.error();
    if (next > std::max<std::uint64_t>(end->value, 1)) {
        return Error{ErrorCode::log_mismatch,
                     "log in " + directory_.string() + ": it ends at commit " +
                         std::to_string(end->value == 0 ? 0 : end->value - 1) + ", before commit " +
                         std::to_string(next - 1) + " that was there",
                     {}};
    }
    return {};
}

Result<void> LogTables::read_commands(CommandPosition from, std::size_t max_bytes,
                                      std::vector<CommandRecord>& out) const {
    const auto gap = [this](std::uint64_t position) {
        return Error{
            ErrorCode::log_mismatch,
            "log in " + directory_.string() + ": command " + std::to_string(position) + " is gone",
            {}};
    };
    std::uint64_t next = from.value;
    const auto at = commands();
    at->SeekForPrev(big_endian(next));
    if (!at->Valid() && at->status().ok()) {
        at->SeekToFirst();
        if (at->Valid()) return gap(next);  // it starts after `from`
    }
    std::size_t bytes = 0;
    for (; at->Valid(); at->Next()) {
        const auto first = position_of(*at);
        const auto records = split_commands(view(at->value()));
        if (!first || !records)
            return corrupt(directory_, "a value of the commands table is malformed");
        if (*first > next) return gap(next);
        for (std::uint64_t i = next - *first; i < records->size(); ++i) {
            const std::string_view record = (*records)[i];
            if (bytes > 0 && bytes + record.size() > max_bytes) return {};
            out.push_back({CommandPosition{next++}, std::string(record)});
            bytes += record.size();
        }
    }
    if (!at->status().ok()) return error_of(at->status(), directory_);
    return {};
}

Result<void> LogTables::put_commit(const Envelope& envelope, const std::string& record,
                                   const std::vector<const std::string*>& commands, bool sync) {
    std::string lengths;
    lengths.reserve(4 + 4 * commands.size());
    put_le(lengths, static_cast<std::uint32_t>(commands.size()));
    std::vector<rocksdb::Slice> parts{rocksdb::Slice()};
    parts.reserve(1 + commands.size());
    std::size_t bytes = 0;
    for (const std::string* command : commands) {
        put_le(lengths, static_cast<std::uint32_t>(command->size()));
        parts.emplace_back(*command);
        bytes += command->size();
    }
    parts[0] = lengths;
    constexpr std::size_t kOverhead = 128;
    rocksdb::WriteBatch batch(bytes + lengths.size() + record.size() + kOverhead);
    const std::string first = big_endian(envelope.first.value);
    const rocksdb::Slice key(first);
    auto status = batch.Put(commands_, rocksdb::SliceParts(&key, 1),
                            rocksdb::SliceParts(parts.data(), static_cast<int>(parts.size())));
    if (status.ok()) status = batch.Put(commits_, big_endian(envelope.sequence.value), record);
    rocksdb::WriteOptions options;
    options.sync = sync;
    if (status.ok()) status = db_->Write(options, &batch);
    if (!status.ok()) return error_of(status, directory_);
    return {};
}

Result<void> LogTables::flush() {
    const auto status = db_->Flush(rocksdb::FlushOptions(), {commits_, commands_});
    if (!status.ok()) return error_of(status, directory_);
    return {};
}

Result<void> LogTables::catch_up() {
    const auto status = db_->TryCatchUpWithPrimary();
    if (!status.ok()) return error_of(status, directory_);
    return {};
}

}  // namespace tidings
