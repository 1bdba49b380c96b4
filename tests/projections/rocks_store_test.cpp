// The store on RocksDB: batches that are files, and when files are merged.
#include <rocksdb/db.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "projections/chunks.h"
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

/// By RocksDB itself, in the background.
bool merged(const std::filesystem::path& directory) {
    for (int i = 0; i < 1'000; ++i) {
        if (table_files(directory) < 4) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

constexpr std::uint32_t kWrittenFiles = 12;
constexpr std::uint32_t kManyRows = 40'000;  // more than a megabyte

std::filesystem::path models_of(const testing::TemporaryDirectory& directory) {
    return directory.path() / "models";
}

std::unique_ptr<Store> open_store(const testing::TemporaryDirectory& directory, bool bulk,
                                  const std::atomic<bool>* cancelled = nullptr) {
    return open_rocks_store(
               {.directory = models_of(directory), .bulk = bulk, .cancelled = cancelled})
        .value();
}

std::string value_of(std::uint32_t row, std::uint32_t version) {
    return std::string(20, static_cast<char>('a' + row % 26)) + std::to_string(version);
}

/// Rows of two tables with `version`, a few that are not in order, and a member of a set.
Result<void> write_many(Store& store, std::uint32_t from, std::uint32_t version) {
    const std::unique_ptr<StoreBatch> batch = store.new_batch();
    for (const Table table : {Table::partner, Table::partner_id}) {
        for (std::uint32_t row = from; row < from + kManyRows; ++row)
            batch->put(Key(table, 1).u32(row).view(), value_of(row, version));
    }
    std::string member;
    set_add(member, static_cast<std::uint16_t>(version));
    batch->merge(Key(Table::gram_set, 1).sized_text("abc").u32(0).view(), member);
    batch->put(Key(Table::meta).text("tip").view(), std::to_string(version));
    batch->erase(Key(Table::meta).text("gone").view());
    return store.write(*batch);
}

std::vector<std::string> names_with(const std::filesystem::path& directory,
                                    const std::string& extension) {
    std::vector<std::string> out;
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        if (file.path().extension() == extension) out.push_back(file.path().filename());
    }
    return out;
}

void check_rows(const Store& store, std::uint32_t versions) {
    for (const Table table : {Table::partner, Table::partner_id}) {
        std::uint32_t row = 0;
        const Key prefix(table, 1);
        store.scan(prefix.view(), prefix_end(prefix.view()), false,
                   [&](std::string_view key, std::string_view value) {
                       const std::uint32_t newest = std::min(row / (kManyRows / 2), versions - 1);
                       const bool right =
                           key == Key(table, 1).u32(row).view() && value == value_of(row, newest);
                       if (!right) FAIL("row " << row << ": " << value);
                       ++row;
                       return true;
                   });
        CHECK(row == kManyRows / 2 * (versions + 1));
    }
    const Key grams = Key(Table::gram_set, 1).sized_text("abc").u32(0);
    CHECK(SetChunk::decode(0, store.get(grams.view()).value_or("")).bits.cardinality() == versions);
    CHECK(store.get(Key(Table::meta).text("tip").view()) == std::to_string(versions - 1));
    CHECK(store.get(Key(Table::meta).text("gone").view()) == std::nullopt);
}

}  // namespace

TEST_CASE("large batches in bulk are files at once, which survive without a flush") {
    const testing::TemporaryDirectory directory;
    constexpr std::uint32_t kVersions = 5;
    std::atomic<bool> cancelled = false;
    auto store = open_store(directory, true, &cancelled);
    {
        const std::unique_ptr<StoreBatch> small = store->new_batch();
        small->put(Key(Table::meta).text("gone").view(), "by memtable");
        small->put(Key(Table::partner, 1).u32(0).view(), "by memtable");
        REQUIRE(store->write(*small).has_value());
    }
    for (std::uint32_t i = 0; i < kVersions; ++i)
        REQUIRE(write_many(*store, i * kManyRows / 2, i).has_value());
    CHECK(table_files(models_of(directory)) > kVersions);
    CHECK(names_with(models_of(directory), ".bulk").empty());
    check_rows(*store, kVersions);
    SECTION("as they are") {}
    SECTION("merged") {
        REQUIRE(store->end_bulk().has_value());
        CHECK(table_files(models_of(directory)) < 8);
        check_rows(*store, kVersions);
        REQUIRE(write_many(*store, kVersions * kManyRows / 2, kVersions).has_value());
        check_rows(*store, kVersions + 1);
        return;
    }
    SECTION("cancelled while they are merged") {
        cancelled = true;
        const auto ended = store->end_bulk();
        REQUIRE_FALSE(ended.has_value());
        CHECK(ended.error().code == ErrorCode::io);
        check_rows(*store, kVersions);
        cancelled = false;
        REQUIRE(store->end_bulk().has_value());
    }
    SECTION("of another process, which died while it wrote some") {
        // as after kill -9: what the directory holds now, in another one
        const auto copy = directory.path() / "copy";
        std::filesystem::copy(models_of(directory), copy, std::filesystem::copy_options::recursive);
        std::ofstream(copy / "0.bulk") << "half a file";
        const auto after = open_rocks_store({.directory = copy, .bulk = GENERATE(true, false)});
        REQUIRE(after.has_value());
        CHECK(names_with(copy, ".bulk").empty());
        check_rows(**after, kVersions);
        return;
    }
    store.reset();
    store = open_store(directory, false);
    check_rows(*store, kVersions);
}

TEST_CASE("partners that come behind all others in bulk are written once") {
    const testing::TemporaryDirectory directory;
    auto store = open_store(directory, true);
    const auto write = [&](const std::vector<Table>& many, std::uint32_t from) {
        const std::unique_ptr<StoreBatch> batch = store->new_batch();
        for (const Table table : many) {
            for (std::uint32_t row = from; row < from + kManyRows; ++row)
                batch->put(Key(table, 1).u32(row).view(), value_of(row, 0));
        }
        // around those of partners, and too few to have files of their own
        for (const Table table : {Table::message_stats, Table::opens_by_minute, Table::program})
            batch->put(Key(table, 1).view(), std::to_string(from));
        REQUIRE(store->write(*batch).has_value());
    };
    std::vector<std::string> before;
    for (std::uint32_t i = 0; i < 3; ++i) write({Table::partner, Table::partner_id}, i * kManyRows);
    for (const std::string& name : names_with(models_of(directory), ".sst")) {
        if (std::filesystem::file_size(models_of(directory) / name) > 100'000)
            before.push_back(name);
    }
    CHECK(before.size() == 6);
    write({Table::message}, 0);
    write({Table::message}, kManyRows);
    REQUIRE(store->end_bulk().has_value());
    const std::vector<std::string> after = names_with(models_of(directory), ".sst");
    CHECK(after.size() < 12);
    for (const std::string& name : before) {
        INFO(name);
        CHECK(std::find(after.begin(), after.end(), name) != after.end());
    }
    CHECK(store->get(Key(Table::program, 1).view()) == std::to_string(kManyRows));
}

TEST_CASE("files written in bulk are merged before there are too many", "[slow]") {
    const testing::TemporaryDirectory directory;
    std::atomic<bool> cancelled = false;
    auto store = open_store(directory, true, &cancelled);
    constexpr std::uint32_t kVersions = 100;  // 4 files each, which overlap
    std::size_t most = 0;
    for (std::uint32_t i = 0; i < kVersions; ++i) {
        REQUIRE(write_many(*store, i * kManyRows / 2, i).has_value());
        most = std::max(most, table_files(models_of(directory)));
    }
    CHECK(most > 100);
    CHECK(most < 300);
    check_rows(*store, kVersions);
    cancelled = true;  // the next merging ends at once, and what would have been written is not
    std::uint32_t written = kVersions;
    while (written < 2 * kVersions &&
           write_many(*store, written * kManyRows / 2, written).has_value()) {
        ++written;
    }
    CHECK(written < 2 * kVersions);
    check_rows(*store, written);
}

TEST_CASE("what was in ordinary use is opened in bulk again") {
    const testing::TemporaryDirectory directory;
    auto store = open_store(directory, true);
    REQUIRE(write_many(*store, 0, 0).has_value());
    REQUIRE(store->end_bulk().has_value());
    store.reset();
    {
        rocksdb::DB* raw = nullptr;
        REQUIRE(rocksdb::DB::Open({}, models_of(directory), &raw).ok());
        const std::unique_ptr<rocksdb::DB> db(raw);
        rocksdb::CompactRangeOptions deeper;
        deeper.change_level = true;
        deeper.target_level = 5;
        deeper.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kSkip;
        REQUIRE(db->CompactRange(deeper, nullptr, nullptr).ok());
    }
    store = open_store(directory, true);
    check_rows(*store, 1);
    REQUIRE(write_many(*store, kManyRows / 2, 1).has_value());
    REQUIRE(store->end_bulk().has_value());
    check_rows(*store, 2);
}

TEST_CASE("a batch in bulk that cannot be written leaves nothing, and can be written again") {
    const testing::TemporaryDirectory directory;
    auto store = open_store(directory, true);
    REQUIRE(write_many(*store, 0, 0).has_value());
    // in the first file's place
    std::filesystem::create_directories(models_of(directory) / "0.bulk" / "full");
    const auto failed = write_many(*store, kManyRows / 2, 1);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == ErrorCode::io);
    check_rows(*store, 1);
    std::filesystem::remove_all(models_of(directory) / "0.bulk");
    REQUIRE(write_many(*store, kManyRows / 2, 1).has_value());
    check_rows(*store, 2);
}

TEST_CASE("small batches in bulk are merged when that ends, and the rows are the same") {
    const testing::TemporaryDirectory directory;
    auto store = open_store(directory, true);
    for (std::uint32_t i = 0; i < kWrittenFiles; ++i) write_file(*store, i);
    CHECK(table_files(models_of(directory)) == kWrittenFiles);
    SECTION("by its end") {
        REQUIRE(store->end_bulk().has_value());
        CHECK(table_files(models_of(directory)) < 4);
    }
    SECTION("at the next start, if it was cut off") {
        store.reset();
        store = open_store(directory, false);
        CHECK(merged(models_of(directory)));
    }
    for (std::uint32_t row = 0; row < kWrittenFiles + 2; ++row) {
        CHECK(store->get(Key(Table::partner, row).view()) ==
              std::to_string(std::min(row, kWrittenFiles - 1)));
    }
}

}  // namespace tidings
