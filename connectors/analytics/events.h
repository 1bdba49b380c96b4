// The content of the analytics topic: every fact of a commit as CloudEvents 1.0 in structured JSON
// (docs/analytics.md says what each type means, docs/schemas/events/ what its data looks like).
// Pure, without clock or entropy: the same commit gives the same bytes whenever and wherever it is
// rendered, so that a record emitted again is known by its source and id.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/event.h"
#include "projections/read_models.h"

namespace tidings::analytics {

/// Opens in one record of io.tidings.message.opened.
inline constexpr std::size_t kOpensPerRecord = 1'000;
/// Longer lists of partner ids are left out of io.tidings.message.sent; their length stays.
inline constexpr std::size_t kIdsInline = 100;
/// No record's value is longer, whatever the fields of its event (core/limits.h): it fits Kafka's
/// default message limit of 1 MiB with its key and headers.
inline constexpr std::size_t kRecordBytes = 900 << 10;

struct AnalyticsRecord {
    std::string key;    ///< the program's id, so that a program's records stay in order
    std::string value;  ///< JSON in UTF-8
    bool operator==(const AnalyticsRecord&) const = default;
};

/// Appends the records of one outcome, in the order of its events; none for what changed nothing.
/// `command` is the place of the outcome's command in the partition's command log, `sequence` that
/// of the commit which holds it.
/// REQUIRES: `models` have applied that commit; how far beyond they are makes no difference, since
/// only what never changes is asked of them. Throws what they throw.
void render_outcome(const Outcome& outcome, PartitionId partition, CommandPosition command,
                    Sequence sequence, const ReadModels& models, std::vector<AnalyticsRecord>& out);

}  // namespace tidings::analytics
