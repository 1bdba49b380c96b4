#include "connectors/upstream/cloudevents.h"

#include <algorithm>
#include <array>
#include <boost/algorithm/string/case_conv.hpp>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/algorithm/string/trim.hpp>

#include "connectors/base64.h"
#include "core/time.h"
#include "events/json_input.h"
#include "events/json_output.h"
#include "events/json_value.h"

namespace tidings::upstream {
namespace {

enum class Type { program_upserted, partner_upserted, partner_deleted, performance, opened };

constexpr std::array<std::pair<std::string_view, Type>, 5> kTypes{{
    {"io.tidings.program.upserted", Type::program_upserted},
    {"io.tidings.partner.upserted", Type::partner_upserted},
    {"io.tidings.partner.deleted", Type::partner_deleted},
    {"io.tidings.partner.performance", Type::performance},
    {"io.tidings.message.opened", Type::opened},
}};

std::optional<Type> find_type(std::string_view name) {
    for (const auto& [known, type] : kTypes) {
        if (known == name) return type;
    }
    return std::nullopt;
}

enum Attribute { kSpecversion, kId, kSource, kTypeName, kSubject, kTime, kProgram, kAttributes };
constexpr std::array<const char*, kAttributes> kNames{"specversion", "id",   "source", "type",
                                                      "subject",     "time", "program"};

struct Attributes {
    std::array<std::optional<std::string>, kAttributes> values;
    std::array<bool, kAttributes> unreadable{};
    FieldErrors errors;  ///< of the unreadable ones
};

std::string pointer_of(Attribute attribute) { return child_pointer("", kNames[attribute]); }

/// "application/json" of "Application/JSON; charset=utf-8".
std::string media_type(std::string_view content_type) {
    const std::string_view type = content_type.substr(0, content_type.find(';'));
    return boost::algorithm::to_lower_copy(boost::algorithm::trim_copy(std::string(type)));
}

bool is_json(const std::string& type) {
    return type == "application/json" || type == "text/json" ||
           boost::algorithm::ends_with(type, "+json");
}

Error invalid(std::string detail) { return {ErrorCode::invalid, std::move(detail), {}}; }

/// RFC 9110 quoted-string, if it is one; otherwise as it is.
std::string unquote(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
    std::string out;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && i + 2 < text.size()) ++i;
        out += text[i];
    }
    return out;
}

/// HTTP protocol binding, 3.1.3.2: one round of percent-decoding; the result must be UTF-8.
std::optional<std::string> decode_header(std::string_view value) {
    const std::string text = unquote(value);
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto byte =
            i + 2 < text.size() ? from_hex(std::string_view(text).substr(i + 1, 2)) : std::nullopt;
        if (!byte) return std::nullopt;
        out += *byte;
        i += 2;
    }
    if (!valid_utf8(out)) return std::nullopt;
    return out;
}

Attributes attributes_of(const Headers& headers) {
    Attributes out;
    for (std::size_t i = 0; i < kAttributes; ++i) {
        const auto raw = header(headers, std::string("ce-") + kNames[i]);
        if (!raw) continue;
        out.values[i] = decode_header(*raw);
        if (out.values[i]) continue;
        out.unreadable[i] = true;
        out.errors.add(pointer_of(static_cast<Attribute>(i)), field_code::kInvalidFormat,
                       "is not percent-encoded UTF-8");
    }
    return out;
}

/// null stands for an attribute that is not set (JSON event format, 2.2).
Attributes attributes_of(const JsonValue& event) {
    Attributes out;
    for (std::size_t i = 0; i < kAttributes; ++i) {
        const JsonValue* value = event.find(kNames[i]);
        if (value == nullptr || value->is_null()) continue;
        if (value->is_string()) {
            out.values[i] = value->text;
        } else {
            out.unreadable[i] = true;
            out.errors.add(pointer_of(static_cast<Attribute>(i)), field_code::kWrongType,
                           "must be a string");
        }
    }
    return out;
}

/// Checks what every event needs, whatever its type. `out.what` is an Error if that fails.
void take_attributes(CloudEvent& out, Attributes attributes) {
    FieldErrors& errors = attributes.errors;
    for (const Attribute needed : {kSpecversion, kId, kSource, kTypeName}) {
        const auto& value = attributes.values[needed];
        if (!attributes.unreadable[needed] && (!value || value->empty())) {
            errors.add(pointer_of(needed), field_code::kRequired, "is required");
        }
    }
    const auto text = [&](Attribute attribute) {
        return attributes.values[attribute].value_or(std::string());
    };
    if (attributes.values[kSpecversion] && text(kSpecversion) != "1.0") {
        errors.add("/specversion", field_code::kInvalidValue, "must be 1.0");
    }
    if (const auto& time = attributes.values[kTime]) {
        out.time_micros = parse_time_micros(*time);
        if (!out.time_micros) {
            errors.add("/time", field_code::kInvalidFormat, "is not an RFC 3339 time");
        }
    }
    out.id = text(kId);
    out.source = text(kSource);
    out.type = text(kTypeName);
    out.subject = text(kSubject);
    out.program.value = text(kProgram);
    if (!errors.empty()) out.what = errors.error();
}

void append_sized(std::string& out, std::string_view text) {
    for (int shift = 56; shift >= 0; shift -= 8) {
        out += static_cast<char>(static_cast<std::uint64_t>(text.size()) >> shift & 0xFF);
    }
    out += text;
}

/// What makes two events with the same source and id the same: type, subject and data, in whatever
/// mode they came. Not the time: a producer that stamps a retry anew still means the same event.
std::string content_of(const CloudEvent& event, const JsonValue* data) {
    std::string out = "tidings.cloudevent.content.v1\n";
    append_sized(out, event.type);
    append_sized(out, event.subject);
    if (data != nullptr) append_json(out, *data);
    return out;
}

void check_ids(const CloudEvent& event, Type type, FieldErrors& errors) {
    const auto check = [&](const std::string& id, Attribute attribute) {
        if (id.empty()) {
            errors.add(pointer_of(attribute), field_code::kRequired, "is required");
        } else if (!is_valid_id(id)) {
            errors.add(pointer_of(attribute), field_code::kInvalidFormat, "is not an id");
        }
    };
    check(event.program.value, kProgram);
    if (type != Type::program_upserted) check(event.subject, kSubject);
}

UnresolvedOpen open_of(const CloudEvent& event, const JsonValue& data, FieldErrors& errors) {
    UnresolvedOpen open;
    open.partner.value = event.subject;
    const JsonValue* message = data.find("message");
    if (!data.is_object()) {
        errors.add("/data", field_code::kWrongType, "must be an object");
    } else if (message == nullptr) {
        errors.add("/data/message", field_code::kRequired, "is required");
    } else if (!message->is_string()) {
        errors.add("/data/message", field_code::kWrongType, "must be a string");
    } else {
        open.message = message->text;
    }
    const JsonValue* at = data.find("at");
    if (at != nullptr && !at->is_null()) {
        open.at = time_from_json(*at, "/data/at", errors);
    } else if (event.time_micros) {
        open.at = Timestamp{*event.time_micros / 1000};  // when the occurrence happened
    }
    return open;
}

UpsertPartners upsert_of(PartnerPatch patch, const CloudEvent& event, bool revive) {
    patch.id.value = event.subject;
    if (event.time_micros) patch.stamp = SourceStamp{*event.time_micros, sha256(event.content)};
    UpsertPartners command;
    command.partners.push_back(std::move(patch));
    command.revive = revive;
    command.hold_unknown = true;
    return command;
}

/// Fills `what` from the data of an event whose attributes hold.
void take_data(CloudEvent& event, Type type, const JsonValue* data) {
    FieldErrors errors;
    check_ids(event, type, errors);
    if (type == Type::partner_deleted) {
        data = nullptr;  // whatever it may carry
    } else if (data == nullptr) {
        errors.add("/data", field_code::kRequired, "is required");
        event.what = errors.error();
        return;
    }
    event.content = content_of(event, data);
    constexpr auto kIgnore = UnknownMembers::ignore;
    switch (type) {
        case Type::program_upserted:
            event.what = CommandBody(program_from_json(*data, errors, kIgnore, "/data"));
            break;
        case Type::partner_upserted:
            event.what = CommandBody(
                upsert_of(partner_patch_from_json(*data, PatchMode::put, errors, kIgnore, "/data"),
                          event, true));
            break;
        case Type::partner_deleted: {
            PartnerPatch patch;
            patch.status = PartnerStatus::deleted;
            event.what = CommandBody(upsert_of(std::move(patch), event, false));
            break;
        }
        case Type::performance: {
            AdjustMetrics command = adjust_metrics_from_json(*data, errors, kIgnore, "/data");
            command.partner.value = event.subject;
            if (event.time_micros) command.stamp = {*event.time_micros, sha256(event.content)};
            event.what = CommandBody(std::move(command));
            break;
        }
        case Type::opened:
            event.what = open_of(event, *data, errors);
            break;
    }
    if (!errors.empty()) event.what = errors.error();
}

/// The event's data, or nothing if it has none.
Result<std::optional<JsonValue>> structured_data(const JsonValue& event) {
    const JsonValue* data = event.find("data");
    const JsonValue* base64 = event.find("data_base64");
    if (base64 == nullptr || base64->is_null()) {
        if (data == nullptr || data->is_null()) return std::optional<JsonValue>();
        return std::optional<JsonValue>(*data);
    }
    if (data != nullptr) return invalid("/data_base64: must not stand beside data");
    const auto bytes = base64->is_string() ? from_base64(base64->text) : std::nullopt;
    if (!bytes) return invalid("/data_base64: is not base64");
    const JsonValue* type = event.find("datacontenttype");
    if (type != nullptr && type->is_string() && !is_json(media_type(type->text))) {
        return invalid("/datacontenttype: must be a JSON type");
    }
    Result<JsonValue> parsed = parse_json(*bytes);
    if (parsed.has_error()) return parsed.error();
    return std::optional<JsonValue>(std::move(*parsed));
}

CloudEvent structured_event(const JsonValue& json, std::size_t index) {
    CloudEvent event;
    event.index = index;
    if (!json.is_object()) {
        event.what = invalid("the event: must be an object");
        return event;
    }
    take_attributes(event, attributes_of(json));
    const auto type = find_type(event.type);
    if (!type || std::holds_alternative<Error>(event.what)) return event;
    const auto data = structured_data(json);
    if (data.has_error()) {
        event.what = data.error();
    } else {
        take_data(event, *type, *data ? &**data : nullptr);
    }
    return event;
}

/// What an event in binary mode would be in the JSON format.
std::string structured_json(const Attributes& attributes, const JsonValue* data) {
    std::string out;
    JsonWriter json(out);
    json.open_object();
    for (std::size_t i = 0; i < kAttributes; ++i) {
        if (attributes.values[i]) json.key(kNames[i]).string(*attributes.values[i]);
    }
    if (data != nullptr) append_json(json.key("data").raw(), *data);
    json.close_object();
    return out;
}

Result<std::vector<CloudEvent>> batch(std::string_view body, bool keep_json) {
    const Result<JsonValue> json = parse_json(body);
    if (json.has_error()) return json.error();
    if (!json->is_array()) return invalid("a batch must be an array");
    std::vector<CloudEvent> events;
    events.reserve(json->items.size());
    for (const JsonValue& item : json->items) {
        events.push_back(structured_event(item, events.size()));
        if (keep_json) append_json(events.back().json, item);
    }
    return events;
}

Result<std::vector<CloudEvent>> single(CloudEvent event) {
    std::vector<CloudEvent> events;
    events.push_back(std::move(event));
    return events;
}

Result<std::vector<CloudEvent>> binary(const Headers& headers, const std::string& content_type,
                                       std::string_view body, bool keep_json) {
    CloudEvent event;
    const Attributes attributes = attributes_of(headers);
    take_attributes(event, attributes);
    const auto type = find_type(event.type);
    if (!type || std::holds_alternative<Error>(event.what)) return single(std::move(event));
    if (body.empty() || *type == Type::partner_deleted) {
        if (keep_json) event.json = structured_json(attributes, nullptr);
        take_data(event, *type, nullptr);
        return single(std::move(event));
    }
    if (!content_type.empty() && !is_json(content_type)) {
        return Error{
            ErrorCode::unsupported_media_type, "the data of " + event.type + " is JSON", {}};
    }
    const Result<JsonValue> data = parse_json(body);
    if (data.has_error()) return data.error();
    if (keep_json) event.json = structured_json(attributes, &*data);
    take_data(event, *type, &*data);
    return single(std::move(event));
}

}  // namespace

Result<std::vector<CloudEvent>> parse_cloudevents(const Headers& headers, std::string_view body,
                                                  bool keep_json) {
    const std::string type = media_type(header(headers, "content-type").value_or(""));
    if (type == "application/cloudevents-batch+json") return batch(body, keep_json);
    if (type == "application/cloudevents+json") {
        Result<CloudEvent> event = parse_cloudevent_json(body, keep_json);
        if (event.has_error()) return event.error();
        return single(std::move(*event));
    }
    if (boost::algorithm::starts_with(type, "application/cloudevents")) {
        return Error{ErrorCode::unsupported_media_type, "only the JSON event format is read", {}};
    }
    if (header(headers, "ce-specversion")) return binary(headers, type, body, keep_json);
    if (!type.empty() && !is_json(type)) {
        return Error{
            ErrorCode::unsupported_media_type,
            "send application/cloudevents+json, application/cloudevents-batch+json, or JSON "
            "data with ce- headers",
            {}};
    }
    return invalid(
        "not a CloudEvent: neither a ce-specversion header nor a CloudEvents content type");
}

Result<CloudEvent> parse_cloudevent_json(std::string_view json, bool keep_json) {
    const Result<JsonValue> parsed = parse_json(json);
    if (parsed.has_error()) return parsed.error();
    if (!parsed->is_object()) return invalid("an event must be an object");
    CloudEvent event = structured_event(*parsed, 0);
    if (keep_json) append_json(event.json, *parsed);
    return event;
}

CommandId cloudevent_command_id(const ProgramId& program, std::string_view source,
                                std::string_view id) {
    std::string canonical = "tidings.cloudevent.v1\n";
    append_sized(canonical, program.value);
    append_sized(canonical, source);
    append_sized(canonical, id);
    return CommandId::from(sha256(canonical).view().substr(0, CommandId::kSize));
}

}  // namespace tidings::upstream
