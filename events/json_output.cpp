#include "events/json_output.h"

#include <array>
#include <charconv>

#include "core/money.h"
#include "core/time.h"

namespace tidings {
namespace {

/// 0: as it is; 'u': \u00XX; otherwise the letter after the backslash (RFC 8259, section 7).
constexpr std::array<char, 256> kEscapes = [] {
    std::array<char, 256> table{};
    for (int i = 0; i < 0x20; ++i) table[static_cast<std::size_t>(i)] = 'u';
    table['\b'] = 'b';
    table['\f'] = 'f';
    table['\n'] = 'n';
    table['\r'] = 'r';
    table['\t'] = 't';
    table['"'] = '"';
    table['\\'] = '\\';
    return table;
}();

template <class Integer>
void append_integer(std::string& out, Integer value) {
    std::array<char, 24> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    out.append(buffer.data(), end);
}

void append_filters(std::string& out, const ProgramId& program,
                    const std::vector<Filter>& filters) {
    out += '[';
    for (std::size_t i = 0; i < filters.size(); ++i) {
        if (i > 0) out += ',';
        append_filter(out, program, filters[i]);
    }
    out += ']';
}

void append_ids(JsonWriter& json, const std::vector<PartnerId>& ids) {
    json.open_array();
    for (const PartnerId& id : ids) json.string(id.value);
    json.close_array();
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    std::size_t plain = 0;  // start of the run that needs no escape
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        const char escape = kEscapes[byte];
        if (escape == 0) continue;
        out.append(text, plain, at - plain);
        plain = at + 1;
        out += '\\';
        out += escape;
        if (escape == 'u') {
            out += "00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        }
    }
    out.append(text, plain, text.size() - plain);
    out += '"';
}

JsonWriter& JsonWriter::key(std::string_view name) {
    std::string& out = raw();
    out += '"';
    out += name;
    out += "\":";
    comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::any_key(std::string_view name) {
    append_json_string(raw(), name);
    out_ += ':';
    comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
    append_json_string(raw(), text);
    return *this;
}

JsonWriter& JsonWriter::number(std::uint64_t value) {
    append_integer(raw(), value);
    return *this;
}

JsonWriter& JsonWriter::signed_number(std::int64_t value) {
    append_integer(raw(), value);
    return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
    raw() += value ? "true" : "false";
    return *this;
}

JsonWriter& JsonWriter::null() {
    raw() += "null";
    return *this;
}

JsonWriter& JsonWriter::time(Timestamp value) {
    append_time(raw(), value);
    return *this;
}

JsonWriter& JsonWriter::time(const std::optional<Timestamp>& value) {
    return value ? time(*value) : null();
}

std::string& JsonWriter::raw() {
    if (comma_) out_ += ',';
    comma_ = true;
    return out_;
}

JsonWriter& JsonWriter::open(char bracket) {
    raw() += bracket;
    comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
    out_ += bracket;
    comma_ = true;
    return *this;
}

void append_time(std::string& out, Timestamp time) {
    out += '"';
    out += format_time(time);
    out += '"';
}

void append_money(std::string& out, const Money& money) {
    JsonWriter json(out);
    json.open_object();
    for (const auto& [currency, micros] : money)
        json.any_key(currency).string(format_micros(micros));
    json.close_object();
}

void append_metrics(std::string& out, const Metrics& metrics) {
    JsonWriter json(out);
    json.open_object();
    json.key("clicks").number(metrics.clicks).key("signups").number(metrics.signups);
    json.key("sales").number(metrics.sales).key("paid_accounts").number(metrics.paid_accounts);
    append_money(json.key("revenue").raw(), metrics.revenue);
    append_money(json.key("commission").raw(), metrics.commission);
    json.close_object();
}

void append_partner(std::string& out, const PartnerState& partner, const PartnerTexts& texts) {
    JsonWriter json(out);
    json.open_object();
    json.key("id").string(partner.id.value).key("email").string(texts.email);
    json.key("name").string(texts.name).key("surname").string(texts.surname);
    json.key("status").string(name_of(partner.status)).key("tags").open_array();
    for (const std::string& tag : partner.tags) json.string(tag);
    json.close_array().key("joined_at").time(partner.joined_at);
    append_metrics(json.key("metrics").raw(), partner.metrics);
    if (partner.erased) json.key("erased").boolean(true);
    json.close_object();
}

void append_author(std::string& out, std::string_view id, std::string_view name) {
    JsonWriter json(out);
    json.open_object().key("id").string(id).key("name").string(name).close_object();
}

void append_filter(std::string& out, const ProgramId& program, const Filter& filter) {
    JsonWriter json(out);
    json.open_object();
    switch (filter.kind) {
        case Filter::Kind::all:
            append_filters(json.key("all").raw(), program, filter.children);
            break;
        case Filter::Kind::any:
            append_filters(json.key("any").raw(), program, filter.children);
            break;
        case Filter::Kind::negation:
            append_filter(json.key("not").raw(), program, filter.children.at(0));
            break;
        case Filter::Kind::tag:
            json.key("tag").string(filter.tag);
            break;
        case Filter::Kind::metric:
            json.key("metric").string(name_of(filter.metric)).key("op").string(name_of(filter.op));
            json.key("value");
            if (is_money(filter.metric)) {
                json.string(format_micros(filter.value)).key("currency").string(filter.currency);
            } else {
                json.signed_number(filter.value);
            }
            break;
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after:
            json.key("joined");
            json.string(filter.kind == Filter::Kind::joined_before ? "before" : "after");
            json.key("at").time(filter.joined);
            break;
        case Filter::Kind::engagement:
            json.key("engagement").string(name_of(filter.engagement));
            json.key("message").string(message_id(program, filter.message));
            break;
    }
    json.close_object();
}

void append_audience_members(std::string& out, const ProgramId& program, const Audience& audience) {
    JsonWriter json(out);
    switch (audience.type) {
        case Audience::Type::all:
            json.key("type").string("all");
            break;
        case Audience::Type::partners:
            json.key("type").string("partners").key("partners");
            append_ids(json, audience.partners);
            break;
        case Audience::Type::filter:
            json.key("type").string("filter");
            append_filter(json.key("filter").raw(), program, audience.filter);
            if (!audience.exclude.empty()) append_ids(json.key("exclude"), audience.exclude);
            break;
    }
}

void append_audience(std::string& out, const ProgramId& program, const Audience& audience) {
    out += '{';
    append_audience_members(out, program, audience);
    out += '}';
}

void append_json(std::string& out, const JsonValue& value) {
    JsonWriter json(out);
    switch (value.kind) {
        case JsonValue::Kind::null:
            json.null();
            break;
        case JsonValue::Kind::boolean:
            json.boolean(value.truth);
            break;
        case JsonValue::Kind::number:
            json.raw() += value.text;
            break;
        case JsonValue::Kind::string:
            json.string(value.text);
            break;
        case JsonValue::Kind::array:
            json.open_array();
            for (const JsonValue& item : value.items) append_json(json.raw(), item);
            json.close_array();
            break;
        case JsonValue::Kind::object:
            json.open_object();
            for (const JsonMember& member : value.members) {
                append_json(json.any_key(member.name).raw(), member.value);
            }
            json.close_object();
            break;
    }
}

}  // namespace tidings
