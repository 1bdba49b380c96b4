// Exact decimal money: signed 64-bit micro-units, never floating point.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tidings {

/// Currency code to micro-units; ordered, so that every iteration is deterministic.
using Money = std::map<std::string, std::int64_t>;

/// "99.99" -> 99990000. Exact decimals of API.md, one text for each amount: optional '-', no
/// exponent, at most 6 decimals, no superfluous zeros on either side, no "-0". Nothing if malformed
/// or too large.
std::optional<std::int64_t> parse_micros(std::string_view text);
/// The same for the text of a JSON number, where an exponent and more zeros are allowed; inexact
/// ones are nothing.
std::optional<std::int64_t> parse_number_micros(std::string_view text);
/// 99990000 -> "99.99": no exponent, no trailing zeros.
std::string format_micros(std::int64_t micros);
/// 1-16 characters, ASCII letters, digits, '_' or '-': what may be a currency code.
bool is_currency(std::string_view text);

}  // namespace tidings
