// Directories for what is nobody else's.
#include "apps/data_directory.h"

#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {

namespace fs = std::filesystem;

TEST_CASE("a private directory is one that no other user made, or may look into") {
    const tidings::testing::TemporaryDirectory directory;
    const fs::path fresh = directory.path() / "fresh", open = directory.path() / "open",
                   link = directory.path() / "link", file = directory.path() / "file";
    REQUIRE(make_private_directory(fresh).has_value());
    CHECK(fs::status(fresh).permissions() == fs::perms::owner_all);
    CHECK(make_private_directory(fresh).has_value());

    fs::create_directory(open);
    fs::permissions(open, fs::perms::owner_all | fs::perms::others_read);
    fs::create_directory_symlink(fresh, link);
    REQUIRE(write_durably(file, "").has_value());
    for (const fs::path& wrong : {open, link, file}) {
        const auto made = make_private_directory(wrong);
        REQUIRE_FALSE(made.has_value());
        CHECK(made.error().code == ErrorCode::usage);
    }
}

}  // namespace tidings::apps
