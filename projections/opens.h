// Who opened a message, when, and how opens are spread over time.
#pragma once

#include "projections/fold.h"
#include "projections/read_models.h"

namespace tidings::opens {

void fold(Fold& fold, const MessagesOpened& event);

bool contains(const RowSource& rows, std::uint32_t program, EventNumber message,
              PartnerOrdinal partner);
inline Key opened_set(std::uint32_t program, EventNumber message) {
    return of_message(Table::opened_set, program, message);
}
/// Nothing if the partner has not opened it.
std::optional<Timestamp> time(const RowSource& rows, std::uint32_t program, const MessageCard& card,
                              PartnerOrdinal partner);
/// The same, from the chunk of times that the partner is in.
std::optional<Timestamp> time(const ColumnChunk& times, const MessageCard& card,
                              PartnerOrdinal partner);
std::vector<OpensBucket> by_interval(const CommittedRows& rows, std::uint32_t program,
                                     EventNumber message, OpensInterval interval);

}  // namespace tidings::opens
