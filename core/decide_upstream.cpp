// Deciding what upstream says about performance: adjustments, customers, transactions.
// Customers and transactions are last-writer-wins registers per key whose effect on a partner's
// metrics is the difference between the register before and after; so the same facts give the same
// metrics in any order.
#include <algorithm>
#include <map>

#include "core/deciding.h"

namespace tidings::deciding {
namespace {

/// What a fact may change of a partner, known or not.
struct Performance {
    Metrics& metrics;
    SourceStamp& metrics_stamp;
};

/// Collects changes of known and held partners, and emits each once.
class Ledger {
public:
    explicit Ledger(const Context& context) : context_(context) {}

    Performance of(const PartnerId& id) {
        if (const auto found = known_.find(id); found != known_.end()) {
            return {found->second.metrics, found->second.metrics_stamp};
        }
        if (const auto partner = context_.facts.partner(context_.id(), id)) {
            PartnerState& after = known_.emplace(id, *partner).first->second;
            return {after.metrics, after.metrics_stamp};
        }
        auto held = held_.find(id);
        if (held == held_.end()) {
            held = held_.emplace(id, held_before(id)).first;
        }
        return {held->second.metrics, held->second.metrics_stamp};
    }

    /// `facts` already holds the registers that changed.
    void emit(UpstreamFactsChanged facts) {
        PartnersChanged changed;
        for (auto& [id, after] : known_) {
            if (*context_.facts.partner(context_.id(), id) == after) continue;
            changed.partners.push_back(std::move(after));
        }
        std::sort(changed.partners.begin(), changed.partners.end(),
                  [](const PartnerState& left, const PartnerState& right) {
                      return left.ordinal < right.ordinal;
                  });
        for (auto& [id, after] : held_) {
            if (held_before(id) == after) continue;
            facts.held.push_back(std::move(after));
        }
        if (!changed.partners.empty()) context_.emit(std::move(changed));
        if (facts != UpstreamFactsChanged{}) context_.emit(std::move(facts));
    }

private:
    HeldPartner held_before(const PartnerId& id) const {
        return context_.facts.held(context_.id(), id).value_or(HeldPartner{.id = id});
    }

    const Context& context_;
    std::map<PartnerId, PartnerState> known_;
    std::map<PartnerId, HeldPartner> held_;
};

void refuse_range(const Context& context) {
    context.refuse(ErrorCode::invalid, "a metric would leave its range");
}

bool add_adjustment(const AdjustMetrics& body, Metrics& metrics) {
    return add_count(metrics.clicks, body.clicks) && add_count(metrics.signups, body.signups) &&
           add_count(metrics.sales, body.sales) &&
           add_count(metrics.paid_accounts, body.paid_accounts) &&
           add_money(metrics.revenue, body.revenue, false) &&
           add_money(metrics.commission, body.commission, false);
}

bool counts(const CustomerState& customer) {
    return !customer.deleted && !customer.partner.value.empty();
}

bool counts(const TransactionState& transaction) {
    return !transaction.deleted && !transaction.partner.value.empty();
}

/// Changes to the number of live transactions per (partner, customer).
class Payers {
public:
    explicit Payers(const Context& context) : context_(context) {}

    /// Returns the change of the partner's paid_accounts.
    int add(const TransactionState& transaction, int delta) {
        if (transaction.customer.empty()) return 0;
        const Key key{transaction.partner, transaction.customer};
        auto found = after_.find(key);
        if (found == after_.end()) {
            found = after_.emplace(key, before(key)).first;
        }
        const bool paid = found->second > 0;
        if (delta < 0) {
            --found->second;  // was counted when its transaction became live
        } else {
            ++found->second;
        }
        return static_cast<int>(found->second > 0) - static_cast<int>(paid);
    }

    std::vector<PayerState> changes() const {
        std::vector<PayerState> out;
        for (const auto& [key, transactions] : after_) {
            if (before(key) == transactions) continue;
            out.push_back(PayerState{key.first, key.second, transactions});
        }
        return out;
    }

private:
    using Key = std::pair<PartnerId, std::string>;
    std::uint64_t before(const Key& key) const {
        return context_.facts.payer(context_.id(), key.first, key.second);
    }

    const Context& context_;
    std::map<Key, std::uint64_t> after_;
};

/// Adds (+1) or takes back (-1) what a live transaction means for its partner.
bool apply_transaction(const TransactionState& transaction, int sign, Ledger& ledger,
                       Payers& payers) {
    const bool take_away = sign < 0;
    Metrics& metrics = ledger.of(transaction.partner).metrics;
    return add_count(metrics.sales, sign) &&
           add_count(metrics.paid_accounts, payers.add(transaction, sign)) &&
           add_money(metrics.revenue, transaction.revenue, take_away) &&
           add_money(metrics.commission, transaction.commission, take_away);
}

/// Every version ever heard of leaves its currencies with the partner that it names, whether it
/// wins or not: so the set of currencies seen does not depend on the order of arrival.
bool register_currencies(const RecordTransaction& body, Ledger& ledger) {
    if (body.partner.value.empty()) return true;
    const auto zeros = [](const Money& amounts) {
        Money out;
        for (const auto& [currency, micros] : amounts) out.emplace(currency, 0);
        return out;
    };
    Metrics& metrics = ledger.of(body.partner).metrics;
    return add_money(metrics.revenue, zeros(body.revenue), false) &&
           add_money(metrics.commission, zeros(body.commission), false);
}

TransactionState after_version(const std::optional<TransactionState>& before,
                               const RecordTransaction& body) {
    TransactionState after = before.value_or(TransactionState{.key = body.key});
    if (!before || body.stamp > before->stamp) {
        after.partner = body.partner;
        after.customer = body.customer;
        after.revenue = body.revenue;
        after.commission = body.commission;
        after.stamp = body.stamp;
    }
    after.deleted = after.deleted || body.deleted;
    return after;
}

}  // namespace

void adjust_metrics(const Context& context, const AdjustMetrics& body) {
    Ledger ledger(context);
    const Performance performance = ledger.of(body.partner);
    bool in_range = true;
    if (body.mode == AdjustMetrics::Mode::add) {
        in_range = add_adjustment(body, performance.metrics);
    } else if (body.stamp == SourceStamp{}) {
        in_range = apply_metrics(performance.metrics, body.set);  // not ordered against others
    } else if (body.stamp > performance.metrics_stamp) {
        in_range = apply_metrics(performance.metrics, body.set);
        performance.metrics_stamp = body.stamp;
    }
    if (!in_range) return refuse_range(context);
    ledger.emit({});
}

void record_customer(const Context& context, const RecordCustomer& body) {
    const std::optional<CustomerState> before = context.facts.customer(context.id(), body.key);
    CustomerState after = before.value_or(CustomerState{.key = body.key});
    // A version that names no partner says nothing about which one it is; it must not hide an older
    // one that does.
    if (!body.partner.value.empty() && (after.partner.value.empty() || body.stamp > after.stamp)) {
        after.partner = body.partner;
        after.stamp = body.stamp;
    }
    after.deleted = after.deleted || body.deleted;
    if (before ? *before == after : after == CustomerState{.key = body.key}) return;
    Ledger ledger(context);
    // Added before it is taken away: a sum stops at 0, and a new version of what was counted
    // already must not count again because somebody has set the sum to 0 in between.
    if (counts(after) && !add_count(ledger.of(after.partner).metrics.signups, 1)) {
        return refuse_range(context);
    }
    if (before && counts(*before) && !add_count(ledger.of(before->partner).metrics.signups, -1)) {
        return refuse_range(context);
    }
    UpstreamFactsChanged facts;
    facts.customers.push_back(std::move(after));
    ledger.emit(std::move(facts));
}

void record_transaction(const Context& context, const RecordTransaction& body) {
    const std::optional<TransactionState> before =
        context.facts.transaction(context.id(), body.key);
    TransactionState after = after_version(before, body);
    Ledger ledger(context);
    Payers payers(context);
    bool in_range = register_currencies(body, ledger);
    UpstreamFactsChanged facts;
    if (!before || *before != after) {
        // Added before it is taken away, as above.
        if (counts(after)) in_range = in_range && apply_transaction(after, 1, ledger, payers);
        if (before && counts(*before)) {
            in_range = in_range && apply_transaction(*before, -1, ledger, payers);
        }
        facts.payers = payers.changes();
        facts.transactions.push_back(std::move(after));
    }
    if (!in_range) return refuse_range(context);
    ledger.emit(std::move(facts));
}

}  // namespace tidings::deciding
