#include "projections/chunks.h"

#include <bit>
#include <map>
#include <set>

#include "core/limits.h"
#include "projections/bytes.h"
#include "tests/support/property.h"

namespace tidings {
namespace {

Key set_key(std::uint32_t chunk) { return Key(Table::opened_set, 7).u64(1).u32(chunk); }

struct SetStep {
    bool add;
    std::uint16_t index;
};

/// A stored row must not depend on how its operations were grouped into operands and merges.
std::string merged(std::string_view key, const std::vector<std::string>& operations) {
    std::optional<std::string> base;
    std::size_t next = 0;
    while (next < operations.size()) {
        std::vector<std::string> operands;
        for (int n = *rc::gen::inRange(1, 4); n > 0 && next < operations.size(); --n) {
            std::string operand;
            for (int k = *rc::gen::inRange(1, 3); k > 0 && next < operations.size(); --k)
                operand += operations[next++];
            operands.push_back(std::move(operand));
        }
        const std::vector<std::string_view> views(operands.begin(), operands.end());
        base = merge_chunk(key, base, views.data(), views.size());
    }
    return base.value_or("");
}

void add_as_bits(std::string& operation, const std::vector<std::uint16_t>& members) {
    const auto first = static_cast<std::uint16_t>(members.front() / 64);
    std::vector<std::uint64_t> words(members.back() / 64 - first + 1);
    for (const std::uint16_t index : members)
        words[index / 64 - first] |= std::uint64_t{1} << index % 64;
    set_add_bits(operation, first, words);
}

TEST_CASE("a set chunk holds what a std::set holds, however its operations were merged") {
    CHECK_PROPERTY([] {
        const std::uint32_t chunk = *rc::gen::element(0u, 1u, 65535u);
        std::set<std::uint32_t> expected;
        std::vector<std::string> operations;
        for (int n = *rc::gen::inRange(0, 60); n > 0; --n) {
            const auto index = *rc::gen::arbitrary<std::uint16_t>();
            const std::uint32_t ordinal = chunk * limits::kSetChunk + index;
            std::string operation;
            switch (*rc::gen::inRange(0, 3)) {
                case 0:
                    set_add(operation, index);
                    expected.insert(ordinal);
                    break;
                case 1:
                    set_remove(operation, index);
                    expected.erase(ordinal);
                    break;
                default: {
                    const auto some = *rc::gen::container<std::set<std::uint16_t>>(
                        rc::gen::arbitrary<std::uint16_t>());
                    std::set<std::uint16_t> with_runs = some;
                    for (const std::uint16_t first : some) {
                        const int length = *rc::gen::element(1, 1, 2, 64, 65, 300);
                        for (int i = first; i < std::min(first + length, 65'536); ++i)
                            with_runs.insert(static_cast<std::uint16_t>(i));
                    }
                    const std::vector<std::uint16_t> many(with_runs.begin(), with_runs.end());
                    if (*rc::gen::arbitrary<bool>()) {
                        set_add_each(operation, many.data(), many.size());
                    } else if (!many.empty()) {
                        add_as_bits(operation, many);
                    }
                    for (const std::uint16_t i : many)
                        expected.insert(chunk * limits::kSetChunk + i);
                }
            }
            operations.push_back(operation);
        }
        const Key key = set_key(chunk);
        const std::string stored = merged(key.view(), operations);
        const SetChunk row = SetChunk::decode(set_base(key.view()), stored);
        RC_ASSERT(operations.empty() || stored == row.encode());
        const std::set<std::uint32_t> held(row.bits.begin(), row.bits.end());
        RC_ASSERT(held == expected);
        const SetChunk again = SetChunk::decode(row.base, row.encode());
        RC_ASSERT(again.bits == row.bits);
    });
}

TEST_CASE("members that layout 2 added are still read") {
    const std::string operand("\x03\x03\x05\x00\x02\x00\xff\xff", 8);
    const std::string_view views[] = {operand};
    const Key key = set_key(1);
    const SetChunk row =
        SetChunk::decode(set_base(key.view()), merge_chunk(key.view(), std::nullopt, views, 1));
    CHECK(row.bits == Bitmap::bitmapOf(3, limits::kSetChunk + 2, limits::kSetChunk + 5,
                                       2 * limits::kSetChunk - 1));
}

TEST_CASE("members as bits are written as runs where these are few, as bits where they are many") {
    const auto written = [](std::uint64_t word, std::size_t count) {
        std::string operation;
        const std::vector<std::uint64_t> words(count, word);
        set_add_bits(operation, 3, words);
        const std::string_view views[] = {operation};
        const Key key = set_key(0);
        const SetChunk row =
            SetChunk::decode(set_base(key.view()), merge_chunk(key.view(), std::nullopt, views, 1));
        CHECK(row.bits.cardinality() == count * static_cast<std::size_t>(std::popcount(word)));
        CHECK((row.bits.isEmpty() || row.bits.minimum() >= 3 * 64));
        return operation;
    };
    CHECK(written(~std::uint64_t{0}, 100).size() < 8);  // one run
    CHECK(written(0, 10)[0] == 4);
    CHECK(written(0x8000000000000001, 10)[0] == 4);
    const std::string bits = written(0x5555555555555555, 100);
    CHECK(bits[0] == 5);
    CHECK(bits.size() < 8 * 100 + 8);
    CHECK(written(0x1111111111111111, limits::kSetChunk / 64 - 3)[0] == 5);  // to the chunk's end
}

TEST_CASE("large set chunks take the Roaring form and come back") {
    SetChunk chunk{2 * limits::kSetChunk, {}};
    for (std::uint32_t i = 0; i < limits::kSetChunk; i += 3) chunk.bits.add(chunk.base + i);
    CHECK(SetChunk::decode(chunk.base, chunk.encode()).bits == chunk.bits);
}

TEST_CASE("a column chunk holds what an array holds, at every width") {
    CHECK_PROPERTY([] {
        const Key key = Key(Table::inbox_counter, 1).u8(0).u32(3);
        std::map<std::uint16_t, std::int64_t> expected;
        std::vector<std::string> operations;
        for (int n = *rc::gen::inRange(0, 60); n > 0; --n) {
            const auto index = *rc::gen::inRange<std::uint16_t>(0, limits::kColumnChunk);
            const int shift = *rc::gen::element(0, 8, 20, 40);
            const std::int64_t value = static_cast<std::int64_t>(*rc::gen::inRange(-100, 100))
                                       << shift;
            std::string operation;
            switch (*rc::gen::inRange(0, 3)) {
                case 0:
                    column_set(operation, index, value);
                    expected[index] = value;
                    break;
                case 1:
                    column_add(operation, index, value);
                    expected[index] += value;
                    break;
                default:
                    column_increment_each(operation, &index, 1);
                    ++expected[index];
            }
            operations.push_back(operation);
        }
        const ColumnChunk row =
            ColumnChunk::decode(limits::kColumnChunk, merged(key.view(), operations));
        for (std::uint32_t i = 0; i < limits::kColumnChunk; ++i) {
            const auto found = expected.find(static_cast<std::uint16_t>(i));
            RC_ASSERT(row.get(i) == (found == expected.end() ? 0 : found->second));
        }
        const auto op = static_cast<Comparison>(*rc::gen::inRange(0, 6));
        const std::int64_t bound = *rc::gen::inRange(-100, 100);
        std::vector<std::uint64_t> words(limits::kColumnChunk / 64);
        row.select(op, bound, words.data());
        for (std::uint32_t i = 0; i < limits::kColumnChunk; ++i)
            RC_ASSERT(((words[i / 64] >> (i % 64)) & 1) ==
                      (compare(row.get(i), op, bound) ? 1u : 0u));
    });
}

TEST_CASE("a column that counts has room for one more at every width") {
    const std::int64_t edges[] = {0, 127, 32'767, 2'147'483'647};
    std::string operations;
    std::vector<std::uint16_t> indexes;
    for (std::uint16_t i = 0; i < std::size(edges); ++i) {
        column_set(operations, i, edges[i]);
        indexes.insert(indexes.end(), {i, static_cast<std::uint16_t>(i + 10), i});
        column_increment_each(operations, indexes.data(), indexes.size());
    }
    ColumnChunk column(limits::kColumnChunk);
    column.apply(operations);
    for (std::uint32_t i = 0; i < std::size(edges); ++i) {
        const auto times = static_cast<std::int64_t>(std::size(edges) - i);
        CHECK(column.get(i) == edges[i] + 2 * times);
        CHECK(column.get(i + 10) == times);
    }
    std::string beyond;
    const std::uint16_t too_far[] = {1, limits::kColumnChunk};
    column_increment_each(beyond, too_far, 2);
    CHECK_THROWS_AS(column.apply(beyond), StorageFailure);
    CHECK_THROWS_AS(ColumnChunk(limits::kColumnChunk).apply(beyond), StorageFailure);
}

TEST_CASE("malformed rows are refused, not misread") {
    const std::string unknown_operation("\x09\x00\x00", 3);
    const std::string_view views[] = {unknown_operation};
    CHECK_THROWS_AS(merge_chunk(set_key(0).view(), std::nullopt, views, 1), StorageFailure);
    const Key column = Key(Table::inbox_counter, 1).u8(0).u32(0);
    CHECK_THROWS_AS(merge_chunk(column.view(), std::nullopt, views, 1), StorageFailure);
    std::string beyond;
    column_set(beyond, limits::kColumnChunk, 1);
    const std::string_view too_far[] = {beyond};
    CHECK_THROWS_AS(merge_chunk(column.view(), std::nullopt, too_far, 1), StorageFailure);
    const std::string of_sets[] = {
        {"\x05\xff\x07\x02................", 20},                          // bits beyond the chunk
        {"\x05\x80\x08\x01........", 12},                                  // behind it
        {"\x05\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01........", 20},  // more than fit
        {"\x05\x00\x02........", 11},                                      // fewer than it says
        {"\x04\x01\x80\x80\x08", 5},                                       // behind the chunk
        {"\x04\x01\xff\xff\x07\x00", 6},                                   // reaches beyond it
        {"\x04\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13},      // without end
        {"\x03\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00\x00", 13}};     // more than fit
    for (const std::string& operand : of_sets) {
        const std::string_view view[] = {operand};
        CHECK_THROWS_AS(merge_chunk(set_key(0).view(), std::nullopt, view, 1), StorageFailure);
    }
    const std::string_view of_column[] = {of_sets[7]};
    CHECK_THROWS_AS(merge_chunk(column.view(), std::nullopt, of_column, 1), StorageFailure);
    CHECK_THROWS_AS(merge_chunk(Key(Table::program, 1).view(), std::nullopt, views, 1),
                    StorageFailure);
}

TEST_CASE("a bitmap built from words has their members") {
    CHECK_PROPERTY([] {
        std::set<std::uint32_t> expected;
        BitmapBuilder builder;
        for (std::uint16_t container = 0; container < 3; ++container) {
            std::vector<std::uint64_t> words(limits::kSetChunk / 64);
            const std::uint32_t step = *rc::gen::element(1u, 2u, 7u, 30u, 9000u);
            if (*rc::gen::inRange(0, 4) != 0) {
                for (std::uint32_t i = *rc::gen::inRange(0u, 50u); i < limits::kSetChunk;
                     i += step) {
                    words[i / 64] |= std::uint64_t{1} << (i % 64);
                    expected.insert(container * limits::kSetChunk + i);
                }
            }
            builder.container(container, words.data());
        }
        const Bitmap built = builder.finish();
        RC_ASSERT(built.cardinality() == expected.size());
        for (const std::uint32_t member : expected) RC_ASSERT(built.contains(member));
        const std::vector<std::uint32_t> plain(expected.begin(), expected.end());
        RC_ASSERT(built == Bitmap(plain.size(), plain.data()));
    });
}

}  // namespace
}  // namespace tidings
