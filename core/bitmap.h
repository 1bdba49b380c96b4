// Sets of partner ordinals: Roaring bitmaps (Lemire et al., "Roaring Bitmaps: Implementation of an
// Optimized Software Library", 2018; format: RoaringFormatSpec).
#pragma once

#include <cstdint>
#include <roaring/roaring.hh>
#include <string>
#include <string_view>

#include "core/ids.h"
#include "core/result.h"

namespace roaring {}
namespace tidings {
namespace roaring_library {
using namespace ::roaring;  // newer releases keep the class here, 0.2.66 in the global namespace
using Type = Roaring;
}  // namespace roaring_library
using Bitmap = roaring_library::Type;

/// Portable Roaring serialisation, run-optimised: depends only on the members.
std::string serialize(const Bitmap& set);
/// The same bytes for a set whose members all lie within `key` * 65,536 and the 65,535 behind it,
/// by a bit for each of them: 1,024 words.
std::string serialize_words(std::uint16_t key, const std::uint64_t* words);
/// The inverse; malformed bytes are an error, never undefined behaviour.
Result<Bitmap> deserialize_bitmap(std::string_view bytes);

/// Appends the set's maximal runs as LEB128 pairs (gap since the end of the previous run, run
/// length - 1). Cost follows containers and runs, not members: all of ten million partners are one
/// run.
void append_runs(const Bitmap& set, std::string& out);

/// Digest of an audience: SHA-256 of "tidings.audience.v1\n" and the runs of append_runs. Depends
/// only on the set.
Hash256 audience_digest(const Bitmap& set);

}  // namespace tidings
