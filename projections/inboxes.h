// Inboxes without a row per recipient of a wide send (DESIGN.md decision 5). What a partner
// received is the union of
//   - the program's timeline: sends to all, and targeted sends wider than limits::kRowLimit;
//   membership is looked up in
//     the message's frozen recipients;
//   - the partner's own list: smaller targeted sends, a row per recipient.
// Counters per partner: received of each kind, opened, reopened (opened, but the owner has posted
// since). total = broadcasts (PartnerRow) + wide + small; unread = total - opened + reopened.
#pragma once

#include "projections/fold.h"
#include "projections/read_models.h"

namespace tidings::inboxes {

enum class Counter : std::uint8_t { small, wide, opened, reopened };

void deliver(Fold& fold, EventNumber number, const MessageSent& event);
/// Adds to a counter of one or of many partners.
void add(Fold& fold, Counter counter, PartnerOrdinal partner, std::int64_t delta);
void increment(Fold& fold, Counter counter, const Bitmap& partners);

InboxSummary summary(const RowSource& rows, std::uint32_t program, PartnerOrdinal partner);
Result<Page<InboxRow>> list(const RowSource& rows, std::uint32_t program, PartnerOrdinal partner,
                            bool unread_only, bool times, const PageRequest& request);

}  // namespace tidings::inboxes
