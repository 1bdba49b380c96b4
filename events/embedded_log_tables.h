// One partition's log as RocksDB tables: what EmbeddedLog and EmbeddedLogReader both stand on.
// Internal. Keys are 8 bytes, big-endian, so that order is position and every flush appends:
//
//   column family  key                          value
//   default        LogPosition: 0               genesis record
//                  sequence                     commit record
//   commands       CommandPosition of the       the records that one commit answers: u32 count,
//                  first one                    count x u32 length, then their bytes
#pragma once

#include <rocksdb/db.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"
#include "events/embedded_log.h"

namespace tidings {

/// Not thread-safe, but for reads among each other.
class LogTables {
public:
    enum class Mode { write, offline, follow, damaged };

    /// `create`: an empty database if there is none; mode write only.
    /// Errors: not_found, corruption, io.
    static Result<std::unique_ptr<LogTables>> open(const std::filesystem::path& directory,
                                                   Mode mode, bool create,
                                                   std::shared_ptr<LogResources> resources);
    ~LogTables();
    bool tail_was_cut() const { return tail_was_cut_; }

    /// Nothing: no genesis yet (a creation that did not finish). Errors: corruption, newer_format,
    /// io.
    Result<std::optional<Genesis>> genesis() const;
    /// Synced; also the directory's own entry in its parent.
    Result<void> put_genesis(const std::string& record);

    /// The newest commit as a tip, checked against its bytes, its predecessor and its commands.
    /// Errors: corruption, newer_format, io.
    Result<Tip> tail(const Genesis& genesis) const;

    /// Position after the last record. Errors: io, corruption.
    Result<LogPosition> end_of_commits() const;
    /// As Log::read_commits; `from` 0 is read as 1.
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) const;
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) const;

    /// One batch, synced unless the caller flushes later. Errors: io, corruption: outcome unknown;
    /// the tables must be opened again.
    Result<void> put_commit(const Envelope& envelope, const std::string& record,
                            const std::vector<const std::string*>& commands, bool sync = true);
    /// Makes everything durable, in table files.
    Result<void> flush();

    /// Mode follow. Errors: io, corruption.
    Result<void> catch_up();

private:
    LogTables() = default;

    rocksdb::Status open_database(rocksdb::Options options, Mode mode);

    std::unique_ptr<rocksdb::Iterator> commits() const;
    std::unique_ptr<rocksdb::Iterator> commands() const;
    Result<Envelope> commit_at(std::uint64_t sequence, std::string& record) const;
    Result<void> check_commands(const Envelope& envelope) const;

    std::shared_ptr<LogResources> resources_;
    std::filesystem::path directory_;
    bool tail_was_cut_ = false;
    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::ColumnFamilyHandle* commits_ =
        nullptr;  ///< owned by db_'s list, destroyed in the destructor
    rocksdb::ColumnFamilyHandle* commands_ = nullptr;
};

}  // namespace tidings
