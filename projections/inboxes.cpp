#include "projections/inboxes.h"

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/cursor.h"
#include "projections/messages.h"
#include "projections/opens.h"

namespace tidings::inboxes {

namespace {

constexpr char kInboxCursor = 'i';

Key counter_column(std::uint32_t program, Counter counter) {
    return Key(Table::inbox_counter, program).u8(static_cast<std::uint8_t>(counter));
}

void change_counter(Fold& fold, const Key& key, std::string_view operations) {
    fold.run.change<ColumnChunk>(key, operations, Decode::now);
}

std::uint64_t counter(const RowSource& rows, std::uint32_t program, Counter which,
                      PartnerOrdinal partner) {
    return static_cast<std::uint64_t>(read_column(rows, counter_column(program, which), partner));
}

void append_to_timeline(Fold& fold, EventNumber number) {
    std::string operation;
    list_append(operation, number);
    fold.run.change<EventList>(
        Key(Table::timeline, fold.number).u64(fold.program.wide / limits::kTimelineBlock),
        operation);
    ++fold.program.wide;
}

void append_to_lists(Fold& fold, EventNumber number, const Bitmap& recipients) {
    std::string operation;
    list_append(operation, number);
    for (const std::uint32_t member : recipients) {
        const PartnerOrdinal partner{member};
        const std::uint64_t received = counter(fold.run, fold.number, Counter::small, partner);
        fold.run.change<EventList>(
            Key(Table::inbox_list, fold.number).u32(member).u64(received / limits::kInboxBlock),
            operation);
    }
    increment(fold, Counter::small, recipients);
}

}  // namespace

void add(Fold& fold, Counter which, PartnerOrdinal partner, std::int64_t delta) {
    std::string operation;
    column_add(operation, static_cast<std::uint16_t>(partner.value % limits::kColumnChunk), delta);
    change_counter(fold,
                   counter_column(fold.number, which).u32(partner.value / limits::kColumnChunk),
                   operation);
}

void increment(Fold& fold, Counter which, const Bitmap& partners) {
    for_each_chunk(partners, limits::kColumnChunk,
                   [&](std::uint32_t chunk, const std::uint16_t* indexes, std::size_t count) {
                       std::string operations;
                       column_increment_each(operations, indexes, count);
                       change_counter(fold, counter_column(fold.number, which).u32(chunk),
                                      operations);
                   });
}

void deliver(Fold& fold, EventNumber number, const MessageSent& event) {
    if (event.audience.type == Audience::Type::all) {
        append_to_timeline(fold, number);
        ++fold.program.broadcasts;
    } else if (event.recipients.cardinality() > limits::kRowLimit) {
        append_to_timeline(fold, number);
        increment(fold, Counter::wide, event.recipients);
    } else {
        append_to_lists(fold, number, event.recipients);
    }
}

namespace {

struct Totals {
    std::uint64_t small = 0, timeline = 0, opened = 0, reopened = 0;
    std::uint64_t total() const { return small + timeline; }
    std::uint64_t unread() const { return total() - opened + reopened; }
};

Totals totals(const RowSource& rows, std::uint32_t program, const ProgramRow& row,
              PartnerOrdinal partner) {
    const RowScope scope(rows);
    const auto profile = rows.peek<PartnerRow>(partner_key(program, partner));
    if (profile == nullptr) return {};
    Totals out;
    out.small = counter(rows, program, Counter::small, partner);
    out.timeline = profile->broadcasts(row) + counter(rows, program, Counter::wide, partner);
    out.opened = counter(rows, program, Counter::opened, partner);
    out.reopened = counter(rows, program, Counter::reopened, partner);
    return out;
}

/// Walks one partner's messages, newest first, merging the two sources.
class Walk {
public:
    /// `small`, `wide`: how many entries of the list and of the timeline are still to come; `left`:
    /// how many of the timeline's are this partner's.
    Walk(const RowSource& rows, std::uint32_t program, PartnerOrdinal partner, std::uint64_t small,
         std::uint64_t wide, std::uint64_t left)
        : rows_(rows),
          program_(program),
          partner_(partner),
          small_(small),
          wide_(wide),
          left_(left) {}

    EventNumber next() {
        fill();
        if (small_head_ > wide_head_) {
            --small_;
            return std::exchange(small_head_, EventNumber{});
        }
        if (wide_head_.value == 0) return {};
        --wide_;
        --left_;
        return std::exchange(wide_head_, EventNumber{});
    }
    std::string cursor(std::string_view list) const {
        return make_cursor(kInboxCursor, list, {small_, wide_, left_});
    }

private:
    void fill() {
        if (small_head_.value == 0 && small_ > 0) small_head_ = at(small_block_, small_ - 1);
        while (wide_head_.value == 0 && left_ > 0 && wide_ > 0) {
            const EventNumber candidate = at(wide_block_, wide_ - 1);
            if (messages::is_recipient(rows_, program_, candidate, partner_)) {
                wide_head_ = candidate;
            } else {
                --wide_;
            }
        }
    }
    struct Block {
        std::uint64_t number = ~std::uint64_t{0};
        std::shared_ptr<const EventList> list;
    };
    EventNumber at(Block& block, std::uint64_t index) const {
        const bool small = &block == &small_block_;
        const std::uint64_t size = small ? limits::kInboxBlock : limits::kTimelineBlock;
        if (block.number != index / size) {
            block.number = index / size;
            Key key(small ? Table::inbox_list : Table::timeline, program_);
            if (small) key.u32(partner_.value);
            block.list = rows_.find<EventList>(key.u64(block.number));
        }
        if (index % size >= block.list->numbers.size())
            throw StorageFailure("an inbox has fewer messages than it counts");
        return block.list->numbers[index % size];
    }

    const RowSource& rows_;
    std::uint32_t program_;
    PartnerOrdinal partner_;
    std::uint64_t small_, wide_, left_;
    EventNumber small_head_, wide_head_;
    Block small_block_, wide_block_;
};

InboxRow make_row(const RowSource& rows, std::uint32_t program, const ProgramRow& row,
                  PartnerOrdinal partner, EventNumber message, bool times) {
    InboxRow out;
    const RowScope scope(rows);
    auto card = messages::card(rows, program, message);
    const auto stats = rows.peek<StatsRow>(of_message(Table::message_stats, program, message));
    if (!card || stats == nullptr)
        throw StorageFailure("an inbox names a message that is not there");
    const bool opened = stats->opens > 0 && opens::contains(rows, program, message, partner);
    out.unread = !opened;
    out.can_reply = card->replies_enabled && has_messaging(row.plan);
    if (stats->conversations > 0) {
        if (const auto conversation = conversations::find(rows, program, message, partner)) {
            out.posts = conversation->posts;
            out.unread_replies = conversation->unread_replies;
            if (conversation->unread_for_partner()) out.unread = true;
            if (times && conversation->partner_posts > 0)
                out.replied_at = conversation->last_replied_at;
        }
    }
    if (times && opened) out.opened_at = opens::time(rows, program, *card, partner);
    out.card = std::move(card);
    return out;
}

}  // namespace

InboxSummary summary(const RowSource& rows, std::uint32_t program, PartnerOrdinal partner) {
    const auto row = rows.peek<ProgramRow>(program_key(program));
    const Totals counts = totals(rows, program, *row, partner);
    return {counts.unread(), counts.total()};
}

Result<Page<InboxRow>> list(const RowSource& rows, std::uint32_t program, PartnerOrdinal partner,
                            bool unread_only, bool times, const PageRequest& request) {
    const auto row = rows.peek<ProgramRow>(program_key(program));
    const Totals counts = totals(rows, program, *row, partner);
    std::uint64_t small = counts.small, wide = row->wide, left = counts.timeline;
    std::string name = std::to_string(program) + '/' + std::to_string(partner.value) +
                       (unread_only ? "/unread" : "/all");
    if (!request.cursor.empty()) {
        Result<Cursor> cursor = parse_cursor(kInboxCursor, name, request.cursor, 3);
        if (!cursor) return cursor.error();
        small = std::min(small, cursor->numbers[0]);
        wide = std::min(wide, cursor->numbers[1]);
        left = std::min(left, cursor->numbers[2]);
    }
    Page<InboxRow> page;
    if (unread_only && counts.unread() == 0) return page;
    Walk walk(rows, program, partner, small, wide, left);
    page.rows.reserve(std::min(request.limit, counts.total()));
    std::string here;  // where the next page starts, once this one is full
    for (EventNumber message = walk.next(); message.value != 0; message = walk.next()) {
        InboxRow found = make_row(rows, program, *row, partner, message, times);
        if (!unread_only || found.unread) {
            if (page.rows.size() == request.limit) {
                page.next_cursor = std::move(here);
                return page;
            }
            page.rows.push_back(std::move(found));
        }
        if (page.rows.size() == request.limit) here = walk.cursor(name);
    }
    return page;
}

}  // namespace tidings::inboxes
