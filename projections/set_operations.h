// Sets as they are stored (projections/chunks.h): reading their operations, whatever they are
// applied to, and writing sets that are bits. Private to the chunks.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/limits.h"
#include "projections/bytes.h"

namespace tidings {

inline constexpr std::size_t kSetWords = limits::kSetChunk / 64;
using SetWords = std::array<std::uint64_t, kSetWords>;  ///< a bit for each ordinal of a chunk

/// What SetChunk::encode() gives for these members.
std::string encode_set(std::uint32_t base, const SetWords& words);

namespace set_operations {

/// As they were written up to layout 2.
template <class Members>
void read_indexes(ByteReader& in, Members& members) {
    const std::uint64_t count = in.varint();
    if (count > limits::kSetChunk) throw StorageFailure("a stored set is malformed");
    for (std::uint64_t i = 0; i < count; ++i) members.add(in.u16());
}

template <class Members>
void read_runs(ByteReader& in, Members& members) {
    std::uint64_t next = 0;
    for (std::uint64_t runs = in.varint(); runs > 0; --runs) {
        const std::uint64_t gap = in.varint();
        const std::uint64_t more = (gap & 1) != 0 ? in.varint() : 0;
        const std::uint64_t length = (gap & 1) != 0 ? more + 2 : 1;
        next += gap >> 1;
        if (more > limits::kSetChunk || next + length > limits::kSetChunk)
            throw StorageFailure("a stored set holds a member beyond its chunk");
        members.add_range(static_cast<std::uint32_t>(next),
                          static_cast<std::uint32_t>(next + length));
        next += length;
    }
}

template <class Members>
void read_bits(ByteReader& in, Members& members) {
    const std::uint64_t first = in.varint(), count = in.varint();
    if (first > kSetWords || count > kSetWords - first)
        throw StorageFailure("a stored set holds members beyond its chunk");
    members.add_words(first, in.take(8 * count));
}

}  // namespace set_operations

/// Calls what `members` has of add(index), remove(index), add_range(from, to) and
/// add_words(first word, words as bytes). Throws StorageFailure on malformed bytes.
template <class Members>
void read_set_operations(std::string_view operand, Members& members) {
    ByteReader in(operand);
    while (!in.done()) {
        switch (in.u8()) {
            case 1:
                members.add(in.u16());
                break;
            case 2:
                members.remove(in.u16());
                break;
            case 3:
                set_operations::read_indexes(in, members);
                break;
            case 4:
                set_operations::read_runs(in, members);
                break;
            case 5:
                set_operations::read_bits(in, members);
                break;
            default:
                throw StorageFailure("a stored set holds an unknown operation");
        }
    }
}

}  // namespace tidings
