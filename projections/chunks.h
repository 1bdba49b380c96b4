// Chunk rows: sets, columns and lists over ranges of ordinals, changed by small operations. The
// same functions apply operations to a decoded row in memory and, as RocksDB's merge operator, to
// stored bytes, so the two cannot differ.
//
// Operations (concatenated: an operand is a list of them), numbers little endian, idx = ordinal
// within the chunk:
//   set:    1 idx16            add            column: 1 idx16 zigzag          set to
//           2 idx16            remove                 2 idx16 zigzag          add
//           4 n run*n          add each               3 n idx16*n             add 1 to each
//           5 w n word64*n     add each: the bits of n words, from the chunk's word w on
//           3 n idx16*n        add each, as written up to layout 2
// A run of neighbours is a varint gap * 2 from the end of the run before, and if there is more than
// one of them + 1 and a varint length - 2.
// Lists are varints; an operand is appended to them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bitmap.h"
#include "core/filter.h"
#include "projections/key.h"

namespace tidings {

/// Members of a set within one chunk of limits::kSetChunk ordinals: the chunk's number ends its
/// key.
struct SetChunk {
    std::uint32_t base = 0;  ///< first ordinal of the chunk
    Bitmap bits;             ///< ordinals of the program, not of the chunk
    static SetChunk decode(std::uint32_t base, std::string_view bytes);
    std::string encode() const;
    void apply(std::string_view operand);
    std::size_t memory() const;
};

/// One number per ordinal of a chunk; 0 where nothing was set. As wide in memory as its largest
/// value needs.
class ColumnChunk {
public:
    explicit ColumnChunk(std::uint32_t size = 0) : size_(size) {}
    static ColumnChunk decode(std::uint32_t size, std::string_view bytes);
    std::string encode() const;
    void apply(std::string_view operand);
    std::size_t memory() const { return sizeof(*this) + bytes_.capacity(); }

    std::int64_t get(std::uint32_t index) const;
    void set(std::uint32_t index, std::int64_t value);
    bool all_zero() const;
    /// Sets bit i of `words` where value i compares so; `words` holds size / 64 words.
    void select(Comparison op, std::int64_t value, std::uint64_t* words) const;
    std::uint32_t size() const { return size_; }

private:
    template <class F>
    void visit(F f) const;
    template <class F>
    void visit(F f);
    void widen(int width);
    /// Each of the indexes, 2 bytes little endian.
    void increment_each(std::string_view indexes);

    std::uint32_t size_;
    int width_ = 0;  ///< bytes per value: 0 (all zero), 1, 2, 4, 8
    std::vector<std::uint8_t> bytes_;
};

/// Event numbers in ascending order.
struct EventList {
    std::vector<EventNumber> numbers;
    static EventList decode(std::string_view bytes);
    std::string encode() const;
    void apply(std::string_view operand);
    std::size_t memory() const { return sizeof(*this) + 8 * numbers.capacity(); }
};

enum class ChunkKind { none, set, column, list };
ChunkKind chunk_kind(Table table);
/// Values per chunk of a column table.
std::uint32_t column_size(Table table);

/// Base (if any) and operands, oldest first, into the bytes of the row. Throws StorageFailure on
/// malformed bytes.
std::string merge_chunk(std::string_view key, std::optional<std::string_view> base,
                        const std::string_view* operands, std::size_t count);
/// The row's logical value for digests: members as runs, non-zero values, numbers; empty if the row
/// says nothing.
std::string canonical_chunk(std::string_view key, std::string_view bytes);
/// First ordinal of a set chunk, from its key.
std::uint32_t set_base(std::string_view key);

// Operations.
void set_add(std::string& operand, std::uint16_t index);
void set_remove(std::string& operand, std::uint16_t index);
/// `indexes` ascend, each once.
void set_add_each(std::string& operand, const std::uint16_t* indexes, std::size_t count);
/// The same for every bit that is set; `first`: the place of the first word among the chunk's.
/// REQUIRES: all lie in the chunk.
void set_add_bits(std::string& operand, std::uint16_t first, std::span<const std::uint64_t> words);
void column_set(std::string& operand, std::uint16_t index, std::int64_t value);
void column_add(std::string& operand, std::uint16_t index, std::int64_t delta);
void column_increment_each(std::string& operand, const std::uint16_t* indexes, std::size_t count);
void list_append(std::string& operand, EventNumber number);

/// Builds a Bitmap from 64-bit words of consecutive ordinals, without touching members one by one.
class BitmapBuilder {
public:
    /// Words of the container of ordinals key * 65,536 and on; 1,024 words. Keys ascend.
    void container(std::uint16_t key, const std::uint64_t* words);
    Bitmap finish();

private:
    struct Container {
        std::uint16_t key;
        std::uint32_t cardinality;
        std::string bytes;
    };
    std::vector<Container> containers_;
};

}  // namespace tidings
