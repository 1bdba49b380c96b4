// Whom an audience selects: partner by partner, straight from the filter's text in API.md.
#include <algorithm>

#include "core/bitmap.h"
#include "core/limits.h"
#include "tests/simulation/oracle.h"

namespace tidings::simulation {
namespace {

bool holds(std::int64_t left, Comparison op, std::int64_t right) {
    switch (op) {
        case Comparison::less:
            return left < right;
        case Comparison::less_equal:
            return left <= right;
        case Comparison::equal:
            return left == right;
        case Comparison::not_equal:
            return left != right;
        case Comparison::greater_equal:
            return left >= right;
        case Comparison::greater:
            return left > right;
    }
    return false;
}

std::int64_t amount(const Money& money, const std::string& currency) {
    const auto found = money.find(currency);
    return found == money.end() ? 0 : found->second;
}

std::int64_t value_of(const Metrics& metrics, const Filter& filter) {
    switch (filter.metric) {
        case Metric::clicks:
            return static_cast<std::int64_t>(metrics.clicks);
        case Metric::signups:
            return static_cast<std::int64_t>(metrics.signups);
        case Metric::sales:
            return static_cast<std::int64_t>(metrics.sales);
        case Metric::paid_accounts:
            return static_cast<std::int64_t>(metrics.paid_accounts);
        case Metric::revenue:
            return amount(metrics.revenue, filter.currency);
        case Metric::commission:
            return amount(metrics.commission, filter.currency);
    }
    return 0;
}

bool engaged(const Message& message, PartnerOrdinal partner, Engagement engagement) {
    if (!message.recipients.contains(partner)) return false;
    switch (engagement) {
        case Engagement::opened:
            return message.opened.contains(partner);
        case Engagement::not_opened:
            return !message.opened.contains(partner);
        case Engagement::replied:
            return message.replied(partner);
    }
    return false;
}

bool matches(const Program& program, const PartnerState& partner, const Filter& filter) {
    const auto child = [&](const Filter& one) { return matches(program, partner, one); };
    switch (filter.kind) {
        case Filter::Kind::all:
            return std::all_of(filter.children.begin(), filter.children.end(), child);
        case Filter::Kind::any:
            return std::any_of(filter.children.begin(), filter.children.end(), child);
        case Filter::Kind::negation:
            return !child(filter.children.front());
        case Filter::Kind::tag:
            return std::count(partner.tags.begin(), partner.tags.end(), filter.tag) != 0;
        case Filter::Kind::metric:
            return holds(value_of(partner.metrics, filter), filter.op, filter.value);
        case Filter::Kind::joined_before:
            return partner.joined_at < filter.joined;
        case Filter::Kind::joined_after:
            return partner.joined_at > filter.joined;
        case Filter::Kind::engagement:
            return engaged(program.messages.at(filter.message), partner.ordinal, filter.engagement);
    }
    return false;
}

std::size_t depth_of(const Filter& filter) {
    std::size_t deepest = 0;
    for (const Filter& child : filter.children) deepest = std::max(deepest, depth_of(child));
    return deepest + 1;
}

std::size_t nodes_of(const Filter& filter) {
    std::size_t nodes = 1;
    for (const Filter& child : filter.children) nodes += nodes_of(child);
    return nodes;
}

bool well_formed(const Filter& filter) {
    const std::size_t children = filter.children.size();
    const bool tree = filter.kind == Filter::Kind::all || filter.kind == Filter::Kind::any;
    if (!tree && children != (filter.kind == Filter::Kind::negation ? 1 : 0)) return false;
    return std::all_of(filter.children.begin(), filter.children.end(), well_formed);
}

/// Pointer to the first message named that does not exist; a tree is checked whole, whatever it
/// would select.
std::optional<std::string> missing_message(const Program& program, const Filter& filter,
                                           const std::string& at) {
    if (filter.kind == Filter::Kind::engagement && !program.messages.contains(filter.message)) {
        return at + "/message";
    }
    for (std::size_t i = 0; i < filter.children.size(); ++i) {
        const std::string child =
            filter.kind == Filter::Kind::negation
                ? at + "/not"
                : at + (filter.kind == Filter::Kind::all ? "/all/" : "/any/") + std::to_string(i);
        if (auto found = missing_message(program, filter.children[i], child)) return found;
    }
    return std::nullopt;
}

Selected select_named(const Program& program, const std::vector<PartnerId>& named) {
    Selected out;
    for (std::size_t i = 0; i < named.size(); ++i) {
        const PartnerState* partner = program.find(named[i]);
        if (partner == nullptr || partner->status != PartnerStatus::active) {
            return {{},
                    Refused{ErrorCode::unknown_partner, "/audience/partners/" + std::to_string(i)}};
        }
        out.partners.insert(partner->ordinal);
    }
    return out;
}

}  // namespace

Selected select(const Program& program, const Audience& audience) {
    if (audience.type == Audience::Type::partners) return select_named(program, audience.partners);
    const bool filtered = audience.type == Audience::Type::filter;
    if (filtered) {
        if (!well_formed(audience.filter) || depth_of(audience.filter) > limits::kFilterDepth ||
            nodes_of(audience.filter) > limits::kFilterNodes) {
            return {{}, Refused{ErrorCode::invalid, std::nullopt}};
        }
        // `invalid`, not `not_found`: a field of the body (API.md, Errors), as audience_test says.
        if (auto pointer = missing_message(program, audience.filter, "/audience/filter")) {
            return {{}, Refused{ErrorCode::invalid, pointer}};
        }
    }
    Selected out;
    for (const PartnerState& partner : program.partners) {
        if (partner.status != PartnerStatus::active) continue;
        if (filtered) {
            const auto& out_of_it = audience.exclude;
            if (std::count(out_of_it.begin(), out_of_it.end(), partner.id) != 0) continue;
            if (!matches(program, partner, audience.filter)) continue;
        }
        out.partners.insert(partner.ordinal);
    }
    return out;
}

Hash256 digest_of(const std::set<PartnerOrdinal>& partners) {
    Bitmap set;
    for (const PartnerOrdinal partner : partners) set.add(partner.value);
    return audience_digest(set);
}

}  // namespace tidings::simulation
