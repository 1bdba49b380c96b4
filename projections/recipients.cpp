#include "projections/recipients.h"

#include <algorithm>

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/cursor.h"
#include "projections/messages.h"
#include "projections/opens.h"
#include "projections/search.h"

namespace tidings::recipients {

namespace {

constexpr char kOrdinalCursor = 'r';
constexpr char kReplyCursor = 'R';

/// One message's list; reads what its rows need once.
class List {
public:
    List(const CommittedRows& rows, std::uint32_t program, const TextReader& texts,
         EventNumber message, const std::string& query)
        : rows_(rows),
          program_(program),
          texts_(texts),
          message_(message),
          search_(query),
          card_(messages::card(rows, program, message)),
          stats_(messages::stats(rows, program, message)) {}

    bool exists() const { return card_ && stats_; }

    /// Nothing if the search does not match.
    std::optional<RecipientRow> row(PartnerOrdinal partner) const {
        const auto profile = rows_.find<PartnerRow>(partner_key(program_, partner));
        if (!profile) throw StorageFailure("a recipient has no row");
        RecipientRow out;
        out.partner = {profile, texts_.show(*profile)};
        if (!search_.matches_all() && !search_.matches(out.partner.texts)) return std::nullopt;
        if (stats_->opens > 0) out.opened_at = opens::time(rows_, program_, *card_, partner);
        if (stats_->conversations == 0) return out;
        const auto conversation = conversations::find(rows_, program_, message_, partner);
        if (conversation) add_replies(out, *conversation);
        return out;
    }

    Bitmap candidates(RecipientState state, const Bitmap& recipients, std::uint32_t chunk) const {
        const std::uint64_t first = static_cast<std::uint64_t>(chunk) * limits::kSetChunk;
        Bitmap out;
        out.addRange(first, first + limits::kSetChunk);
        out &= recipients;
        if (out.isEmpty()) return out;
        if (state != RecipientState::all) {
            const auto opened = read_set_chunk(rows_, opens::opened_set(program_, message_), chunk);
            if (state == RecipientState::opened) out &= opened->bits;
            if (state == RecipientState::unopened) out -= opened->bits;
        }
        if (!search_.matches_all() && !out.isEmpty())
            out &= search_.candidates(rows_, program_, chunk);
        return out;
    }

private:
    const CommittedRows& rows_;
    std::uint32_t program_;
    const TextReader& texts_;
    EventNumber message_;
    Search search_;
    std::shared_ptr<const MessageRow> card_;
    std::shared_ptr<const StatsRow> stats_;
};

Result<Page<RecipientRow>> by_reply(const CommittedRows& rows, std::uint32_t program,
                                    EventNumber message, const List& list, const std::string& name,
                                    const PageRequest& request) {
    const Key prefix = of_message(Table::reply_order, program, message);
    std::string from(prefix.view());
    if (!request.cursor.empty()) {
        Result<Cursor> cursor = parse_cursor(kReplyCursor, name, request.cursor, 1);
        if (!cursor) return cursor.error();
        from = Key(prefix).u64(cursor->numbers[0]).view();
    }
    Page<RecipientRow> page;
    rows.store().scan(
        from, prefix_end(prefix.view()), false, [&](std::string_view key, std::string_view value) {
            const PartnerOrdinal partner{
                static_cast<std::uint32_t>(NumberRow::decode(value).value)};
            std::optional<RecipientRow> row = list.row(partner);
            if (!row) return true;
            if (page.rows.size() == request.limit) {
                page.next_cursor =
                    make_cursor(kReplyCursor, name, {key_number(key, kKeyPrefix + 8, 8)});
                return false;
            }
            page.rows.push_back(std::move(*row));
            return true;
        });
    return page;
}

}  // namespace

void add_replies(RecipientRow& row, const ConversationRow& conversation) {
    row.unread_replies = conversation.unread_replies;
    if (conversation.partner_posts == 0) return;
    row.first_replied_at = conversation.first_replied_at;
    row.last_replied_at = conversation.last_replied_at;
}

Result<Page<RecipientRow>> list(const CommittedRows& rows, std::uint32_t program,
                                const TextReader& texts, EventNumber message, RecipientState state,
                                const std::string& query, const PageRequest& request) {
    const std::string name = std::to_string(program) + '/' + std::to_string(message.value) + '/' +
                             std::to_string(static_cast<int>(state)) + '/' + query;
    const List list(rows, program, texts, message, query);
    if (state == RecipientState::replied)
        return by_reply(rows, program, message, list, name, request);
    std::uint64_t from = 0;
    if (!request.cursor.empty()) {
        Result<Cursor> cursor = parse_cursor(kOrdinalCursor, name, request.cursor, 1);
        if (!cursor) return cursor.error();
        from = cursor->numbers[0];
    }
    Page<RecipientRow> page;
    const auto recipients = messages::recipients(rows, program, message);
    if (!recipients || recipients->isEmpty() || !list.exists()) return page;
    const std::uint32_t chunks = set_chunks(recipients->maximum() + 1);
    for (auto chunk = static_cast<std::uint32_t>(from / limits::kSetChunk); chunk < chunks;
         ++chunk) {
        const Bitmap found = list.candidates(state, *recipients, chunk);
        auto member = found.begin();
        const auto end = found.end();
        if (member != end && *member < from) member.equalorlarger(static_cast<std::uint32_t>(from));
        for (; member != end; ++member) {
            std::optional<RecipientRow> row = list.row({*member});
            if (!row) continue;
            if (page.rows.size() == request.limit) {
                page.next_cursor = make_cursor(kOrdinalCursor, name, {*member});
                return page;
            }
            page.rows.push_back(std::move(*row));
        }
    }
    return page;
}

}  // namespace tidings::recipients
