// CloudEvents 1.0 over HTTP (binary, structured and batched mode) as commands. Pure: no read model,
// no clock. Sources: CloudEvents 1.0.2 core, JSON event format, HTTP protocol binding.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "connectors/upstream/headers.h"
#include "core/command.h"
#include "core/result.h"

namespace tidings::upstream {

/// io.tidings.message.opened: its ids are to be resolved against the read models when its turn
/// comes.
struct UnresolvedOpen {
    std::string message;
    PartnerId partner;
    std::optional<Timestamp> at;
    bool operator==(const UnresolvedOpen&) const = default;
};
/// A type that this version has no meaning for.
struct IgnoredEvent {
    bool operator==(const IgnoredEvent&) const = default;
};

struct CloudEvent {
    std::size_t index = 0;  ///< in the batch
    std::string id, source, type, subject;
    ProgramId program;
    std::optional<std::int64_t> time_micros;
    std::string content;  ///< canonical bytes of what it asks: the same in every mode
    std::string json;     ///< the event in the JSON format, if it was to be kept
    std::variant<IgnoredEvent, CommandBody, UnresolvedOpen, Error> what;
};

/// Errors (of the request as a whole): malformed, unsupported_media_type, invalid. What is wrong
/// with one event is in that event. Unknown attributes and members are ignored. `keep_json`: for
/// events that may have to be delivered elsewhere.
Result<std::vector<CloudEvent>> parse_cloudevents(const Headers& headers, std::string_view body,
                                                  bool keep_json = false);

/// The same, from one event in the JSON format, such as an upstream topic holds.
Result<CloudEvent> parse_cloudevent_json(std::string_view json, bool keep_json = true);

/// SHA-256, truncated, over "tidings.cloudevent.v1\n" and (program, source, id), each with its
/// length before it.
CommandId cloudevent_command_id(const ProgramId& program, std::string_view source,
                                std::string_view id);

}  // namespace tidings::upstream
