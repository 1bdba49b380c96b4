// The embedded log: the queue of commands in memory, and the tables on disk.
#include "events/embedded_log.h"

#include <stdexcept>

#include "core/limits.h"
#include "events/embedded_log_resources.h"
#include "events/embedded_log_tables.h"
#include "events/envelope.h"

namespace tidings {
namespace {

constexpr std::size_t kDefaultCache = 8 << 20;
constexpr std::size_t kDefaultWriteBuffer = 32 << 20;  ///< a start replays at most twice this much

std::shared_ptr<LogResources> or_default(std::shared_ptr<LogResources> resources) {
    return resources ? std::move(resources)
                     : make_log_resources(kDefaultCache, kDefaultWriteBuffer);
}

Error mismatch(const EmbeddedLogConfig& config, const std::string& what) {
    return {ErrorCode::log_mismatch, "log in " + config.directory.string() + ": " + what, {}};
}

Result<void> check(const EmbeddedLogConfig& config, const Genesis& genesis) {
    if (genesis.partition != config.partition) {
        return mismatch(config, "it is partition " + std::to_string(genesis.partition.value) +
                                    ", but partition " + std::to_string(config.partition.value) +
                                    " belongs here");
    }
    if (genesis.partitions != config.partitions) {
        return mismatch(config, "it was made with " + std::to_string(genesis.partitions) +
                                    " partitions, but is opened with " +
                                    std::to_string(config.partitions));
    }
    if (!config.log.is_zero() && genesis.log != config.log) {
        return mismatch(config, "its id is " + to_hex(genesis.log.view()) + ", but log " +
                                    to_hex(config.log.view()) + " belongs here");
    }
    return {};
}

LogTables::Mode mode_of_tables(EmbeddedLogReader::Mode mode) {
    switch (mode) {
        case EmbeddedLogReader::Mode::follow:
            return LogTables::Mode::follow;
        case EmbeddedLogReader::Mode::damaged:
            return LogTables::Mode::damaged;
        case EmbeddedLogReader::Mode::offline:
            break;
    }
    return LogTables::Mode::offline;
}

void require(bool holds, const char* what) {
    if (!holds) throw std::logic_error(std::string("append_commit: ") + what);
}

}  // namespace

Result<std::unique_ptr<EmbeddedLog>> EmbeddedLog::open(EmbeddedLogConfig config) {
    config.resources = or_default(std::move(config.resources));
    auto tables =
        LogTables::open(config.directory, LogTables::Mode::write, config.create, config.resources);
    if (!tables) return tables.error();
    auto found = (*tables)->genesis();
    if (!found) return found.error();
    if (!*found) {
        if (!config.create) {
            return Error{
                ErrorCode::not_found, "there is no log in " + config.directory.string(), {}};
        }
        require(!config.log.is_zero(), "a log needs an id");
        Genesis genesis{
            .log = config.log, .partition = config.partition, .partitions = config.partitions};
        const std::string record = encode_genesis(genesis);
        if (auto put = (*tables)->put_genesis(record); !put) return put.error();
        *found = genesis;
    }
    const Genesis genesis = **found;
    if (auto checked = check(config, genesis); !checked) return checked.error();
    auto tip = (*tables)->tail(genesis);
    if (!tip) return tip.error();
    return std::unique_ptr<EmbeddedLog>(
        new EmbeddedLog(std::move(config), genesis, std::move(*tables), *tip));
}

EmbeddedLog::EmbeddedLog(EmbeddedLogConfig config, Genesis genesis,
                         std::unique_ptr<LogTables> tables, const Tip& tip)
    : config_(std::move(config)),
      genesis_(genesis),
      tail_was_cut_(tables->tail_was_cut()),
      tables_(std::move(tables)),
      tip_(tip),
      queue_first_(tip.next_command) {}

EmbeddedLog::~EmbeddedLog() = default;

Result<void> EmbeddedLog::append_command(std::string record) {
    const std::scoped_lock lock(mutex_);
    if (queue_bytes_ + record.size() > limits::kQueueBytes) {
        return Error{ErrorCode::overloaded, "too many commands are waiting", {}};
    }
    queue_bytes_ += record.size();
    queue_.push_back(std::move(record));
    return {};
}

Result<void> EmbeddedLog::read_commands(CommandPosition from, std::size_t max_bytes,
                                        std::vector<CommandRecord>& out) {
    if (from < tip_.next_command) {
        if (auto opened = ensure_open(); !opened) return opened;
        return tables_->read_commands(from, max_bytes, out);
    }
    const std::scoped_lock lock(mutex_);
    std::uint64_t index = from.value - queue_first_.value;
    if (index > queue_.size()) {
        return mismatch(config_, "command " + std::to_string(from.value - 1) + " is gone");
    }
    for (std::size_t bytes = 0; index < queue_.size(); ++index) {
        if (bytes > 0 && bytes + queue_[index].size() > max_bytes) break;
        bytes += queue_[index].size();
        out.push_back({CommandPosition{queue_first_.value + index}, queue_[index]});
    }
    return {};
}

void EmbeddedLog::append_commit(std::string record) {
    if (auto written = write(record); !written) {
        failure_ = written.error();
    } else {
        failure_.reset();
        last_ = std::move(record);
    }
}

Result<void> EmbeddedLog::write(const std::string& record) {
    const auto envelope = peek_commit(record);
    require(envelope.has_value(), "not a commit record");
    if (broken_) {
        if (auto opened = reopen(); !opened) return opened;
    }
    // A failed append of it had landed after all; recovery has written it into a synced file.
    if (tip_.hash == envelope->hash) return {};
    require(judge(genesis_, tip_, *envelope) == Verdict::accept,
            "the record does not continue the log");
    std::vector<const std::string*> commands;
    {
        const std::scoped_lock lock(mutex_);
        require(envelope->last.value - queue_first_.value < queue_.size(),
                "it answers commands that are not queued");
        const std::size_t count = envelope->last.value - envelope->first.value + 1;
        commands.reserve(count);
        // A deque's elements stay where they are while others are appended; only this thread
        // removes.
        for (std::size_t i = 0; i < count; ++i) commands.push_back(&queue_[i]);
    }
    if (auto put = tables_->put_commit(*envelope, record, commands); !put) {
        broken_ = true;
        return put;
    }
    tip_ = advance(*envelope, LogPosition{envelope->sequence.value});
    answered(tip_.next_command);
    return {};
}

Result<void> EmbeddedLog::ensure_open() {
    if (tables_) return {};
    return reopen();
}

void EmbeddedLog::set_tables(std::shared_ptr<LogTables> tables) {
    const std::scoped_lock lock(mutex_);
    tables_.swap(tables);
}

Result<std::shared_ptr<LogTables>> EmbeddedLog::tables_for_others() {
    const std::scoped_lock lock(mutex_);
    if (tables_) return tables_;
    return Error{ErrorCode::io, "log in " + config_.directory.string() + " is not open", {}};
}

Result<void> EmbeddedLog::read_durable(LogPosition from, std::size_t max_bytes,
                                       std::vector<CommitRecord>& out) {
    const auto tables = tables_for_others();
    return tables ? (*tables)->read_commits(from, max_bytes, out) : tables.error();
}

Result<void> EmbeddedLog::read_durable_commands(CommandPosition from, std::size_t max_bytes,
                                                std::vector<CommandRecord>& out) {
    const auto tables = tables_for_others();
    return tables ? (*tables)->read_commands(from, max_bytes, out) : tables.error();
}

Result<void> EmbeddedLog::reopen() {
    set_tables(nullptr);
    auto tables =
        LogTables::open(config_.directory, LogTables::Mode::write, false, config_.resources);
    if (!tables) return tables.error();
    auto found = (*tables)->genesis();
    if (!found) return found.error();
    if (*found != genesis_) return mismatch(config_, "it was replaced while it was in use");
    auto tip = (*tables)->tail(genesis_);
    if (!tip) return tip.error();
    if (tip->sequence < tip_.sequence) {
        return mismatch(config_, "it ends before commit " + std::to_string(tip_.sequence.value) +
                                     " that was durable");
    }
    set_tables(std::move(*tables));
    broken_ = false;
    tip_ = *tip;
    answered(tip_.next_command);
    return {};
}

void EmbeddedLog::answered(CommandPosition next) {
    const std::scoped_lock lock(mutex_);
    for (; queue_first_ < next; ++queue_first_.value) {
        queue_bytes_ -= queue_.front().size();
        queue_.pop_front();
    }
}

Result<void> EmbeddedLog::read_commits(LogPosition from, std::size_t max_bytes,
                                       std::vector<CommitRecord>& out) {
    if (from == tip_.next_record) return {};
    if (from.value + 1 == tip_.next_record.value && !last_.empty()) {
        out.push_back({from, std::move(last_)});
        last_.clear();
        return {};
    }
    if (auto opened = ensure_open(); !opened) return opened;
    return tables_->read_commits(from, max_bytes, out);
}

Result<LogPosition> EmbeddedLog::end_of_commits() {
    return tip_.sequence.value == 0 ? LogPosition{} : tip_.next_record;
}

Result<std::unique_ptr<EmbeddedLogCopy>> EmbeddedLogCopy::begin(
    const std::filesystem::path& directory, const Genesis& genesis) {
    auto tables = LogTables::open(directory, LogTables::Mode::write, true, or_default(nullptr));
    if (!tables) return tables.error();
    Genesis same = genesis;
    const std::string record = encode_genesis(same);
    if (same != genesis) {
        return Error{ErrorCode::newer_format, "the log's genesis record is of another format", {}};
    }
    if (auto put = (*tables)->put_genesis(record); !put) return put.error();
    return std::unique_ptr<EmbeddedLogCopy>(new EmbeddedLogCopy(std::move(*tables)));
}

EmbeddedLogCopy::EmbeddedLogCopy(std::unique_ptr<LogTables> tables) : tables_(std::move(tables)) {}
EmbeddedLogCopy::~EmbeddedLogCopy() = default;

Result<void> EmbeddedLogCopy::append(const Envelope& envelope, const std::string& record,
                                     const std::vector<CommandRecord>& commands) {
    std::vector<const std::string*> bytes;
    bytes.reserve(commands.size());
    for (const CommandRecord& command : commands) bytes.push_back(&command.bytes);
    return tables_->put_commit(envelope, record, bytes, false);
}

Result<void> EmbeddedLogCopy::finish() { return tables_->flush(); }

Result<std::unique_ptr<EmbeddedLogReader>> EmbeddedLogReader::open(
    const std::filesystem::path& directory, Mode mode, std::shared_ptr<LogResources> resources) {
    auto tables =
        LogTables::open(directory, mode_of_tables(mode), false, or_default(std::move(resources)));
    if (!tables) return tables.error();
    auto genesis = (*tables)->genesis();
    if (!genesis) return genesis.error();
    if (!*genesis)
        return Error{ErrorCode::not_found, "there is no log in " + directory.string(), {}};
    return std::unique_ptr<EmbeddedLogReader>(new EmbeddedLogReader(**genesis, std::move(*tables)));
}

EmbeddedLogReader::EmbeddedLogReader(Genesis genesis, std::unique_ptr<LogTables> tables)
    : genesis_(genesis), tables_(std::move(tables)) {}
EmbeddedLogReader::~EmbeddedLogReader() = default;

Result<void> EmbeddedLogReader::refresh() { return tables_->catch_up(); }

Result<void> EmbeddedLogReader::read_commands(CommandPosition from, std::size_t max_bytes,
                                              std::vector<CommandRecord>& out) const {
    return tables_->read_commands(from, max_bytes, out);
}
Result<void> EmbeddedLogReader::read_commits(LogPosition from, std::size_t max_bytes,
                                             std::vector<CommitRecord>& out) const {
    return tables_->read_commits(from, max_bytes, out);
}
Result<LogPosition> EmbeddedLogReader::end_of_commits() const { return tables_->end_of_commits(); }

}  // namespace tidings
