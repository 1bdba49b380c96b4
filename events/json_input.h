// How commands come from JSON: each function turns a tree into a part of a command and collects
// what is wrong by JSON pointer. What it returns is meaningful only if no error was added. Pure; no
// read model is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/command.h"
#include "core/limits.h"
#include "core/result.h"
#include "events/json_value.h"
#include "events/text.h"

namespace tidings {

/// The words in FieldError::code.
namespace field_code {
inline constexpr const char* kRequired = "required";
inline constexpr const char* kWrongType = "wrong_type";
inline constexpr const char* kTooLong = "too_long";
inline constexpr const char* kBlank = "blank";
inline constexpr const char* kUnknownField = "unknown_field";
inline constexpr const char* kInvalidFormat = "invalid_format";
inline constexpr const char* kInvalidValue = "invalid_value";  ///< not one of the words allowed
inline constexpr const char* kOutOfRange = "out_of_range";
inline constexpr const char* kTooDeep = "too_deep";
inline constexpr const char* kTooMany = "too_many";
inline constexpr const char* kNotFound = "not_found";  ///< an id that can name nothing here
}  // namespace field_code

/// Collects the bad fields of one request. Keeps the first kMax; the rest only counts.
class FieldErrors {
public:
    static constexpr std::size_t kMax = 50;
    void add(std::string pointer, const char* code, std::string detail);
    /// "must be `what`".
    void wrong_type(std::string_view pointer, std::string_view what);
    bool empty() const { return fields_.empty(); }
    const std::vector<FieldError>& fields() const { return fields_; }
    /// code invalid, all fields, and a detail that tells the first one. REQUIRES: !empty().
    Error error() const;
    /// "/email: is required", for a line or event. REQUIRES: !empty().
    std::string first() const;

private:
    std::vector<FieldError> fields_;
};

/// `pointer` + "/" + `token`, escaped by RFC 6901.
std::string child_pointer(std::string_view pointer, std::string_view token);
std::string child_pointer(std::string_view pointer, std::size_t index);

/// Members that no rule names: refused, or ignored (webhooks and CloudEvents).
enum class UnknownMembers { refuse, ignore };

enum class PatchMode {
    put,          ///< members left out keep their value; null is wrong_type
    merge_patch,  ///< RFC 7396: null resets name, surname, tags and metrics; the others can't be
                  ///< removed
    import,       ///< as put, with `id`
};
/// All but import leave `id` to the caller.
PartnerPatch partner_patch_from_json(const JsonValue&, PatchMode, FieldErrors&,
                                     UnknownMembers = UnknownMembers::refuse,
                                     std::string_view pointer = "");

/// What performance events say; mode and metrics are required.
AdjustMetrics adjust_metrics_from_json(const JsonValue&, FieldErrors&,
                                       UnknownMembers = UnknownMembers::refuse,
                                       std::string_view pointer = "");

/// {"name","plan"}, both required.
UpsertProgram program_from_json(const JsonValue&, FieldErrors&,
                                UnknownMembers = UnknownMembers::refuse,
                                std::string_view pointer = "");
/// {"secret"}: 1-512 bytes.
std::string webhook_secret_from_json(const JsonValue&, FieldErrors&);

/// `A` and `F` of API.md. Message ids must be of `program` (whether the message exists is the
/// decider's matter).
Audience audience_from_json(const ProgramId& program, const JsonValue&, std::string_view pointer,
                            FieldErrors&);
Filter filter_from_json(const ProgramId& program, const JsonValue&, std::string_view pointer,
                        FieldErrors&);

SendMessage send_message_from_json(const ProgramId& program, const JsonValue&, FieldErrors&);
/// {"body"}
std::string reply_from_json(const JsonValue&, FieldErrors&);

struct AudienceRequest {
    Audience audience;
    std::size_t limit = limits::kPageDefault;
    std::string cursor;
};
/// {"audience"?:A,"limit"?,"cursor"?}; all active partners if the audience is left out, as in a
/// send.
AudienceRequest audience_request_from_json(const ProgramId& program, const JsonValue&,
                                           FieldErrors&);

/// One line of POST .../opens: {"message","partner","at"?}; ids as text, to be resolved by the
/// caller.
struct OpenLine {
    std::string message;
    PartnerId partner;
    std::optional<Timestamp> at;
};
OpenLine open_from_json(const JsonValue&, FieldErrors&);

/// {"up_to":"post_..."?} of the portal's open; the text, to be resolved by the caller.
std::optional<std::string> up_to_from_json(const JsonValue&, FieldErrors&);

/// {}: what a call without members takes.
void nothing_from_json(const JsonValue&, FieldErrors&);

// Single fields, shared with connectors that read foreign shapes. Each adds an error at `pointer`
// if the value is bad.
std::string email_from_json(const JsonValue&, std::string_view pointer, FieldErrors&);
/// A partner's name or surname: may be empty, no control characters.
std::string name_from_json(const JsonValue&, std::string_view pointer, FieldErrors&);
std::string tag_from_json(const JsonValue&, std::string_view pointer, FieldErrors&);
std::string id_from_json(const JsonValue&, std::string_view pointer, FieldErrors&);
/// 0 to 2^53 - 1.
std::uint64_t counter_from_json(const JsonValue&, std::string_view pointer, FieldErrors&);
Timestamp time_from_json(const JsonValue&, std::string_view pointer, FieldErrors&);
/// Sorts, drops repeats, and checks their number.
std::vector<std::string> distinct_tags(std::vector<std::string> tags, std::string_view pointer,
                                       FieldErrors&);

}  // namespace tidings
