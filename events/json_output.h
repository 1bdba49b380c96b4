// How facts are rendered as JSON: appenders to a string, without a tree. UTF-8 stays as it is.
// Strings given in are valid UTF-8 already. Pure; shared by the HTTP answers, the analytics events
// and `log cat`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/command.h"
#include "core/event.h"
#include "core/texts.h"
#include "events/json_value.h"

namespace tidings {

/// With its quotes.
void append_json_string(std::string& out, std::string_view text);

/// Writes values one after the other and puts the commas between them; nesting is the caller's
/// matter.
class JsonWriter {
public:
    /// `out` outlives the writer and may be appended to directly between values (see `raw`).
    explicit JsonWriter(std::string& out) : out_(out) {}
    JsonWriter& open_object() { return open('{'); }
    JsonWriter& close_object() { return close('}'); }
    JsonWriter& open_array() { return open('['); }
    JsonWriter& close_array() { return close(']'); }
    /// REQUIRES: `name` needs no escape (it is one of our own).
    JsonWriter& key(std::string_view name);
    /// A member's name that came from outside.
    JsonWriter& any_key(std::string_view name);
    JsonWriter& string(std::string_view text);
    JsonWriter& number(std::uint64_t value);
    JsonWriter& signed_number(std::int64_t value);
    JsonWriter& boolean(bool value);
    JsonWriter& null();
    JsonWriter& time(Timestamp value);
    /// null if there is none.
    JsonWriter& time(const std::optional<Timestamp>& value);
    /// Puts the comma if one is due, and returns the string to append exactly one value (or some
    /// members) to.
    std::string& raw();

private:
    JsonWriter& open(char bracket);
    JsonWriter& close(char bracket);
    std::string& out_;
    bool comma_ = false;  ///< the next value or key follows another
};

/// A quoted RFC 3339 time.
void append_time(std::string& out, Timestamp time);
/// {"USD":"99.99"}
void append_money(std::string& out, const Money& money);
void append_metrics(std::string& out, const Metrics& metrics);
/// {"id","email","name","surname","status","tags","joined_at","metrics"}, and "erased" if it is
void append_partner(std::string& out, const PartnerState& partner, const PartnerTexts& texts);
/// {"id","name"}
void append_author(std::string& out, std::string_view id, std::string_view name);
void append_filter(std::string& out, const ProgramId& program, const Filter& filter);
/// The members of the audience as sent, without braces, so that the caller can add digest and plan.
void append_audience_members(std::string& out, const ProgramId& program, const Audience& audience);
void append_audience(std::string& out, const ProgramId& program, const Audience& audience);

/// Every field of a log record, for `log cat --json` and `log tail`. Message and post ids are
/// written as in the API where the record tells which they are; sets of ordinals as
/// {"count","runs":[[first,last]...]}. Sealed texts that `keys` (null: none) do not open are null;
/// those of a whole partner are empty, and "sealed" tells that there are any.
void append_command_json(std::string& out, const Command& command, const Keys* keys = nullptr);
void append_outcome_json(std::string& out, const Outcome& outcome, const Keys* keys = nullptr);
/// {"type":"MessageSent",...}; `number` is the event's own.
void append_event_json(std::string& out, const ProgramId& program, EventNumber number,
                       const Event& event, const Keys* keys = nullptr);

/// The tree itself, compact, members in their order, numbers as written.
void append_json(std::string& out, const JsonValue& value);

}  // namespace tidings
