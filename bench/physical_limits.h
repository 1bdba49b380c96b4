// What this machine gives without us, measured in the same run: a sync, RocksDB alone, one read.
#pragma once

#include <cstdint>
#include <filesystem>

#include "bench/histogram.h"

namespace tidings::bench {

/// One 4 KiB write into allocated space and fdatasync after the other, on the file system of
/// `directory`.
Histogram measure_sync(const std::filesystem::path& directory, std::size_t count);

/// RocksDB with sequential 8-byte keys and values, 1,000 puts a synced batch: puts per second.
double measure_synced_puts(const std::filesystem::path& directory, std::uint64_t puts);

/// RocksDB point reads of random keys among `rows` that all lie in its cache.
Histogram measure_point_reads(const std::filesystem::path& directory, std::uint64_t rows,
                              std::size_t reads);

/// RocksDB: `rows` with 8-byte keys and values, merged and opened anew, read once from the first to
/// the last on one thread: rows per second.
double measure_scan(const std::filesystem::path& directory, std::uint64_t rows);

}  // namespace tidings::bench
