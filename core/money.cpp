// Exact decimals to micro-units and back, never through floating point.
#include "core/money.h"

#include <limits>

namespace tidings {
namespace {

constexpr int kDecimals = 6;
constexpr std::size_t kCurrencyCharacters = 16;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A decimal number taken apart: (-1)^negative * digits * 10^exponent.
struct Decimal {
    bool negative = false;
    std::string_view whole, fraction;
    std::int64_t exponent = 0;
};

std::string_view take_digits(std::string_view& text) {
    std::size_t n = 0;
    while (n < text.size() && is_digit(text[n])) ++n;
    const std::string_view digits = text.substr(0, n);
    text.remove_prefix(n);
    return digits;
}

/// Sign, whole part without superfluous zeros, fraction. Leaves the rest in `text`.
std::optional<Decimal> take_plain(std::string_view& text) {
    Decimal out;
    if (text.starts_with('-')) {
        out.negative = true;
        text.remove_prefix(1);
    }
    out.whole = take_digits(text);
    if (out.whole.empty() || (out.whole.size() > 1 && out.whole[0] == '0')) return std::nullopt;
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        out.fraction = take_digits(text);
        if (out.fraction.empty()) return std::nullopt;
    }
    return out;
}

/// Beyond this no non-zero text that fits a request can be brought back into range.
constexpr std::int64_t kExponentBound = 1'000'000'000;

std::optional<std::int64_t> take_exponent(std::string_view& text) {
    if (text.empty() || (text[0] != 'e' && text[0] != 'E')) return 0;
    text.remove_prefix(1);
    bool negative = false;
    if (text.starts_with('-') || text.starts_with('+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    const std::string_view digits = take_digits(text);
    if (digits.empty()) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : digits) value = std::min(kExponentBound, value * 10 + (c - '0'));
    return negative ? -value : value;
}

/// The number times 10^6; nothing if that is no integer or does not fit.
std::optional<std::int64_t> scale(const Decimal& decimal) {
    const std::size_t count = decimal.whole.size() + decimal.fraction.size();
    const auto digit = [&decimal](std::size_t i) {
        const std::size_t whole = decimal.whole.size();
        return i < whole ? decimal.whole[i] - '0' : decimal.fraction[i - whole] - '0';
    };
    // Value = digits * 10^shift micro-units.
    std::int64_t shift =
        kDecimals + decimal.exponent - static_cast<std::int64_t>(decimal.fraction.size());
    std::size_t end = count;
    while (end > 0 && digit(end - 1) == 0) {
        --end;
        ++shift;
    }
    if (end == 0) return 0;
    if (shift < 0) return std::nullopt;
    // Accumulated below zero: the most negative value has no positive counterpart.
    std::int64_t value = 0;
    for (std::size_t i = 0; i < end; ++i) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit(i), &value)) {
            return std::nullopt;
        }
    }
    for (; shift > 0; --shift) {
        if (__builtin_mul_overflow(value, 10, &value)) return std::nullopt;
    }
    if (decimal.negative) return value;
    if (value == std::numeric_limits<std::int64_t>::min()) return std::nullopt;
    return -value;
}

}  // namespace

std::optional<std::int64_t> parse_micros(std::string_view text) {
    const auto decimal = take_plain(text);
    if (!decimal || !text.empty() || decimal->fraction.size() > kDecimals) return std::nullopt;
    if (decimal->fraction.ends_with('0')) return std::nullopt;  // one text for each amount
    const auto micros = scale(*decimal);
    if (micros == 0 && decimal->negative) return std::nullopt;
    return micros;
}

std::optional<std::int64_t> parse_number_micros(std::string_view text) {
    auto decimal = take_plain(text);
    if (!decimal) return std::nullopt;
    const auto exponent = take_exponent(text);
    if (!exponent || !text.empty()) return std::nullopt;
    decimal->exponent = *exponent;
    return scale(*decimal);
}

std::string format_micros(std::int64_t micros) {
    const bool negative = micros < 0;
    const std::uint64_t magnitude =
        negative ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros);
    constexpr std::uint64_t kUnit = 1'000'000;
    std::string out = negative ? "-" : "";
    out += std::to_string(magnitude / kUnit);
    if (const std::uint64_t rest = magnitude % kUnit; rest != 0) {
        const std::string digits = std::to_string(rest);
        out += '.';
        out.append(kDecimals - digits.size(), '0');
        out += digits;
        out.erase(out.find_last_not_of('0') + 1);
    }
    return out;
}

bool is_currency(std::string_view text) {
    if (text.empty() || text.size() > kCurrencyCharacters) return false;
    for (const char c : text) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !is_digit(c) && c != '_' && c != '-') return false;
    }
    return true;
}

}  // namespace tidings
