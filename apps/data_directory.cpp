#include "apps/data_directory.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <set>
#include <string>

#include "apps/errors.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

/// A new log is made here first, so that log/ never holds a part of one.
fs::path unfinished_log(const fs::path& data) { return data / "log.new"; }

std::string partition_name(std::uint32_t number) { return "p" + std::to_string(number); }

Result<void> make_log(const fs::path& data, std::uint32_t partitions,
                      const std::shared_ptr<LogResources>& resources) {
    std::error_code error;
    fs::remove_all(unfinished_log(data), error);
    if (!error) fs::create_directory(unfinished_log(data), error);
    if (error) return io_error("cannot make " + unfinished_log(data).string(), error);
    EmbeddedLogConfig config;
    config.partitions = partitions;
    config.create = true;
    config.resources = resources;
    if (::RAND_bytes(config.log.bytes.data(), static_cast<int>(config.log.kSize)) != 1) {
        return Error{ErrorCode::io, "the system's random numbers are not available"};
    }
    for (std::uint32_t i = 0; i < partitions; ++i) {
        config.partition = PartitionId{i};
        config.directory = unfinished_log(data) / partition_name(i);
        const auto made = EmbeddedLog::open(config);
        if (!made) return made.error();
    }
    const Result<void> synced = sync_directory(unfinished_log(data));
    if (!synced) return synced.error();
    fs::rename(unfinished_log(data), log_directory(data), error);
    if (error) return io_error("cannot make " + log_directory(data).string(), error);
    return sync_directory(data);
}

}  // namespace

fs::path log_directory(const fs::path& data) { return data / "log"; }
fs::path log_directory(const fs::path& data, PartitionId partition) {
    return log_directory(data) / partition_name(partition.value);
}
fs::path models_directory(const fs::path& data) { return data / "models"; }

Result<void> make_data_directory(const fs::path& data) {
    std::error_code error;
    const bool made = fs::create_directories(data, error);
    if (!error && made) fs::permissions(data, fs::perms::owner_all, error);
    if (!error && !fs::is_directory(data, error))
        error = std::make_error_code(std::errc::not_a_directory);
    if (error) return io_error("cannot make the data directory " + data.string(), error);
    return {};
}

Result<void> make_private_directory(const fs::path& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        return io_error("cannot make " + directory.string(), {errno, std::generic_category()});
    }
    struct stat found {};
    if (::lstat(directory.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
        found.st_uid == ::geteuid() && (found.st_mode & 077) == 0) {
        return {};
    }
    return Error{
        ErrorCode::usage,
        directory.string() + " is not a directory of this user's alone: remove it, or set TMPDIR",
        {}};
}

Result<void> write_durably(const fs::path& path, const std::string& content) {
    const auto failed = [&path] {
        return Error{ErrorCode::io, "cannot write " + path.string() + ": " + std::strerror(errno)};
    };
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return failed();
    const ssize_t put = ::write(file, content.data(), content.size());
    const bool whole = put == static_cast<ssize_t>(content.size()) && ::fsync(file) == 0;
    const Error error = failed();
    ::close(file);
    if (!whole) return error;
    return {};
}

Result<void> replace_durably(const fs::path& path, const std::string& content) {
    const fs::path draft = path.string() + ".new";
    if (auto written = write_durably(draft, content); !written) return written;
    std::error_code error;
    fs::rename(draft, path, error);
    if (error) return io_error("cannot rename " + draft.string(), error);
    return sync_directory(path.parent_path());
}

Result<void> sync_directory(const fs::path& directory) {
    const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
    const int reason = errno;
    if (descriptor >= 0) ::close(descriptor);
    if (synced) return {};
    return Error{ErrorCode::io, "cannot sync " + directory.string() + ": " + std::strerror(reason)};
}

Result<std::uint32_t> count_partitions(const fs::path& data) {
    std::error_code error;
    std::set<std::string> names;
    for (fs::directory_iterator entry(log_directory(data), error), end; !error && entry != end;
         entry.increment(error)) {
        names.insert(entry->path().filename().string());
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        return io_error("cannot read " + log_directory(data).string(), error);
    }
    const auto count = static_cast<std::uint32_t>(names.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        if (names.contains(partition_name(i))) continue;
        return Error{ErrorCode::log_mismatch,
                     (log_directory(data) / partition_name(i)).string() +
                         " is missing: a partition of the log was lost, or something foreign lies "
                         "in log/; restore it from a backup"};
    }
    return count;
}

Result<std::vector<std::unique_ptr<EmbeddedLog>>> open_logs(
    const fs::path& data, std::uint32_t partitions,
    const std::shared_ptr<LogResources>& resources) {
    Result<std::uint32_t> count = count_partitions(data);
    if (!count) return count.error();
    if (*count == 0) {
        std::error_code error;
        if (fs::exists(models_directory(data), error) || error) {
            return Error{ErrorCode::log_mismatch,
                         data.string() +
                             " holds read models, but no log: restore log/ from a "
                             "backup, or begin with an empty directory"};
        }
        count = partitions == 0 ? kDefaultPartitions : partitions;
        const Result<void> made = make_log(data, *count, resources);
        if (!made) return made.error();
    }
    // side by side: each may have to replay megabytes of its write-ahead log
    std::vector<std::future<Result<std::unique_ptr<EmbeddedLog>>>> opening;
    for (std::uint32_t i = 0; i < *count; ++i) {
        EmbeddedLogConfig config;
        config.directory = log_directory(data, PartitionId{i});
        config.partition = PartitionId{i};
        config.partitions = *count;
        config.resources = resources;
        opening.push_back(std::async(std::launch::async, EmbeddedLog::open, config));
    }
    std::vector<std::unique_ptr<EmbeddedLog>> logs;
    std::optional<Error> failed;
    for (auto& opened : opening) {
        auto log = opened.get();
        if (!log && !failed) failed = log.error();
        if (!log) continue;
        if ((*log)->tail_was_cut()) {
            spdlog::warn(
                "partition {}: the log's last write was cut off and is dropped: in order after a "
                "power failure, a loss after anything else",
                (*log)->genesis().partition.value);
        }
        logs.push_back(std::move(*log));
    }
    if (failed && failed->code == ErrorCode::log_mismatch) {
        failed->detail += " (" + std::to_string(*count) + " partitions lie in " +
                          log_directory(data).string() + "; restore those that are missing)";
    }
    if (failed) return *failed;
    for (const auto& log : logs) {
        if (log->genesis().log == logs.front()->genesis().log) continue;
        return Error{ErrorCode::log_mismatch, "partition " +
                                                  std::to_string(log->genesis().partition.value) +
                                                  " belongs to another log than partition 0"};
    }
    if (partitions != 0 && partitions != *count) {
        return Error{ErrorCode::usage,
                     "the log in " + data.string() + " was made with " + std::to_string(*count) +
                         " partitions, which cannot be changed; the configuration says " +
                         std::to_string(partitions)};
    }
    return logs;
}

Result<void> check_partition(const fs::path& data, PartitionId partition, std::uint32_t count,
                             const Genesis& genesis, const LogId& log) {
    if (genesis.partition == partition && genesis.partitions > count) {
        return Error{ErrorCode::log_mismatch,
                     log_directory(data).string() + " holds " + std::to_string(count) +
                         " of the log's " + std::to_string(genesis.partitions) +
                         " partitions: restore those that are missing",
                     {}};
    }
    if (genesis.partition == partition && genesis.partitions == count && genesis.log == log) {
        return {};
    }
    return Error{ErrorCode::log_mismatch,
                 log_directory(data, partition).string() + " is partition " +
                     std::to_string(genesis.partition.value) + " of " +
                     std::to_string(genesis.partitions) + " of log " + to_hex(genesis.log.view()) +
                     ", which does not belong here",
                 {}};
}

Result<std::vector<std::unique_ptr<EmbeddedLogReader>>> open_log_readers(
    const fs::path& data, EmbeddedLogReader::Mode mode) {
    const Result<std::uint32_t> count = count_partitions(data);
    if (!count) return count.error();
    if (*count == 0) return Error{ErrorCode::usage, "there is no log in " + data.string()};
    std::vector<std::unique_ptr<EmbeddedLogReader>> readers;
    for (std::uint32_t i = 0; i < *count; ++i) {
        auto reader = EmbeddedLogReader::open(log_directory(data, PartitionId{i}), mode);
        if (!reader) return reader.error();
        const Genesis& genesis = (*reader)->genesis();
        const LogId& log = i == 0 ? genesis.log : readers.front()->genesis().log;
        const auto belongs = check_partition(data, PartitionId{i}, *count, genesis, log);
        if (!belongs) return belongs.error();
        readers.push_back(std::move(*reader));
    }
    return readers;
}

}  // namespace tidings::apps
