#include "events/json_input.h"

#include <algorithm>

#include "core/time.h"

namespace tidings {
namespace {

constexpr auto kCounterMax = static_cast<std::int64_t>(limits::kCounterMax);

bool expect_object(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!value.is_object()) errors.wrong_type(pointer, "an object");
    return value.is_object();
}

void unknown_member(FieldErrors& errors, UnknownMembers unknown, std::string_view pointer,
                    std::string_view name) {
    if (unknown == UnknownMembers::ignore) return;
    errors.add(child_pointer(pointer, name), field_code::kUnknownField, "is not a known member");
}

void required(FieldErrors& errors, std::string pointer, std::string detail = "is required") {
    errors.add(std::move(pointer), field_code::kRequired, std::move(detail));
}

/// Text of at most `limit` code points.
bool check_length(const JsonValue& value, std::size_t limit, std::string_view pointer,
                  FieldErrors& errors) {
    if (!value.is_string()) {
        errors.wrong_type(pointer, "a string");
        return false;
    }
    if (value.text.size() > limit && code_points(value.text) > limit) {
        errors.add(std::string(pointer), field_code::kTooLong,
                   "must have at most " + std::to_string(limit) + " characters");
        return false;
    }
    return true;
}

bool check_no_control(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!has_control(value.text)) return true;
    errors.add(std::string(pointer), field_code::kInvalidFormat,
               "must not have control characters");
    return false;
}

std::int64_t integer_from_json(const JsonValue& value, std::int64_t low, std::int64_t high,
                               std::string_view pointer, FieldErrors& errors) {
    if (!value.is_number()) {
        errors.wrong_type(pointer, "an integer");
        return 0;
    }
    const auto integer = integer_of(value.text);
    if (!integer && value.text.find_first_of(".eE") != std::string::npos) {
        errors.wrong_type(pointer, "an integer");
        return 0;
    }
    if (!integer || *integer < low || *integer > high) {
        errors.add(std::string(pointer), field_code::kOutOfRange,
                   "must be from " + std::to_string(low) + " to " + std::to_string(high));
        return 0;
    }
    return *integer;
}

/// {"USD":"99.99"}; with `null_clears`, null stands for 0.
Money money_from_json(const JsonValue& value, bool null_clears, std::string_view pointer,
                      FieldErrors& errors) {
    Money money;
    if (!expect_object(value, pointer, errors)) return money;
    if (value.members.size() > limits::kCurrencies) {
        errors.add(std::string(pointer), field_code::kTooMany,
                   "must have at most " + std::to_string(limits::kCurrencies) + " currencies");
        return money;
    }
    for (const auto& [currency, amount] : value.members) {
        if (!is_currency(currency)) {
            errors.add(child_pointer(pointer, currency), field_code::kInvalidFormat,
                       "is not a currency code");
        } else if (amount.is_null() && null_clears) {
            money[currency] = 0;
        } else if (!amount.is_string()) {
            errors.wrong_type(child_pointer(pointer, currency), "a string with a decimal number");
        } else if (const auto micros = parse_micros(amount.text)) {
            money[currency] = *micros;
        } else {
            errors.add(child_pointer(pointer, currency), field_code::kInvalidFormat,
                       "must be a plain decimal number with at most 6 decimals");
        }
    }
    return money;
}

template <class Value>
Value word_from_json(const JsonValue& value, std::optional<Value> (*parse)(std::string_view),
                     const char* words, std::string_view pointer, FieldErrors& errors) {
    if (!value.is_string()) {
        errors.wrong_type(pointer, "a string");
        return {};
    }
    if (const auto parsed = parse(value.text)) return *parsed;
    errors.add(std::string(pointer), field_code::kInvalidValue, std::string("must be ") + words);
    return {};
}

PartnerStatus status_from_json(const JsonValue& value, std::string_view pointer,
                               FieldErrors& errors) {
    return word_from_json(value, parse_partner_status, "active, pending, archived or deleted",
                          pointer, errors);
}

std::vector<std::string> tags_from_json(const JsonValue& value, std::string_view pointer,
                                        FieldErrors& errors) {
    std::vector<std::string> tags;
    if (!value.is_array()) {
        errors.wrong_type(pointer, "an array");
        return tags;
    }
    tags.reserve(value.items.size());
    for (std::size_t i = 0; i < value.items.size(); ++i) {
        tags.push_back(tag_from_json(value.items[i], child_pointer(pointer, i), errors));
    }
    return distinct_tags(std::move(tags), pointer, errors);
}

/// The metrics object of a PUT, PATCH or import line, or of a performance event that sets.
class MetricsReader {
public:
    MetricsReader(bool null_clears, UnknownMembers unknown, FieldErrors& errors)
        : null_clears_(null_clears), unknown_(unknown), errors_(errors) {}

    bool clear_revenue = false, clear_commission = false;

    MetricsPatch read(const JsonValue& value, std::string_view pointer) {
        MetricsPatch out;
        if (!expect_object(value, pointer, errors_)) return out;
        for (const auto& [name, member] : value.members) {
            if (auto* counter = counter_of(out, name)) {
                const bool clears = member.is_null() && null_clears_;
                *counter =
                    clears ? 0 : counter_from_json(member, child_pointer(pointer, name), errors_);
            } else if (name == "revenue") {
                clear_revenue = money(out.revenue, member, child_pointer(pointer, name));
            } else if (name == "commission") {
                clear_commission = money(out.commission, member, child_pointer(pointer, name));
            } else {
                unknown_member(errors_, unknown_, pointer, name);
            }
        }
        return out;
    }

private:
    static std::optional<std::uint64_t>* counter_of(MetricsPatch& patch, std::string_view name) {
        if (name == "clicks") return &patch.clicks;
        if (name == "signups") return &patch.signups;
        if (name == "sales") return &patch.sales;
        if (name == "paid_accounts") return &patch.paid_accounts;
        return nullptr;
    }
    /// True if all currencies are to be cleared.
    bool money(Money& out, const JsonValue& value, const std::string& pointer) {
        if (value.is_null() && null_clears_) return true;
        out = money_from_json(value, null_clears_, pointer, errors_);
        return false;
    }

    bool null_clears_;
    UnknownMembers unknown_;
    FieldErrors& errors_;
};

void metrics_into(PartnerPatch& patch, const JsonValue& value, bool merge, UnknownMembers unknown,
                  std::string_view pointer, FieldErrors& errors) {
    if (merge && value.is_null()) {
        patch.clear_metrics = true;
        return;
    }
    MetricsReader reader(merge, unknown, errors);
    patch.metrics = reader.read(value, pointer);
    patch.clear_revenue = reader.clear_revenue;
    patch.clear_commission = reader.clear_commission;
}

/// A merge-patch null: name, surname and tags go back to empty, the others can't be removed.
void reset_member(PartnerPatch& patch, const std::string& name, UnknownMembers unknown,
                  std::string_view pointer, FieldErrors& errors) {
    if (name == "name") {
        patch.name = "";
    } else if (name == "surname") {
        patch.surname = "";
    } else if (name == "tags") {
        patch.tags.emplace();
    } else if (name == "email" || name == "status" || name == "joined_at") {
        required(errors, child_pointer(pointer, name), "can't be removed");
    } else {
        unknown_member(errors, unknown, pointer, name);
    }
}

}  // namespace

void FieldErrors::add(std::string pointer, const char* code, std::string detail) {
    if (fields_.size() >= kMax) return;
    fields_.push_back({std::move(pointer), code, std::move(detail)});
}

void FieldErrors::wrong_type(std::string_view pointer, std::string_view what) {
    add(std::string(pointer), field_code::kWrongType, "must be " + std::string(what));
}

Error FieldErrors::error() const { return {ErrorCode::invalid, first(), fields_}; }

std::string FieldErrors::first() const {
    const FieldError& field = fields_.front();
    return (field.pointer.empty() ? "the document" : field.pointer) + ": " + field.detail;
}

std::string child_pointer(std::string_view pointer, std::string_view token) {
    std::string out;
    out.reserve(pointer.size() + 1 + token.size());
    out += pointer;
    out += '/';
    for (const char c : token) {
        if (c == '~') {
            out += "~0";
        } else if (c == '/') {
            out += "~1";
        } else {
            out += c;
        }
    }
    return out;
}

std::string child_pointer(std::string_view pointer, std::size_t index) {
    return std::string(pointer) + "/" + std::to_string(index);
}

std::string email_from_json(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!value.is_string()) {
        errors.wrong_type(pointer, "a string");
        return {};
    }
    const std::string& text = value.text;
    if (text.size() > limits::kEmailBytes) {
        errors.add(std::string(pointer), field_code::kTooLong,
                   "must have at most " + std::to_string(limits::kEmailBytes) + " bytes");
        return {};
    }
    const std::size_t at = text.find('@');
    const bool one = at != std::string::npos && text.find('@', at + 1) == std::string::npos;
    if (!one || at == 0 || at + 1 == text.size() || has_control(text) || has_white_space(text)) {
        errors.add(std::string(pointer), field_code::kInvalidFormat, "is not an email address");
        return {};
    }
    return text;
}

std::string name_from_json(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!check_length(value, limits::kNameCharacters, pointer, errors)) return {};
    if (!check_no_control(value, pointer, errors)) return {};
    return value.text;
}

std::string tag_from_json(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!check_length(value, limits::kTagCharacters, pointer, errors)) return {};
    if (is_blank(value.text)) {
        errors.add(std::string(pointer), field_code::kBlank, "must not be blank");
        return {};
    }
    if (!check_no_control(value, pointer, errors)) return {};
    return value.text;
}

std::string id_from_json(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!value.is_string()) {
        errors.wrong_type(pointer, "a string");
    } else if (value.text.empty()) {
        errors.add(std::string(pointer), field_code::kBlank, "must not be empty");
    } else if (code_points(value.text) > limits::kIdCharacters) {
        errors.add(std::string(pointer), field_code::kTooLong,
                   "must have at most " + std::to_string(limits::kIdCharacters) + " characters");
    } else if (!is_valid_id(value.text)) {
        errors.add(std::string(pointer), field_code::kInvalidFormat,
                   "must not have '/' or control characters");
    } else {
        return value.text;
    }
    return {};
}

std::uint64_t counter_from_json(const JsonValue& value, std::string_view pointer,
                                FieldErrors& errors) {
    return static_cast<std::uint64_t>(integer_from_json(value, 0, kCounterMax, pointer, errors));
}

Timestamp time_from_json(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!value.is_string()) {
        errors.wrong_type(pointer, "a string");
        return {};
    }
    if (const auto time = parse_time(value.text)) return *time;
    errors.add(std::string(pointer), field_code::kInvalidFormat, "is not an RFC 3339 time");
    return {};
}

std::vector<std::string> distinct_tags(std::vector<std::string> tags, std::string_view pointer,
                                       FieldErrors& errors) {
    std::sort(tags.begin(), tags.end());
    tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
    if (tags.size() > limits::kTagsPerPartner) {
        errors.add(std::string(pointer), field_code::kTooMany,
                   "must have at most " + std::to_string(limits::kTagsPerPartner) + " tags");
    }
    return tags;
}

PartnerPatch partner_patch_from_json(const JsonValue& value, PatchMode mode, FieldErrors& errors,
                                     UnknownMembers unknown, std::string_view pointer) {
    PartnerPatch patch;
    if (!expect_object(value, pointer, errors)) return patch;
    const bool merge = mode == PatchMode::merge_patch;
    bool has_id = false;
    for (const auto& [name, member] : value.members) {
        const auto place = [&] { return child_pointer(pointer, name); };
        if (name == "metrics") {
            metrics_into(patch, member, merge, unknown, place(), errors);
        } else if (merge && member.is_null()) {
            reset_member(patch, name, unknown, pointer, errors);
        } else if (name == "email") {
            patch.email = email_from_json(member, place(), errors);
        } else if (name == "name") {
            patch.name = name_from_json(member, place(), errors);
        } else if (name == "surname") {
            patch.surname = name_from_json(member, place(), errors);
        } else if (name == "status") {
            patch.status = status_from_json(member, place(), errors);
        } else if (name == "tags") {
            patch.tags = tags_from_json(member, place(), errors);
        } else if (name == "joined_at") {
            patch.joined_at = time_from_json(member, place(), errors);
        } else if (name == "id" && mode == PatchMode::import) {
            has_id = true;
            patch.id.value = id_from_json(member, place(), errors);
        } else {
            unknown_member(errors, unknown, pointer, name);
        }
    }
    if (mode == PatchMode::import && !has_id) required(errors, child_pointer(pointer, "id"));
    return patch;
}

namespace {

void add_metrics(AdjustMetrics& out, const JsonValue& value, UnknownMembers unknown,
                 std::string_view pointer, FieldErrors& errors) {
    if (!expect_object(value, pointer, errors)) return;
    for (const auto& [name, member] : value.members) {
        const std::string place = child_pointer(pointer, name);
        const auto count = [&, &counter = member] {
            return integer_from_json(counter, -kCounterMax, kCounterMax, place, errors);
        };
        if (name == "clicks") {
            out.clicks = count();
        } else if (name == "signups") {
            out.signups = count();
        } else if (name == "sales") {
            out.sales = count();
        } else if (name == "paid_accounts") {
            out.paid_accounts = count();
        } else if (name == "revenue") {
            out.revenue = money_from_json(member, false, place, errors);
        } else if (name == "commission") {
            out.commission = money_from_json(member, false, place, errors);
        } else {
            unknown_member(errors, unknown, pointer, name);
        }
    }
}

std::optional<AdjustMetrics::Mode> parse_mode(std::string_view text) {
    if (text == "add") return AdjustMetrics::Mode::add;
    if (text == "set") return AdjustMetrics::Mode::set;
    return std::nullopt;
}

}  // namespace

AdjustMetrics adjust_metrics_from_json(const JsonValue& value, FieldErrors& errors,
                                       UnknownMembers unknown, std::string_view pointer) {
    AdjustMetrics out;
    if (!expect_object(value, pointer, errors)) return out;
    const JsonValue* mode = value.find("mode");
    const JsonValue* metrics = value.find("metrics");
    if (mode == nullptr) required(errors, child_pointer(pointer, "mode"));
    if (metrics == nullptr) required(errors, child_pointer(pointer, "metrics"));
    for (const JsonMember& member : value.members) {
        if (&member.value == mode || &member.value == metrics) continue;
        unknown_member(errors, unknown, pointer, member.name);
    }
    if (mode == nullptr || metrics == nullptr) return out;
    out.mode =
        word_from_json(*mode, parse_mode, "add or set", child_pointer(pointer, "mode"), errors);
    const std::string place = child_pointer(pointer, "metrics");
    if (out.mode == AdjustMetrics::Mode::add) {
        add_metrics(out, *metrics, unknown, place, errors);
    } else {
        out.set = MetricsReader(false, unknown, errors).read(*metrics, place);
    }
    return out;
}

UpsertProgram program_from_json(const JsonValue& value, FieldErrors& errors, UnknownMembers unknown,
                                std::string_view pointer) {
    UpsertProgram out;
    if (!expect_object(value, pointer, errors)) return out;
    bool has_name = false, has_plan = false;
    for (const auto& [name, member] : value.members) {
        const std::string place = child_pointer(pointer, name);
        if (name == "name") {
            has_name = true;
            const std::size_t before = errors.fields().size();
            out.name = name_from_json(member, place, errors);
            if (errors.fields().size() == before && is_blank(out.name)) {
                errors.add(place, field_code::kBlank, "must not be blank");
            }
        } else if (name == "plan") {
            has_plan = true;
            out.plan =
                word_from_json(member, parse_plan, "starter, partner or advanced", place, errors);
        } else {
            unknown_member(errors, unknown, pointer, name);
        }
    }
    if (!has_name) required(errors, child_pointer(pointer, "name"));
    if (!has_plan) required(errors, child_pointer(pointer, "plan"));
    return out;
}

}  // namespace tidings
