// Strong types for every id, number and position, so that one cannot be passed for another.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace tidings {

template <class Tag, class T>
struct Strong {
    T value{};
    auto operator<=>(const Strong&) const = default;
};

/// The upstream platform's own ids: 1-128 characters, any UTF-8 without '/' and control characters.
using ProgramId = Strong<struct ProgramIdTag, std::string>;
using PartnerId = Strong<struct PartnerIdTag, std::string>;

/// Partition of the log; a program lives in exactly one.
using PartitionId = Strong<struct PartitionIdTag, std::uint32_t>;
/// Number of a commit in its partition's chain; the genesis record has 0, the first commit 1.
using Sequence = Strong<struct SequenceTag, std::uint64_t>;
/// Place of a command in its partition's command log, contiguous from 0.
using CommandPosition = Strong<struct CommandPositionTag, std::uint64_t>;
/// Place of a record in the commits log as the log counts (Kafka: the offset).
using LogPosition = Strong<struct LogPositionTag, std::uint64_t>;
/// Number of an event within its program, from 1, without gaps. 0 stands for "none".
using EventNumber = Strong<struct EventNumberTag, std::uint64_t>;
/// Dense number of a partner within its program, by first sight, from 0, never reused.
using PartnerOrdinal = Strong<struct PartnerOrdinalTag, std::uint32_t>;

/// Milliseconds since 1970-01-01T00:00:00Z.
using Timestamp = Strong<struct TimestampTag, std::int64_t>;

template <class Tag, std::size_t N>
struct ByteArray {
    std::array<std::uint8_t, N> bytes{};
    auto operator<=>(const ByteArray&) const = default;
    static constexpr std::size_t kSize = N;
    std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), N}; }
    /// REQUIRES: raw.size() == N.
    static ByteArray from(std::string_view raw) {
        ByteArray out;
        std::memcpy(out.bytes.data(), raw.data(), N);
        return out;
    }
    bool is_zero() const { return *this == ByteArray{}; }
};

/// Identifies one command through every retry and forward. With an Idempotency-Key it is a hash of
/// (role, program, partner or sub, key); otherwise random, given at first receipt.
using CommandId = ByteArray<struct CommandIdTag, 16>;
/// Keyed digest (HMAC-SHA-256, truncated) of what a command asks, over the plain text.
using ContentDigest = ByteArray<struct ContentDigestTag, 16>;
/// Keyed digest of the caller (role, program, partner or sub): who may ask for a command's outcome.
using CallerDigest = ByteArray<struct CallerDigestTag, 16>;
/// Identifies one log for its whole life; random at genesis.
using LogId = ByteArray<struct LogIdTag, 16>;
/// SHA-256.
using Hash256 = ByteArray<struct Hash256Tag, 32>;

/// "msg_" or "post_" and 32 lowercase hex digits: 8 bytes of SHA-256(program id), 8 bytes of the
/// event number that created it (big endian). Unique across programs, derived from facts alone.
std::string message_id(const ProgramId& program, EventNumber number);
std::string post_id(const ProgramId& program, EventNumber number);
/// The event number in `id` if it is well-formed and belongs to `program`; nothing otherwise.
std::optional<EventNumber> parse_message_id(const ProgramId& program, std::string_view id);
std::optional<EventNumber> parse_post_id(const ProgramId& program, std::string_view id);

std::string to_hex(std::string_view bytes);
/// Lowercase or uppercase hex of an even length; nothing otherwise.
std::optional<std::string> from_hex(std::string_view hex);

/// SHA-256 of `bytes` (FIPS 180-4), through libcrypto.
Hash256 sha256(std::string_view bytes);
/// Of the pieces, one after the other.
Hash256 sha256(std::initializer_list<std::string_view> pieces);

/// SHA-256 over several pieces without joining them.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;
    void update(std::string_view bytes);
    Hash256 finish();

private:
    void* context_;
};

/// The partition a program lives in: first 8 bytes (big endian) of SHA-256(program id) modulo
/// `count`. `count` is the genesis count, never a topic's current one (PROTOCOL.md rule 1).
PartitionId route(const ProgramId& program, std::uint32_t count);
/// The same, of the program that a message or post id names. Nothing: it is neither.
std::optional<PartitionId> route_id(std::string_view id, std::uint32_t count);

}  // namespace tidings

template <class Tag, class T>
struct std::hash<tidings::Strong<Tag, T>> {
    std::size_t operator()(const tidings::Strong<Tag, T>& id) const {
        return std::hash<T>{}(id.value);
    }
};
template <class Tag, std::size_t N>
struct std::hash<tidings::ByteArray<Tag, N>> {
    std::size_t operator()(const tidings::ByteArray<Tag, N>& id) const {
        return std::hash<std::string_view>{}(id.view());
    }
};
