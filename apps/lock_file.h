// One process per data directory: an exclusive flock(2) on <data>/LOCK, held as long as the object.
// The kernel drops it with the process, so that a kill leaves nothing to clean up.
#pragma once

#include <filesystem>

#include "core/result.h"

namespace tidings::apps {

class LockFile {
public:
    /// REQUIRES: the directory exists. Errors: overloaded (in use, with the process's number), io.
    static Result<LockFile> acquire(const std::filesystem::path& directory);

    LockFile(LockFile&& other) noexcept;
    LockFile& operator=(LockFile&& other) noexcept;
    ~LockFile();

private:
    explicit LockFile(int descriptor) : descriptor_(descriptor) {}
    int descriptor_ = -1;
};

}  // namespace tidings::apps
