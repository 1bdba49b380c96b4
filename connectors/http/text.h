// The text layers under a request: percent-encoding (RFC 3986), UTF-8 (RFC 3629) and media types
// (RFC 9110). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidings::http {

/// Without the spaces and tabs at both ends.
std::string_view trim(std::string_view text);

/// Well-formed UTF-8: no surrogates, no overlong forms, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);
/// Code points. REQUIRES: is_utf8(text).
std::size_t count_code_points(std::string_view text);

/// Replaces `out` with the decoded text; `plus_is_space` for query strings. False: a broken escape
/// or not UTF-8.
bool percent_decode(std::string_view text, bool plus_is_space, std::string& out);
/// Everything but RFC 3986's unreserved characters is escaped: one path segment, for Location
/// headers.
std::string percent_encode(std::string_view segment);

/// "a=1&b=x%20y" into `out`, replacing what was there. False as with percent_decode.
bool parse_query(std::string_view text, std::vector<std::pair<std::string, std::string>>& out);

/// RFC 9110 tokens are compared without regard to case in types, charsets and schemes.
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// Whether a Content-Type is one of `accepted` ("type/subtype" or "*/*") and its charset, if any,
/// UTF-8.
bool content_type_accepted(std::string_view content_type, const std::vector<std::string>& accepted);

/// The one of `produces` with the highest weight in `accept` (earlier ones win ties), or nothing.
std::optional<std::string_view> negotiate(std::string_view accept,
                                          const std::vector<std::string>& produces);

}  // namespace tidings::http
