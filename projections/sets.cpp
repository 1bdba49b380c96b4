#include "projections/sets.h"

#include <algorithm>

namespace tidings {

std::shared_ptr<const SetChunk> read_set_chunk(const RowSource& rows, Key prefix,
                                               std::uint32_t chunk) {
    return rows.find<SetChunk>(prefix.u32(chunk));
}

Bitmap read_set(const RowSource& rows, const Key& prefix, std::uint32_t ordinals) {
    Bitmap out;
    for (std::uint32_t chunk = 0; chunk < set_chunks(ordinals); ++chunk)
        out |= read_set_chunk(rows, prefix, chunk)->bits;
    return out;
}

bool set_contains(const RowSource& rows, Key prefix, PartnerOrdinal ordinal) {
    const RowScope scope(rows);
    return rows.peek<SetChunk>(prefix.u32(ordinal.value / limits::kSetChunk))
        ->bits.contains(ordinal.value);
}

namespace {

/// Calls `visit(chunk number)` for each chunk in which `set` has a member.
template <class F>
void for_each_set_chunk(const Bitmap& set, F visit) {
    if (set.isEmpty()) return;
    auto member = set.begin();
    const auto end = set.end();
    while (member != end) {
        const std::uint32_t chunk = *member / limits::kSetChunk;
        visit(chunk);
        if (chunk == 0xffff) return;
        member.equalorlarger((chunk + 1) * limits::kSetChunk);
    }
}

}  // namespace

Bitmap set_intersect(const RowSource& rows, const Key& prefix, const Bitmap& candidates) {
    Bitmap out;
    for_each_set_chunk(candidates, [&](std::uint32_t chunk) {
        out |= read_set_chunk(rows, prefix, chunk)->bits & candidates;
    });
    return out;
}

Bitmap set_subtract(const RowSource& rows, const Key& prefix, const Bitmap& candidates) {
    Bitmap out = candidates;
    for_each_set_chunk(candidates, [&](std::uint32_t chunk) {
        const auto members = read_set_chunk(rows, prefix, chunk);
        if (!members->bits.isEmpty()) out -= members->bits;
    });
    return out;
}

void for_each_chunk(
    const Bitmap& set, std::uint32_t size,
    const std::function<void(std::uint32_t, const std::uint16_t*, std::size_t)>& visit) {
    std::vector<std::uint32_t> members(set.cardinality());
    set.toUint32Array(members.data());
    std::vector<std::uint16_t> indexes;
    for (std::size_t i = 0; i < members.size();) {
        const std::uint32_t chunk = members[i] / size;
        indexes.clear();
        for (; i < members.size() && members[i] / size == chunk; ++i)
            indexes.push_back(static_cast<std::uint16_t>(members[i] % size));
        visit(chunk, indexes.data(), indexes.size());
    }
}

void add_to_set(Run& run, const Key& prefix, const Bitmap& members) {
    for_each_chunk(members, limits::kSetChunk,
                   [&](std::uint32_t chunk, const std::uint16_t* indexes, std::size_t count) {
                       std::string operations;
                       set_add_each(operations, indexes, count);
                       run.change<SetChunk>(Key(prefix).u32(chunk), operations);
                   });
}

std::int64_t read_column(const RowSource& rows, Key prefix, PartnerOrdinal ordinal) {
    const RowScope scope(rows);
    const auto chunk = rows.peek<ColumnChunk>(prefix.u32(ordinal.value / limits::kColumnChunk));
    return chunk->get(ordinal.value % limits::kColumnChunk);
}

Bitmap select_column(const RowSource& rows, const Key& prefix, std::uint32_t ordinals,
                     Comparison op, std::int64_t value) {
    constexpr std::uint32_t kPerContainer = limits::kSetChunk / limits::kColumnChunk;
    constexpr std::uint32_t kWords = limits::kColumnChunk / 64;
    BitmapBuilder builder;
    std::vector<std::uint64_t> words(limits::kSetChunk / 64);
    for (std::uint32_t container = 0; container < set_chunks(ordinals); ++container) {
        std::fill(words.begin(), words.end(), 0);
        for (std::uint32_t part = 0; part < kPerContainer; ++part) {
            const std::uint32_t chunk = container * kPerContainer + part;
            if (chunk * limits::kColumnChunk >= ordinals) break;
            rows.find<ColumnChunk>(Key(prefix).u32(chunk))
                ->select(op, value, words.data() + part * kWords);
        }
        const std::uint64_t last = static_cast<std::uint64_t>(container) * limits::kSetChunk;
        for (std::uint32_t w = 0; w < words.size(); ++w) {  // cut at the last ordinal
            const std::uint64_t first = last + w * 64;
            if (first >= ordinals) {
                words[w] = 0;
            } else if (ordinals - first < 64) {
                words[w] &= (std::uint64_t{1} << (ordinals - first)) - 1;
            }
        }
        builder.container(static_cast<std::uint16_t>(container), words.data());
    }
    return builder.finish();
}

}  // namespace tidings
