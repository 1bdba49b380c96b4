#include "projections/chunks.h"

#include <array>
#include <cstring>
#include <limits>

#include "core/bits.h"
#include "core/limits.h"
#include "projections/bytes.h"
#include "projections/set_operations.h"

namespace tidings {

namespace {

constexpr std::uint8_t kSetRoaring = 0;  ///< then a portable Roaring bitmap
constexpr std::uint8_t kSetSmall = 1;    ///< then varint gaps
constexpr std::size_t kSmallSet = 256;   ///< members up to which gaps are the smaller form
constexpr std::uint64_t kLongRun = 64;   ///< longer ones are cheaper to add as a range

std::uint16_t load_u16(const char* at) {
    std::uint16_t value;
    std::memcpy(&value, at, 2);
    return value;
}

int width_for(std::int64_t value) {
    if (value == 0) return 0;
    if (value == static_cast<std::int8_t>(value)) return 1;
    if (value == static_cast<std::int16_t>(value)) return 2;
    if (value == static_cast<std::int32_t>(value)) return 4;
    return 8;
}

/// Of a set that operations are applied to.
class BitmapMembers {
public:
    BitmapMembers(std::uint32_t base, Bitmap& bits) : base_(base), bits_(bits) {}

    void add(std::uint32_t index) { bits_.add(base_ + index); }
    void remove(std::uint32_t index) {
        finish();
        bits_.remove(base_ + index);
    }
    void add_range(std::uint32_t from, std::uint32_t to) {
        if (to - from > kLongRun) {
            bits_.addRange(base_ + std::uint64_t{from}, base_ + std::uint64_t{to});
        } else {
            for (; from < to; ++from) added_.push_back(base_ + from);
        }
    }
    void add_words(std::uint64_t first, std::string_view raw) {
        std::vector<std::uint64_t> words(kSetWords);
        std::memcpy(words.data() + first, raw.data(), raw.size());
        BitmapBuilder added;
        added.container(static_cast<std::uint16_t>(base_ / limits::kSetChunk), words.data());
        bits_ |= added.finish();
    }
    void finish() {
        bits_.addMany(added_.size(), added_.data());
        added_.clear();
    }

private:
    const std::uint32_t base_;
    Bitmap& bits_;
    std::vector<std::uint32_t> added_;  ///< not yet there
};

}  // namespace

SetChunk SetChunk::decode(std::uint32_t base, std::string_view bytes) {
    SetChunk out;
    out.base = base;
    if (bytes.empty()) return out;
    ByteReader in(bytes);
    if (in.u8() == kSetRoaring) {
        Result<Bitmap> bits = deserialize_bitmap(in.rest());
        if (!bits) throw StorageFailure("a stored set is not a Roaring bitmap");
        out.bits = std::move(*bits);
        return out;
    }
    std::vector<std::uint32_t> members;
    std::uint64_t next = base;
    while (!in.done()) {
        next += in.varint();
        members.push_back(static_cast<std::uint32_t>(next));
        ++next;
    }
    out.bits = Bitmap(members.size(), members.data());
    return out;
}

std::string SetChunk::encode() const {
    std::string out;
    ByteWriter writer(out);
    if (bits.cardinality() > kSmallSet) {
        writer.u8(kSetRoaring);
        writer.raw(serialize(bits));
        return out;
    }
    writer.u8(kSetSmall);
    std::uint32_t next = base;
    for (const std::uint32_t member : bits) {
        writer.varint(member - next);
        next = member + 1;
    }
    return out;
}

void SetChunk::apply(std::string_view operand) {
    BitmapMembers members(base, bits);
    read_set_operations(operand, members);
    members.finish();
}

std::string encode_set(std::uint32_t base, const SetWords& words) {
    std::string out;
    ByteWriter writer(out);
    if (bits::count(words) > kSmallSet) {
        writer.u8(kSetRoaring);
        writer.raw(
            serialize_words(static_cast<std::uint16_t>(base / limits::kSetChunk), words.data()));
        return out;
    }
    writer.u8(kSetSmall);
    std::uint64_t next = 0;
    bits::for_each(words, [&](std::uint64_t member) {
        writer.varint(member - next);
        next = member + 1;
    });
    return out;
}

std::size_t SetChunk::memory() const {
    // portable size is close to what the one container holds
    return sizeof(*this) + 96 + bits.getSizeInBytes();
}

namespace {

/// Calls f with a pointer to the values, const where the bytes are; not for the width 0.
template <class Byte, class F>
void visit_values(int width, Byte* bytes, F f) {
    const auto visit_as = [&]<class Value>(Value) {
        f(reinterpret_cast<std::conditional_t<std::is_const_v<Byte>, const Value*, Value*>>(bytes));
    };
    switch (width) {
        case 1:
            visit_as(std::int8_t{});
            break;
        case 2:
            visit_as(std::int16_t{});
            break;
        case 4:
            visit_as(std::int32_t{});
            break;
        case 8:
            visit_as(std::int64_t{});
            break;
        default:
            break;
    }
}

}  // namespace

template <class F>
void ColumnChunk::visit(F f) const {
    visit_values(width_, bytes_.data(), f);
}

template <class F>
void ColumnChunk::visit(F f) {
    visit_values(width_, bytes_.data(), f);
}

void ColumnChunk::widen(int width) {
    std::vector<std::uint8_t> wider(static_cast<std::size_t>(size_) * width);
    visit_values(width, wider.data(), [&](auto* to) {
        using Value = std::remove_reference_t<decltype(*to)>;
        for (std::uint32_t i = 0; i < size_; ++i) to[i] = static_cast<Value>(get(i));
    });
    bytes_ = std::move(wider);
    width_ = width;
}

std::int64_t ColumnChunk::get(std::uint32_t index) const {
    std::int64_t value = 0;
    visit([&](const auto* values) { value = std::int64_t{values[index]}; });
    return value;
}

void ColumnChunk::set(std::uint32_t index, std::int64_t value) {
    if (index >= size_) throw StorageFailure("a stored column holds an index beyond its chunk");
    const int width = width_for(value);
    if (width > width_) widen(width);
    visit([&](auto* values) {
        values[index] = static_cast<std::remove_reference_t<decltype(*values)>>(value);
    });
}

bool ColumnChunk::all_zero() const {
    for (const std::uint8_t byte : bytes_)
        if (byte != 0) return false;
    return true;
}

void ColumnChunk::select(Comparison op, std::int64_t value, std::uint64_t* words) const {
    const auto scan = [&](auto test) {
        const bool zero = test(std::int64_t{0});
        if (width_ == 0) {
            for (std::uint32_t w = 0; w < size_ / 64; ++w) words[w] = zero ? ~std::uint64_t{0} : 0;
            return;
        }
        visit([&](const auto* values) {
            for (std::uint32_t w = 0; w < size_ / 64; ++w) {
                std::uint64_t word = 0;
                for (std::uint32_t b = 0; b < 64; ++b)
                    word |= static_cast<std::uint64_t>(test(std::int64_t{values[w * 64 + b]})) << b;
                words[w] = word;
            }
        });
    };
    switch (op) {
        case Comparison::less:
            scan([value](std::int64_t v) { return v < value; });
            break;
        case Comparison::less_equal:
            scan([value](std::int64_t v) { return v <= value; });
            break;
        case Comparison::equal:
            scan([value](std::int64_t v) { return v == value; });
            break;
        case Comparison::not_equal:
            scan([value](std::int64_t v) { return v != value; });
            break;
        case Comparison::greater_equal:
            scan([value](std::int64_t v) { return v >= value; });
            break;
        case Comparison::greater:
            scan([value](std::int64_t v) { return v > value; });
            break;
    }
}

ColumnChunk ColumnChunk::decode(std::uint32_t size, std::string_view bytes) {
    ColumnChunk out(size);
    ByteReader in(bytes);
    std::uint64_t next = 0;
    while (!in.done()) {
        next += in.varint();
        const std::int64_t value = in.zigzag();
        if (next >= size) throw StorageFailure("a stored column holds an index beyond its chunk");
        out.set(static_cast<std::uint32_t>(next), value);
        ++next;
    }
    return out;
}

std::string ColumnChunk::encode() const {
    std::string out;
    visit([&](const auto* values) {
        std::array<char, 4'096> buffer;
        char* at = buffer.data();
        std::uint32_t next = 0;
        for (std::uint32_t i = 0; i < size_; ++i) {
            if (values[i] == 0) continue;
            at = put_varint(at, i - next);
            at = put_varint(at, zigzag_of(values[i]));
            next = i + 1;
            if (at < buffer.end() - 2 * kVarintBytes) continue;
            out.append(buffer.data(), static_cast<std::size_t>(at - buffer.data()));
            at = buffer.data();
        }
        out.append(buffer.data(), static_cast<std::size_t>(at - buffer.data()));
    });
    return out;
}

void ColumnChunk::increment_each(std::string_view indexes) {
    for (std::size_t i = 0; i < indexes.size();) {
        // as far as the values have room
        visit([&](auto* values) {
            using Value = std::remove_reference_t<decltype(*values)>;
            for (; i < indexes.size(); i += 2) {
                const std::uint16_t index = load_u16(indexes.data() + i);
                if (index >= size_ || values[index] == std::numeric_limits<Value>::max()) return;
                ++values[index];
            }
        });
        if (i == indexes.size()) return;
        const std::uint16_t index = load_u16(indexes.data() + i);
        if (index >= size_) throw StorageFailure("a stored column is malformed");
        set(index, get(index) + 1);
        i += 2;
    }
}

void ColumnChunk::apply(std::string_view operand) {
    ByteReader in(operand);
    while (!in.done()) {
        switch (in.u8()) {
            case 1: {
                const std::uint16_t index = in.u16();
                set(index, in.zigzag());
                break;
            }
            case 2: {
                const std::uint16_t index = in.u16();
                const std::int64_t delta = in.zigzag();
                if (index >= size_) throw StorageFailure("a stored column is malformed");
                set(index, get(index) + delta);
                break;
            }
            case 3: {
                const std::uint64_t count = in.varint();
                if (count > limits::kSetChunk) throw StorageFailure("a stored column is malformed");
                const std::string_view raw = in.take(2 * count);
                increment_each(raw);
                break;
            }
            default:
                throw StorageFailure("a stored column holds an unknown operation");
        }
    }
}

EventList EventList::decode(std::string_view bytes) {
    EventList out;
    out.apply(bytes);
    return out;
}

std::string EventList::encode() const {
    std::string out;
    for (const EventNumber number : numbers) list_append(out, number);
    return out;
}

void EventList::apply(std::string_view operand) {
    ByteReader in(operand);
    while (!in.done()) numbers.push_back({in.varint()});
}

ChunkKind chunk_kind(Table table) {
    switch (table) {
        case Table::status_set:
        case Table::tag_set:
        case Table::gram_set:
        case Table::opened_set:
        case Table::replied_set:
        case Table::conversing_set:
            return ChunkKind::set;
        case Table::metric_column:
        case Table::joined_column:
        case Table::inbox_counter:
        case Table::open_times:
        case Table::opens_by_minute:
            return ChunkKind::column;
        case Table::timeline:
        case Table::inbox_list:
        case Table::tree:
        case Table::event_command:
            return ChunkKind::list;
        default:
            return ChunkKind::none;
    }
}

std::uint32_t column_size(Table table) {
    if (table == Table::open_times) return limits::kTimesChunk;
    if (table == Table::opens_by_minute) return 24 * 60 + 32;  // a multiple of 64
    return limits::kColumnChunk;
}

std::uint32_t set_base(std::string_view key) {
    return static_cast<std::uint32_t>(key_number(key, key.size() - 4, 4)) * limits::kSetChunk;
}

std::string canonical_chunk(std::string_view key, std::string_view bytes) {
    if (chunk_kind(static_cast<Table>(key[0])) == ChunkKind::set) {
        const SetChunk chunk = SetChunk::decode(set_base(key), bytes);
        std::string runs;
        append_runs(chunk.bits, runs);
        return runs;
    }
    return std::string(bytes);  // columns and lists have one form
}

void BitmapBuilder::container(std::uint16_t key, const std::uint64_t* first) {
    const bits::Words words(first, kSetWords);
    const std::uint64_t cardinality = bits::count(words);
    if (cardinality == 0) return;
    Container out{key, static_cast<std::uint32_t>(cardinality), {}};
    if (cardinality > 4096) {
        out.bytes.assign(reinterpret_cast<const char*>(first), words.size_bytes());
    } else {
        out.bytes.reserve(2 * cardinality);
        ByteWriter writer(out.bytes);
        bits::for_each(
            words, [&](std::uint64_t member) { writer.u16(static_cast<std::uint16_t>(member)); });
    }
    containers_.push_back(std::move(out));
}

Bitmap BitmapBuilder::finish() {
    // RoaringFormatSpec: cookie without runs, count, (key, cardinality - 1) each, offsets,
    // containers.
    std::string bytes;
    const auto u32 = [&](std::uint32_t value) {
        bytes.append(reinterpret_cast<const char*>(&value), 4);
    };
    u32(12346);
    u32(static_cast<std::uint32_t>(containers_.size()));
    ByteWriter writer(bytes);
    for (const Container& container : containers_) {
        writer.u16(container.key);
        writer.u16(static_cast<std::uint16_t>(container.cardinality - 1));
    }
    std::uint32_t offset = static_cast<std::uint32_t>(8 + 8 * containers_.size());
    for (const Container& container : containers_) {
        u32(offset);
        offset += static_cast<std::uint32_t>(container.bytes.size());
    }
    for (const Container& container : containers_) bytes.append(container.bytes);
    containers_.clear();
    Bitmap out = Bitmap::readSafe(bytes.data(), bytes.size());
    return out;
}

}  // namespace tidings
