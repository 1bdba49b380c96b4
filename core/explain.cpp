#include "core/explain.h"

#include <algorithm>

namespace tidings {
namespace {

std::int64_t amount(const Money& money, const std::string& currency) {
    const auto found = money.find(currency);
    return found == money.end() ? 0 : found->second;
}

Standing standing_of(const Facts& facts, const ProgramId& program, EventNumber number,
                     PartnerOrdinal partner) {
    const auto message = facts.message(program, number);
    if (!message || !message->recipients->contains(partner.value)) return Standing::not_received;
    if (facts.replied(program, number).contains(partner.value)) return Standing::replied;
    if (facts.opened(program, number).contains(partner.value)) return Standing::opened;
    return Standing::unopened;
}

bool engaged(Engagement wanted, Standing standing) {
    switch (wanted) {
        case Engagement::opened:
            return standing == Standing::opened || standing == Standing::replied;
        case Engagement::not_opened:
            return standing == Standing::unopened;
        case Engagement::replied:
            return standing == Standing::replied;
    }
    return false;
}

FilterVerdict judge_partner(const Facts& facts, const ProgramId& program, const Filter& filter,
                            const PartnerState& partner) {
    FilterVerdict out;
    for (const Filter& child : filter.children) {
        out.children.push_back(judge_partner(facts, program, child, partner));
    }
    const auto holds = [](const FilterVerdict& child) { return child.holds; };
    const auto& children = out.children;
    switch (filter.kind) {
        case Filter::Kind::all:
            out.holds = std::all_of(children.begin(), children.end(), holds);
            break;
        case Filter::Kind::any:
            out.holds = std::any_of(children.begin(), children.end(), holds);
            break;
        case Filter::Kind::negation:
            out.holds = std::none_of(children.begin(), children.end(), holds);
            break;
        case Filter::Kind::tag:
            out.holds = std::binary_search(partner.tags.begin(), partner.tags.end(), filter.tag);
            break;
        case Filter::Kind::metric:
            out.holds = compare(metric_value(partner.metrics, filter.metric, filter.currency),
                                filter.op, filter.value);
            break;
        case Filter::Kind::joined_before:
            out.holds = partner.joined_at < filter.joined;
            break;
        case Filter::Kind::joined_after:
            out.holds = partner.joined_at > filter.joined;
            break;
        case Filter::Kind::engagement:
            out.standing = standing_of(facts, program, filter.message, partner.ordinal);
            out.holds = engaged(filter.engagement, out.standing);
            break;
    }
    return out;
}

bool contains(const std::vector<PartnerId>& ids, const PartnerId& id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

SelectionReason reason_of(const Audience& audience, const Selection& found, const PartnerId& id) {
    if (found.partner->status != PartnerStatus::active) return SelectionReason::not_active;
    switch (audience.type) {
        case Audience::Type::all:
            return SelectionReason::everyone;
        case Audience::Type::partners:
            return contains(audience.partners, id) ? SelectionReason::named
                                                   : SelectionReason::not_named;
        case Audience::Type::filter:
            break;
    }
    if (!found.filter->holds) return SelectionReason::not_matched;
    return contains(audience.exclude, id) ? SelectionReason::excluded : SelectionReason::matched;
}

}  // namespace

const char* name_of(Standing standing) {
    switch (standing) {
        case Standing::not_received:
            return "not_received";
        case Standing::unopened:
            return "not_opened";
        case Standing::opened:
            return "opened";
        case Standing::replied:
            return "replied";
    }
    return "";
}

const char* name_of(SelectionReason reason) {
    switch (reason) {
        case SelectionReason::everyone:
            return "everyone";
        case SelectionReason::named:
            return "named";
        case SelectionReason::matched:
            return "matched";
        case SelectionReason::not_known:
            return "not_known";
        case SelectionReason::not_active:
            return "not_active";
        case SelectionReason::not_named:
            return "not_named";
        case SelectionReason::excluded:
            return "excluded";
        case SelectionReason::not_matched:
            return "not_matched";
    }
    return "";
}

std::int64_t metric_value(const Metrics& metrics, Metric metric, const std::string& currency) {
    switch (metric) {
        case Metric::clicks:
            return static_cast<std::int64_t>(metrics.clicks);
        case Metric::signups:
            return static_cast<std::int64_t>(metrics.signups);
        case Metric::sales:
            return static_cast<std::int64_t>(metrics.sales);
        case Metric::paid_accounts:
            return static_cast<std::int64_t>(metrics.paid_accounts);
        case Metric::revenue:
            return amount(metrics.revenue, currency);
        case Metric::commission:
            return amount(metrics.commission, currency);
    }
    return 0;
}

Selection explain(const Facts& facts, const ProgramId& program, const Audience& audience,
                  const PartnerId& partner) {
    Selection out;
    out.partner = facts.partner(program, partner);
    if (out.partner == nullptr) return out;
    if (audience.type == Audience::Type::filter) {
        out.filter = judge_partner(facts, program, audience.filter, *out.partner);
    }
    out.reason = reason_of(audience, out, partner);
    out.selected = out.reason == SelectionReason::everyone ||
                   out.reason == SelectionReason::named || out.reason == SelectionReason::matched;
    return out;
}

}  // namespace tidings
