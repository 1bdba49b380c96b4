// Arithmetic on partners' performance, bounded and exact.
#include <algorithm>

#include "core/deciding.h"
#include "core/limits.h"

namespace tidings::deciding {
namespace {

bool set_money(Money& target, const Money& amounts) {
    for (const auto& [currency, micros] : amounts) target[currency] = micros;
    return target.size() <= limits::kCurrencies;
}

bool set_count(std::uint64_t& target, const std::optional<std::uint64_t>& value) {
    if (!value) return true;
    target = *value;
    return target <= limits::kCounterMax;
}

}  // namespace

bool add_count(std::uint64_t& target, std::int64_t delta) {
    if (delta < 0) {
        const std::uint64_t down = 0 - static_cast<std::uint64_t>(delta);
        target -= std::min(target, down);
        return true;
    }
    target += static_cast<std::uint64_t>(delta);  // both below 2^63
    return target <= limits::kCounterMax;
}

bool add_money(Money& target, const Money& amounts, bool take_away) {
    for (const auto& [currency, micros] : amounts) {
        std::int64_t& held = target[currency];
        if (take_away ? __builtin_sub_overflow(held, micros, &held)
                      : __builtin_add_overflow(held, micros, &held)) {
            return false;
        }
    }
    return target.size() <= limits::kCurrencies;
}

bool apply_metrics(Metrics& target, const MetricsPatch& patch) {
    return set_count(target.clicks, patch.clicks) && set_count(target.signups, patch.signups) &&
           set_count(target.sales, patch.sales) &&
           set_count(target.paid_accounts, patch.paid_accounts) &&
           set_money(target.revenue, patch.revenue) &&
           set_money(target.commission, patch.commission);
}

}  // namespace tidings::deciding
