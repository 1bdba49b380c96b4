// The second half of json_input.h: audiences, filters, messages, replies and opens.
#include <array>
#include <utility>

#include "core/money.h"
#include "core/time.h"
#include "events/json_input.h"

namespace tidings {
namespace {

constexpr auto kMetricMax = static_cast<std::int64_t>(limits::kCounterMax);
constexpr std::size_t kSecretBytes = 512;

/// The members of an object, each asked for once; what was never asked for is unknown.
class Members {
public:
    Members(const JsonValue& value, std::string_view pointer, FieldErrors& errors)
        : value_(value), pointer_(pointer), errors_(errors), asked_(value.members.size()) {
        if (!value.is_object()) errors.wrong_type(pointer, "an object");
    }
    bool ok() const { return value_.is_object(); }
    std::string place(std::string_view name) const { return child_pointer(pointer_, name); }
    FieldErrors& errors() const { return errors_; }

    const JsonValue* optional(std::string_view name) {
        for (std::size_t i = 0; i < value_.members.size(); ++i) {
            if (value_.members[i].name != name) continue;
            asked_[i] = true;
            return &value_.members[i].value;
        }
        return nullptr;
    }
    const JsonValue* required(std::string_view name) {
        const JsonValue* found = optional(name);
        if (found == nullptr && ok()) {
            errors_.add(place(name), field_code::kRequired, "is required");
        }
        return found;
    }
    /// A required string, or null.
    const std::string* required_string(std::string_view name) {
        return string_of(required(name), name);
    }
    const std::string* optional_string(std::string_view name) {
        return string_of(optional(name), name);
    }
    /// Call at the end.
    void refuse_unknown() const {
        for (std::size_t i = 0; i < value_.members.size(); ++i) {
            if (asked_[i]) continue;
            errors_.add(place(value_.members[i].name), field_code::kUnknownField,
                        "is not a known member");
        }
    }

private:
    const std::string* string_of(const JsonValue* value, std::string_view name) {
        if (value == nullptr) return nullptr;
        if (value->is_string()) return &value->text;
        errors_.wrong_type(place(name), "a string");
        return nullptr;
    }

    const JsonValue& value_;
    std::string_view pointer_;
    FieldErrors& errors_;
    std::vector<bool> asked_;
};

template <class Word, std::size_t N>
std::optional<Word> word(const std::string* text, const std::array<Word, N>& words,
                         Members& members, std::string_view name) {
    if (text == nullptr) return std::nullopt;
    std::string list;
    for (const Word candidate : words) {
        if (*text == name_of(candidate)) return candidate;
        list += std::string(list.empty() ? "" : ", ") + name_of(candidate);
    }
    members.errors().add(members.place(name), field_code::kInvalidValue, "must be one of " + list);
    return std::nullopt;
}

constexpr std::array kMetrics{Metric::clicks,        Metric::signups, Metric::sales,
                              Metric::paid_accounts, Metric::revenue, Metric::commission};
constexpr std::array kComparisons{Comparison::less,          Comparison::less_equal,
                                  Comparison::equal,         Comparison::not_equal,
                                  Comparison::greater_equal, Comparison::greater};
constexpr std::array kEngagements{Engagement::opened, Engagement::not_opened, Engagement::replied};

class FilterReader {
public:
    FilterReader(const ProgramId& program, FieldErrors& errors)
        : program_(program), errors_(errors) {}

    Filter read(const JsonValue& value, std::string_view pointer, std::size_t depth = 1) {
        Filter out;
        if (++nodes_ > limits::kFilterNodes) {
            if (nodes_ == limits::kFilterNodes + 1) {
                errors_.add(
                    std::string(pointer), field_code::kTooMany,
                    "a filter has at most " + std::to_string(limits::kFilterNodes) + " nodes");
            }
            return out;
        }
        if (depth > limits::kFilterDepth) {
            errors_.add(std::string(pointer), field_code::kTooDeep,
                        "a filter is at most " + std::to_string(limits::kFilterDepth) + " deep");
            return out;
        }
        Members members(value, pointer, errors_);
        if (!members.ok() || !one_form(value, pointer)) return out;
        if (const JsonValue* children = members.optional("all")) {
            out.kind = Filter::Kind::all;
            read_children(out, *children, members.place("all"), depth);
        } else if (const JsonValue* children = members.optional("any")) {
            out.kind = Filter::Kind::any;
            read_children(out, *children, members.place("any"), depth);
        } else if (const JsonValue* child = members.optional("not")) {
            out.kind = Filter::Kind::negation;
            out.children.push_back(read(*child, members.place("not"), depth + 1));
        } else if (const JsonValue* tag = members.optional("tag")) {
            out.kind = Filter::Kind::tag;
            out.tag = tag_from_json(*tag, members.place("tag"), errors_);
        } else if (members.optional("metric") != nullptr) {
            read_metric(out, members);
        } else if (members.optional("joined") != nullptr) {
            read_joined(out, members);
        } else {
            read_engagement(out, members);
        }
        members.refuse_unknown();
        return out;
    }

private:
    bool one_form(const JsonValue& value, std::string_view pointer) {
        int forms = 0;
        for (const char* form : {"all", "any", "not", "tag", "metric", "joined", "engagement"}) {
            forms += value.find(form) != nullptr ? 1 : 0;
        }
        if (forms == 1) return true;
        errors_.add(std::string(pointer),
                    forms == 0 ? field_code::kRequired : field_code::kInvalidValue,
                    "must have exactly one of all, any, not, tag, metric, joined and engagement");
        return false;
    }

    void read_children(Filter& out, const JsonValue& value, const std::string& pointer,
                       std::size_t depth) {
        if (!value.is_array()) {
            errors_.wrong_type(pointer, "an array");
            return;
        }
        for (std::size_t i = 0; i < value.items.size() && nodes_ <= limits::kFilterNodes; ++i) {
            out.children.push_back(read(value.items[i], child_pointer(pointer, i), depth + 1));
        }
    }

    void read_metric(Filter& out, Members& members) {
        out.kind = Filter::Kind::metric;
        const auto metric = word(members.required_string("metric"), kMetrics, members, "metric");
        const auto op = word(members.required_string("op"), kComparisons, members, "op");
        const JsonValue* value = members.required("value");
        if (op) out.op = *op;
        if (!metric) {
            members.optional("currency");
            return;
        }
        out.metric = *metric;
        if (is_money(out.metric)) {
            read_amount(out, value, members);
        } else if (value != nullptr) {
            out.value = read_count(*value, members.place("value"));
        }
    }

    void read_amount(Filter& out, const JsonValue* value, Members& members) {
        if (const std::string* currency = members.required_string("currency")) {
            out.currency = *currency;
            if (!is_currency(*currency)) {
                errors_.add(members.place("currency"), field_code::kInvalidFormat,
                            "is not a currency code");
            }
        }
        if (value == nullptr) return;
        if (!value->is_string()) {
            errors_.wrong_type(members.place("value"), "a string with a decimal number");
        } else if (const auto micros = parse_micros(value->text)) {
            out.value = *micros;
        } else {
            errors_.add(members.place("value"), field_code::kInvalidFormat,
                        "must be a plain decimal number with at most 6 decimals");
        }
    }

    std::int64_t read_count(const JsonValue& value, const std::string& pointer) {
        const auto integer = value.is_number() ? integer_of(value.text) : std::nullopt;
        if (integer && *integer >= -kMetricMax && *integer <= kMetricMax) return *integer;
        const bool range =
            integer || (value.is_number() && value.text.find_first_of(".eE") == std::string::npos);
        if (range) {
            errors_.add(pointer, field_code::kOutOfRange, "must fit into 53 bits");
        } else {
            errors_.wrong_type(pointer, "an integer");
        }
        return 0;
    }

    void read_joined(Filter& out, Members& members) {
        const std::string* when = members.required_string("joined");
        out.kind = Filter::Kind::joined_before;
        if (when != nullptr && *when == "after") {
            out.kind = Filter::Kind::joined_after;
        } else if (when != nullptr && *when != "before") {
            errors_.add(members.place("joined"), field_code::kInvalidValue,
                        "must be before or after");
        }
        if (const JsonValue* at = members.required("at")) {
            out.joined = time_from_json(*at, members.place("at"), errors_);
        }
    }

    void read_engagement(Filter& out, Members& members) {
        out.kind = Filter::Kind::engagement;
        const auto kind =
            word(members.required_string("engagement"), kEngagements, members, "engagement");
        if (kind) out.engagement = *kind;
        const std::string* message = members.required_string("message");
        if (message == nullptr) return;
        if (const auto number = parse_message_id(program_, *message)) {
            out.message = *number;
        } else {
            errors_.add(members.place("message"), field_code::kNotFound,
                        "is no message of this program");
        }
    }

    const ProgramId& program_;
    FieldErrors& errors_;
    std::size_t nodes_ = 0;
};

std::vector<PartnerId> ids_from_json(const JsonValue& value, const std::string& pointer,
                                     FieldErrors& errors) {
    std::vector<PartnerId> ids;
    if (!value.is_array()) {
        errors.wrong_type(pointer, "an array");
        return ids;
    }
    ids.reserve(value.items.size());
    for (std::size_t i = 0; i < value.items.size(); ++i) {
        const JsonValue& item = value.items[i];
        if (item.is_string() && is_valid_id(item.text)) {  // without building a pointer for each
            ids.push_back({item.text});
        } else {
            ids.push_back({id_from_json(item, child_pointer(pointer, i), errors)});
        }
    }
    return ids;
}

/// Message and reply bodies have the same limits.
std::string body_from_json(Members& members) {
    const std::string* body = members.required_string("body");
    if (body == nullptr) return {};
    if (is_blank(*body)) {
        members.errors().add(members.place("body"), field_code::kBlank, "must not be blank");
    } else if (body->size() > limits::kBodyBytes) {
        members.errors().add(members.place("body"), field_code::kTooLong,
                             "must have at most " + std::to_string(limits::kBodyBytes) + " bytes");
    } else {
        return *body;
    }
    return {};
}

std::string subject_from_json(Members& members) {
    const std::string* subject = members.required_string("subject");
    if (subject == nullptr) return {};
    if (is_blank(*subject)) {
        members.errors().add(members.place("subject"), field_code::kBlank, "must not be blank");
    } else if (code_points(*subject) > limits::kSubjectCharacters) {
        members.errors().add(
            members.place("subject"), field_code::kTooLong,
            "must have at most " + std::to_string(limits::kSubjectCharacters) + " characters");
    } else if (has_control(*subject)) {
        members.errors().add(members.place("subject"), field_code::kInvalidFormat,
                             "must not have control characters");
    } else {
        return *subject;
    }
    return {};
}

std::optional<Hash256> digest_from_json(Members& members, std::string_view name) {
    const std::string* text = members.optional_string(name);
    if (text == nullptr) return std::nullopt;
    const auto bytes = from_hex(*text);
    if (bytes && bytes->size() == Hash256::kSize) return Hash256::from(*bytes);
    members.errors().add(members.place(name), field_code::kInvalidFormat,
                         "must be a digest of 64 hexadecimal digits");
    return std::nullopt;
}

}  // namespace

Filter filter_from_json(const ProgramId& program, const JsonValue& value, std::string_view pointer,
                        FieldErrors& errors) {
    return FilterReader(program, errors).read(value, pointer);
}

Audience audience_from_json(const ProgramId& program, const JsonValue& value,
                            std::string_view pointer, FieldErrors& errors) {
    Audience out;
    Members members(value, pointer, errors);
    const std::string* type = members.required_string("type");
    if (type == nullptr) return out;
    if (*type == "partners") {
        out.type = Audience::Type::partners;
        if (const JsonValue* partners = members.required("partners")) {
            out.partners = ids_from_json(*partners, members.place("partners"), errors);
        }
    } else if (*type == "filter") {
        out.type = Audience::Type::filter;
        if (const JsonValue* filter = members.required("filter")) {
            out.filter = filter_from_json(program, *filter, members.place("filter"), errors);
        }
        if (const JsonValue* exclude = members.optional("exclude")) {
            out.exclude = ids_from_json(*exclude, members.place("exclude"), errors);
        }
    } else if (*type != "all") {
        errors.add(members.place("type"), field_code::kInvalidValue,
                   "must be all, partners or filter");
        return out;
    }
    members.refuse_unknown();
    return out;
}

SendMessage send_message_from_json(const ProgramId& program, const JsonValue& value,
                                   FieldErrors& errors) {
    SendMessage out;
    Members members(value, "", errors);
    if (!members.ok()) return out;
    out.subject = subject_from_json(members);
    out.body = body_from_json(members);
    if (const JsonValue* audience = members.optional("audience")) {
        out.audience = audience_from_json(program, *audience, "/audience", errors);
    }
    if (const JsonValue* replies = members.optional("replies_enabled")) {
        out.replies_enabled = replies->truth;
        if (!replies->is_boolean()) errors.wrong_type("/replies_enabled", "true or false");
    }
    out.expect_digest = digest_from_json(members, "expect_digest");
    members.refuse_unknown();
    return out;
}

std::string reply_from_json(const JsonValue& value, FieldErrors& errors) {
    Members members(value, "", errors);
    if (!members.ok()) return {};
    std::string body = body_from_json(members);
    members.refuse_unknown();
    return body;
}

AudienceRequest audience_request_from_json(const ProgramId& program, const JsonValue& value,
                                           FieldErrors& errors) {
    AudienceRequest out;
    Members members(value, "", errors);
    if (!members.ok()) return out;
    if (const JsonValue* audience = members.optional("audience")) {
        out.audience = audience_from_json(program, *audience, "/audience", errors);
    }
    if (const JsonValue* limit = members.optional("limit")) {
        const auto integer = limit->is_number() ? integer_of(limit->text) : std::nullopt;
        if (!limit->is_number()) {
            errors.wrong_type("/limit", "an integer");
        } else if (!integer || *integer < 1 ||
                   *integer > static_cast<std::int64_t>(limits::kPageMax)) {
            errors.add("/limit", field_code::kOutOfRange,
                       "must be an integer from 1 to " + std::to_string(limits::kPageMax));
        } else {
            out.limit = static_cast<std::size_t>(*integer);
        }
    }
    if (const std::string* cursor = members.optional_string("cursor")) {
        if (cursor->empty()) errors.add("/cursor", field_code::kBlank, "must not be empty");
        out.cursor = *cursor;
    }
    members.refuse_unknown();
    return out;
}

OpenLine open_from_json(const JsonValue& value, FieldErrors& errors) {
    OpenLine out;
    Members members(value, "", errors);
    if (!members.ok()) return out;
    if (const std::string* message = members.required_string("message")) out.message = *message;
    if (const std::string* partner = members.required_string("partner")) out.partner = {*partner};
    if (const JsonValue* at = members.optional("at")) out.at = time_from_json(*at, "/at", errors);
    members.refuse_unknown();
    return out;
}

std::optional<std::string> up_to_from_json(const JsonValue& value, FieldErrors& errors) {
    Members members(value, "", errors);
    if (!members.ok()) return std::nullopt;
    const std::string* up_to = members.optional_string("up_to");
    members.refuse_unknown();
    if (up_to == nullptr) return std::nullopt;
    return *up_to;
}

void nothing_from_json(const JsonValue& value, FieldErrors& errors) {
    Members members(value, "", errors);
    if (members.ok()) members.refuse_unknown();
}

std::string webhook_secret_from_json(const JsonValue& value, FieldErrors& errors) {
    Members members(value, "", errors);
    if (!members.ok()) return {};
    const std::string* secret = members.required_string("secret");
    members.refuse_unknown();
    if (secret == nullptr) return {};
    if (secret->empty()) {
        errors.add("/secret", field_code::kBlank, "must not be empty");
    } else if (secret->size() > kSecretBytes) {
        errors.add("/secret", field_code::kTooLong,
                   "must have at most " + std::to_string(kSecretBytes) + " bytes");
    }
    return *secret;
}

}  // namespace tidings
