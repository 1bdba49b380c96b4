// A filter of partners: a boolean tree (API.md, Program owner, `F`).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ids.h"

namespace tidings {

enum class Metric : std::uint8_t { clicks, signups, sales, paid_accounts, revenue, commission };
enum class Comparison : std::uint8_t { less, less_equal, equal, not_equal, greater_equal, greater };
enum class Engagement : std::uint8_t { opened, not_opened, replied };

inline constexpr bool is_money(Metric metric) {
    return metric == Metric::revenue || metric == Metric::commission;
}
/// "clicks", ... and ">=", ... and "not_opened", ... as in the API.
const char* name_of(Metric metric);
const char* name_of(Comparison op);
const char* name_of(Engagement engagement);
bool compare(std::int64_t left, Comparison op, std::int64_t right);

struct Filter {
    enum class Kind : std::uint8_t {
        all,
        any,
        negation,
        tag,
        metric,
        joined_before,
        joined_after,
        engagement
    };
    Kind kind = Kind::all;
    std::vector<Filter> children;  ///< all, any: any number (empty all = everyone, empty any = no
                                   ///< one); negation: one
    std::string tag;
    Metric metric = Metric::clicks;
    Comparison op = Comparison::equal;
    std::int64_t value = 0;  ///< a count, or micro-units for money
    std::string currency;    ///< for money
    Timestamp joined;
    Engagement engagement = Engagement::opened;
    EventNumber message;  ///< of the same program
    bool operator==(const Filter&) const = default;
};

}  // namespace tidings
