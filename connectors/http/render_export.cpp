#include "connectors/http/render_export.h"

#include <chrono>

#include "connectors/http/render.h"
#include "core/time.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

constexpr std::size_t kExportPieceBytes = 64 << 10;
/// An io thread has others to serve, too.
constexpr std::chrono::milliseconds kPieceTime{2};

constexpr std::string_view kMessageColumns[] = {
    "message_id",    "sent_at",   "sender_id",       "sender_name",
    "subject",       "body",      "replies_enabled", "plan",
    "audience_type", "audience",  "audience_digest", "recipients",
    "opens",         "open_rate", "replied",         "unread_replies"};
constexpr std::string_view kRecipientColumns[] = {
    "message_id",       "sent_at",         "partner_id",    "email",     "name",
    "surname",          "status",          "opened",        "opened_at", "replied",
    "first_replied_at", "last_replied_at", "unread_replies"};
constexpr std::string_view kOpenColumns[] = {"message_id", "sent_at", "partner_id", "opened_at"};
constexpr std::string_view kPostColumns[] = {"message_id", "partner_id",  "post_id",   "posted_by",
                                             "author_id",  "author_name", "posted_at", "body"};

/// One row: values in the order of the columns.
class Row {
public:
    Row(std::string& out, ExportTable table, ExportFormat format)
        : out_(out), csv_(format == ExportFormat::csv), names_(export_columns(table)) {
        if (!csv_) out_ += '{';
    }
    Row(const Row&) = delete;
    Row& operator=(const Row&) = delete;

    Row& text(std::string_view value) {
        next();
        if (csv_) {
            append_csv_field(out_, value);
        } else {
            append_json_string(out_, value);
        }
        return *this;
    }
    Row& time(const std::optional<Timestamp>& value) {
        if (value) return plain_text(format_time(*value));
        next();
        if (!csv_) out_ += "null";
        return *this;
    }
    Row& number(std::uint64_t value) {
        next();
        out_ += std::to_string(value);
        return *this;
    }
    Row& share(double value) {
        next();
        append_double(out_, value);
        return *this;
    }
    Row& truth(bool value) {
        next();
        out_ += value ? "true" : "false";
        return *this;
    }
    /// REQUIRES: every column has its value.
    void end() { out_ += csv_ ? "\r\n" : "}\n"; }

    /// What needs neither quotes in CSV nor escapes in JSON.
    Row& plain_text(std::string_view value) {
        next();
        if (!csv_) out_ += '"';
        out_ += value;
        if (!csv_) out_ += '"';
        return *this;
    }

private:
    void next() {
        if (at_ > 0) out_ += ',';
        if (!csv_) {
            out_ += '"';
            out_ += names_[at_];
            out_ += "\":";
        }
        ++at_;
    }

    std::string& out_;
    const bool csv_;
    const std::span<const std::string_view> names_;
    std::size_t at_ = 0;
};

std::string_view name_of(Audience::Type type) {
    switch (type) {
        case Audience::Type::all:
            return "all";
        case Audience::Type::partners:
            return "partners";
        case Audience::Type::filter:
            return "filter";
    }
    return {};
}

void write_message(Row row, const ProgramId& program, const MessageView& message) {
    const MessageCard& card = *message.card;
    std::string audience;
    append_audience(audience, program, message.audience);
    row.plain_text(card.id)
        .time(card.sent_at)
        .text(card.sender.sub.plain())
        .text(card.sender.name.plain());
    row.text(card.subject).text(message.body).truth(card.replies_enabled);
    row.plain_text(tidings::name_of(card.plan));
    row.plain_text(name_of(message.audience.type)).text(audience);
    row.plain_text(to_hex(card.digest.view()));
    const MessageStats& stats = message.stats;
    row.number(stats.recipients).number(stats.opens).share(stats.open_rate());
    row.number(stats.replied).number(stats.unread_replies).end();
}

void write_recipient(Row row, const MessageCard& message, const RecipientRow& recipient) {
    const PartnerState& partner = *recipient.partner.state;
    const PartnerTexts& texts = recipient.partner.texts;
    row.plain_text(message.id).time(message.sent_at).text(partner.id.value);
    row.text(texts.email).text(texts.name).text(texts.surname);
    row.plain_text(tidings::name_of(partner.status));
    row.truth(recipient.opened_at.has_value()).time(recipient.opened_at);
    row.truth(recipient.first_replied_at.has_value()).time(recipient.first_replied_at);
    row.time(recipient.last_replied_at).number(recipient.unread_replies).end();
}

void write_open(Row row, const MessageCard& message, const RecipientRow& open) {
    row.plain_text(message.id).time(message.sent_at).text(open.partner->id.value);
    row.time(open.opened_at).end();
}

void write_post(Row row, const ProgramId& program, const MessageCard& message,
                const ExportedPost& posted) {
    const PostView& post = posted.post;
    row.plain_text(message.id).text(posted.partner->id.value);
    row.plain_text(post_id(program, post.number));
    row.plain_text(post.from_owner ? "owner" : "partner");
    row.text(post.author_id).text(post.author_name).time(post.posted_at).text(post.body).end();
}

}  // namespace

std::span<const std::string_view> export_columns(ExportTable table) {
    switch (table) {
        case ExportTable::messages:
            return kMessageColumns;
        case ExportTable::recipients:
            return kRecipientColumns;
        case ExportTable::opens:
            return kOpenColumns;
        case ExportTable::conversations:
            return kPostColumns;
    }
    return {};
}

void append_export_head(std::string& out, ExportTable table, ExportFormat format) {
    if (format != ExportFormat::csv) return;
    bool first = true;
    for (const std::string_view name : export_columns(table)) {
        if (!std::exchange(first, false)) out += ',';
        out += name;
    }
    out += "\r\n";
}

std::size_t append_export_rows(std::string& out, const ProgramId& program, ExportTable table,
                               ExportFormat format, const ExportSlice& slice) {
    if (slice.sent) {
        write_message({out, table, format}, program, *slice.sent);
        return 1;
    }
    for (const RecipientRow& row : slice.recipients) {
        if (table == ExportTable::opens) {
            write_open({out, table, format}, *slice.message, row);
        } else {
            write_recipient({out, table, format}, *slice.message, row);
        }
    }
    for (const ExportedPost& post : slice.posts) {
        write_post({out, table, format}, program, *slice.message, post);
    }
    return slice.recipients.size() + slice.posts.size();
}

std::optional<std::string> ExportText::next() {
    if (ended_) return std::nullopt;
    std::string piece;
    if (!std::exchange(begun_, true)) append_export_head(piece, query_.table, format_);
    const auto until = std::chrono::steady_clock::now() + kPieceTime;
    do {
        const auto slice = rows_->next();
        ended_ = !slice;
        if (ended_) break;
        count_ += append_export_rows(piece, query_.program, query_.table, format_, *slice);
    } while (piece.size() < kExportPieceBytes && std::chrono::steady_clock::now() < until);
    return piece;
}

}  // namespace tidings::http
