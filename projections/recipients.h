// The recipients list of a message: by first sight, or, of those who replied, by latest reply.
#pragma once

#include "projections/fold.h"
#include "projections/read_models.h"

namespace tidings::recipients {

Result<Page<RecipientRow>> list(const CommittedRows& rows, std::uint32_t program,
                                const TextReader& texts, EventNumber message, RecipientState state,
                                const std::string& query, const PageRequest& request);

/// What the row says of the conversation.
void add_replies(RecipientRow& row, const ConversationRow& conversation);

}  // namespace tidings::recipients
