#include "connectors/http/render.h"

#include <array>
#include <charconv>

#include "core/time.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

// What a row takes at most in the usual case, so that a page grows its string once.
constexpr std::size_t kInboxRowBytes = 512;
constexpr std::size_t kPartnerBytes = 384;
constexpr std::size_t kRecipientBytes = 512;

std::string_view truth(bool value) { return value ? "true" : "false"; }

void append_number(std::string& out, std::uint64_t value) {
    std::array<char, 24> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    out.append(buffer.data(), end);
}

void append_time_or_null(std::string& out, const std::optional<Timestamp>& time) {
    if (time) {
        append_time(out, *time);
    } else {
        out += "null";
    }
}

void append_next_cursor(std::string& out, const std::string& cursor) {
    out += ",\"next_cursor\":";
    if (cursor.empty()) {
        out += "null";
    } else {
        append_json_string(out, cursor);
    }
}

/// "data":[…],"next_cursor":… without braces.
template <class Row, class Append>
void append_page(std::string& out, const Page<Row>& page, Append append) {
    out += "\"data\":[";
    bool first = true;
    for (const Row& row : page.rows) {
        if (!first) out += ',';
        first = false;
        append(out, row);
    }
    out += ']';
    append_next_cursor(out, page.next_cursor);
}

template <class Row, class Append>
std::string list(const Page<Row>& page, std::size_t row_bytes, Append append) {
    std::string out;
    out.reserve(page.rows.size() * row_bytes + 128);
    out += '{';
    append_page(out, page, append);
    out += '}';
    return out;
}

void append_stats(std::string& out, const MessageStats& stats) {
    out += "{\"recipients\":";
    append_number(out, stats.recipients);
    out += ",\"opens\":";
    append_number(out, stats.opens);
    out += ",\"open_rate\":";
    append_double(out, stats.open_rate());
    out += ",\"replied\":";
    append_number(out, stats.replied);
    out += ",\"unread_replies\":";
    append_number(out, stats.unread_replies);
    out += '}';
}

void append_message(std::string& out, const ProgramId& program, const MessageView& message) {
    const MessageCard& card = *message.card;
    JsonWriter json(out);
    json.open_object();
    json.key("id").string(card.id);
    json.key("program").string(program.value);
    json.key("subject").string(card.subject);
    json.key("body").string(message.body);
    json.key("replies_enabled").boolean(card.replies_enabled);
    json.key("sender").raw() += card.sender_json;
    json.key("sent_at").time(card.sent_at);
    json.key("audience").open_object();
    append_audience_members(json.raw(), program, message.audience);
    json.key("digest").string(to_hex(card.digest.view()));
    json.key("plan").string(name_of(card.plan));
    json.close_object();
    append_stats(json.key("stats").raw(), message.stats);
    json.close_object();
}

void append_post(std::string& out, const ProgramId& program, const PostView& post) {
    JsonWriter json(out);
    json.open_object();
    json.key("id").string(post_id(program, post.number));
    json.key("from").string(post.from_owner ? "owner" : "partner");
    append_author(json.key("author").raw(), post.author_id, post.author_name);
    json.key("body").string(post.body);
    json.key("posted_at").time(post.posted_at);
    json.close_object();
}

/// What a partner sees of itself.
void append_addressee(std::string& out, const PartnerView& partner) {
    JsonWriter json(out);
    json.open_object();
    json.key("id").string(partner->id.value);
    json.key("email").string(partner.texts.email);
    json.key("name").string(partner.texts.name);
    json.key("surname").string(partner.texts.surname);
    json.close_object();
}

/// Without the closing brace.
void open_inbox_row(std::string& out, const InboxRow& row) {
    out += '{';
    out += row.card->inbox_json;
    out += ",\"unread\":";
    out += truth(row.unread);
    out += ",\"can_reply\":";
    out += truth(row.can_reply);
    out += ",\"posts\":";
    append_number(out, row.posts);
}

void append_recipient(std::string& out, const RecipientRow& row) {
    out += "{\"partner\":";
    append_partner(out, *row.partner.state, row.partner.texts);
    out += ",\"opened_at\":";
    append_time_or_null(out, row.opened_at);
    out += ",\"first_replied_at\":";
    append_time_or_null(out, row.first_replied_at);
    out += ",\"last_replied_at\":";
    append_time_or_null(out, row.last_replied_at);
    out += ",\"unread_replies\":";
    append_number(out, row.unread_replies);
    out += '}';
}

void append_time_field(std::string& out, const std::optional<Timestamp>& time) {
    out += ',';
    if (time) out += format_time(*time);
}

}  // namespace

void append_double(std::string& out, double value) {
    std::array<char, 32> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    out.append(buffer.data(), end);
}

std::string render_program(const ProgramView& program) {
    std::string out;
    JsonWriter json(out);
    json.open_object();
    json.key("id").string(program.id.value);
    json.key("name").string(program.name);
    json.key("plan").string(name_of(program.plan));
    json.close_object();
    return out;
}

std::string render_partner(const PartnerState& partner, const PartnerTexts& texts) {
    std::string out;
    out.reserve(kPartnerBytes);
    append_partner(out, partner, texts);
    return out;
}

std::string render_message(const ProgramId& program, const MessageView& message) {
    std::string out;
    out.reserve(message.body.size() + 1024);
    append_message(out, program, message);
    return out;
}

std::string render_post(const ProgramId& program, const PostView& post) {
    std::string out;
    append_post(out, program, post);
    return out;
}

std::string render_summary(const ProgramSummary& summary) {
    std::string out;
    JsonWriter json(out);
    json.open_object();
    json.key("messages").number(summary.messages);
    json.key("partners").number(summary.partners);
    json.key("unread_replies").number(summary.unread_replies);
    json.close_object();
    return out;
}

std::string render_inbox_summary(const InboxSummary& summary) {
    std::string out;
    out.reserve(64);
    out += "{\"unread\":";
    append_number(out, summary.unread);
    out += ",\"total\":";
    append_number(out, summary.total);
    out += '}';
    return out;
}

std::string render_opens(const std::vector<OpensBucket>& buckets) {
    std::string out;
    JsonWriter json(out);
    json.open_object().key("data").open_array();
    for (const OpensBucket& bucket : buckets) {
        json.open_object();
        json.key("at").time(bucket.at);
        json.key("opens").number(bucket.opens);
        json.close_object();
    }
    json.close_array().close_object();
    return out;
}

std::string render_partners(const Page<PartnerView>& page) {
    return list(page, kPartnerBytes, [](std::string& out, const PartnerView& row) {
        append_partner(out, *row.state, row.texts);
    });
}

std::string render_tags(const Page<TagCount>& page) {
    return list(page, 64, [](std::string& out, const TagCount& row) {
        out += "{\"tag\":";
        append_json_string(out, row.tag);
        out += ",\"partners\":";
        append_number(out, row.partners);
        out += '}';
    });
}

std::string render_messages(const ProgramId& program, const Page<MessageView>& page) {
    return list(page, 1024, [&program](std::string& out, const MessageView& row) {
        append_message(out, program, row);
    });
}

std::string render_recipients(const Page<RecipientRow>& page) {
    return list(page, kRecipientBytes, append_recipient);
}

std::string render_preview(const AudiencePreview& preview) {
    std::string out;
    out.reserve(preview.page.rows.size() * kPartnerBytes + 256);
    out += "{\"count\":";
    append_number(out, preview.count);
    out += ",\"digest\":\"";
    out += to_hex(preview.digest.view());
    out += "\",";
    append_page(out, preview.page, [](std::string& row_out, const PartnerView& row) {
        append_partner(row_out, *row.state, row.texts);
    });
    out += '}';
    return out;
}

std::string render_inbox(const Page<InboxRow>& page) {
    return list(page, kInboxRowBytes, [](std::string& out, const InboxRow& row) {
        open_inbox_row(out, row);
        out += '}';
    });
}

std::string render_profile_messages(const Page<InboxRow>& page) {
    return list(page, kInboxRowBytes, [](std::string& out, const InboxRow& row) {
        open_inbox_row(out, row);
        out += ",\"opened_at\":";
        append_time_or_null(out, row.opened_at);
        out += ",\"replied_at\":";
        append_time_or_null(out, row.replied_at);
        out += ",\"unread_replies\":";
        append_number(out, row.unread_replies);
        out += '}';
    });
}

std::string render_conversation(const ProgramId& program, const ConversationView& conversation,
                                Viewer viewer) {
    const MessageCard& card = *conversation.card;
    std::string out;
    out.reserve(conversation.body.size() + 1024);
    JsonWriter json(out);
    json.open_object().key("message").open_object();
    json.key("id").string(card.id);
    json.key("subject").string(card.subject);
    json.key("body").string(conversation.body);
    json.key("sender").raw() += card.sender_json;
    json.key("sent_at").time(card.sent_at);
    json.key("replies_enabled").boolean(card.replies_enabled);
    json.close_object();
    std::string& partner = json.key("partner").raw();
    if (viewer == Viewer::owner) {
        append_partner(partner, *conversation.partner.state, conversation.partner.texts);
    } else {
        append_addressee(partner, conversation.partner);
    }
    json.key("opened_at").time(conversation.opened_at);
    json.key("can_reply").boolean(conversation.can_reply);
    json.key("posts").open_array();
    for (const PostView& post : conversation.posts) append_post(json.raw(), program, post);
    json.close_array().close_object();
    return out;
}

std::string_view recipients_csv_header() {
    return "partner_id,email,name,surname,opened_at,first_replied_at,last_replied_at,"
           "unread_replies\r\n";
}

void append_csv_field(std::string& out, std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
        out += text;
        return;
    }
    out += '"';
    for (const char c : text) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

void append_recipient_csv(std::string& out, const RecipientRow& row) {
    append_csv_field(out, row.partner->id.value);
    out += ',';
    append_csv_field(out, row.partner.texts.email);
    out += ',';
    append_csv_field(out, row.partner.texts.name);
    out += ',';
    append_csv_field(out, row.partner.texts.surname);
    append_time_field(out, row.opened_at);
    append_time_field(out, row.first_replied_at);
    append_time_field(out, row.last_replied_at);
    out += ',';
    append_number(out, row.unread_replies);
    out += "\r\n";
}

}  // namespace tidings::http
