// The operations on chunks, as they are written. chunks.cpp reads them.
#include <array>

#include "core/bits.h"
#include "projections/bytes.h"
#include "projections/chunks.h"

namespace tidings {

namespace {

/// From here on bits are written: up to four times as long as runs of them, and read many times as
/// fast.
constexpr std::uint64_t kRunsPerWord = 2;

/// Operation 4 of a set.
class RunsWriter {
public:
    RunsWriter(std::string& operand, std::uint64_t runs) : out_(operand) {
        out_.push_back(4);
        ByteWriter(out_).varint(runs);
    }
    /// REQUIRES: behind the run before.
    void add(std::uint64_t from, std::uint64_t length) {
        std::array<char, 2 * kVarintBytes> bytes;
        char* at = put_varint(bytes.data(), (from - next_) << 1 | (length > 1 ? 1 : 0));
        if (length > 1) at = put_varint(at, length - 2);
        out_.append(bytes.data(), static_cast<std::size_t>(at - bytes.data()));
        next_ = from + length;
    }

private:
    std::string& out_;
    std::uint64_t next_ = 0;
};

}  // namespace

void set_add(std::string& operand, std::uint16_t index) {
    ByteWriter out(operand);
    out.u8(1);
    out.u16(index);
}
void set_remove(std::string& operand, std::uint16_t index) {
    ByteWriter out(operand);
    out.u8(2);
    out.u16(index);
}
void set_add_each(std::string& operand, const std::uint16_t* indexes, std::size_t count) {
    const auto end_of_run = [&](std::size_t i) {
        while (i + 1 < count && indexes[i + 1] == indexes[i] + 1) ++i;
        return i + 1;
    };
    std::uint64_t runs = 0;
    for (std::size_t i = 0; i < count; i = end_of_run(i)) ++runs;
    RunsWriter out(operand, runs);
    for (std::size_t i = 0; i < count;) {
        const std::size_t end = end_of_run(i);
        out.add(indexes[i], end - i);
        i = end;
    }
}

void set_add_bits(std::string& operand, std::uint16_t first, std::span<const std::uint64_t> words) {
    const std::uint64_t runs = bits::count_runs(words);
    if (runs > kRunsPerWord * words.size()) {
        ByteWriter out(operand);
        out.u8(5);
        out.varint(first);
        out.varint(words.size());
        out.raw({reinterpret_cast<const char*>(words.data()), words.size_bytes()});
        return;
    }
    RunsWriter out(operand, runs);
    bits::for_each_run(words, [&](std::uint64_t from, std::uint64_t to) {
        out.add(std::uint64_t{first} * 64 + from, to - from);
    });
}
void column_set(std::string& operand, std::uint16_t index, std::int64_t value) {
    std::array<char, 3 + kVarintBytes> bytes = {1, static_cast<char>(index),
                                                static_cast<char>(index >> 8)};
    const char* const end = put_varint(bytes.data() + 3, zigzag_of(value));
    operand.append(bytes.data(), static_cast<std::size_t>(end - bytes.data()));
}
void column_add(std::string& operand, std::uint16_t index, std::int64_t delta) {
    ByteWriter out(operand);
    out.u8(2);
    out.u16(index);
    out.zigzag(delta);
}
void column_increment_each(std::string& operand, const std::uint16_t* indexes, std::size_t count) {
    ByteWriter out(operand);
    out.u8(3);
    out.varint(count);
    out.raw({reinterpret_cast<const char*>(indexes), 2 * count});
}
void list_append(std::string& operand, EventNumber number) {
    ByteWriter(operand).varint(number.value);
}

}  // namespace tidings
