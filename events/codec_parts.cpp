// Parts of commands and events on the wire.
#include "events/codec_parts.h"

#include <algorithm>
#include <array>

namespace tidings::wire {
namespace {

// A number in the log is for ever: an enumerator may be appended, never moved.
template <class Wire, class Core>
constexpr bool same(Wire wire, Core core) {
    return static_cast<unsigned>(wire) == static_cast<unsigned>(core);
}
static_assert(same(schema::Role::PLATFORM, Role::platform) &&
              same(schema::Role::OWNER, Role::owner) &&
              same(schema::Role::PARTNER, Role::partner) &&
              same(schema::Role::ANALYST, Role::analyst) &&
              same(schema::Role::AUDITOR, Role::auditor));
static_assert(same(schema::Plan::STARTER, Plan::starter) &&
              same(schema::Plan::PARTNER, Plan::partner) &&
              same(schema::Plan::ADVANCED, Plan::advanced));
static_assert(same(schema::PartnerStatus::ACTIVE, PartnerStatus::active) &&
              same(schema::PartnerStatus::PENDING, PartnerStatus::pending) &&
              same(schema::PartnerStatus::ARCHIVED, PartnerStatus::archived) &&
              same(schema::PartnerStatus::DELETED, PartnerStatus::deleted));
static_assert(same(schema::AudienceType::ALL, Audience::Type::all) &&
              same(schema::AudienceType::PARTNERS, Audience::Type::partners) &&
              same(schema::AudienceType::FILTER, Audience::Type::filter));
static_assert(same(schema::Metric::CLICKS, Metric::clicks) &&
              same(schema::Metric::SIGNUPS, Metric::signups) &&
              same(schema::Metric::SALES, Metric::sales) &&
              same(schema::Metric::PAID_ACCOUNTS, Metric::paid_accounts) &&
              same(schema::Metric::REVENUE, Metric::revenue) &&
              same(schema::Metric::COMMISSION, Metric::commission));
static_assert(same(schema::Comparison::LESS, Comparison::less) &&
              same(schema::Comparison::LESS_EQUAL, Comparison::less_equal) &&
              same(schema::Comparison::EQUAL, Comparison::equal) &&
              same(schema::Comparison::NOT_EQUAL, Comparison::not_equal) &&
              same(schema::Comparison::GREATER_EQUAL, Comparison::greater_equal) &&
              same(schema::Comparison::GREATER, Comparison::greater));
static_assert(same(schema::Engagement::OPENED, Engagement::opened) &&
              same(schema::Engagement::NOT_OPENED, Engagement::not_opened) &&
              same(schema::Engagement::REPLIED, Engagement::replied));
static_assert(same(schema::AdjustMode::ADD, AdjustMetrics::Mode::add) &&
              same(schema::AdjustMode::SET, AdjustMetrics::Mode::set));
static_assert(same(schema::OutcomeStatus::APPLIED, OutcomeStatus::applied) &&
              same(schema::OutcomeStatus::UNCHANGED, OutcomeStatus::unchanged) &&
              same(schema::OutcomeStatus::REPLAYED, OutcomeStatus::replayed) &&
              same(schema::OutcomeStatus::REFUSED, OutcomeStatus::refused));

/// By number on the wire. ErrorCode's own numbers may change.
constexpr std::array kCodes{
    ErrorCode::malformed,
    ErrorCode::unauthenticated,
    ErrorCode::forbidden,
    ErrorCode::plan_required,
    ErrorCode::replies_disabled,
    ErrorCode::not_found,
    ErrorCode::method_not_allowed,
    ErrorCode::not_acceptable,
    ErrorCode::idempotency_key_reused,
    ErrorCode::audience_changed,
    ErrorCode::payload_too_large,
    ErrorCode::unsupported_media_type,
    ErrorCode::invalid,
    ErrorCode::audience_empty,
    ErrorCode::unknown_partner,
    ErrorCode::rate_limited,
    ErrorCode::overloaded,
    ErrorCode::not_caught_up,
    ErrorCode::outcome_unknown,
    ErrorCode::not_a_recipient,
};
static_assert(same(schema::Code::NOT_A_RECIPIENT, kCodes.size() - 1));

void write(schema::Filter::Builder to, const Filter& from) {
    const auto write_all = [&from](capnp::List<schema::Filter>::Builder children) {
        for (unsigned i = 0; i < from.children.size(); ++i) write(children[i], from.children[i]);
    };
    switch (from.kind) {
        case Filter::Kind::all:
            write_all(to.initAll(from.children.size()));
            break;
        case Filter::Kind::any:
            write_all(to.initAny(from.children.size()));
            break;
        case Filter::Kind::negation:
            require(from.children.size() == 1, "a negation of one filter");
            write(to.initNegation(), from.children[0]);
            break;
        case Filter::Kind::tag:
            to.setTag(text(from.tag));
            break;
        case Filter::Kind::metric: {
            auto metric = to.initMetric();
            metric.setMetric(to_wire<schema::Metric>(from.metric));
            metric.setOp(to_wire<schema::Comparison>(from.op));
            metric.setValue(from.value);
            if (!from.currency.empty()) metric.setCurrency(text(from.currency));
            break;
        }
        case Filter::Kind::joined_before:
            to.setJoinedBefore(from.joined.value);
            break;
        case Filter::Kind::joined_after:
            to.setJoinedAfter(from.joined.value);
            break;
        case Filter::Kind::engagement: {
            auto engagement = to.initEngagement();
            engagement.setState(to_wire<schema::Engagement>(from.engagement));
            engagement.setMessage(from.message.value);
            break;
        }
    }
}

Filter read(schema::Filter::Reader from) {
    const auto read_all = [](capnp::List<schema::Filter>::Reader children) {
        std::vector<Filter> out;
        for (const auto child : children) out.push_back(read(child));
        return out;
    };
    Filter out;
    switch (from.which()) {
        case schema::Filter::ALL:
            out.kind = Filter::Kind::all;
            out.children = read_all(from.getAll());
            return out;
        case schema::Filter::ANY:
            out.kind = Filter::Kind::any;
            out.children = read_all(from.getAny());
            return out;
        case schema::Filter::NEGATION:
            out.kind = Filter::Kind::negation;
            out.children.push_back(read(from.getNegation()));
            return out;
        case schema::Filter::TAG:
            out.kind = Filter::Kind::tag;
            out.tag = string(from.getTag());
            return out;
        case schema::Filter::METRIC:
            out.kind = Filter::Kind::metric;
            out.metric = from_wire(from.getMetric().getMetric(), Metric::commission);
            out.op = from_wire(from.getMetric().getOp(), Comparison::greater);
            out.value = from.getMetric().getValue();
            out.currency = string(from.getMetric().getCurrency());
            return out;
        case schema::Filter::JOINED_BEFORE:
            out.kind = Filter::Kind::joined_before;
            out.joined.value = from.getJoinedBefore();
            return out;
        case schema::Filter::JOINED_AFTER:
            out.kind = Filter::Kind::joined_after;
            out.joined.value = from.getJoinedAfter();
            return out;
        case schema::Filter::ENGAGEMENT:
            out.kind = Filter::Kind::engagement;
            out.engagement = from_wire(from.getEngagement().getState(), Engagement::replied);
            out.message.value = from.getEngagement().getMessage();
            return out;
    }
    newer("an unknown kind of filter");
}

bool ascending(const std::vector<std::string>& list) {
    return std::ranges::adjacent_find(list, std::ranges::greater_equal{}) == list.end();
}

std::vector<PartnerId> ids(capnp::Data::Reader packed) {
    auto out = unpack_ids(view(packed));
    if (!out) malformed("a list of partner ids");
    return std::move(*out);
}

}  // namespace

void malformed(const char* what) {
    throw Undecodable{ErrorCode::malformed, std::string("malformed: ") + what};
}
void newer(const char* what) {
    throw Undecodable{ErrorCode::newer_format, std::string("written by a newer version: ") + what};
}

void require(bool holds, const char* what) {
    if (!holds) throw std::logic_error(std::string("cannot be encoded: ") + what);
}

Hash256 hash(capnp::Data::Reader value) {
    if (value.size() != Hash256::kSize) malformed("a hash");
    return Hash256::from(view(value));
}

schema::Code code(ErrorCode value) {
    const auto* found = std::ranges::find(kCodes, value);
    require(found != kCodes.end(), "an error of the machine is no refusal");
    return static_cast<schema::Code>(found - kCodes.begin());
}

ErrorCode code(schema::Code value) {
    const auto index = static_cast<std::size_t>(value);
    if (index >= kCodes.size()) newer("an unknown refusal");
    return kCodes[index];
}

void write(schema::Actor::Builder to, const Actor& from) {
    to.setRole(to_wire<schema::Role>(from.role));
    write_actor(to.getPersonal(), from);
}

Actor read(schema::Actor::Reader from) {
    return read_actor(role(from.getRole()), from.getPersonal());
}

void write(schema::Stamp::Builder to, const SourceStamp& from) {
    to.setMicros(from.micros);
    to.setA(get_le<std::uint64_t>(from.tiebreak.view(), 0));
    to.setB(get_le<std::uint64_t>(from.tiebreak.view(), 8));
    to.setC(get_le<std::uint64_t>(from.tiebreak.view(), 16));
    to.setD(get_le<std::uint64_t>(from.tiebreak.view(), 24));
}

SourceStamp read(schema::Stamp::Reader from) {
    std::string tiebreak;
    for (const std::uint64_t word : {from.getA(), from.getB(), from.getC(), from.getD()}) {
        put_le(tiebreak, word);
    }
    return {from.getMicros(), Hash256::from(tiebreak)};
}

void write(schema::Metrics::Builder to, const Metrics& from) {
    to.setClicks(from.clicks);
    to.setSignups(from.signups);
    to.setSales(from.sales);
    to.setPaidAccounts(from.paid_accounts);
    if (!from.revenue.empty()) to.setRevenue(blob(pack_money(from.revenue)));
    if (!from.commission.empty()) to.setCommission(blob(pack_money(from.commission)));
}

Metrics read(schema::Metrics::Reader from) {
    return {from.getClicks(),       from.getSignups(),        from.getSales(),
            from.getPaidAccounts(), money(from.getRevenue()), money(from.getCommission())};
}

void write(schema::MetricsPatch::Builder to, const MetricsPatch& from) {
    to.setClicksGiven(from.clicks.has_value());
    to.setSignupsGiven(from.signups.has_value());
    to.setSalesGiven(from.sales.has_value());
    to.setPaidAccountsGiven(from.paid_accounts.has_value());
    to.setClicks(from.clicks.value_or(0));
    to.setSignups(from.signups.value_or(0));
    to.setSales(from.sales.value_or(0));
    to.setPaidAccounts(from.paid_accounts.value_or(0));
    if (!from.revenue.empty()) to.setRevenue(blob(pack_money(from.revenue)));
    if (!from.commission.empty()) to.setCommission(blob(pack_money(from.commission)));
}

MetricsPatch read(schema::MetricsPatch::Reader from) {
    MetricsPatch out;
    if (from.getClicksGiven()) out.clicks = from.getClicks();
    if (from.getSignupsGiven()) out.signups = from.getSignups();
    if (from.getSalesGiven()) out.sales = from.getSales();
    if (from.getPaidAccountsGiven()) out.paid_accounts = from.getPaidAccounts();
    out.revenue = money(from.getRevenue());
    out.commission = money(from.getCommission());
    return out;
}

void write(schema::Audience::Builder to, const Audience& from) {
    to.setType(to_wire<schema::AudienceType>(from.type));
    if (!from.partners.empty()) to.setPartners(blob(pack_ids(from.partners)));
    if (from.filter != Filter{}) write(to.initFilter(), from.filter);
    if (!from.exclude.empty()) to.setExclude(blob(pack_ids(from.exclude)));
}

Audience read(schema::Audience::Reader from) {
    return {from_wire(from.getType(), Audience::Type::filter), ids(from.getPartners()),
            read(from.getFilter()), ids(from.getExclude())};
}

std::string pack_tags(const std::vector<std::string>& tags) {
    require(ascending(tags), "tags out of order");
    return pack_strings(tags);
}

std::vector<std::string> tags(capnp::Data::Reader packed) {
    auto out = unpack_strings(view(packed));
    if (!out) malformed("a list of tags");
    if (!ascending(*out)) malformed("tags out of order");
    return std::move(*out);
}

PersonalText plain_text(capnp::Text::Reader value) {
    PersonalText out(string(value));
    if (out.is_sealed()) malformed("a text");
    return out;
}

std::vector<std::optional<PersonalText>> texts(capnp::Data::Reader packed, std::size_t count) {
    auto out = unpack_texts(view(packed), count);
    if (!out) malformed("a list of texts");
    return std::move(*out);
}

Money money(capnp::Data::Reader packed) {
    auto out = unpack_money(view(packed));
    if (!out) malformed("an amount of money");
    return std::move(*out);
}

Bitmap bitmap(capnp::Data::Reader bytes) {
    auto out = deserialize_bitmap(view(bytes));
    if (!out) malformed("a bitmap");
    return std::move(*out);
}

}  // namespace tidings::wire
