// Upstream facts: metrics, customers, transactions, for partners known or not yet.
#include <limits>

#include "core/limits.h"
#include "tests/simulation/oracle_rules.h"

namespace tidings::simulation {
namespace {

/// Exact sums of whatever 64-bit amounts come together; the currencies named here are seen.
using Sums = std::map<std::string, __int128>;

/// What one fact does to one partner.
struct Delta {
    std::int64_t clicks = 0, signups = 0, sales = 0, paid_accounts = 0;
    Sums revenue, commission;
};

void sum(Sums& sums, const Money& money, int times) {
    for (const auto& [currency, amount] : money) {
        sums[currency] += static_cast<__int128>(amount) * times;
    }
}

/// Counters stop at zero. False if too large.
bool move(std::uint64_t& counter, std::int64_t by) {
    const __int128 moved = static_cast<__int128>(counter) + by;
    if (moved > static_cast<__int128>(limits::kCounterMax)) return false;
    counter = moved < 0 ? 0 : static_cast<std::uint64_t>(moved);
    return true;
}

bool move(Money& money, const Sums& by) {
    for (const auto& [currency, amount] : by) {
        const __int128 moved = money[currency] + amount;
        if (moved > std::numeric_limits<std::int64_t>::max() ||
            moved < std::numeric_limits<std::int64_t>::min()) {
            return false;
        }
        money[currency] = static_cast<std::int64_t>(moved);
    }
    return money.size() <= limits::kCurrencies;
}

bool move(Metrics& metrics, const Delta& by) {
    return move(metrics.clicks, by.clicks) && move(metrics.signups, by.signups) &&
           move(metrics.sales, by.sales) && move(metrics.paid_accounts, by.paid_accounts) &&
           move(metrics.revenue, by.revenue) && move(metrics.commission, by.commission);
}

Metrics metrics_of(const Program& program, const PartnerId& id) {
    if (const PartnerState* known = program.find(id)) return known->metrics;
    const auto held = program.held.find(id);
    return held == program.held.end() ? Metrics{} : held->second.metrics;
}

/// A partner not yet known is remembered by its facts, as long as there are any.
void put_metrics(Program& program, const PartnerId& id, const Metrics& metrics) {
    if (PartnerState* known = program.find(id)) {
        known->metrics = metrics;
        return;
    }
    HeldPartner& held = program.held[id];
    held.id = id;
    held.metrics = metrics;
    if (held == HeldPartner{id, {}, {}, {}}) program.held.erase(id);
}

/// All of `deltas` or nothing. Whether every sum is in range.
bool put_deltas(Program& program, const std::map<PartnerId, Delta>& deltas) {
    std::map<PartnerId, Metrics> after;
    for (const auto& [id, delta] : deltas) {
        after[id] = metrics_of(program, id);
        if (!move(after[id], delta)) return false;
    }
    for (const auto& [id, metrics] : after) put_metrics(program, id, metrics);
    return true;
}

/// Everybody's metrics as they were: a fact that cannot be counted whole is not counted at all.
class Before {
public:
    explicit Before(const Program& program) : partners_(program.partners), held_(program.held) {}
    bool differ(const Program& program) const {
        return program.partners != partners_ || program.held != held_;
    }
    void restore(Program& program) const {
        program.partners = partners_;
        program.held = held_;
    }

private:
    std::vector<PartnerState> partners_;
    std::map<PartnerId, HeldPartner> held_;
};

Verdict set_metrics(Program& program, const AdjustMetrics& adjust) {
    PartnerState* known = program.find(adjust.partner);
    const auto held = program.held.find(adjust.partner);
    const SourceStamp newest = known != nullptr             ? known->metrics_stamp
                               : held != program.held.end() ? held->second.metrics_stamp
                                                            : SourceStamp{};
    if (adjust.stamp <= newest) return Verdict::changed(false);
    Metrics metrics = metrics_of(program, adjust.partner);
    metrics.clicks = adjust.set.clicks.value_or(metrics.clicks);
    metrics.signups = adjust.set.signups.value_or(metrics.signups);
    metrics.sales = adjust.set.sales.value_or(metrics.sales);
    metrics.paid_accounts = adjust.set.paid_accounts.value_or(metrics.paid_accounts);
    for (const auto& [currency, amount] : adjust.set.revenue) metrics.revenue[currency] = amount;
    for (const auto& [currency, amount] : adjust.set.commission) {
        metrics.commission[currency] = amount;
    }
    // Adding nothing checks the bounds.
    if (!move(metrics, {})) return Verdict::refuse(ErrorCode::invalid, std::nullopt);
    if (known != nullptr) {
        known->metrics = metrics;
        known->metrics_stamp = adjust.stamp;
    } else {
        HeldPartner& holding = program.held[adjust.partner];
        holding.id = adjust.partner;
        holding.metrics = metrics;
        holding.metrics_stamp = adjust.stamp;
    }
    return Verdict::changed(true);
}

/// Customers with at least one live transaction with this partner.
std::int64_t payers(const std::map<std::string, TransactionState>& transactions,
                    const PartnerId& partner) {
    std::set<std::string> customers;
    for (const auto& [key, one] : transactions) {
        if (!one.deleted && one.partner == partner) customers.insert(one.customer);
    }
    customers.erase("");
    return static_cast<std::int64_t>(customers.size());
}

/// A customer is one signup of its partner while it is not deleted.
bool sign_up(Program& program, const CustomerState& customer, int times) {
    if (customer.deleted || customer.partner.value.empty()) return true;
    Delta delta;
    delta.signups = times;
    return put_deltas(program, {{customer.partner, delta}});
}

/// What one live transaction adds to its partner (or, with -1, takes from it).
bool change_by(Program& program, const TransactionState& transaction, int times,
               std::int64_t payers_before) {
    Delta delta;
    delta.sales = times;
    delta.paid_accounts = payers(program.transactions, transaction.partner) - payers_before;
    sum(delta.revenue, transaction.revenue, times);
    sum(delta.commission, transaction.commission, times);
    return put_deltas(program, {{transaction.partner, delta}});
}

bool take_back(Program& program, const std::string& key) {
    const TransactionState old = program.transactions.at(key);
    const std::int64_t payers_before = payers(program.transactions, old.partner);
    program.transactions.erase(key);
    return old.deleted || change_by(program, old, -1, payers_before);
}

bool count(Program& program, const TransactionState& transaction) {
    const std::int64_t payers_before = payers(program.transactions, transaction.partner);
    program.transactions[transaction.key] = transaction;
    return transaction.deleted || change_by(program, transaction, 1, payers_before);
}

}  // namespace

Verdict judge(Program& program, const AdjustMetrics& adjust, const Occasion&) {
    if (adjust.mode == AdjustMetrics::Mode::set) return set_metrics(program, adjust);
    Delta delta{adjust.clicks, adjust.signups, adjust.sales, adjust.paid_accounts, {}, {}};
    sum(delta.revenue, adjust.revenue, 1);
    sum(delta.commission, adjust.commission, 1);
    const Metrics before = metrics_of(program, adjust.partner);
    if (!put_deltas(program, {{adjust.partner, delta}})) return Verdict::refuse(ErrorCode::invalid);
    return Verdict::changed(metrics_of(program, adjust.partner) != before);
}

/// The newest delivery that names a partner says whose customer it is; any that says deleted says
/// so for good. So every order of arrival ends alike.
Verdict judge(Program& program, const RecordCustomer& record, const Occasion&) {
    const auto found = program.customers.find(record.key);
    const bool known = found != program.customers.end();
    const CustomerState before = known ? found->second : CustomerState{record.key, {}, false, {}};
    CustomerState after = before;
    after.deleted = before.deleted || record.deleted;
    if (!record.partner.value.empty() && record.stamp > before.stamp) {
        after.partner = record.partner;
        after.stamp = record.stamp;
    }
    if (after == before) return Verdict::changed(false);
    const Before earlier(program);
    // Counted anew before it is taken back, like a transaction below.
    if (!sign_up(program, after, 1) || !sign_up(program, before, -1)) {
        earlier.restore(program);
        return Verdict::refuse(ErrorCode::invalid);
    }
    program.customers[record.key] = after;
    return Verdict::changed(true);
}

/// The newest version counts, a deleted one nothing, for good; every currency named was seen.
Verdict judge(Program& program, const RecordTransaction& record, const Occasion&) {
    const Before earlier(program);
    const auto transactions = program.transactions;
    const auto found = program.transactions.find(record.key);
    const bool known = found != program.transactions.end();
    TransactionState after{record.key,        record.partner, record.customer, record.revenue,
                           record.commission, record.deleted, record.stamp};
    if (known && record.stamp <= found->second.stamp) after = found->second;
    after.deleted = record.deleted || (known && found->second.deleted);

    std::map<PartnerId, Delta> seen;
    sum(seen[record.partner].revenue, record.revenue, 0);
    sum(seen[record.partner].commission, record.commission, 0);
    bool in_range = put_deltas(program, seen);
    // What changes is counted anew, then the old version is taken back whole. In the other order it
    // would count again where somebody has set the counters to zero in between, where they stop.
    if (in_range && !(known && found->second == after)) {
        TransactionState anew = after;
        anew.key += "\n";  // beside the old one for a moment
        in_range = count(program, anew) && (!known || take_back(program, record.key));
        program.transactions.erase(anew.key);
        program.transactions[record.key] = after;
    }
    if (!in_range) {
        program.transactions = transactions;
        earlier.restore(program);
        return Verdict::refuse(ErrorCode::invalid);
    }
    return Verdict::changed(program.transactions != transactions || earlier.differ(program));
}

}  // namespace tidings::simulation
