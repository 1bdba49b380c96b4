// What may fail returns a Result: a value or an Error that a caller can show.
// Errors are values; exceptions of libraries are turned into Errors at the edge where the library
// is called.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace tidings {

/// The codes of API.md (first block: they travel to callers) and those of the machine below it.
enum class ErrorCode {
    malformed,
    unauthenticated,
    forbidden,
    plan_required,
    replies_disabled,
    not_found,
    method_not_allowed,
    not_acceptable,
    idempotency_key_reused,
    audience_changed,
    payload_too_large,
    unsupported_media_type,
    invalid,
    audience_empty,
    unknown_partner,
    rate_limited,
    overloaded,
    not_caught_up,
    outcome_unknown,
    not_a_recipient,
    // below the API
    io,            ///< the disk or the broker failed; trying again may help
    corruption,    ///< stored bytes are not what was written
    log_mismatch,  ///< the log was truncated, replaced or altered under its readers (PROTOCOL.md
                   ///< rules 1, 4-7)
    newer_format,  ///< written by a newer version; never skipped (rule 8)
    older_format,  ///< read models of an older version: they are made anew from the log
    usage,         ///< configuration or command line
};

/// The word for `code` in problem documents, logs and metrics, e.g. "plan_required".
const char* name_of(ErrorCode code);

/// One bad field of a request: a JSON pointer, the rule it broke as a word, and a sentence.
struct FieldError {
    std::string pointer;
    std::string code;
    std::string detail;
    bool operator==(const FieldError&) const = default;
};

struct Error {
    ErrorCode code = ErrorCode::invalid;
    std::string detail;
    std::vector<FieldError> fields;
    bool operator==(const Error&) const = default;
};

/// A value where an error was not possible; thrown by Result::value() on an error, which is an own
/// bug.
class BadResult : public std::logic_error {
public:
    explicit BadResult(const Error& error) : std::logic_error(error.detail) {}
};

[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location&) {
    throw BadResult(error);
}

template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace tidings
