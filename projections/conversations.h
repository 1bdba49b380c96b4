// Conversations: one per (message, partner), their posts and read marks, who replied and in which
// order.
#pragma once

#include "projections/fold.h"
#include "projections/read_models.h"

namespace tidings::conversations {

void fold(Fold& fold, EventNumber number, const ReplyPosted& event);
void fold(Fold& fold, const ConversationRead& event);
/// Takes the texts of every conversation of the partner, and its own name there.
void fold(Fold& fold, const PartnerErased& event);
/// Of partners who just opened the message: those for whom the owner's posts are still unread.
void after_opens(Fold& fold, EventNumber message, const Bitmap& partners);

/// Null while there is no post.
std::shared_ptr<const ConversationRow> find(const RowSource& rows, std::uint32_t program,
                                            EventNumber message, PartnerOrdinal partner);
PostView view_of(EventNumber number, const PostRow& row, const TextReader& texts);
std::optional<PostView> post(const RowSource& rows, std::uint32_t program, const TextReader& texts,
                             EventNumber message, PartnerOrdinal partner, EventNumber number);
bool has_post(const RowSource& rows, std::uint32_t program, EventNumber message,
              PartnerOrdinal partner, EventNumber number);
std::vector<PostView> posts(const CommittedRows& rows, std::uint32_t program,
                            const TextReader& texts, EventNumber message, PartnerOrdinal partner);
inline Key replied_set(std::uint32_t program, EventNumber message) {
    return of_message(Table::replied_set, program, message);
}
inline Key conversing_set(std::uint32_t program, EventNumber message) {
    return of_message(Table::conversing_set, program, message);
}

}  // namespace tidings::conversations
