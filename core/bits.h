// Sets of small numbers as 64-bit words: a bit a member, the lowest first.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace tidings::bits {

using Words = std::span<const std::uint64_t>;

inline std::uint64_t count(Words words) {
    std::uint64_t members = 0;
    for (const std::uint64_t word : words) members += static_cast<unsigned>(std::popcount(word));
    return members;
}

/// How often for_each_run() calls.
inline std::uint64_t count_runs(Words words) {
    std::uint64_t runs = 0, before = 0;  // the last bit of the word before
    for (const std::uint64_t word : words) {
        runs += static_cast<unsigned>(std::popcount(word & ~(word << 1 | before)));
        before = word >> 63;
    }
    return runs;
}

/// Calls visit(member), in ascending order.
template <class Visit>
void for_each(Words words, Visit visit) {
    for (std::size_t i = 0; i < words.size(); ++i)
        for (std::uint64_t word = words[i]; word != 0; word &= word - 1)
            visit(64 * i + static_cast<unsigned>(std::countr_zero(word)));
}

/// Calls visit(from, to) for the members [from, to), in ascending order; no two runs touch.
template <class Visit>
void for_each_run(Words words, Visit visit) {
    std::uint64_t from = 0, to = 0;  // still growing; empty while equal
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::uint64_t word = words[i];
        for (std::uint64_t at = 64 * i; word != 0;) {
            const int zeros = std::countr_zero(word);
            word >>= zeros;
            at += static_cast<unsigned>(zeros);
            if (at != to || from == to) {
                if (from != to) visit(from, to);
                from = at;
            }
            const int ones = std::countr_one(word);
            word = ones == 64 ? 0 : word >> ones;
            at += static_cast<unsigned>(ones);
            to = at;
        }
    }
    if (from != to) visit(from, to);
}

}  // namespace tidings::bits
