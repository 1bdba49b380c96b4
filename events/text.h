// What may stand in a text or an id that came from outside: UTF-8, code points, blanks, control
// characters. Pure; every function but valid_utf8 REQUIRES valid UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace tidings {

/// Well-formed by RFC 3629: no surrogates, no overlong forms, nothing past U+10FFFF.
bool valid_utf8(std::string_view text);
std::size_t code_points(std::string_view text);
/// Nothing but Unicode White_Space, or empty.
bool is_blank(std::string_view text);
bool has_white_space(std::string_view text);
/// Any of general category Cc: U+0000-001F and U+007F-009F.
bool has_control(std::string_view text);

/// A program or partner id: 1-128 code points of valid UTF-8 without '/' and control characters.
/// Checks UTF-8 itself.
bool is_valid_id(std::string_view id);

}  // namespace tidings
