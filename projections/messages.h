// Sent messages: what they say, to whom, and their statistics (counters kept, never counted).
#pragma once

#include "projections/fold.h"
#include "projections/read_models.h"

namespace tidings::messages {

/// Also puts the message into the recipients' inboxes (projections/inboxes.h).
void fold(Fold& fold, EventNumber number, const MessageSent& event);

std::shared_ptr<const MessageRow> card(const RowSource& rows, std::uint32_t program,
                                       EventNumber message);
std::shared_ptr<const StatsRow> stats(const RowSource& rows, std::uint32_t program,
                                      EventNumber message);
/// Null if there is no such message.
std::shared_ptr<const Bitmap> recipients(const RowSource& rows, std::uint32_t program,
                                         EventNumber message);
bool is_recipient(const RowSource& rows, std::uint32_t program, EventNumber message,
                  PartnerOrdinal partner);

std::optional<MessageView> view(const RowSource& rows, std::uint32_t program, EventNumber message);
Result<Page<MessageView>> list(const CommittedRows& rows, std::uint32_t program,
                               const PageRequest& request);

}  // namespace tidings::messages
