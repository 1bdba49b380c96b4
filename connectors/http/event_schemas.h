// The JSON Schemas of the analytics events, as they lie in docs/schemas/events/, built into the
// binary.
#pragma once

#include <span>
#include <string_view>

namespace tidings::http {

struct EventSchema {
    std::string_view name;  ///< an event's type: its data; "envelope": what all records share
    std::string_view text;
};

/// By name, bytewise.
std::span<const EventSchema> event_schemas();

}  // namespace tidings::http
