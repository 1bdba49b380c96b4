// Who an audience selects: a filter's tree evaluated on bitmaps, always within the active partners.
#include "core/decide.h"
#include "core/limits.h"

namespace tidings {
namespace {

Refusal bad_filter(std::string pointer, std::string detail) {
    return Refusal{ErrorCode::invalid, std::move(pointer), std::move(detail), {}};
}

/// What is wrong with the first bad node, depth first. Checked before anything is evaluated, so
/// that the answer does not depend on which branches are empty; the shape too, which ingress
/// guarantees, for nothing here may fall over.
std::optional<Refusal> check(const Facts& facts, const ProgramId& program, const Filter& filter,
                             const std::string& pointer, std::size_t depth) {
    if (depth > limits::kFilterDepth) return bad_filter(pointer, "nested too deeply");
    std::string list;
    switch (filter.kind) {
        case Filter::Kind::engagement:
            if (facts.message(program, filter.message)) return std::nullopt;
            return bad_filter(pointer + "/message", "no such message");
        case Filter::Kind::negation:
            if (filter.children.size() != 1) return bad_filter(pointer, "needs one filter");
            return check(facts, program, filter.children.front(), pointer + "/not", depth + 1);
        case Filter::Kind::all:
            list = pointer + "/all/";
            break;
        case Filter::Kind::any:
            list = pointer + "/any/";
            break;
        case Filter::Kind::tag:
        case Filter::Kind::metric:
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after:
            return std::nullopt;
    }
    for (std::size_t i = 0; i < filter.children.size(); ++i) {
        auto bad = check(facts, program, filter.children[i], list + std::to_string(i), depth + 1);
        if (bad) return bad;
    }
    return std::nullopt;
}

Bitmap engaged(const Facts& facts, const ProgramId& program, const Filter& filter) {
    switch (filter.engagement) {
        case Engagement::opened:
            return facts.opened(program, filter.message);
        case Engagement::replied:
            return facts.replied(program, filter.message);
        case Engagement::not_opened:
            break;
    }
    // Not Facts::unopened: that one answers for any partner, this one for the message's recipients.
    Bitmap out = *facts.message(program, filter.message)->recipients;
    out -= facts.opened(program, filter.message);
    return out;
}

/// The members of `scope` that the filter selects.
Bitmap select(const Facts& facts, const ProgramId& program, const Filter& filter,
              const Bitmap& scope) {
    switch (filter.kind) {
        case Filter::Kind::all: {
            Bitmap out = scope;
            for (const Filter& child : filter.children) {
                if (out.isEmpty()) break;
                out = select(facts, program, child, out);
            }
            return out;
        }
        case Filter::Kind::any: {
            Bitmap out;
            Bitmap rest = scope;
            for (const Filter& child : filter.children) {
                if (rest.isEmpty()) break;
                const Bitmap more = select(facts, program, child, rest);
                out |= more;
                rest -= more;
            }
            return out;
        }
        case Filter::Kind::negation:
            return scope - select(facts, program, filter.children.front(), scope);
        case Filter::Kind::tag:
            return facts.tagged(program, filter.tag) & scope;
        case Filter::Kind::metric:
            return facts.by_metric(program, filter.metric, filter.currency, filter.op,
                                   filter.value) &
                   scope;
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after: {
            const bool before = filter.kind == Filter::Kind::joined_before;
            return facts.joined(program, before, filter.joined) & scope;
        }
        case Filter::Kind::engagement:
            return engaged(facts, program, filter) & scope;
    }
    return {};
}

ResolvedAudience resolve_partners(const Facts& facts, const ProgramId& program,
                                  const Audience& audience) {
    ResolvedAudience out;
    for (std::size_t i = 0; i < audience.partners.size(); ++i) {
        const auto partner = facts.partner(program, audience.partners[i]);
        if (partner == nullptr || partner->status != PartnerStatus::active) {
            out.refusal = Refusal{ErrorCode::unknown_partner,
                                  "/audience/partners/" + std::to_string(i),
                                  "no active partner of this program",
                                  {}};
            return out;
        }
        out.recipients.add(partner->ordinal.value);
    }
    return out;
}

ResolvedAudience resolve_filter(const Facts& facts, const ProgramId& program,
                                const Audience& audience) {
    ResolvedAudience out;
    out.refusal = check(facts, program, audience.filter, "/audience/filter", 1);
    if (out.refusal) return out;
    out.recipients = select(facts, program, audience.filter, facts.active(program));
    for (const PartnerId& id : audience.exclude) {
        if (const auto partner = facts.partner(program, id)) {
            out.recipients.remove(partner->ordinal.value);
        }
    }
    return out;
}

}  // namespace

ResolvedAudience resolve_audience(const Facts& facts, const ProgramId& program,
                                  const Audience& audience) {
    switch (audience.type) {
        case Audience::Type::all:
            return ResolvedAudience{facts.active(program), std::nullopt};
        case Audience::Type::partners:
            return resolve_partners(facts, program, audience);
        case Audience::Type::filter:
            return resolve_filter(facts, program, audience);
    }
    return {};
}

}  // namespace tidings
