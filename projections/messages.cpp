#include "projections/messages.h"

#include "projections/bytes.h"
#include "projections/cursor.h"
#include "projections/inboxes.h"

namespace tidings::messages {

namespace {
constexpr char kListCursor = 'm';
}

void fold(Fold& fold, EventNumber number, const MessageSent& event) {
    MessageRow card;
    card.number = number;
    card.id = message_id(fold.program.id, number);
    card.subject = event.subject;
    card.preview = make_preview(event.body);
    card.replies_enabled = event.replies_enabled;
    card.sender = event.sender;
    card.sent_at = event.sent_at;
    card.plan = event.plan;
    card.digest = event.digest;
    card.recipients = event.recipients.cardinality();
    card.derive();
    StatsRow stats;
    stats.recipients = card.recipients;
    // New rows, all of them: there is nothing to read first.
    const auto put = [&](Table table, auto row) {
        fold.run.put(of_message(table, fold.number, number), std::move(row));
    };
    put(Table::message, std::move(card));
    put(Table::message_text, MessageTextRow{event.body, event.audience});
    put(Table::recipients, RecipientsRow{event.recipients});
    put(Table::message_stats, stats);
    inboxes::deliver(fold, number, event);
    ++fold.program.messages;
}

std::shared_ptr<const MessageRow> card(const RowSource& rows, std::uint32_t program,
                                       EventNumber message) {
    return rows.find<MessageRow>(of_message(Table::message, program, message));
}

std::shared_ptr<const StatsRow> stats(const RowSource& rows, std::uint32_t program,
                                      EventNumber message) {
    return rows.find<StatsRow>(of_message(Table::message_stats, program, message));
}

std::shared_ptr<const Bitmap> recipients(const RowSource& rows, std::uint32_t program,
                                         EventNumber message) {
    auto row = rows.find<RecipientsRow>(of_message(Table::recipients, program, message));
    if (!row) return nullptr;
    return {row, &row->set};
}

bool is_recipient(const RowSource& rows, std::uint32_t program, EventNumber message,
                  PartnerOrdinal partner) {
    const RowScope scope(rows);
    const auto row = rows.peek<RecipientsRow>(of_message(Table::recipients, program, message));
    return row != nullptr && row->set.contains(partner.value);
}

std::optional<MessageView> view(const RowSource& rows, std::uint32_t program, EventNumber message) {
    const auto found = card(rows, program, message);
    if (!found) return std::nullopt;
    const auto text = rows.find<MessageTextRow>(of_message(Table::message_text, program, message));
    const auto counts = stats(rows, program, message);
    if (!text || !counts) throw StorageFailure("a message lacks its text or its statistics");
    return MessageView{
        found,
        text->body,
        text->audience,
        {counts->recipients, counts->opens, counts->replied, counts->unread_replies}};
}

Result<Page<MessageView>> list(const CommittedRows& rows, std::uint32_t program,
                               const PageRequest& request) {
    const std::string name = std::to_string(program);
    const Key prefix(Table::message, program);
    std::string end = prefix_end(prefix.view());
    if (!request.cursor.empty()) {
        Result<Cursor> cursor = parse_cursor(kListCursor, name, request.cursor, 1);
        if (!cursor) return cursor.error();
        end = Key(Table::message, program).u64(cursor->numbers[0] + 1).view();
    }
    Page<MessageView> page;
    rows.store().scan(prefix.view(), end, true, [&](std::string_view key, std::string_view) {
        const EventNumber number{key_number(key, kKeyPrefix, 8)};
        if (page.rows.size() == request.limit) {
            page.next_cursor = make_cursor(kListCursor, name, {number.value});
            return false;
        }
        page.rows.push_back(*view(rows, program, number));
        return true;
    });
    return page;
}

}  // namespace tidings::messages
