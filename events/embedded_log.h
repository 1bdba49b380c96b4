// The embedded log: one RocksDB directory a partition, one synced write a commit. Only the process
// that opened it writes; other processes read it through EmbeddedLogReader. Nothing is ever
// deleted. Keys: docs/formats.md.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "core/log.h"

namespace tidings {

class LogTables;

/// Memory that all partitions' logs of a process share; RocksDB's types are in
/// events/embedded_log_resources.h.
struct LogResources;
/// `write_buffer_bytes` bounds memtables, and with them the WAL that a start has to replay.
std::shared_ptr<LogResources> make_log_resources(std::size_t cache_bytes,
                                                 std::size_t write_buffer_bytes);

struct EmbeddedLogConfig {
    std::filesystem::path directory;  ///< of this partition
    LogId log;  ///< zero: any; otherwise a log with another id is a log_mismatch
    PartitionId partition;
    std::uint32_t partitions = 1;
    bool create = false;  ///< make it if there is none. REQUIRES: `log` is not zero
    std::shared_ptr<LogResources> resources;
};

class EmbeddedLog final : public Log {
public:
    /// Checks genesis and that the newest commit, its predecessor and its commands fit together.
    /// Errors: not_found (none there, and not `create`), log_mismatch, newer_format, corruption, io
    /// (also: in use by another process).
    static Result<std::unique_ptr<EmbeddedLog>> open(EmbeddedLogConfig config);
    ~EmbeddedLog() override;

    /// No commit of this log has a position other than its sequence; genesis has 0 and is not read
    /// as a commit.
    const Genesis& genesis() const override { return genesis_; }
    Result<void> append_command(std::string record) override;
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override;
    /// Writes and syncs before it returns: append_state() is idle or unknown afterwards, never
    /// pending. After a failure the next call closes the database, opens it again and finds out
    /// whether the record has landed. (DB::Resume does not help: it says OK and every later write
    /// fails with "Writer has previous error" while the memtable is empty, and it refuses after a
    /// failed fsync; facebook/rocksdb issues 11643, 12998.) REQUIRES: the record is the next
    /// sequence and answers queued commands; std::logic_error otherwise.
    void append_commit(std::string record) override;
    AppendState append_state() override {
        return failure_ ? AppendState::unknown : AppendState::idle;
    }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override;
    Result<LogPosition> end_of_commits() override;

    /// As read_commits, from any thread, and beside the partition's own.
    Result<void> read_durable(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out);
    /// As read_commands, the same way, of commands that were answered.
    Result<void> read_durable_commands(CommandPosition from, std::size_t max_bytes,
                                       std::vector<CommandRecord>& out);

    /// Why append_state() is unknown.
    std::optional<Error> trouble() const override { return failure_; }
    /// Opening found a record cut off at the WAL's end and dropped it: what a power failure in the
    /// middle of an append leaves (no caller had an answer yet), or what cutting the file does.
    bool tail_was_cut() const { return tail_was_cut_; }

private:
    EmbeddedLog(EmbeddedLogConfig config, Genesis genesis, std::unique_ptr<LogTables> tables,
                const Tip& tip);

    Result<void> write(const std::string& record);
    Result<void> reopen();
    Result<void> ensure_open();
    Result<std::shared_ptr<LogTables>> tables_for_others();
    void set_tables(std::shared_ptr<LogTables> tables);
    void answered(CommandPosition next);

    const EmbeddedLogConfig config_;
    const Genesis genesis_;
    const bool tail_was_cut_;
    std::shared_ptr<LogTables>
        tables_;  ///< null after a failed reopen; whoever needs it tries again. Set under mutex_
    bool broken_ = false;  ///< a write failed: the database is to be opened again before the next
    Tip tip_;              ///< of what is durable
    std::string last_;     ///< the bytes just synced, until they are read back
    std::optional<Error> failure_;  ///< of the last append

    std::mutex mutex_;  ///< guards what follows, and tables_ against other threads
    std::deque<std::string>
        queue_;  ///< commands without a commit; the first has position queue_first_
    CommandPosition queue_first_;
    std::size_t queue_bytes_ = 0;
};

/// Writes a copy of a partition's log, record by record, into a directory of its own. Nothing is
/// durable before finish().
class EmbeddedLogCopy {
public:
    /// `directory` is made. Errors: io.
    static Result<std::unique_ptr<EmbeddedLogCopy>> begin(const std::filesystem::path& directory,
                                                          const Genesis& genesis);
    ~EmbeddedLogCopy();
    /// The next commit, and the commands that it answers. Errors: io.
    Result<void> append(const Envelope& envelope, const std::string& record,
                        const std::vector<CommandRecord>& commands);
    Result<void> finish();

private:
    explicit EmbeddedLogCopy(std::unique_ptr<LogTables> tables);
    std::unique_ptr<LogTables> tables_;
};

/// Reads a partition's log without taking it from the process that writes it.
class EmbeddedLogReader {
public:
    enum class Mode {
        offline,  ///< what is there now; no process writes. Writes nothing, not even into the
                  ///< directory
        follow,   ///< while a process writes: refresh() sees more. May see a commit that is not yet
                  ///< synced
        damaged,  ///< offline, and of the write-ahead log what lies before the damage: to say where
                  ///< a log is damaged that the others do not open
    };
    /// Errors: as EmbeddedLog::open.
    static Result<std::unique_ptr<EmbeddedLogReader>> open(
        const std::filesystem::path& directory, Mode mode,
        std::shared_ptr<LogResources> resources = nullptr);
    ~EmbeddedLogReader();

    const Genesis& genesis() const { return genesis_; }
    /// Mode follow: catches up with the writer. Errors: io, corruption.
    Result<void> refresh();
    /// As in Log, over what the last refresh saw. Only commands that a commit answers are there.
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) const;
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) const;
    Result<LogPosition> end_of_commits() const;

private:
    EmbeddedLogReader(Genesis genesis, std::unique_ptr<LogTables> tables);

    Genesis genesis_;
    std::unique_ptr<LogTables> tables_;
};

}  // namespace tidings
