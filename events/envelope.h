// The frozen bytes of genesis and commit records (PROTOCOL.md rules 1, 3). No later version may
// change them. Integers are little-endian; a hash is SHA-256 over everything before it.
//
//   commit                                      genesis
//     0   4  magic "TDGC"                         0   4  magic "TDGG"
//     4   2  envelope version, 1                  4   2  envelope version, 1
//     6   2  payload kind, 1: Cap'n Proto         6   2  zero
//     8  16  log id                               8  16  log id
//    24   4  partition                           24   4  partition
//    28   4  payload length n                    28   4  number of partitions
//    32   8  sequence                            32   4  format version
//    40  32  hash of commit sequence - 1         36   4  zero
//    72   8  first command answered              40  16  hash function for programs,
//    80   8  last command answered                       "sha256/8be" and zeros
//    88  32  SHA-256 of those command records    56  32  self-hash
//   120   n  payload                             88
//   120+n 32 self-hash
#pragma once

#include <string>
#include <string_view>

#include "core/chain.h"
#include "core/result.h"

namespace tidings {

inline constexpr std::size_t kEnvelopeBytes =
    120;  ///< before the payload; a multiple of 8 keeps that aligned
inline constexpr std::size_t kSelfHashBytes = Hash256::kSize;
inline constexpr std::uint16_t kPayloadCapnProto = 1;

/// How programs are spread over partitions: route() of core/ids.h.
inline constexpr std::string_view kProgramHash = "sha256/8be";

/// Fills `genesis.hash`.
std::string encode_genesis(Genesis& genesis);
/// Errors: corruption, newer_format (also for a program hash that this version does not know).
Result<Genesis> decode_genesis(std::string_view record);

/// Grows a commit record in place: the caller appends the payload to what open_commit returned
/// (with room for `payload_hint` bytes), then calls close_commit, which fills `envelope.hash`.
std::string open_commit(const Envelope& envelope, std::size_t payload_hint);
void close_commit(Envelope& envelope, std::string& record);

/// Checks magic, version, lengths and the self-hash, and nothing else (rule 4). A genesis record is
/// the commit with sequence 0: where two processes made one at once, readers skip the second.
/// Errors: corruption, newer_format.
Result<Envelope> decode_commit(std::string_view record);
/// The same without the self-hash, for records that this process has just made.
Result<Envelope> peek_commit(std::string_view record);
/// REQUIRES: peek_commit accepts `record`.
std::uint16_t payload_kind(std::string_view record);
std::string_view payload_of(std::string_view record);

}  // namespace tidings
