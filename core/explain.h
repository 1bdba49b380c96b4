// Why an audience selects one partner, or not: the filter's tree judged node by node on the
// partner's own facts. Says the same as resolve_audience (decide.h), which selects on bitmaps.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/facts.h"

namespace tidings {

/// How far a partner had come with a message.
enum class Standing : std::uint8_t { not_received, unopened, opened, replied };
const char* name_of(Standing standing);

/// What one node of a filter says of a partner.
struct FilterVerdict {
    bool holds = false;
    Standing standing = Standing::not_received;  ///< of engagement nodes
    std::vector<FilterVerdict> children;         ///< in the filter's order
};

enum class SelectionReason : std::uint8_t {
    everyone,    ///< sent to all
    named,       ///< by its id
    matched,     ///< by the filter
    not_known,   ///< first seen later
    not_active,  ///< of another status
    not_named,
    excluded,  ///< matched, and taken out
    not_matched,
};
const char* name_of(SelectionReason reason);

struct Selection {
    bool selected = false;
    SelectionReason reason = SelectionReason::not_known;
    std::shared_ptr<const PartnerState> partner;  ///< as it was; null: not known
    std::optional<FilterVerdict> filter;          ///< of a known partner, if there is a filter
};

/// REQUIRES: the program exists, and resolve_audience refuses nothing of this audience.
Selection explain(const Facts& facts, const ProgramId& program, const Audience& audience,
                  const PartnerId& partner);

/// The partner's figure that a metric node looks at; a missing one is 0.
std::int64_t metric_value(const Metrics& metrics, Metric metric, const std::string& currency);

}  // namespace tidings
