#include "events/codec_canonical.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "events/codec_parts.h"

namespace tidings::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "words are copied as they lie");

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::uint64_t kListPointer = 1;
constexpr std::uint64_t kEmptyStruct = 0xfffffffc;  ///< an offset of -1: it has no place

/// `offset`: words between the pointer and what it points at.
std::uint64_t struct_pointer(std::uint64_t offset, std::size_t data, std::size_t pointers) {
    return offset << 2 | std::uint64_t{data} << 32 | std::uint64_t{pointers} << 48;
}

/// Of the data section without 4 bytes of it.
bool is_zero(kj::ArrayPtr<const capnp::byte> data, std::size_t word, std::size_t zeroed_byte) {
    std::uint64_t value = 0;
    std::memcpy(&value, data.begin() + word * kWord, std::min(kWord, data.size() - word * kWord));
    if (zeroed_byte / kWord == word)
        value &= ~(std::uint64_t{0xffffffff} << zeroed_byte % kWord * 8);
    return value == 0;
}

}  // namespace

CanonicalWriter::CanonicalWriter(std::vector<std::uint64_t>& words, std::uint16_t pointers)
    : words_(words) {
    words_.assign(1 + pointers, 0);
    words_[0] = struct_pointer(0, 0, pointers);
}

void CanonicalWriter::set_root_text(std::uint16_t index, capnp::Text::Reader text) {
    const std::size_t size = text.size() + 1;  // a byte of 0 ends it
    set_list_pointer(1 + index, capnp::ElementSize::BYTE, size);
    const std::size_t at = words_.size();
    words_.resize(at + (size + kWord - 1) / kWord);
    std::memcpy(&words_[at], text.begin(), text.size());
}

void CanonicalWriter::set_root_struct(std::uint16_t index, capnp::AnyStruct::Reader from,
                                      std::size_t zeroed_byte) {
    write_struct(1 + index, from, zeroed_byte);
}

/// Without the words at the end of each section that say nothing.
CanonicalWriter::Size CanonicalWriter::size_of(capnp::AnyStruct::Reader from,
                                               std::size_t zeroed_byte) {
    const auto data = from.getDataSection();
    const auto pointers = from.getPointerSection();
    Size out{(data.size() + kWord - 1) / kWord, pointers.size()};
    while (out.data > 0 && is_zero(data, out.data - 1, zeroed_byte)) --out.data;
    while (out.pointers > 0 && pointers[static_cast<unsigned>(out.pointers - 1)].isNull())
        --out.pointers;
    return out;
}

void CanonicalWriter::write_pointer(std::size_t slot, capnp::AnyPointer::Reader from) {
    switch (from.getPointerType()) {
        case capnp::PointerType::NULL_:
            return;
        case capnp::PointerType::STRUCT:
            write_struct(slot, from.getAs<capnp::AnyStruct>(), kNothingZeroed);
            return;
        case capnp::PointerType::LIST:
            write_list(slot, from.getAs<capnp::AnyList>());
            return;
        case capnp::PointerType::CAPABILITY:
            malformed("a capability in a commit");
    }
}

void CanonicalWriter::write_struct(std::size_t slot, capnp::AnyStruct::Reader from,
                                   std::size_t zeroed_byte) {
    const Size size = size_of(from, zeroed_byte);
    if (size.data + size.pointers == 0) {
        words_[slot] = kEmptyStruct;
        return;
    }
    const std::size_t at = words_.size();
    words_[slot] = struct_pointer(at - slot - 1, size.data, size.pointers);
    words_.resize(at + size.data + size.pointers);
    write_data(at, from, size, zeroed_byte);
    write_pointers(at + size.data, from, size);
}

void CanonicalWriter::write_data(std::size_t at, capnp::AnyStruct::Reader from, Size size,
                                 std::size_t zeroed_byte) {
    if (size.data == 0) return;
    const auto data = from.getDataSection();
    char* const to = reinterpret_cast<char*>(&words_[at]);
    std::memcpy(to, data.begin(), std::min(size.data * kWord, data.size()));
    if (zeroed_byte < size.data * kWord) std::memset(to + zeroed_byte, 0, sizeof(std::uint32_t));
}

void CanonicalWriter::write_pointers(std::size_t at, capnp::AnyStruct::Reader from, Size size) {
    const auto pointers = from.getPointerSection();
    const auto count = std::min<std::size_t>(size.pointers, pointers.size());
    for (std::size_t i = 0; i < count; ++i)
        write_pointer(at + i, pointers[static_cast<unsigned>(i)]);
}

void CanonicalWriter::set_list_pointer(std::size_t slot, capnp::ElementSize element,
                                       std::uint64_t count) {
    words_[slot] = kListPointer | (words_.size() - slot - 1) << 2 |
                   static_cast<std::uint64_t>(element) << 32 | count << 35;
}

void CanonicalWriter::write_list(std::size_t slot, capnp::AnyList::Reader from) {
    const capnp::ElementSize element = from.getElementSize();
    if (element == capnp::ElementSize::INLINE_COMPOSITE) {
        write_struct_list(slot, from.as<capnp::List<capnp::AnyStruct>>());
        return;
    }
    set_list_pointer(slot, element, from.size());
    const std::size_t at = words_.size();
    if (element == capnp::ElementSize::POINTER) {
        const auto pointers = from.as<capnp::List<capnp::AnyPointer>>();
        words_.resize(at + pointers.size());
        for (unsigned i = 0; i < pointers.size(); ++i) write_pointer(at + i, pointers[i]);
        return;
    }
    const auto bytes = from.getRawBytes();
    if (bytes.size() == 0) return;
    words_.resize(at + (bytes.size() + kWord - 1) / kWord);
    char* const to = reinterpret_cast<char*>(&words_[at]);
    std::memcpy(to, bytes.begin(), bytes.size());
    if (element == capnp::ElementSize::BIT && from.size() % 8 != 0)
        to[bytes.size() - 1] &= static_cast<char>((1 << from.size() % 8) - 1);
}

void CanonicalWriter::write_struct_list(std::size_t slot,
                                        capnp::List<capnp::AnyStruct>::Reader from) {
    Size size;  // of each
    for (const auto element : from) {
        const Size own = size_of(element, kNothingZeroed);
        size.data = std::max(size.data, own.data);
        size.pointers = std::max(size.pointers, own.pointers);
    }
    const std::size_t each = size.data + size.pointers;
    set_list_pointer(slot, capnp::ElementSize::INLINE_COMPOSITE, from.size() * each);
    const std::size_t at = words_.size() + 1;  // behind the tag
    words_.push_back(struct_pointer(from.size(), size.data, size.pointers));
    words_.resize(at + from.size() * each);
    for (unsigned i = 0; i < from.size(); ++i) {
        write_data(at + i * each, from[i], size, kNothingZeroed);
        write_pointers(at + i * each + size.data, from[i], size);
    }
}

}  // namespace tidings::wire
