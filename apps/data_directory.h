// Where things lie under a data directory, and opening all partitions of its log together.
//   LOCK  keys/  log/p0 log/p1 ...  models/ (see generations.h)
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "events/embedded_log.h"

namespace tidings::apps {

inline constexpr std::uint32_t kDefaultPartitions = 4;

std::filesystem::path log_directory(const std::filesystem::path& data);
std::filesystem::path log_directory(const std::filesystem::path& data, PartitionId partition);
std::filesystem::path models_directory(const std::filesystem::path& data);

/// Creates it, readable by its owner alone, if it is missing. Errors: io.
Result<void> make_data_directory(const std::filesystem::path& data);
/// The same where others may write too, as in /tmp. Errors: io, usage (what is there is not a
/// directory of this user's that is closed to others).
Result<void> make_private_directory(const std::filesystem::path& directory);

/// How many partitions lie in log/; 0: none yet. Errors: io, log_mismatch (one is missing).
Result<std::uint32_t> count_partitions(const std::filesystem::path& data);

/// Opens every partition's log for writing, by number. Makes a new log of `partitions` (0:
/// kDefaultPartitions) in one step if there is none. REQUIRES: the directory's lock is held.
/// Errors: usage (`partitions` is neither 0 nor what the log has), log_mismatch (a partition is
/// missing or belongs to another log; read models without their log), and those of EmbeddedLog.
Result<std::vector<std::unique_ptr<EmbeddedLog>>> open_logs(
    const std::filesystem::path& data, std::uint32_t partitions,
    const std::shared_ptr<LogResources>& resources);

/// Whether the log with this genesis record belongs at this place among `count` partitions of
/// `log`. Errors: log_mismatch.
Result<void> check_partition(const std::filesystem::path& data, PartitionId partition,
                             std::uint32_t count, const Genesis& genesis, const LogId& log);

/// For readers beside or instead of the writer. Errors: usage (no log), log_mismatch, io,
/// corruption.
Result<std::vector<std::unique_ptr<EmbeddedLogReader>>> open_log_readers(
    const std::filesystem::path& data, EmbeddedLogReader::Mode mode);

/// A file of its own, durable when it returns; its name is not: see sync_directory. Errors: io.
Result<void> write_durably(const std::filesystem::path& path, const std::string& content);
/// Puts the content in the place of what `path` held, in one step; durable when it returns. Errors:
/// io.
Result<void> replace_durably(const std::filesystem::path& path, const std::string& content);
/// Makes what was renamed or created in `directory` durable. Errors: io.
Result<void> sync_directory(const std::filesystem::path& directory);

}  // namespace tidings::apps
