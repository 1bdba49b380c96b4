// JSON as it came in: an ordered tree whose numbers keep their text, because amounts must be exact
// (Boost.JSON's own tree turns 9999999999.999999 into 10000000000.0). Parsing only; writing is
// json_output.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace tidings {

struct JsonMember;

struct JsonValue {
    enum class Kind : std::uint8_t { null, boolean, number, string, array, object };
    Kind kind = Kind::null;
    bool truth = false;               ///< of a boolean
    std::string text;                 ///< of a string, unescaped; of a number, as written
    std::vector<JsonValue> items;     ///< of an array
    std::vector<JsonMember> members;  ///< of an object, as written, names distinct

    bool is_null() const { return kind == Kind::null; }
    bool is_boolean() const { return kind == Kind::boolean; }
    bool is_number() const { return kind == Kind::number; }
    bool is_string() const { return kind == Kind::string; }
    bool is_array() const { return kind == Kind::array; }
    bool is_object() const { return kind == Kind::object; }
    /// The member's value, or null. Any kind may be asked; only objects have members.
    const JsonValue* find(std::string_view name) const;
    /// The text of a member; empty where there is none.
    std::string text_of(std::string_view name) const;
    bool operator==(const JsonValue&) const;
};

struct JsonMember {
    std::string name;
    JsonValue value;
    bool operator==(const JsonMember&) const;
};

/// Deeper nesting is malformed. A filter of depth 16 in a request takes 33 (an array and an object
/// a level); twice that, so that one that is too deep is still told as a field error.
inline constexpr std::size_t kJsonDepth = 64;

/// One JSON text (RFC 8259), strictly: valid UTF-8 only, no byte order mark, no duplicate member
/// names, no U+0000 and no lone surrogate in strings. Thread-safe (each thread keeps a parser).
/// Errors: malformed, with the byte offset.
Result<JsonValue> parse_json(std::string_view text);

/// The integer that a JSON number's text stands for ("100", "1e2", "100.0"); nothing if it has a
/// fraction or does not fit.
std::optional<std::int64_t> integer_of(std::string_view number);

}  // namespace tidings
