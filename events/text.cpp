#include "events/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "core/limits.h"

namespace tidings {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t at) {
    return static_cast<std::uint8_t>(text[at]);
}

bool is_continuation(std::uint8_t byte) { return (byte & 0xC0) == 0x80; }

/// Length of the well-formed sequence at `at`, or 0. Table 3-7 of the Unicode Standard.
std::size_t sequence_length(std::string_view text, std::size_t at) {
    const std::uint8_t lead = byte_at(text, at);
    if (lead < 0x80) return 1;
    std::size_t length = 0;
    std::uint8_t low = 0x80, high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    } else {
        return 0;
    }
    if (text.size() - at < length) return 0;
    const std::uint8_t second = byte_at(text, at + 1);
    if (second < low || second > high) return 0;
    for (std::size_t i = 2; i < length; ++i) {
        if (!is_continuation(byte_at(text, at + i))) return 0;
    }
    return length;
}

/// Eight ASCII bytes at `at`.
bool ascii_word(std::string_view text, std::size_t at) {
    if (text.size() - at < 8) return false;
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    return (word & 0x8080808080808080ULL) == 0;
}

/// Reads one code point and steps over it. REQUIRES: valid UTF-8.
char32_t next_code_point(std::string_view text, std::size_t& at) {
    const std::uint8_t lead = byte_at(text, at++);
    if (lead < 0x80) return lead;
    const int more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    char32_t value = lead & (0x3F >> more);
    for (int i = 0; i < more && at < text.size(); ++i)
        value = value << 6 | (byte_at(text, at++) & 0x3F);
    return value;
}

/// The 25 code points with the property White_Space (PropList.txt; unchanged since Unicode 6.3).
bool is_white_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

}  // namespace

bool valid_utf8(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        if (ascii_word(text, at)) {
            at += 8;
            continue;
        }
        const std::size_t length = sequence_length(text, at);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

std::size_t code_points(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return !is_continuation(static_cast<std::uint8_t>(c));
    }));
}

bool is_blank(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        if (!is_white_space(next_code_point(text, at))) return false;
    }
    return true;
}

bool has_white_space(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        if (is_white_space(next_code_point(text, at))) return true;
    }
    return false;
}

bool has_control(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        const std::uint8_t byte = byte_at(text, at);
        if (byte < 0x20 || byte == 0x7F) return true;
        // U+0080-009F are C2 80 - C2 9F, and C2 is never a continuation byte
        if (byte == 0xC2 && at + 1 < text.size() && byte_at(text, at + 1) < 0xA0) return true;
    }
    return false;
}

bool is_valid_id(std::string_view id) {
    return !id.empty() && id.size() <= 4 * limits::kIdCharacters && valid_utf8(id) &&
           code_points(id) <= limits::kIdCharacters && id.find('/') == std::string_view::npos &&
           !has_control(id);
}

}  // namespace tidings
