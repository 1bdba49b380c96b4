// Cursors: opaque to callers, bound to their list, stable while new items arrive. base64url of a
// kind byte, numbers as varints, and four bytes of SHA-256 over kind, list and numbers, so that a
// cursor of another list is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidings {

std::string make_cursor(char kind, std::string_view list, const std::vector<std::uint64_t>& numbers,
                        std::string_view text = {});

struct Cursor {
    std::vector<std::uint64_t> numbers;
    std::string text;
};
/// Errors: invalid, with field /cursor.
Result<Cursor> parse_cursor(char kind, std::string_view list, std::string_view cursor,
                            std::size_t numbers);

}  // namespace tidings
