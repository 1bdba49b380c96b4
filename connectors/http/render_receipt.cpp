#include "connectors/http/render_receipt.h"

#include "connectors/positions.h"
#include "core/money.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

/// The members that both documents begin with.
void begin(JsonWriter& json, const ProgramId& program, const SendReceipt& receipt) {
    json.open_object().key("message").string(message_id(program, receipt.number));
    json.key("program").string(program.value);
    json.key("position").string(format_position(receipt.partition, receipt.sequence));
    json.key("event").number(receipt.number.value);
}

/// What the partner has of what the node asks for.
void append_actual(JsonWriter& json, const Filter& filter, const FilterVerdict& verdict,
                   const PartnerState& partner) {
    json.key("actual");
    switch (filter.kind) {
        case Filter::Kind::tag:
            json.open_array();
            for (const std::string& tag : partner.tags) json.string(tag);
            json.close_array();
            return;
        case Filter::Kind::metric: {
            const std::int64_t value =
                metric_value(partner.metrics, filter.metric, filter.currency);
            if (is_money(filter.metric)) {
                json.string(format_micros(value));
            } else {
                json.signed_number(value);
            }
            return;
        }
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after:
            json.time(partner.joined_at);
            return;
        case Filter::Kind::engagement:
            json.string(name_of(verdict.standing));
            return;
        case Filter::Kind::all:
        case Filter::Kind::any:
        case Filter::Kind::negation:
            break;
    }
    json.null();
}

/// The node as written, and whether it holds.
void append_verdict(std::string& out, const ProgramId& program, const Filter& filter,
                    const FilterVerdict& verdict, const PartnerState& partner) {
    const bool is_list = filter.kind == Filter::Kind::all || filter.kind == Filter::Kind::any;
    JsonWriter json(out);
    if (is_list) {
        json.open_object().key(filter.kind == Filter::Kind::all ? "all" : "any").open_array();
        for (std::size_t i = 0; i < filter.children.size(); ++i) {
            append_verdict(json.raw(), program, filter.children[i], verdict.children[i], partner);
        }
        json.close_array();
    } else if (filter.kind == Filter::Kind::negation) {
        json.open_object().key("not");
        append_verdict(json.raw(), program, filter.children.at(0), verdict.children.at(0), partner);
    } else {
        append_filter(json.raw(), program, filter);
        out.pop_back();  // its closing brace: members follow
        append_actual(json, filter, verdict, partner);
    }
    json.key("holds").boolean(verdict.holds).close_object();
}

}  // namespace

std::string render_verdict(const ProgramId& program, const Filter& filter,
                           const FilterVerdict& verdict, const PartnerState& partner) {
    std::string out;
    append_verdict(out, program, filter, verdict, partner);
    return out;
}

std::string render_receipt(const ProgramId& program, const SendReceipt& receipt) {
    const MessageSent& sent = receipt.sent;
    std::string out;
    JsonWriter json(out);
    begin(json, program, receipt);
    json.key("command").open_object().key("id").string(to_hex(receipt.command.view()));
    json.key("position").number(receipt.command_position.value).close_object();
    json.key("sender").open_object().key("role").string(name_of(sent.sender.role));
    json.key("id").string(sent.sender.sub.plain());
    json.key("name").string(sent.sender.name.plain()).close_object();
    json.key("sent_at").time(sent.sent_at);
    json.key("plan").string(name_of(sent.plan));
    json.key("replies_enabled").boolean(sent.replies_enabled);
    append_audience(json.key("audience").raw(), program, sent.audience);
    json.key("digest").string(to_hex(sent.digest.view()));
    json.key("recipients").number(sent.recipients.cardinality()).close_object();
    return out;
}

std::string render_why(const ProgramId& program, const PartnerId& partner,
                       const SendReceipt& receipt) {
    const Selection& why = *receipt.why;
    std::string out;
    JsonWriter json(out);
    begin(json, program, receipt);
    json.key("partner_id").string(partner.value);
    json.key("received").boolean(why.selected);
    json.key("reason").string(name_of(why.reason));
    json.key("partner");
    if (why.partner) {
        append_partner(json.raw(), *why.partner, receipt.texts);
    } else {
        json.null();
    }
    json.key("filter");
    if (why.filter) {
        append_verdict(json.raw(), program, receipt.sent.audience.filter, *why.filter,
                       *why.partner);
    } else {
        json.null();
    }
    json.close_object();
    return out;
}

}  // namespace tidings::http
