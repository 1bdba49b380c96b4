// The canonical form of Cap'n Proto messages (https://capnproto.org/encoding.html#canonicalization)
// from a message as it lies, without a builder in between: every commit's leaves are made this way.
// capnp::canonicalize gives the same words (tests/events/leaf_test.cpp) in several times the time.
// Internal to the codec.
#pragma once

#include <capnp/any.h>

#include <cstdint>
#include <vector>

namespace tidings::wire {

/// One segment, written in preorder: every object lies behind those that were written before it.
class CanonicalWriter {
    static constexpr std::size_t kNothingZeroed = ~std::size_t{0};

public:
    /// Begins a message whose root has no data and `pointers` pointers: null until they are set.
    CanonicalWriter(std::vector<std::uint64_t>& words, std::uint16_t pointers);

    // REQUIRES: the root's pointers are set in ascending order, each once.

    void set_root_text(std::uint16_t index, capnp::Text::Reader text);
    /// 4 bytes of the struct's data section count as 0, from `zeroed_byte` on.
    void set_root_struct(std::uint16_t index, capnp::AnyStruct::Reader from,
                         std::size_t zeroed_byte = kNothingZeroed);

private:
    struct Size {
        std::size_t data = 0, pointers = 0;  ///< words
    };

    static Size size_of(capnp::AnyStruct::Reader from, std::size_t zeroed_byte);
    void write_pointer(std::size_t slot, capnp::AnyPointer::Reader from);
    void write_struct(std::size_t slot, capnp::AnyStruct::Reader from, std::size_t zeroed_byte);
    void write_data(std::size_t at, capnp::AnyStruct::Reader from, Size size,
                    std::size_t zeroed_byte);
    void write_pointers(std::size_t at, capnp::AnyStruct::Reader from, Size size);
    void write_list(std::size_t slot, capnp::AnyList::Reader from);
    void write_struct_list(std::size_t slot, capnp::List<capnp::AnyStruct>::Reader from);
    void set_list_pointer(std::size_t slot, capnp::ElementSize element, std::uint64_t count);

    std::vector<std::uint64_t>& words_;
};

}  // namespace tidings::wire
