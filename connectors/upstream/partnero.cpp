#include "connectors/upstream/partnero.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <boost/algorithm/string/trim.hpp>

#include "core/limits.h"
#include "core/money.h"
#include "core/time.h"
#include "events/json_input.h"
#include "events/json_value.h"

namespace tidings::upstream {
namespace {

enum class Kind { partner, customer, transaction, reward };

struct KnownEvent {
    const char* name;
    Kind kind;
    std::optional<PartnerStatus> status;  ///< what the event's name decides
    bool deleted = false;
};

constexpr std::array<KnownEvent, 15> kEvents{{
    {"partner.created", Kind::partner, {}},
    {"partner.updated", Kind::partner, {}},
    {"partner.approved", Kind::partner, PartnerStatus::active},
    {"partner.rejected", Kind::partner, PartnerStatus::archived},
    {"partner.archived", Kind::partner, PartnerStatus::archived},
    {"partner.deleted", Kind::partner, PartnerStatus::deleted, true},
    {"customer.created", Kind::customer, {}},
    {"customer.updated", Kind::customer, {}},
    {"customer.deleted", Kind::customer, {}, true},
    {"transaction.created", Kind::transaction, {}},
    {"transaction.updated", Kind::transaction, {}},
    {"transaction.deleted", Kind::transaction, {}, true},
    {"reward.created", Kind::reward, {}},
    {"reward.approved", Kind::reward, {}},
    {"reward.paid", Kind::reward, {}},
}};

const KnownEvent* find_event(std::string_view name) {
    for (const KnownEvent& event : kEvents) {
        if (name == event.name) return &event;
    }
    return nullptr;
}

void wrong_type(FieldErrors& errors, std::string_view pointer, std::string_view what) {
    errors.add(std::string(pointer), field_code::kWrongType, "must be " + std::string(what));
}

void required(FieldErrors& errors, std::string_view pointer) {
    errors.add(std::string(pointer), field_code::kRequired, "is required");
}

/// A member that is there and not null, or null.
const JsonValue* given(const JsonValue& object, std::string_view name) {
    const JsonValue* value = object.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
}

/// The envelope's time orders deliveries; data.created_at does not.
SourceStamp stamp_of(const JsonValue& envelope, std::string_view raw_body, FieldErrors& errors) {
    SourceStamp stamp;
    stamp.tiebreak = sha256(raw_body);
    const char* name = given(envelope, "created_at") == nullptr ? "timestamp" : "created_at";
    const JsonValue* time = given(envelope, name);
    if (time == nullptr) {
        required(errors, "/created_at");
        return stamp;
    }
    const std::string pointer = child_pointer("", name);
    if (!time->is_string()) {
        wrong_type(errors, pointer, "a string");
    } else if (const auto micros = parse_time_micros(time->text)) {
        stamp.micros = *micros;
    } else {
        errors.add(pointer, field_code::kInvalidFormat, "is not an RFC 3339 time");
    }
    return stamp;
}

/// Tags are strings or {"value": string}.
std::vector<std::string> tags_of(const JsonValue& value, FieldErrors& errors) {
    static constexpr std::string_view kPointer = "/data/tags";
    std::vector<std::string> tags;
    if (!value.is_array()) {
        wrong_type(errors, kPointer, "an array");
        return tags;
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
        const JsonValue& item = value.items[i];
        const std::string pointer = child_pointer(kPointer, i);
        if (!item.is_object()) {
            tags.push_back(tag_from_json(item, pointer, errors));
        } else if (const JsonValue* text = given(item, "value")) {
            tags.push_back(tag_from_json(*text, pointer + "/value", errors));
        } else {
            required(errors, pointer + "/value");
        }
    }
    return distinct_tags(std::move(tags), kPointer, errors);
}

PartnerStatus status_of(const JsonValue& value, FieldErrors& errors) {
    if (!value.is_string()) {
        wrong_type(errors, "/data/status", "a string");
    } else if (const auto status = parse_partner_status(value.text)) {
        return *status;
    } else {
        errors.add("/data/status", field_code::kInvalidValue,
                   "must be active, pending, archived or deleted");
    }
    return {};
}

void profile_into(PartnerPatch& patch, const JsonValue& data, FieldErrors& errors) {
    if (const JsonValue* email = given(data, "email")) {
        patch.email = email_from_json(*email, "/data/email", errors);
    }
    // null is how the platform writes an empty one
    if (const JsonValue* name = data.find("name")) {
        patch.name = name->is_null() ? "" : name_from_json(*name, "/data/name", errors);
    }
    if (const JsonValue* surname = data.find("surname")) {
        patch.surname = surname->is_null() ? "" : name_from_json(*surname, "/data/surname", errors);
    }
    if (const JsonValue* tags = given(data, "tags")) patch.tags = tags_of(*tags, errors);
    if (const JsonValue* joined = given(data, "created_at")) {
        patch.joined_at = time_from_json(*joined, "/data/created_at", errors);
    }
    const JsonValue* referrals = given(data, "referrals");
    const JsonValue* clicks = referrals == nullptr ? nullptr : given(*referrals, "clicks");
    if (clicks != nullptr) {
        patch.metrics.clicks = counter_from_json(*clicks, "/data/referrals/clicks", errors);
    }
}

CommandBody partner_command(const KnownEvent& event, const JsonValue& data,
                            const SourceStamp& stamp, FieldErrors& errors) {
    PartnerPatch patch;
    patch.stamp = stamp;
    if (const JsonValue* id = given(data, "id")) {
        patch.id.value = id_from_json(*id, "/data/id", errors);
    } else {
        required(errors, "/data/id");
    }
    if (event.status) {
        patch.status = event.status;
    } else if (const JsonValue* status = given(data, "status")) {
        patch.status = status_of(*status, errors);
    }
    PartnerPatch with_profile = patch;
    FieldErrors profile_errors;
    profile_into(with_profile, data, profile_errors);
    // A deletion counts even if the profile that it carries is no longer a proper one (anonymised,
    // for instance). Without an email it could not become a partner's first sight, so it takes none
    // of it then: whatever comes first, the end is the same.
    if (profile_errors.empty() && (!event.deleted || with_profile.email)) {
        patch = std::move(with_profile);
    } else if (!event.deleted) {
        for (const FieldError& field : profile_errors.fields()) {
            errors.add(field.pointer, field.code.c_str(), field.detail);
        }
    }
    UpsertPartners command;
    command.partners.push_back(std::move(patch));
    command.hold_unknown = true;
    return command;
}

std::string key_of(const JsonValue& value, std::string_view pointer, FieldErrors& errors) {
    if (!value.is_string()) {
        wrong_type(errors, pointer, "a string");
    } else if (value.text.empty()) {
        errors.add(std::string(pointer), field_code::kBlank, "must not be empty");
    } else if (value.text.size() > limits::kUpstreamKeyBytes) {
        errors.add(std::string(pointer), field_code::kTooLong,
                   "must have at most " + std::to_string(limits::kUpstreamKeyBytes) + " bytes");
    } else {
        return value.text;
    }
    return {};
}

std::string own_key(const JsonValue& data, FieldErrors& errors) {
    if (const JsonValue* key = given(data, "key")) return key_of(*key, "/data/key", errors);
    required(errors, "/data/key");
    return {};
}

/// data[name] as an id or key itself, or as an object that holds it under `inner`; null if neither
/// is given.
struct Reference {
    const JsonValue* value = nullptr;
    std::string pointer;
};
Reference reference(const JsonValue& data, std::string_view name, std::string_view inner) {
    const JsonValue* outer = given(data, name);
    const std::string pointer = child_pointer("/data", name);
    if (outer == nullptr || !outer->is_object()) return {outer, pointer};
    return {given(*outer, inner), child_pointer(pointer, inner)};
}

/// Empty if none is named.
PartnerId partner_of(const JsonValue& data, FieldErrors& errors) {
    const Reference partner = reference(data, "partner", "id");
    if (partner.value == nullptr) return {};
    return {id_from_json(*partner.value, partner.pointer, errors)};
}

CommandBody customer_command(const KnownEvent& event, const JsonValue& data,
                             const SourceStamp& stamp, FieldErrors& errors) {
    RecordCustomer command;
    command.key = own_key(data, errors);
    command.partner = partner_of(data, errors);
    command.deleted = event.deleted;
    command.stamp = stamp;
    return command;
}

/// Adds {"amount","amount_units"} of `value` to `money`.
void add_amount(Money& money, const JsonValue& value, const std::string& pointer,
                FieldErrors& errors) {
    const JsonValue* amount = given(value, "amount");
    const JsonValue* units = given(value, "amount_units");
    if (amount == nullptr) required(errors, pointer + "/amount");
    if (units == nullptr) required(errors, pointer + "/amount_units");
    if (amount == nullptr || units == nullptr) return;
    if (!units->is_string() || !is_currency(units->text)) {
        errors.add(pointer + "/amount_units", field_code::kInvalidFormat, "is not a currency code");
        return;
    }
    if (!amount->is_number() && !amount->is_string()) {
        wrong_type(errors, pointer + "/amount", "a decimal number");
        return;
    }
    const auto micros = parse_number_micros(amount->text);
    std::int64_t& sum = money[units->text];
    if (!micros || __builtin_add_overflow(sum, *micros, &sum)) {
        errors.add(pointer + "/amount", field_code::kInvalidFormat,
                   "must be a decimal number with at most 6 decimals");
    }
}

Money rewards_of(const JsonValue& data, FieldErrors& errors) {
    Money money;
    const JsonValue* rewards = given(data, "rewards");
    if (rewards == nullptr) return money;
    if (!rewards->is_array()) {
        wrong_type(errors, "/data/rewards", "an array");
        return money;
    }
    for (std::size_t i = 0; i < rewards->items.size(); ++i) {
        const std::string pointer = child_pointer("/data/rewards", i);
        if (rewards->items[i].is_object()) {
            add_amount(money, rewards->items[i], pointer, errors);
        } else {
            wrong_type(errors, pointer, "an object");
        }
    }
    return money;
}

CommandBody transaction_command(const KnownEvent& event, const JsonValue& data,
                                const SourceStamp& stamp, FieldErrors& errors) {
    RecordTransaction command;
    command.key = own_key(data, errors);
    command.stamp = stamp;
    command.deleted = event.deleted || given(data, "deleted_at") != nullptr;
    command.partner = partner_of(data, errors);
    const Reference customer = reference(data, "customer", "key");
    if (customer.value != nullptr) {
        command.customer = key_of(*customer.value, customer.pointer, errors);
    }
    // Of a refund only the key is needed: it takes back what the sale had added.
    if (command.deleted && given(data, "amount") == nullptr) return command;
    if (!command.deleted && reference(data, "partner", "id").value == nullptr) {
        required(errors, "/data/partner");
    }
    add_amount(command.revenue, data, "/data", errors);
    command.commission = rewards_of(data, errors);
    if (command.commission.size() > limits::kCurrencies) {
        errors.add("/data/rewards", field_code::kTooMany, "must not name so many currencies");
    }
    return command;
}

}  // namespace

bool verify_signature(std::string_view raw_body, std::string_view secret, const Headers& headers) {
    if (secret.empty()) return false;
    Hash256 expected;
    unsigned size = 0;
    const auto* done = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                            reinterpret_cast<const unsigned char*>(raw_body.data()),
                            raw_body.size(), expected.bytes.data(), &size);
    if (done == nullptr || size != Hash256::kSize) return false;
    bool valid = false;
    for (const auto& [name, value] : headers) {
        if (name != "signature" && name != "x-partnero-signature") continue;
        const auto given = from_hex(boost::algorithm::trim_copy(value));
        if (!given || given->size() != Hash256::kSize) continue;
        valid |= CRYPTO_memcmp(given->data(), expected.bytes.data(), Hash256::kSize) == 0;
    }
    return valid;
}

Result<PartneroDelivery> parse_delivery(std::string_view raw_body) {
    const Result<JsonValue> parsed = parse_json(raw_body);
    if (parsed.has_error()) return parsed.error();
    const JsonValue& envelope = *parsed;
    FieldErrors errors;
    const JsonValue* name = given(envelope, "event");
    if (!envelope.is_object()) {
        wrong_type(errors, "", "an object");
    } else if (name == nullptr) {
        required(errors, "/event");
    } else if (!name->is_string()) {
        wrong_type(errors, "/event", "a string");
    }
    if (!errors.empty()) return errors.error();

    PartneroDelivery delivery;
    delivery.event = name->text;
    const KnownEvent* event = find_event(delivery.event);
    delivery.known = event != nullptr;
    if (event == nullptr || event->kind == Kind::reward) return delivery;

    const SourceStamp stamp = stamp_of(envelope, raw_body, errors);
    const JsonValue* data = given(envelope, "data");
    if (data == nullptr) {
        required(errors, "/data");
    } else if (!data->is_object()) {
        wrong_type(errors, "/data", "an object");
    } else if (event->kind == Kind::partner) {
        delivery.command = partner_command(*event, *data, stamp, errors);
    } else if (event->kind == Kind::customer) {
        delivery.command = customer_command(*event, *data, stamp, errors);
    } else {
        delivery.command = transaction_command(*event, *data, stamp, errors);
    }
    if (!errors.empty()) return errors.error();
    return delivery;
}

}  // namespace tidings::upstream
