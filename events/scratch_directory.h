// A directory that is removed with the object.
#pragma once

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "core/result.h"

namespace tidings {

class ScratchDirectory {
public:
    /// Takes over `path`, which need not be there yet.
    explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    /// Makes a new one of this user's alone in `parent`, "`name`-" and what makes it unique.
    /// Errors: io.
    static Result<ScratchDirectory> make(const std::filesystem::path& parent,
                                         const std::string& name) {
        std::string path = (parent / (name + "-XXXXXX")).string();
        if (::mkdtemp(path.data()) != nullptr) return ScratchDirectory(path);
        return Error{ErrorCode::io,
                     "cannot make a directory in " + parent.string() + ": " +
                         std::error_code(errno, std::generic_category()).message(),
                     {}};
    }
    ~ScratchDirectory() {
        std::error_code ignored;  // it lies where things may be lost
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    ScratchDirectory(ScratchDirectory&& other) noexcept
        : path_(std::exchange(other.path_, std::filesystem::path())) {}
    ScratchDirectory& operator=(ScratchDirectory&&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;  ///< empty: moved from
};

}  // namespace tidings
