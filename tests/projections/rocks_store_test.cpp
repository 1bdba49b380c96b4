// The store on RocksDB: when its files are merged.
#include <chrono>
#include <filesystem>
#include <thread>

#include "projections/key.h"
#include "projections/store.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

std::size_t table_files(const std::filesystem::path& directory) {
    std::size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory))
        count += file.path().extension() == ".sst" ? 1 : 0;
    return count;
}

/// Flushes a file of a few rows; each overlaps the one before.
void write_file(Store& store, std::uint32_t number) {
    const std::unique_ptr<StoreBatch> batch = store.new_batch();
    for (std::uint32_t row = number; row < number + 3; ++row)
        batch->put(Key(Table::partner, row).view(), std::to_string(number));
    REQUIRE(store.write(*batch).has_value());
    REQUIRE(store.flush(true).has_value());
}

bool merged(const std::filesystem::path& directory) {
    for (int i = 0; i < 1'000; ++i) {
        if (table_files(directory) < 4) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

constexpr std::uint32_t kWrittenFiles = 12;

}  // namespace

TEST_CASE("files written in bulk are merged when that ends, and the rows are the same") {
    const testing::TemporaryDirectory directory;
    const auto open = [&](bool bulk) {
        return open_rocks_store({.directory = directory.path() / "models", .bulk = bulk}).value();
    };
    auto store = open(true);
    for (std::uint32_t i = 0; i < kWrittenFiles; ++i) write_file(*store, i);
    CHECK(table_files(directory.path() / "models") == kWrittenFiles);
    SECTION("by its end") { REQUIRE(store->end_bulk().has_value()); }
    SECTION("at the next start, if it was cut off") {
        store.reset();
        store = open(false);
    }
    CHECK(merged(directory.path() / "models"));
    for (std::uint32_t row = 0; row < kWrittenFiles + 2; ++row) {
        CHECK(store->get(Key(Table::partner, row).view()) ==
              std::to_string(std::min(row, kWrittenFiles - 1)));
    }
}

}  // namespace tidings
