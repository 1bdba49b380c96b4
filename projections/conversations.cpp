#include "projections/conversations.h"

#include "projections/bytes.h"
#include "projections/inboxes.h"
#include "projections/messages.h"
#include "projections/opens.h"

namespace tidings::conversations {

namespace {

Key row_key(std::uint32_t program, EventNumber message, PartnerOrdinal partner) {
    return of_conversation(Table::conversation, program, message, partner);
}

Key reply_order_key(std::uint32_t program, EventNumber message, EventNumber reply) {
    return of_message(Table::reply_order, program, message).u64(~reply.value);
}

void add_member(Fold& fold, Key prefix, PartnerOrdinal partner) {
    std::string operation;
    set_add(operation, static_cast<std::uint16_t>(partner.value % limits::kSetChunk));
    fold.run.change<SetChunk>(prefix.u32(partner.value / limits::kSetChunk), operation);
}

/// Keeps the inbox counter `reopened` true while a conversation changes.
class ReopenedGuard {
public:
    ReopenedGuard(Fold& fold, EventNumber message, PartnerOrdinal partner, ConversationRow& row)
        : fold_(fold),
          partner_(partner),
          row_(row),
          opened_(opens::contains(fold.run, fold.number, message, partner)),
          before_(row.unread_for_partner()) {}
    void finish() {
        if (!opened_ || before_ == row_.unread_for_partner()) return;
        inboxes::add(fold_, inboxes::Counter::reopened, partner_, before_ ? -1 : 1);
    }

private:
    Fold& fold_;
    PartnerOrdinal partner_;
    ConversationRow& row_;
    bool opened_;
    bool before_;
};

void clear_unread_replies(Fold& fold, StatsRow& stats, ConversationRow& row) {
    stats.unread_replies -= row.unread_replies;
    fold.program.unread_replies -= row.unread_replies;
    row.unread_replies = 0;
}

void fold_partner_post(Fold& fold, EventNumber number, const ReplyPosted& event, StatsRow& stats,
                       ConversationRow& row) {
    if (row.partner_posts == 0) {
        ++stats.replied;
        add_member(fold, replied_set(fold.number, event.message), event.partner);
        row.first_replied_at = event.posted_at;
    } else {
        fold.run.erase(reply_order_key(fold.number, event.message, row.last_partner_post));
    }
    fold.run.edit<NumberRow>(reply_order_key(fold.number, event.message, number)).value =
        event.partner.value;
    ++row.partner_posts;
    row.last_partner_post = number;
    row.last_replied_at = event.posted_at;
    row.partner_read = number;
    ++row.unread_replies;
    ++stats.unread_replies;
    ++fold.program.unread_replies;
}

}  // namespace

void fold(Fold& fold, EventNumber number, const ReplyPosted& event) {
    StatsRow& stats =
        fold.run.edit<StatsRow>(of_message(Table::message_stats, fold.number, event.message));
    ConversationRow& row =
        fold.run.edit<ConversationRow>(row_key(fold.number, event.message, event.partner));
    ReopenedGuard reopened(fold, event.message, event.partner, row);
    if (row.posts == 0) {
        ++stats.conversations;
        add_member(fold, conversing_set(fold.number, event.message), event.partner);
    }
    ++row.posts;
    if (event.from_owner) {
        clear_unread_replies(fold, stats, row);
        row.last_owner_post = number;
        row.owner_read = number;
    } else {
        fold_partner_post(fold, number, event, stats, row);
    }
    PostRow& post = fold.run.edit<PostRow>(
        of_conversation(Table::post, fold.number, event.message, event.partner).u64(number.value));
    post = {event.from_owner, event.author, event.posted_at, event.body};
    reopened.finish();
}

void fold(Fold& fold, const ConversationRead& event) {
    ConversationRow& row =
        fold.run.edit<ConversationRow>(row_key(fold.number, event.message, event.partner));
    if (event.by_owner) {
        StatsRow& stats =
            fold.run.edit<StatsRow>(of_message(Table::message_stats, fold.number, event.message));
        row.owner_read = std::max(row.owner_read, event.up_to);
        if (row.owner_read >= row.last_partner_post) clear_unread_replies(fold, stats, row);
        return;
    }
    ReopenedGuard reopened(fold, event.message, event.partner, row);
    row.partner_read = std::max(row.partner_read, event.up_to);
    reopened.finish();
}

void after_opens(Fold& fold, EventNumber message, const Bitmap& partners) {
    const Bitmap conversing =
        set_intersect(fold.run, conversing_set(fold.number, message), partners);
    for (const std::uint32_t member : conversing) {
        const auto row = find(fold.run, fold.number, message, {member});
        if (row && row->unread_for_partner())
            inboxes::add(fold, inboxes::Counter::reopened, {member}, 1);
    }
}

std::shared_ptr<const ConversationRow> find(const RowSource& rows, std::uint32_t program,
                                            EventNumber message, PartnerOrdinal partner) {
    if (!set_contains(rows, conversing_set(program, message), partner)) return nullptr;
    return rows.find<ConversationRow>(row_key(program, message, partner));
}

namespace {

Key post_key(std::uint32_t program, EventNumber message, PartnerOrdinal partner,
             EventNumber number) {
    return of_conversation(Table::post, program, message, partner).u64(number.value);
}

/// Messages about which the partner has a conversation with posts.
std::vector<EventNumber> conversations_of(const Run& run, std::uint32_t program,
                                          PartnerOrdinal partner) {
    const std::uint32_t chunk = partner.value / limits::kSetChunk;
    const Key prefix(Table::conversing_set, program);
    std::vector<Key> keys = run.changed(prefix);
    run.stored().scan(prefix.view(), prefix_end(prefix.view()), false,
                      [&](std::string_view key, std::string_view) {
                          keys.push_back(Key::of(key));
                          return true;
                      });
    std::vector<EventNumber> out;
    for (const Key& key : keys) {
        const RowScope scope(run);
        if (key_number(key.view(), kKeyPrefix + 8, 4) != chunk) continue;
        if (!run.peek<SetChunk>(key)->bits.contains(partner.value)) continue;
        out.push_back({key_number(key.view(), kKeyPrefix, 8)});
    }
    return out;  // some twice: once more does no harm
}

}  // namespace

void fold(Fold& fold, const PartnerErased& event) {
    for (const EventNumber message : conversations_of(fold.run, fold.number, event.partner)) {
        const Key prefix = of_conversation(Table::post, fold.number, message, event.partner);
        std::vector<Key> keys = fold.run.changed(prefix);
        fold.run.stored().scan(prefix.view(), prefix_end(prefix.view()), false,
                               [&](std::string_view key, std::string_view) {
                                   keys.push_back(Key::of(key));
                                   return true;
                               });
        for (const Key& key : keys) {
            PostRow& post = fold.run.edit<PostRow>(key);
            post.body = PersonalText();
            if (!post.from_owner) post.author.sub = post.author.name = PersonalText();
        }
    }
}

PostView view_of(EventNumber number, const PostRow& row, const TextReader& texts) {
    return {number,
            row.from_owner,
            texts.show(PersonalField::author_id, row.author.sub),
            texts.show(PersonalField::author_name, row.author.name),
            texts.show(PersonalField::post, row.body),
            row.posted_at};
}

std::optional<PostView> post(const RowSource& rows, std::uint32_t program, const TextReader& texts,
                             EventNumber message, PartnerOrdinal partner, EventNumber number) {
    const auto row = rows.find<PostRow>(post_key(program, message, partner, number));
    if (!row) return std::nullopt;
    return view_of(number, *row, texts);
}

bool has_post(const RowSource& rows, std::uint32_t program, EventNumber message,
              PartnerOrdinal partner, EventNumber number) {
    return rows.find<PostRow>(post_key(program, message, partner, number)) != nullptr;
}

std::vector<PostView> posts(const CommittedRows& rows, std::uint32_t program,
                            const TextReader& texts, EventNumber message, PartnerOrdinal partner) {
    std::vector<PostView> out;
    const Key prefix = of_conversation(Table::post, program, message, partner);
    rows.store().scan(prefix.view(), prefix_end(prefix.view()), false,
                      [&](std::string_view key, std::string_view value) {
                          out.push_back(view_of({key_number(key, kKeyPrefix + 12, 8)},
                                                PostRow::decode(value), texts));
                          return true;
                      });
    return out;
}

}  // namespace tidings::conversations
