// Every bound of the broker in one place, with its reason; related ones are checked against each
// other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tidings::limits {

/// The simulator's build: bounds that a history must be long to meet are small, so that a short one
/// lies on both sides of them. Nothing else differs.
#ifdef TIDINGS_SMALL_LIMITS
inline constexpr bool kSmall = true;
#else
inline constexpr bool kSmall = false;
#endif

// Fields (API.md, Conventions).
inline constexpr std::size_t kIdCharacters = 128;       ///< program and partner ids, in code points
inline constexpr std::size_t kSubjectCharacters = 200;  ///< Unicode code points
inline constexpr std::size_t kBodyBytes = 65'536;       ///< message and reply bodies, UTF-8
inline constexpr std::size_t kEmailBytes = 254;         ///< RFC 5321 path without brackets
inline constexpr std::size_t kNameCharacters = 200;     ///< program name, partner name and surname
inline constexpr std::size_t kTagCharacters = 100;      ///< one tag
inline constexpr std::size_t kTagsPerPartner = 100;
inline constexpr std::size_t kCurrencies = 32;  ///< per partner and money metric
inline constexpr std::size_t kIdempotencyKeyCharacters = 255;
inline constexpr std::size_t kFilterDepth = 16;
inline constexpr std::size_t kFilterNodes = 256;
inline constexpr std::size_t kQueryCharacters = 200;  ///< search text
inline constexpr std::size_t kPageDefault = 50;
inline constexpr std::size_t kPageMax = 200;
inline constexpr std::size_t kUpstreamKeyBytes = 512;  ///< customer and transaction keys

inline constexpr std::uint64_t kCounterMax = (1ULL << 53) - 1;  ///< exact in every JSON reader

// Requests.
inline constexpr std::size_t kJsonBytes = 1 << 20;  ///< a JSON request; also one NDJSON line
inline constexpr std::size_t kCommandBytes =
    2 << 20;  ///< one encoded command: a full JSON request and its overhead
inline constexpr std::size_t kImportChunkPartners =
    8'192;  ///< partners in one command of a bulk import
inline constexpr std::size_t kImportChunkBytes =
    1 << 20;  ///< ...and their JSON bytes, whichever is reached first
inline constexpr std::size_t kOpensChunk =
    50'000;  ///< opens in one command of a bulk request (measured knee)

/// Exports under way in one process: each keeps rows from being thrown away for as long as its
/// caller takes to read.
inline constexpr std::size_t kExports = 16;

// Log.
inline constexpr std::size_t kCommitBytes = 16 << 20;  ///< one commit record; never split
/// What one bulk upsert's event may take; patches beyond it are rejected, so that a run of one
/// command fits a commit.
inline constexpr std::size_t kUpsertEventBytes = 12 << 20;
inline constexpr std::size_t kRunBytes =
    4 << 20;  ///< a run of commands is cut at this many encoded bytes...
inline constexpr std::size_t kRunCommands = kSmall ? 5 : 10'000;  ///< ...or this many commands
inline constexpr std::size_t kQueueBytes =
    32 << 20;  ///< commands waiting per partition before 503 overloaded
static_assert(kRunBytes + kCommandBytes < kCommitBytes);
static_assert(kUpsertEventBytes < kCommitBytes);
static_assert(kImportChunkBytes + kJsonBytes <= kCommandBytes);

// Time. Ingress refuses to stamp with a clock that jumped by more than this against the monotonic
// one.
inline constexpr std::int64_t kClockJumpMs = 60'000;
/// A stamp may lie this far before the program's log time or the newest stamp seen without an
/// alarm.
inline constexpr std::int64_t kIdempotencyMs =
    8LL * 24 * 3600 * 1000;  ///< "at least 7 days", by log time
inline constexpr std::size_t kIdempotencyMinimum =
    kSmall ? 6 : 10'000;  ///< and never fewer than this many per program

// Read models.
inline constexpr std::uint32_t kRowLimit =
    kSmall ? 5 : 4'096;  ///< targeted sends up to this many recipients write inbox rows
inline constexpr std::uint64_t kLedgerInterval =
    kSmall ? 6 : 256;  ///< commits between two that a rescan may start from (PROTOCOL.md rule 7)
inline constexpr unsigned kTileHeight =
    kSmall ? 2 : 8;  ///< of the Merkle tree that a stored row covers: 256 hashes
inline constexpr std::uint32_t kSetChunk = 65'536;    ///< ordinals per stored bitmap chunk
inline constexpr std::uint32_t kColumnChunk = 4'096;  ///< ordinals per stored column chunk
inline constexpr std::uint32_t kTimesChunk =
    kSmall ? 8 : 16'384;  ///< ordinals per stored chunk of open times (DESIGN.md)
inline constexpr std::uint32_t kInboxBlock =
    kSmall ? 3 : 128;  ///< messages per block of a partner's small-send list
inline constexpr std::uint32_t kTimelineBlock =
    kSmall ? 3 : 256;  ///< messages per block of a program's wide timeline

}  // namespace tidings::limits
