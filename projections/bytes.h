// Reading and writing the bytes of rows: LEB128 varints, zigzag, length-prefixed strings,
// big-endian key parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/result.h"

namespace tidings {

/// The storage below failed, or stored bytes are not what was written. Thrown, because no reader
/// may take it for "not there"; it stops the partition (PROTOCOL.md rule 12) or fails the one
/// request.
class StorageFailure : public std::runtime_error {
public:
    /// `code`: corruption, or io where the bytes could not be read at all.
    explicit StorageFailure(const std::string& what, ErrorCode code = ErrorCode::corruption)
        : std::runtime_error(what), code_(code) {}
    ErrorCode code() const { return code_; }

private:
    ErrorCode code_;
};

inline constexpr std::size_t kVarintBytes = 10;  ///< at most
/// LEB128 into a buffer with room for it; returns its end.
inline char* put_varint(char* at, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
    *at++ = static_cast<char>(value);
    return at;
}
inline std::uint64_t zigzag_of(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

class ByteWriter {
public:
    explicit ByteWriter(std::string& out) : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
    void u16(std::uint16_t value) {
        const char bytes[] = {static_cast<char>(value), static_cast<char>(value >> 8)};
        out_.append(bytes, sizeof bytes);
    }
    void varint(std::uint64_t value) {
        char bytes[kVarintBytes];
        out_.append(bytes, static_cast<std::size_t>(tidings::put_varint(bytes, value) - bytes));
    }
    void zigzag(std::int64_t value) { varint(zigzag_of(value)); }
    void string(std::string_view text) {
        varint(text.size());
        out_.append(text);
    }
    void raw(std::string_view bytes) { out_.append(bytes); }

private:
    std::string& out_;
};

/// The same into memory that has room for it, for rows that come in great numbers.
class RoomyWriter {
public:
    explicit RoomyWriter(char* at) : at_(at) {}

    void u8(std::uint8_t value) { *at_++ = static_cast<char>(value); }
    void varint(std::uint64_t value) { at_ = put_varint(at_, value); }
    void zigzag(std::int64_t value) { varint(zigzag_of(value)); }
    void string(std::string_view text) {
        varint(text.size());
        raw(text);
    }
    void raw(std::string_view bytes) {
        std::memcpy(at_, bytes.data(), bytes.size());
        at_ += bytes.size();
    }
    const char* end() const { return at_; }

private:
    char* at_;
};

class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

    bool done() const { return bytes_.empty(); }
    std::uint8_t u8() { return static_cast<std::uint8_t>(take(1)[0]); }
    std::uint16_t u16() {
        const std::string_view raw = take(2);
        return static_cast<std::uint16_t>(static_cast<std::uint8_t>(raw[0]) |
                                          static_cast<std::uint8_t>(raw[1]) << 8);
    }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const std::uint8_t byte = u8();
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        throw StorageFailure("a stored row holds a number that is too long");
    }
    std::int64_t zigzag() {
        const std::uint64_t value = varint();
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
    std::string_view string() { return take(varint()); }
    std::string_view take(std::size_t size) {
        if (size > bytes_.size()) throw StorageFailure("a stored row ends too early");
        const std::string_view out = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return out;
    }
    std::string_view rest() { return take(bytes_.size()); }

private:
    std::string_view bytes_;
};

}  // namespace tidings
