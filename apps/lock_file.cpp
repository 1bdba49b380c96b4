#include "apps/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace tidings::apps {

namespace {

/// The number that the holder wrote, or "another one" while it has not yet.
std::string holder(int descriptor) {
    std::array<char, 32> text{};
    const ssize_t length = ::pread(descriptor, text.data(), text.size() - 1, 0);
    std::string number(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    while (!number.empty() && number.back() == '\n') number.pop_back();
    return number.empty() ? "another one" : number;
}

}  // namespace

Result<LockFile> LockFile::acquire(const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / "LOCK";
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return Error{ErrorCode::io, "cannot open " + path.string() + ": " + std::strerror(errno)};
    }
    LockFile lock(descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return Error{ErrorCode::overloaded, "the data directory " + directory.string() +
                                                    " is in use by process " + holder(descriptor)};
        }
        return Error{ErrorCode::io, "cannot lock " + path.string() + ": " + std::strerror(errno)};
    }
    const std::string number = std::to_string(::getpid()) + "\n";
    // the number is only for the message of whoever comes second: a full disk must not stop us here
    if (::ftruncate(descriptor, 0) == 0) {
        (void)::pwrite(descriptor, number.data(), number.size(), 0);
    }
    return lock;
}

LockFile::LockFile(LockFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

LockFile::~LockFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace tidings::apps
