#include "projections/row_cache.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "projections/lock.h"
#include "tests/support/catch.h"

namespace tidings {

namespace {

Key key_of(std::uint32_t number) { return Key(Table::partner, 1).u32(number); }

RowCache::Row row_of(std::uint32_t value) { return std::make_shared<std::uint32_t>(value); }

std::uint32_t value_of(const RowCache::Row* row) {
    return *static_cast<const std::uint32_t*>(row->get());
}

constexpr std::size_t kRow = 1'000;  // bytes said to be taken by each

}  // namespace

TEST_CASE("a row cache gives what was last put") {
    RowCache cache(std::make_shared<RowMemory>(1 << 20));
    CHECK(cache.find(key_of(1)) == nullptr);
    const RowCache::Row* added = cache.add(key_of(1), row_of(10), kRow);
    REQUIRE(added != nullptr);
    CHECK(cache.find(key_of(1)) == added);

    SECTION("adding again keeps the first") {
        CHECK(cache.add(key_of(1), row_of(11), kRow) == added);
        CHECK(value_of(added) == 10);
    }
    SECTION("put replaces") {
        cache.put(key_of(1), row_of(12), kRow);
        CHECK(value_of(cache.find(key_of(1))) == 12);
        cache.put(key_of(2), row_of(20), kRow);
        CHECK(value_of(cache.find(key_of(2))) == 20);
    }
    SECTION("erase removes, also what is not there") {
        cache.erase(key_of(1));
        cache.erase(key_of(2));
        CHECK(cache.find(key_of(1)) == nullptr);
    }
}

TEST_CASE("a row cache stays within its memory and keeps what is looked up") {
    const auto memory = std::make_shared<RowMemory>(100 * kRow);
    RowCache cache(memory);
    std::uint32_t added = 0;
    while (cache.add(key_of(added), row_of(added), kRow) != nullptr) ++added;
    CHECK(added > 50);
    CHECK(added < 100);
    CHECK(memory->used() <= 100 * kRow);
    CHECK(cache.crowded());
    CHECK(cache.find(key_of(added)) == nullptr);

    for (std::uint32_t i = 0; i < added; i += 4) CHECK(cache.find(key_of(i)) != nullptr);
    const auto evicted = cache.evict(10'000);
    CHECK_FALSE(evicted.empty());
    CHECK_FALSE(cache.crowded());
    CHECK(memory->used() <= 100 * kRow * 7 / 8);
    for (std::uint32_t i = 0; i < added; i += 4) CHECK(cache.find(key_of(i)) != nullptr);
    CHECK(cache.add(key_of(added), row_of(added), kRow) != nullptr);

    SECTION("rows that all were looked up get a second chance, not a third") {
        while (++added, cache.add(key_of(added), row_of(added), kRow) != nullptr) {
        }
        for (std::uint32_t i = 0; i <= added; ++i) (void)cache.find(key_of(i));
        CHECK_FALSE(cache.evict(10'000).empty());
        CHECK_FALSE(cache.crowded());
    }
    SECTION("one call looks at no more than asked") {
        while (++added, cache.add(key_of(added), row_of(added), kRow) != nullptr) {
        }
        CHECK(cache.evict(5).size() <= 5);
    }
}

TEST_CASE("row caches share their memory, and whoever has more than its share gives back") {
    const auto memory = std::make_shared<RowMemory>(100 * kRow);
    RowCache large(memory);
    std::uint32_t count = 0;
    while (large.add(key_of(count), row_of(count), kRow) != nullptr) ++count;
    {
        RowCache small(memory);
        CHECK(small.add(key_of(0), row_of(0), kRow) == nullptr);
        CHECK_FALSE(small.crowded());
        CHECK(large.crowded());
        (void)large.evict(10'000);
        for (std::uint32_t i = 0; i < 5; ++i)
            CHECK(small.add(key_of(i), row_of(i), kRow) != nullptr);
        while (large.crowded()) (void)large.evict(10'000);
        CHECK(small.evict(10'000).empty());
    }
    CHECK_FALSE(large.crowded());
}

TEST_CASE("readers find and add while one thread changes a row cache between them") {
    constexpr std::uint32_t kKeys = 500;
    RowCache cache(std::make_shared<RowMemory>(200 * kRow));
    std::vector<std::uint32_t> current(kKeys);  // what each key's row must hold
    WriterFirstMutex mutex;
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> wrong{0}, found{0};
    std::vector<std::thread> readers;
    for (std::uint32_t r = 0; r < 3; ++r) {
        readers.emplace_back([&, r] {
            std::uint32_t state = r + 1;
            while (!done) {
                const std::shared_lock lock(mutex);
                for (int i = 0; i < 50; ++i) {
                    state = state * 1'664'525 + 1'013'904'223;
                    const std::uint32_t number = state >> 8 & 0xffff;
                    const Key key = key_of(number % kKeys);
                    const RowCache::Row* row = cache.find(key);
                    if (row == nullptr) row = cache.add(key, row_of(current[number % kKeys]), kRow);
                    if (row == nullptr) continue;  // no room
                    ++found;
                    if (value_of(row) != current[number % kKeys]) ++wrong;
                }
            }
        });
    }
    std::uint32_t state = 99;
    for (std::uint32_t round = 0; round < 2'000 || found < 10'000; ++round) {
        const std::unique_lock lock(mutex);
        (void)cache.evict(100);
        for (int i = 0; i < 5; ++i) {
            state = state * 1'664'525 + 1'013'904'223;
            const std::uint32_t number = (state >> 8) % kKeys;
            ++current[number];
            if (state & 0x80) {
                cache.put(key_of(number), row_of(current[number]), kRow);
            } else {
                cache.erase(key_of(number));
            }
        }
    }
    done = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
}
}  // namespace tidings
