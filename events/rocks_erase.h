// How deleted rows leave the disk: RocksDB keeps them in older files until it compacts these.
// Internal: only files that use RocksDB anyway include it.
#pragma once

#include <rocksdb/db.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"

namespace tidings {

/// Rewrites every file that holds rows of these ranges (first, last key), and returns once the
/// files that held them before are gone from `directory`, logs included. What others hold links to
/// stays with them. Errors: io, overloaded (somebody still reads an older state).
Result<void> erase_deleted(rocksdb::DB& db, const std::filesystem::path& directory,
                           const std::vector<std::pair<std::string, std::string>>& ranges);

}  // namespace tidings
