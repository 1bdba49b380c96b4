// RFC 3339 date-times to and from counts since the epoch, in the proleptic Gregorian calendar.
#include "core/time.h"

#include <cassert>
#include <chrono>

namespace tidings {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
/// 9999-12-31T23:59:59.999999Z
constexpr std::int64_t kLastMicros = 253'402'300'800LL * kMicrosPerSecond - 1;

/// Reads exactly `count` digits off the front.
std::optional<int> take_number(std::string_view& text, std::size_t count) {
    if (text.size() < count) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, char a, char b) {
    if (text.empty() || (text[0] != a && text[0] != b)) return false;
    text.remove_prefix(1);
    return true;
}

std::optional<std::int64_t> take_date(std::string_view& text) {
    const auto year = take_number(text, 4);
    if (!year || *year < 1970 || !take(text, '-', '-')) return std::nullopt;
    const auto month = take_number(text, 2);
    if (!month || !take(text, '-', '-')) return std::nullopt;
    const auto day = take_number(text, 2);
    if (!day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year},
                                           std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days{date}.time_since_epoch().count();
}

std::optional<std::int64_t> take_time_seconds(std::string_view& text) {
    const auto hour = take_number(text, 2);
    if (!hour || *hour > 23 || !take(text, ':', ':')) return std::nullopt;
    const auto minute = take_number(text, 2);
    if (!minute || *minute > 59 || !take(text, ':', ':')) return std::nullopt;
    const auto second = take_number(text, 2);
    if (!second || *second > 59) return std::nullopt;
    return (*hour * 60LL + *minute) * 60 + *second;
}

/// ".123456789": digits past the microsecond are cut off.
std::optional<std::int64_t> take_fraction_micros(std::string_view& text) {
    if (!take(text, '.', '.')) return 0;
    std::int64_t micros = 0;
    std::int64_t unit = kMicrosPerSecond / 10;
    std::size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
        micros += (text[digits] - '0') * unit;
        unit /= 10;
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    return micros;
}

std::optional<std::int64_t> take_offset_seconds(std::string_view& text) {
    if (take(text, 'Z', 'z')) return 0;
    if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    const bool west = text[0] == '-';
    text.remove_prefix(1);
    const auto hour = take_number(text, 2);
    if (!hour || *hour > 23 || !take(text, ':', ':')) return std::nullopt;
    const auto minute = take_number(text, 2);
    if (!minute || *minute > 59) return std::nullopt;
    const std::int64_t seconds = (*hour * 60LL + *minute) * 60;
    return west ? -seconds : seconds;
}

void append_padded(std::string& out, unsigned value, std::size_t width) {
    const std::string digits = std::to_string(value);
    if (digits.size() < width) out.append(width - digits.size(), '0');
    out += digits;
}

}  // namespace

std::string format_time(Timestamp time) {
    using std::chrono::floor;
    const std::chrono::sys_time<std::chrono::milliseconds> point{
        std::chrono::milliseconds{time.value}};
    const auto day = floor<std::chrono::days>(point);
    const std::chrono::year_month_day date{day};
    const auto year = static_cast<int>(date.year());
    assert(year >= 0 && year <= 9999);
    const auto ms = static_cast<unsigned>((point - day).count());
    std::string out;
    out.reserve(24);
    append_padded(out, static_cast<unsigned>(year), 4);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_padded(out, ms / 3'600'000, 2);
    out += ':';
    append_padded(out, ms / 60'000 % 60, 2);
    out += ':';
    append_padded(out, ms / 1000 % 60, 2);
    out += '.';
    append_padded(out, ms % 1000, 3);
    out += 'Z';
    return out;
}

std::optional<std::int64_t> parse_time_micros(std::string_view text) {
    const auto days = take_date(text);
    if (!days || !take(text, 'T', 't')) return std::nullopt;
    const auto seconds = take_time_seconds(text);
    if (!seconds) return std::nullopt;
    const auto fraction = take_fraction_micros(text);
    if (!fraction) return std::nullopt;
    const auto offset = take_offset_seconds(text);
    if (!offset || !text.empty()) return std::nullopt;
    const std::int64_t micros =
        (*days * 86'400 + *seconds - *offset) * kMicrosPerSecond + *fraction;
    if (micros < 0 || micros > kLastMicros) return std::nullopt;
    return micros;
}

std::optional<Timestamp> parse_time(std::string_view text) {
    const auto micros = parse_time_micros(text);
    if (!micros) return std::nullopt;
    return Timestamp{*micros / 1000};
}

}  // namespace tidings
