// The second half of json_output.h: whole log records, for `log cat --json` and `log tail`.
#include <vector>

#include "core/money.h"
#include "events/json_output.h"

namespace tidings {
namespace {

template <class Bytes>
void hex(JsonWriter& json, std::string_view key, const Bytes& bytes) {
    json.key(key).string(to_hex(bytes.view()));
}

void stamp(JsonWriter& json, std::string_view key, const SourceStamp& value) {
    json.key(key);
    if (value == SourceStamp{}) {
        json.null();
        return;
    }
    json.open_object().key("micros").signed_number(value.micros);
    hex(json, "tiebreak", value.tiebreak);
    json.close_object();
}

/// Null: sealed, and not to be opened here.
void personal(JsonWriter& json, std::string_view key, const TextReader& texts, PersonalField field,
              const PersonalText& text) {
    json.key(key);
    if (const auto read = texts.read(field, text)) {
        json.string(*read);
    } else {
        json.null();
    }
}

void actor(JsonWriter& json, std::string_view key, const TextReader& texts, const Actor& value) {
    json.key(key).open_object().key("role").string(name_of(value.role));
    personal(json, "sub", texts, PersonalField::author_id, value.sub);
    personal(json, "name", texts, PersonalField::author_name, value.name);
    json.close_object();
}

void money(JsonWriter& json, std::string_view key, const Money& value) {
    append_money(json.key(key).raw(), value);
}

void strings(JsonWriter& json, std::string_view key, const std::vector<std::string>& values) {
    json.key(key).open_array();
    for (const std::string& value : values) json.string(value);
    json.close_array();
}

void message(JsonWriter& json, std::string_view key, const ProgramId& program, EventNumber number) {
    json.key(key).string(message_id(program, number));
}

/// {"count","runs"}: a set of a million in a row is one pair.
void ordinals(JsonWriter& json, std::string_view key, const Bitmap& set) {
    json.key(key).open_object().key("count").number(set.cardinality()).key("runs").open_array();
    std::uint64_t first = 0, last = 0;
    bool any = false;
    const auto close_run = [&] { json.open_array().number(first).number(last).close_array(); };
    for (const std::uint32_t ordinal : set) {
        if (any && ordinal == last + 1) {
            last = ordinal;
            continue;
        }
        if (any) close_run();
        any = true;
        first = last = ordinal;
    }
    if (any) close_run();
    json.close_array().close_object();
}

template <class Groups>
void opens(JsonWriter& json, const ProgramId& program, const Groups& groups) {
    json.key("groups").open_array();
    for (const auto& group : groups) {
        json.open_object();
        message(json, "message", program, group.message);
        ordinals(json, "partners", group.partners);
        json.key("at").open_array();
        for (const Timestamp at : group.at) json.time(at);
        json.close_array().close_object();
    }
    json.close_array();
}

void metrics_patch(JsonWriter& json, std::string_view key, const MetricsPatch& patch) {
    json.key(key).open_object();
    const auto counter = [&](std::string_view name, const std::optional<std::uint64_t>& value) {
        if (value) json.key(name).number(*value);
    };
    counter("clicks", patch.clicks);
    counter("signups", patch.signups);
    counter("sales", patch.sales);
    counter("paid_accounts", patch.paid_accounts);
    money(json, "revenue", patch.revenue);
    money(json, "commission", patch.commission);
    json.close_object();
}

/// Members left out are left out.
void partner_patch(JsonWriter& json, const TextReader& texts, const PartnerPatch& patch) {
    json.open_object().key("id").string(patch.id.value);
    if (patch.email) personal(json, "email", texts, PersonalField::email, *patch.email);
    if (patch.name) personal(json, "name", texts, PersonalField::name, *patch.name);
    if (patch.surname) personal(json, "surname", texts, PersonalField::surname, *patch.surname);
    if (patch.status) json.key("status").string(name_of(*patch.status));
    if (patch.tags) strings(json, "tags", *patch.tags);
    if (patch.joined_at) json.key("joined_at").time(*patch.joined_at);
    metrics_patch(json, "metrics", patch.metrics);
    json.key("clear_metrics").boolean(patch.clear_metrics);
    json.key("clear_revenue").boolean(patch.clear_revenue);
    json.key("clear_commission").boolean(patch.clear_commission);
    if (patch.stamp) stamp(json, "stamp", *patch.stamp);
    json.close_object();
}

/// The members of one command body or event, after its type.
struct BodyWriter {
    JsonWriter& json;
    const ProgramId& program;
    const TextReader texts;

    void operator()(const UpsertProgram& body) const {
        json.key("name").string(body.name).key("plan").string(name_of(body.plan));
    }
    void operator()(const SetWebhookSecret& body) const {
        json.key("sealed").string(to_hex(body.sealed));
    }
    void operator()(const UpsertPartners& body) const {
        json.key("partners").open_array();
        for (const PartnerPatch& patch : body.partners) partner_patch(json, texts, patch);
        json.close_array().key("must_exist").boolean(body.must_exist);
        json.key("revive").boolean(body.revive).key("hold_unknown").boolean(body.hold_unknown);
    }
    void operator()(const AdjustMetrics& body) const {
        const bool add = body.mode == AdjustMetrics::Mode::add;
        json.key("partner").string(body.partner.value).key("mode").string(add ? "add" : "set");
        json.key("add").open_object();
        json.key("clicks").signed_number(body.clicks).key("signups").signed_number(body.signups);
        json.key("sales").signed_number(body.sales);
        json.key("paid_accounts").signed_number(body.paid_accounts);
        money(json, "revenue", body.revenue);
        money(json, "commission", body.commission);
        json.close_object();
        metrics_patch(json, "set", body.set);
        stamp(json, "stamp", body.stamp);
    }
    void operator()(const RecordCustomer& body) const { customer(body); }
    void operator()(const RecordTransaction& body) const { transaction(body); }
    void operator()(const SendMessage& body) const {
        json.key("subject").string(body.subject).key("body").string(body.body);
        append_audience(json.key("audience").raw(), program, body.audience);
        json.key("replies_enabled").boolean(body.replies_enabled).key("expect_digest");
        body.expect_digest ? json.string(to_hex(body.expect_digest->view())) : json.null();
    }
    void operator()(const RecordOpens& body) const {
        opens(json, program, body.groups);
        json.key("up_to");
        body.up_to.value == 0 ? json.null() : json.string(post_id(program, body.up_to));
    }
    void operator()(const PostReply& body) const {
        conversation(body.message, body.partner);
        personal(json, "body", texts, PersonalField::post, body.body);
    }
    void operator()(const ErasePartner& body) const {
        json.key("partner").string(body.partner.value);
        if (body.key_epoch != 0) json.key("key_epoch").number(body.key_epoch);
    }
    void operator()(const MarkRead& body) const { conversation(body.message, body.partner); }

    void operator()(const ProgramChanged& event) const {
        json.key("name").string(event.name).key("plan").string(name_of(event.plan));
    }
    void operator()(const WebhookSecretSet& event) const {
        json.key("sealed").string(to_hex(event.sealed));
    }
    void operator()(const PartnersChanged& event) const {
        json.key("partners").open_array();
        for (const PartnerState& partner : event.partners) {
            json.open_object().key("ordinal").number(partner.ordinal.value).key("partner");
            append_partner(json.raw(), partner, texts.show(partner));
            if (has_unread(partner)) json.key("sealed").boolean(true);
            if (partner.key_epoch != 0) json.key("key_epoch").number(partner.key_epoch);
            stamp(json, "profile_stamp", partner.profile_stamp);
            stamp(json, "metrics_stamp", partner.metrics_stamp);
            json.close_object();
        }
        json.close_array();
    }
    void operator()(const UpstreamFactsChanged& event) const {
        json.key("held").open_array();
        for (const HeldPartner& held : event.held) {
            json.open_object().key("id").string(held.id.value).key("metrics");
            append_metrics(json.raw(), held.metrics);
            stamp(json, "deleted_stamp", held.deleted_stamp);
            stamp(json, "metrics_stamp", held.metrics_stamp);
            json.close_object();
        }
        json.close_array().key("customers").open_array();
        for (const CustomerState& state : event.customers) object([&] { customer(state); });
        json.close_array().key("transactions").open_array();
        for (const TransactionState& state : event.transactions)
            object([&] { transaction(state); });
        json.close_array().key("payers").open_array();
        for (const PayerState& payer : event.payers) {
            json.open_object().key("partner").string(payer.partner.value);
            json.key("customer").string(payer.customer);
            json.key("transactions").number(payer.transactions).close_object();
        }
        json.close_array();
    }
    void operator()(const MessageSent& event) const {
        json.key("subject").string(event.subject).key("body").string(event.body);
        json.key("replies_enabled").boolean(event.replies_enabled);
        actor(json, "sender", texts, event.sender);
        json.key("sent_at").time(event.sent_at);
        append_audience(json.key("audience").raw(), program, event.audience);
        json.key("plan").string(name_of(event.plan));
        ordinals(json, "recipients", event.recipients);
        hex(json, "digest", event.digest);
    }
    void operator()(const MessagesOpened& event) const { opens(json, program, event.groups); }
    void operator()(const ReplyPosted& event) const {
        conversation(event.message, event.partner);
        json.key("from").string(event.from_owner ? "owner" : "partner");
        actor(json, "author", texts, event.author);
        personal(json, "body", texts, PersonalField::post, event.body);
        json.key("posted_at").time(event.posted_at);
    }
    void operator()(const PartnerErased& event) const {
        json.key("partner").number(event.partner.value);
    }
    void operator()(const ConversationRead& event) const {
        conversation(event.message, event.partner);
        json.key("by").string(event.by_owner ? "owner" : "partner");
        json.key("up_to").number(event.up_to.value);
    }

private:
    bool has_unread(const PartnerState& partner) const {
        return !texts.read(PersonalField::email, partner.email) ||
               !texts.read(PersonalField::name, partner.name) ||
               !texts.read(PersonalField::surname, partner.surname);
    }
    template <class Write>
    void object(Write write) const {
        json.open_object();
        write();
        json.close_object();
    }
    template <class Customer>
    void customer(const Customer& from) const {
        json.key("key").string(from.key).key("partner").string(from.partner.value);
        json.key("deleted").boolean(from.deleted);
        stamp(json, "stamp", from.stamp);
    }
    template <class Transaction>
    void transaction(const Transaction& from) const {
        json.key("key").string(from.key).key("partner").string(from.partner.value);
        json.key("customer").string(from.customer);
        money(json, "revenue", from.revenue);
        money(json, "commission", from.commission);
        json.key("deleted").boolean(from.deleted);
        stamp(json, "stamp", from.stamp);
    }
    void conversation(EventNumber number, PartnerOrdinal partner) const {
        message(json, "message", program, number);
        json.key("partner").number(partner.value);
    }
};

/// The id that the record itself tells; otherwise null beside the bare number.
void answer(JsonWriter& json, const Outcome& outcome) {
    json.key("answer");
    if (outcome.answer.value == 0) {
        json.null();
        return;
    }
    json.open_object().key("number").number(outcome.answer.value).key("id");
    const std::uint64_t index = outcome.answer.value - outcome.first_event.value;
    const Event* made = outcome.answer >= outcome.first_event && index < outcome.events.size()
                            ? &outcome.events[index]
                            : nullptr;
    if (made != nullptr && std::holds_alternative<MessageSent>(*made)) {
        json.string(message_id(outcome.program, outcome.answer));
    } else if (made != nullptr && std::holds_alternative<ReplyPosted>(*made)) {
        json.string(post_id(outcome.program, outcome.answer));
    } else {
        json.null();
    }
    json.close_object();
}

template <class Record>
void identity(JsonWriter& json, const Record& record) {
    hex(json, "id", record.id);
    json.key("time").time(record.time).key("program").string(record.program.value);
    hex(json, "digest", record.digest);
    hex(json, "caller", record.caller);
    json.key("remember").boolean(record.remember).key("track").boolean(record.track);
}

void rejected(JsonWriter& json, const Outcome& outcome) {
    json.key("rejected").open_array();
    for (const Rejected& part : outcome.rejected) {
        json.open_object().key("index").number(part.index);
        if (part.message.value != 0) message(json, "message", outcome.program, part.message);
        json.key("code").string(name_of(part.code)).close_object();
    }
    json.close_array();
}

}  // namespace

void append_command_json(std::string& out, const Command& command, const Keys* keys) {
    const TextReader texts(keys, command.program);
    JsonWriter json(out);
    json.open_object();
    identity(json, command);
    actor(json, "actor", texts, command.actor);
    json.key("type").string(name_of(command.body)).key("body").open_object();
    std::visit(BodyWriter{json, command.program, texts}, command.body);
    json.close_object().close_object();
}

void append_event_json(std::string& out, const ProgramId& program, EventNumber number,
                       const Event& event, const Keys* keys) {
    JsonWriter json(out);
    json.open_object().key("number").number(number.value).key("type").string(name_of(event));
    if (std::holds_alternative<MessageSent>(event)) message(json, "id", program, number);
    if (std::holds_alternative<ReplyPosted>(event)) json.key("id").string(post_id(program, number));
    std::visit(BodyWriter{json, program, TextReader(keys, program)}, event);
    json.close_object();
}

void append_outcome_json(std::string& out, const Outcome& outcome, const Keys* keys) {
    JsonWriter json(out);
    json.open_object();
    identity(json, outcome);
    json.key("status").string(name_of(outcome.status));
    json.key("first_event").number(outcome.first_event.value);
    answer(json, outcome);
    json.key("created").number(outcome.created).key("updated").number(outcome.updated);
    json.key("unchanged").number(outcome.unchanged);
    json.key("first_opens").number(outcome.first_opens);
    rejected(json, outcome);
    json.key("refusal");
    if (outcome.refusal) {
        const Refusal& refusal = *outcome.refusal;
        json.open_object().key("code").string(name_of(refusal.code));
        json.key("pointer").string(refusal.pointer).key("detail").string(refusal.detail);
        json.key("plan").string(name_of(refusal.plan)).close_object();
    } else {
        json.null();
    }
    json.key("events").open_array();
    for (std::size_t i = 0; i < outcome.events.size(); ++i) {
        append_event_json(json.raw(), outcome.program, {outcome.first_event.value + i},
                          outcome.events[i], keys);
    }
    json.close_array().close_object();
}

}  // namespace tidings
