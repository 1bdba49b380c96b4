// RFC 3339 in UTC; no clock is read here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ids.h"

namespace tidings {

/// "2026-01-05T09:00:00.000Z". REQUIRES: year 0000-9999.
std::string format_time(Timestamp time);
/// Any RFC 3339 date-time (offset, lowercase t/z, fraction of any length) from year 1970 to 9999,
/// leap seconds refused.
std::optional<Timestamp> parse_time(std::string_view text);
/// The same in microseconds, for upstream times, which order deliveries.
std::optional<std::int64_t> parse_time_micros(std::string_view text);

}  // namespace tidings
