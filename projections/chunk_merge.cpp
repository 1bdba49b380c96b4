// A chunk row from its stored bytes and the operands behind them.
#include <cstring>

#include "projections/bytes.h"
#include "projections/chunks.h"
#include "projections/set_operations.h"

namespace tidings {

namespace {

/// Of a set that nothing is stored of yet, as where much is written at once: bits, where a Bitmap
/// would have to make and unite one for each operand.
class BitMembers {
public:
    void add(std::uint32_t index) { words_[index / 64] |= std::uint64_t{1} << index % 64; }
    void remove(std::uint32_t index) { words_[index / 64] &= ~(std::uint64_t{1} << index % 64); }
    void add_range(std::uint32_t from, std::uint32_t to) {
        constexpr std::uint64_t kAll = ~std::uint64_t{0};
        const std::uint32_t first = from / 64, last = (to - 1) / 64;
        const std::uint64_t head = kAll << from % 64, tail = kAll >> (63 - (to - 1) % 64);
        if (first == last) {
            words_[first] |= head & tail;
            return;
        }
        words_[first] |= head;
        for (std::uint32_t i = first + 1; i < last; ++i) words_[i] = kAll;
        words_[last] |= tail;
    }
    void add_words(std::uint64_t first, std::string_view raw) {
        for (std::size_t at = 0; at < raw.size(); at += 8, ++first) {
            std::uint64_t word = 0;
            std::memcpy(&word, raw.data() + at, 8);
            words_[first] |= word;
        }
    }

    const SetWords& words() const { return words_; }

private:
    SetWords words_{};
};

std::string merge_set(std::uint32_t base, std::string_view stored, const std::string_view* operands,
                      std::size_t count) {
    if (!stored.empty()) {
        SetChunk chunk = SetChunk::decode(base, stored);
        for (std::size_t i = 0; i < count; ++i) chunk.apply(operands[i]);
        return chunk.encode();
    }
    BitMembers members;
    for (std::size_t i = 0; i < count; ++i) read_set_operations(operands[i], members);
    return encode_set(base, members.words());
}

}  // namespace

std::string merge_chunk(std::string_view key, std::optional<std::string_view> base,
                        const std::string_view* operands, std::size_t count) {
    const auto table = static_cast<Table>(key[0]);
    const std::string_view stored = base.value_or("");
    switch (chunk_kind(table)) {
        case ChunkKind::set:
            return merge_set(set_base(key), stored, operands, count);
        case ChunkKind::column: {
            ColumnChunk chunk = ColumnChunk::decode(column_size(table), stored);
            for (std::size_t i = 0; i < count; ++i) chunk.apply(operands[i]);
            return chunk.encode();
        }
        case ChunkKind::list: {
            std::string out(stored);
            for (std::size_t i = 0; i < count; ++i) out.append(operands[i]);
            return out;
        }
        case ChunkKind::none:
            break;
    }
    throw StorageFailure("a merge on a row that is no chunk");
}

}  // namespace tidings
