// `tidings snapshot` and `tidings restore`: a copy of a node at one moment, to start another from.
//   DIR/p0/snapshot.json   position, chain hash, and the digest of every file
//         /models/         the partition's read models
//         /log/            its log up to there, where that is embedded
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "apps/cluster.h"
#include "apps/command_history.h"
#include "apps/commands.h"
#include "apps/data_directory.h"
#include "apps/errors.h"
#include "apps/log_walk.h"
#include "apps/personal_keys.h"
#include "apps/progress.h"
#include "apps/snapshots.h"
#include "events/codec.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

struct SnapshotOptions {
    PlaceOptions place;
    std::string directory;  ///< of the snapshot
};

fs::path partition_in(const fs::path& directory, std::uint32_t partition) {
    return directory / ("p" + std::to_string(partition));
}

/// Reads a file to its end; `use` gets each piece.
template <class Use>
Result<void> read_pieces(const fs::path& path, Use use) {
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    if (file == nullptr)
        return io_error("cannot read " + path.string(), {errno, std::generic_category()});
    std::array<char, 1 << 16> piece;
    Result<void> done;
    std::size_t size = 0;
    while (done && (size = std::fread(piece.data(), 1, piece.size(), file)) > 0) {
        done = use(std::string_view(piece.data(), size));
    }
    if (done && std::ferror(file) != 0) done = Error{ErrorCode::io, "cannot read " + path.string()};
    std::fclose(file);
    return done;
}

/// Every file in `snapshot` but its mark, synced, with its digest, by path.
Result<std::vector<SnapshotFile>> list_files(const fs::path& snapshot) {
    std::vector<SnapshotFile> out;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(snapshot, error), end; !error && entry != end;
         entry.increment(error)) {
        if (!entry->is_regular_file()) continue;
        SnapshotFile file;
        file.path = fs::relative(entry->path(), snapshot, error).string();
        Sha256 hash;
        const auto read = read_pieces(entry->path(), [&](std::string_view piece) {
            hash.update(piece);
            file.bytes += piece.size();
            return Result<void>();
        });
        if (!read) return read.error();
        file.digest = hash.finish();
        out.push_back(std::move(file));
    }
    if (error) return io_error("cannot read " + snapshot.string(), error);
    std::sort(out.begin(), out.end(),
              [](const auto& left, const auto& right) { return left.path < right.path; });
    return out;
}

/// The log from its beginning to `tip`, checked on the way.
Result<void> copy_log(const EmbeddedLogReader& reader, const Tip& tip, const fs::path& to) {
    const CapnpCodec codec;
    auto copy = EmbeddedLogCopy::begin(to, reader.genesis());
    if (!copy) return copy.error();
    Progress progress(
        "partition " + std::to_string(reader.genesis().partition.value) + " log commits",
        Unit::count, tip.sequence.value, std::chrono::seconds(1));
    LogWalk walk(reader, codec, LogPosition{1});
    Tip at{.hash = reader.genesis().hash};
    while (at.sequence < tip.sequence) {
        const auto commit = walk.next();
        if (!commit) return commit.error();
        if (!*commit || judge(reader.genesis(), at, (*commit)->envelope) != Verdict::accept) {
            return Error{ErrorCode::log_mismatch, "the log does not go on after commit " +
                                                      std::to_string(at.sequence.value)};
        }
        at = advance((*commit)->envelope, (*commit)->record.position);
        auto put =
            (*copy)->append((*commit)->envelope, (*commit)->record.bytes, (*commit)->commands);
        if (!put) return put;
        progress.update(at.sequence.value);
    }
    progress.finish();
    if (at.sequence.value != 0 && at.hash != tip.hash) {
        return Error{ErrorCode::log_mismatch, "the log was replaced while it was copied"};
    }
    return (*copy)->finish();
}

Result<SnapshotMark> write_partition(const CommandHistory& history, const Past& past,
                                     const EmbeddedLogReader* log, PartitionId partition,
                                     const fs::path& directory) {
    SnapshotMark mark;
    mark.log = history.genesis().log;
    mark.partition = partition;
    mark.partitions = history.genesis().partitions;
    mark.tip = past.models().tip();
    mark.log_bytes = past.cost().log_bytes;
    const fs::path target = partition_in(directory, partition.value);
    std::error_code error;
    fs::create_directories(target, error);
    if (error) return io_error("cannot make " + target.string(), error);
    if (auto copied = past.snapshot(models_in(target)); !copied) return copied.error();
    if (log != nullptr) {
        if (auto copied = copy_log(*log, mark.tip, target / "log"); !copied) return copied.error();
    }
    auto files = list_files(target);
    if (!files) return files.error();
    mark.files = std::move(*files);
    if (auto written = write_mark(target, mark); !written) return written.error();
    if (auto synced = sync_directory(target); !synced) return synced.error();
    return mark;
}

void print_mark(const SnapshotMark& mark) {
    std::uint64_t bytes = 0;
    for (const SnapshotFile& file : mark.files) bytes += file.bytes;
    std::printf("partition %u  commit %llu  %s  %s\n", mark.partition.value,
                static_cast<unsigned long long>(mark.tip.sequence.value),
                to_hex(mark.tip.hash.view()).c_str(),
                format_amount(static_cast<double>(bytes), Unit::bytes).c_str());
}

/// Built beside its name, which it gets when it is whole.
Result<void> make_snapshot(const SnapshotOptions& options) {
    const fs::path target(options.directory), making(options.directory + ".making");
    std::error_code error;
    if (fs::exists(target, error) || error) return usage(target.string() + " is there already");
    auto history = CommandHistory::open(options.place);
    if (!history) return history.error();
    std::vector<std::unique_ptr<EmbeddedLogReader>> logs;
    if (!history->on_kafka()) {
        auto opened = open_log_readers(history->config().data, EmbeddedLogReader::Mode::follow);
        if (!opened) return opened.error();
        logs = std::move(*opened);
    }
    fs::remove_all(making, error);
    if (error) return io_error("cannot remove " + making.string(), error);
    for (std::uint32_t p = 0; p < history->genesis().partitions; ++p) {
        const auto past = history->history().find(PartitionId{p}, {.last = kLogEnd});
        if (!past) return past.error();
        const EmbeddedLogReader* log = logs.empty() ? nullptr : logs[p].get();
        const auto mark = write_partition(*history, **past, log, PartitionId{p}, making);
        if (!mark) return mark.error();
        print_mark(*mark);
    }
    if (auto synced = sync_directory(making); !synced) return synced;
    fs::rename(making, target, error);
    if (error) return io_error("cannot make " + target.string(), error);
    if (auto synced = sync_directory(fs::absolute(target).parent_path()); !synced) return synced;
    std::printf("snapshot in %s\n", target.c_str());
    return {};
}

/// The marks in `directory`, by partition, all of one log.
Result<std::vector<SnapshotMark>> read_marks(const fs::path& directory) {
    std::vector<SnapshotMark> marks;
    std::error_code unseen;
    for (std::uint32_t p = 0; p == 0 || p < marks.front().partitions; ++p) {
        const fs::path snapshot = partition_in(directory, p);
        auto mark = read_mark(snapshot);
        if (!mark && p == 0 && !fs::exists(snapshot, unseen)) {
            return usage("there is no snapshot in " + directory.string());
        }
        if (!mark) return mark.error();
        if (mark->partition.value != p || (p > 0 && mark->log != marks.front().log) ||
            (p > 0 && mark->partitions != marks.front().partitions)) {
            return Error{ErrorCode::corruption, snapshot.string() + " does not belong there"};
        }
        marks.push_back(std::move(*mark));
    }
    return marks;
}

bool is_log_file(const SnapshotFile& file) { return file.path.starts_with("log/"); }
bool has_log(const SnapshotMark& mark) {
    return std::any_of(mark.files.begin(), mark.files.end(), is_log_file);
}

/// Copies one file, and compares what it read with the mark. Durable when it returns.
Result<void> copy_file(const fs::path& from, const fs::path& to, const SnapshotFile& file) {
    std::error_code error;
    fs::create_directories(to.parent_path(), error);
    if (error) return io_error("cannot make " + to.parent_path().string(), error);
    const int target = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const auto failed = [&to] {
        return io_error("cannot write " + to.string(), {errno, std::generic_category()});
    };
    if (target < 0) return failed();
    Sha256 hash;
    std::uint64_t bytes = 0;
    Result<void> done = read_pieces(from, [&](std::string_view piece) -> Result<void> {
        hash.update(piece);
        bytes += piece.size();
        const ssize_t put = ::write(target, piece.data(), piece.size());
        if (put != static_cast<ssize_t>(piece.size())) return failed();
        return {};
    });
    if (done && ::fsync(target) != 0) done = failed();
    ::close(target);
    if (!done) return done;
    if (bytes == file.bytes && hash.finish() == file.digest) return {};
    return Error{ErrorCode::corruption, from.string() + " is not what was written"};
}

/// Whether there is a log in the data directory that the snapshot belongs to.
/// Errors: log_mismatch (another log, or without the snapshot's last commits), corruption, io.
Result<bool> check_log(const fs::path& data, const std::vector<SnapshotMark>& marks) {
    const auto count = count_partitions(data);
    if (!count) return count.error();
    if (*count == 0) return false;
    const auto readers = open_log_readers(data, EmbeddedLogReader::Mode::offline);
    if (!readers) return readers.error();
    const Genesis& genesis = readers->front()->genesis();
    if (genesis.log != marks.front().log || genesis.partitions != marks.front().partitions) {
        return Error{ErrorCode::log_mismatch,
                     "the snapshot is of log " + to_hex(marks.front().log.view()) + " with " +
                         std::to_string(marks.front().partitions) + " partitions, but " +
                         data.string() + " holds log " + to_hex(genesis.log.view()) + " with " +
                         std::to_string(genesis.partitions)};
    }
    const CapnpCodec codec;
    for (const SnapshotMark& mark : marks) {
        if (mark.tip.sequence.value == 0) continue;
        std::vector<CommitRecord> records;
        const auto read = (*readers)[mark.partition.value]->read_commits(
            LogPosition{mark.tip.next_record.value - 1}, 1, records);
        if (!read && read.error().code != ErrorCode::log_mismatch) return read.error();
        const auto envelope = records.empty() ? Result<Envelope>(Error{})
                                              : codec.decode_envelope(records.front().bytes);
        if (envelope && envelope->hash == mark.tip.hash) continue;
        return Error{ErrorCode::log_mismatch,
                     "partition " + std::to_string(mark.partition.value) + ": commit " +
                         std::to_string(mark.tip.sequence.value) +
                         " of the snapshot is not in the log in " + data.string()};
    }
    return true;
}

/// The files of all partitions to data/<what>.restoring/pN.
Result<void> copy_files(const fs::path& directory, const fs::path& data, const std::string& what,
                        const std::vector<SnapshotMark>& marks, Progress& progress,
                        std::uint64_t& done) {
    const fs::path target = data / (what + ".restoring");
    std::error_code error;
    fs::remove_all(target, error);
    if (error) return io_error("cannot remove " + target.string(), error);
    for (const SnapshotMark& mark : marks) {
        const fs::path to = partition_in(target, mark.partition.value);
        for (const SnapshotFile& file : mark.files) {
            if (!file.path.starts_with(what + "/")) continue;
            const fs::path name = fs::path(file.path).filename();
            auto copied = copy_file(partition_in(directory, mark.partition.value) / file.path,
                                    to / name, file);
            if (!copied) return copied;
            progress.update(done += file.bytes);
        }
        if (auto synced = sync_directory(to); !synced) return synced;
    }
    return sync_directory(target);
}

Result<void> put_in_place(const fs::path& data, const std::string& what) {
    std::error_code error;
    fs::rename(data / (what + ".restoring"), data / what, error);
    if (error) return io_error("cannot make " + (data / what).string(), error);
    return sync_directory(data);
}

/// Everything is copied and checked before anything gets its name; the log comes first: a crash in
/// between leaves a log without read models, which is whole.
Result<void> restore(const SnapshotOptions& options) {
    const Result<Config> config = read_settings(options.place.directory);
    if (!config) return config.error();
    const fs::path data(config->data), directory(options.directory);
    const auto marks = read_marks(directory);
    if (!marks) return marks.error();
    if (auto made = make_data_directory(data); !made) return made;
    const auto lock = LockFile::acquire(data);
    if (!lock) return lock.error();
    std::error_code error;
    if (fs::exists(models_directory(data), error) || error) {
        return usage(data.string() + " has read models already: nothing is restored over them");
    }
    const auto follows = read_log_id(data);
    if (!follows) return follows.error();
    if (*follows && **follows != marks->front().log) {
        return Error{ErrorCode::log_mismatch, data.string() + " follows log " +
                                                  to_hex((*follows)->view()) +
                                                  ", the snapshot is of another one"};
    }
    const auto log_is_there = check_log(data, *marks);
    if (!log_is_there) return log_is_there.error();
    const bool with_log = has_log(marks->front()) && !*log_is_there;

    std::uint64_t total = 0, done = 0;
    for (const SnapshotMark& mark : *marks) {
        for (const SnapshotFile& file : mark.files) {
            if (with_log || !is_log_file(file)) total += file.bytes;
        }
    }
    Progress progress("restore", Unit::bytes, total, std::chrono::seconds(1));
    if (with_log) {
        auto copied = copy_files(directory, data, "log", *marks, progress, done);
        if (!copied) return copied;
    }
    auto copied = copy_files(directory, data, "models", *marks, progress, done);
    if (!copied) return copied;
    progress.finish();
    if (!has_log(marks->front())) {
        if (auto written = write_log_id(data, marks->front().log); !written) return written;
    }
    if (with_log) {
        if (auto marked = expect_partner_keys(data); !marked) return marked;
        if (auto placed = put_in_place(data, "log"); !placed) return placed;
    }
    if (auto placed = put_in_place(data, "models"); !placed) return placed;
    for (const SnapshotMark& mark : *marks) print_mark(mark);
    std::printf("restored into %s; %s`serve` goes on from there\n", data.c_str(),
                check_partner_keys(data) ? "" : "copy keys/ there, too: then ");
    return {};
}

}  // namespace

void add_snapshot_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<SnapshotOptions>();
    CLI::App* command =
        app.add_subcommand("snapshot",
                           "Copy the node as it is now, also while it runs: the read models, their "
                           "position and chain hash, and an embedded log.");
    add_directory_options(*command, options->place.directory);
    command->add_option("--kafka", options->place.kafka,
                        "Kafka brokers, where the log is there; instead of the file's "
                        "`cluster.brokers`");
    command->add_option("--into", options->directory, "directory to make; must not be there")
        ->required();
    command->callback(
        [options, &chosen] { chosen = [options] { return report_end(make_snapshot(*options)); }; });
}

void add_restore_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<SnapshotOptions>();
    CLI::App* command = app.add_subcommand(
        "restore",
        "Put a snapshot into a data directory without read models, so that `serve` "
        "replays only what came later. keys/ is not part of it: copy it yourself.");
    add_directory_options(*command, options->place.directory);
    command->add_option("--from", options->directory, "directory of the snapshot")->required();
    command->callback(
        [options, &chosen] { chosen = [options] { return report_end(restore(*options)); }; });
}

}  // namespace tidings::apps
