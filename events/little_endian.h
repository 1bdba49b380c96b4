// Fixed-width integers in little-endian order, whatever the machine's. Keys of ordered tables are
// big-endian.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace tidings {

template <std::unsigned_integral T>
void put_le(std::string& out, T value) {
    char bytes[sizeof(T)];
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    }
    out.append(bytes, sizeof(T));
}

/// REQUIRES: at + sizeof(T) <= bytes.size().
template <std::unsigned_integral T>
T get_le(std::string_view bytes, std::size_t at) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<T>(value | static_cast<T>(static_cast<unsigned char>(bytes[at + i]))
                                           << (8 * i));
    }
    return value;
}

template <std::unsigned_integral T>
std::string big_endian(T value) {
    std::string out(sizeof(T), '\0');
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * (sizeof(T) - 1 - i))));
    }
    return out;
}

/// REQUIRES: bytes.size() == sizeof(T).
template <std::unsigned_integral T>
T from_big_endian(std::string_view bytes) {
    T value = 0;
    for (const char byte : bytes) {
        value = static_cast<T>(value << 8 | static_cast<T>(static_cast<unsigned char>(byte)));
    }
    return value;
}

}  // namespace tidings
