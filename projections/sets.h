// Sets and columns over all ordinals of a program, put together from their chunks.
#pragma once

#include <functional>
#include <vector>

#include "projections/row_source.h"

namespace tidings {

inline std::uint32_t set_chunks(std::uint32_t ordinals) {
    return (ordinals + limits::kSetChunk - 1) / limits::kSetChunk;
}

/// Union of the chunks 0 .. set_chunks(ordinals). `prefix`: the chunks' key without the chunk
/// number.
Bitmap read_set(const RowSource& rows, const Key& prefix, std::uint32_t ordinals);
std::shared_ptr<const SetChunk> read_set_chunk(const RowSource& rows, Key prefix,
                                               std::uint32_t chunk);
bool set_contains(const RowSource& rows, Key prefix, PartnerOrdinal ordinal);
/// Members of `candidates` that are also in the set; looks only at the chunks where there are
/// candidates.
Bitmap set_intersect(const RowSource& rows, const Key& prefix, const Bitmap& candidates);
/// Members of `candidates` that are not in the set.
Bitmap set_subtract(const RowSource& rows, const Key& prefix, const Bitmap& candidates);

/// Appends the members to the chunks of a set.
void add_to_set(Run& run, const Key& prefix, const Bitmap& members);

/// Calls `visit(chunk number, indexes within the chunk, count)` for each non-empty chunk of `size`
/// ordinals.
void for_each_chunk(
    const Bitmap& set, std::uint32_t size,
    const std::function<void(std::uint32_t, const std::uint16_t*, std::size_t)>& visit);

std::int64_t read_column(const RowSource& rows, Key prefix, PartnerOrdinal ordinal);
/// Ordinals below `ordinals` whose value compares so; what was never set is 0.
Bitmap select_column(const RowSource& rows, const Key& prefix, std::uint32_t ordinals,
                     Comparison op, std::int64_t value);

}  // namespace tidings
