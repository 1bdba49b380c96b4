// A fresh directory, removed at the end of its scope.
#pragma once

#include <filesystem>

#include "events/scratch_directory.h"

namespace tidings::testing {

class TemporaryDirectory {
public:
    const std::filesystem::path& path() const { return directory_.path(); }

private:
    const ScratchDirectory directory_ =
        ScratchDirectory::make(std::filesystem::temp_directory_path(), "tidings-test").value();
};

}  // namespace tidings::testing
