// RapidCheck generators of the domain: ids, bitmaps, and every kind of command, event and outcome.
// What they make holds the rules that the headers in core/ state (sorted tags, ascending messages,
// ...), and nothing else.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/event.h"
#include "tests/support/property.h"

namespace tidings::testing {

// ---- draws: only inside a property or rc::gen::exec

/// Uniform over [first, last], but its ends turn up often.
template <class T>
T draw_in(T first, T last) {
    return *rc::gen::weightedOneOf<T>(
        {{1, rc::gen::just(first)},
         {1, rc::gen::just(last)},
         {6, rc::gen::map(rc::gen::arbitrary<std::uint64_t>(), [first, last](std::uint64_t x) {
              const auto span =
                  static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
              const std::uint64_t step = span == ~std::uint64_t{0} ? x : x % (span + 1);
              return static_cast<T>(static_cast<std::uint64_t>(first) + step);
          })}});
}
inline bool draw_bool() { return draw_in<int>(0, 1) == 1; }
inline std::size_t draw_count(std::size_t most) { return draw_in<std::size_t>(0, most); }

template <class E>
E draw_enum(E last) {
    return static_cast<E>(draw_in<unsigned>(0, static_cast<unsigned>(last)));
}

/// ASCII, multi-byte UTF-8, quotes, line ends; sometimes long.
inline std::string draw_text(std::size_t most_pieces = 12) {
    static const std::vector<std::string> pieces{"a", "Z", "0", " ",  "\"", "\\", "\n",
                                                 "é", "ß", "Ж", "漢", "🎉",  "@",  "."};
    std::string out;
    const std::size_t count = draw_count(most_pieces);
    for (std::size_t i = 0; i < count; ++i)
        out += pieces[draw_in<std::size_t>(0, pieces.size() - 1)];
    if (draw_in<int>(0, 30) == 15) out.append(draw_in<std::size_t>(1, 5'000), 'x');
    return out;
}
inline std::string draw_name() { return "n" + draw_text(4); }
/// In its stored form: plain, or what could be sealed.
inline PersonalText draw_personal(std::size_t most_pieces = 6) {
    if (draw_in<int>(0, 2) != 0) return draw_text(most_pieces);
    std::string sealed(1, PersonalText::kSealed);
    const auto bytes = draw_in<std::size_t>(25, 80);
    while (sealed.size() < bytes) sealed += static_cast<char>(draw_in<int>(0, 255));
    return sealed;
}

inline std::uint16_t draw_key_epoch() {
    return draw_bool() ? std::uint16_t{0} : draw_in<std::uint16_t>(0, 0xffff);
}

template <class Bytes>
Bytes draw_bytes() {
    Bytes out;
    if (draw_in<int>(0, 7) == 0) return out;  // zero: none
    for (auto& byte : out.bytes) byte = draw_in<std::uint8_t>(0, 255);
    return out;
}
inline ProgramId draw_program() { return {"program-" + std::to_string(draw_in<int>(0, 4))}; }
inline PartnerId draw_partner() { return {"partner-" + draw_text(2)}; }
inline EventNumber draw_number() { return {draw_in<std::uint64_t>(1, 1'000'000'000'000)}; }
inline PartnerOrdinal draw_ordinal() { return {draw_in<std::uint32_t>(0, 100'000'000)}; }
inline Timestamp draw_time() { return {draw_in<std::int64_t>(0, 253'402'300'799'999)}; }

inline Bitmap draw_bitmap() {
    Bitmap set;
    const auto runs = draw_count(3);
    for (std::size_t i = 0; i < runs; ++i) {
        const std::uint64_t start = draw_in<std::uint64_t>(0, 3'000'000);
        set.addRange(start, start + draw_in<std::uint64_t>(1, 100'000));
    }
    const auto members = draw_count(40);
    for (std::size_t i = 0; i < members; ++i) set.add(draw_in<std::uint32_t>(0, ~0U));
    if (draw_in<int>(0, 9) == 0) {
        for (std::uint32_t i = 0; i < 20'000; ++i) set.add(i * 3);  // dense without runs
    }
    return set;
}
/// At most 60 members.
inline Bitmap draw_small_bitmap() {
    Bitmap set;
    const auto members = draw_in<std::size_t>(1, 60);
    for (std::size_t i = 0; i < members; ++i) set.add(draw_in<std::uint32_t>(0, 200'000));
    return set;
}

inline Money draw_money() {
    static const std::vector<std::string> currencies{"EUR", "USD", "JPY", "x-1"};
    Money money;
    const auto count = draw_count(3);
    for (std::size_t i = 0; i < count; ++i) {
        money[currencies[draw_in<std::size_t>(0, 3)]] = draw_in<std::int64_t>(INT64_MIN, INT64_MAX);
    }
    return money;
}
inline std::vector<std::string> draw_tags() {
    std::set<std::string> tags;
    const auto count = draw_count(4);
    for (std::size_t i = 0; i < count; ++i) tags.insert(draw_name());
    return {tags.begin(), tags.end()};
}
inline Actor draw_actor() {
    if (draw_bool()) return {draw_enum(Role::auditor), {}, {}};
    return {draw_enum(Role::auditor), draw_name(), draw_text(4)};
}
inline Actor draw_author() { return {draw_enum(Role::auditor), draw_personal(), draw_personal()}; }
inline SourceStamp draw_stamp() {
    return {draw_in<std::int64_t>(INT64_MIN, INT64_MAX), draw_bytes<Hash256>()};
}
inline std::uint64_t draw_metric() {
    return draw_in<std::uint64_t>(0, (std::uint64_t{1} << 53) - 1);
}
inline Metrics draw_metrics() {
    return {draw_metric(), draw_metric(), draw_metric(), draw_metric(), draw_money(), draw_money()};
}

template <class Draw>
auto draw_optional(Draw draw) -> std::optional<decltype(draw())> {
    if (draw_bool()) return std::nullopt;
    return draw();
}
template <class Draw>
auto draw_list(std::size_t most, Draw draw) {
    std::vector<decltype(draw())> out;
    const auto count = draw_count(most);
    for (std::size_t i = 0; i < count; ++i) out.push_back(draw());
    return out;
}

inline MetricsPatch draw_metrics_patch() {
    return {draw_optional(draw_metric),
            draw_optional(draw_metric),
            draw_optional(draw_metric),
            draw_optional(draw_metric),
            draw_money(),
            draw_money()};
}
inline PartnerPatch draw_patch() {
    PartnerPatch patch;
    patch.id = draw_partner();
    patch.email = draw_optional([] { return draw_personal(); });
    patch.name = draw_optional([] { return draw_personal(); });
    patch.surname = draw_optional([] { return draw_personal(); });
    patch.status = draw_optional([] { return draw_enum(PartnerStatus::deleted); });
    patch.tags = draw_optional(draw_tags);
    patch.joined_at = draw_optional(draw_time);
    if (draw_bool()) patch.metrics = draw_metrics_patch();
    patch.clear_metrics = draw_bool();
    patch.clear_revenue = draw_bool();
    patch.clear_commission = draw_bool();
    patch.stamp = draw_optional(draw_stamp);
    return patch;
}

/// Depth at most `depth` + 1.
inline Filter draw_filter(int depth = 3) {
    Filter filter;
    filter.kind = draw_enum(Filter::Kind::engagement);
    if (depth == 0 && filter.kind <= Filter::Kind::negation) filter.kind = Filter::Kind::tag;
    switch (filter.kind) {
        case Filter::Kind::all:
        case Filter::Kind::any:
            filter.children = draw_list(3, [depth] { return draw_filter(depth - 1); });
            break;
        case Filter::Kind::negation:
            filter.children.push_back(draw_filter(depth - 1));
            break;
        case Filter::Kind::tag:
            filter.tag = draw_name();
            break;
        case Filter::Kind::metric:
            filter.metric = draw_enum(Metric::commission);
            filter.op = draw_enum(Comparison::greater);
            filter.value = draw_in<std::int64_t>(0, 1'000'000'000);
            if (is_money(filter.metric)) filter.currency = "EUR";
            break;
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after:
            filter.joined = draw_time();
            break;
        case Filter::Kind::engagement:
            filter.engagement = draw_enum(Engagement::replied);
            filter.message = draw_number();
            break;
    }
    return filter;
}
inline Audience draw_audience() {
    Audience audience;
    audience.type = draw_enum(Audience::Type::filter);
    if (audience.type == Audience::Type::partners) audience.partners = draw_list(5, draw_partner);
    if (audience.type == Audience::Type::filter) {
        audience.filter = draw_filter();
        audience.exclude = draw_list(5, draw_partner);
    }
    return audience;
}

/// Of RecordOpens or MessagesOpened: messages ascending and distinct, times for every partner or
/// none.
template <class Group>
std::vector<Group> draw_opens() {
    std::vector<Group> groups;
    EventNumber message;
    const auto count = draw_in<std::size_t>(1, 4);
    for (std::size_t i = 0; i < count; ++i) {
        message.value += draw_in<std::uint64_t>(1, 1'000);
        Group group{.message = message, .partners = draw_small_bitmap(), .at = {}};
        if (draw_bool()) {
            for (std::uint64_t n = group.partners.cardinality(); n > 0; --n)
                group.at.push_back(draw_time());
        }
        groups.push_back(std::move(group));
    }
    return groups;
}
template <class Group>
std::vector<Group> draw_single_open() {
    Group group{.message = draw_number(), .partners = {}, .at = {}};
    group.partners.add(draw_ordinal().value);
    return {group};
}

// ---- commands

inline constexpr std::size_t kCommandKinds = std::variant_size_v<CommandBody>;

inline AdjustMetrics draw_adjust_metrics() {
    const auto delta = [] { return draw_in<std::int64_t>(-1'000'000, 1'000'000); };
    AdjustMetrics adjust;
    adjust.partner = draw_partner();
    adjust.mode = draw_enum(AdjustMetrics::Mode::set);
    adjust.stamp = draw_stamp();
    if (adjust.mode == AdjustMetrics::Mode::set) {
        adjust.set = draw_metrics_patch();
    } else {
        adjust.clicks = delta();
        adjust.signups = delta();
        adjust.sales = delta();
        adjust.paid_accounts = delta();
        adjust.revenue = draw_money();
        adjust.commission = draw_money();
    }
    return adjust;
}

/// A body of the variant's alternative `kind`.
inline CommandBody draw_command_body(std::size_t kind) {
    switch (kind) {
        case 0:
            return UpsertProgram{draw_name(), draw_enum(Plan::advanced)};
        case 1:
            return SetWebhookSecret{draw_text()};
        case 2:
            return UpsertPartners{draw_list(5, draw_patch), draw_bool(), draw_bool(), draw_bool()};
        case 3:
            return draw_adjust_metrics();
        case 4:
            return RecordCustomer{draw_name(), draw_partner(), draw_bool(), draw_stamp()};
        case 5:
            return RecordTransaction{draw_name(),  draw_partner(), draw_text(2), draw_money(),
                                     draw_money(), draw_bool(),    draw_stamp()};
        case 6:
            return SendMessage{draw_name(), draw_text(40), draw_audience(), draw_bool(),
                               draw_optional(draw_bytes<Hash256>)};
        case 7:
            return RecordOpens{draw_bool() ? draw_single_open<RecordOpens::Group>()
                                           : draw_opens<RecordOpens::Group>(),
                               draw_bool() ? EventNumber{} : draw_number()};
        case 8:
            return PostReply{draw_number(), draw_ordinal(), draw_personal(40)};
        case 9:
            return MarkRead{draw_number(), draw_ordinal()};
        default:
            return ErasePartner{draw_partner(), draw_key_epoch()};
    }
}

inline Command draw_command(std::size_t kind) {
    Command command;
    command.id = draw_bytes<CommandId>();
    command.time = draw_time();
    command.program = draw_program();
    command.actor = draw_author();
    command.digest = draw_bytes<ContentDigest>();
    command.caller = draw_bytes<CallerDigest>();
    command.remember = draw_bool();
    command.track = draw_bool();
    command.body = draw_command_body(kind);
    return command;
}

// ---- events and outcomes

inline constexpr std::size_t kEventKinds = std::variant_size_v<Event>;

inline PartnerState draw_partner_state() {
    PartnerState partner;
    partner.ordinal = draw_ordinal();
    partner.id = draw_partner();
    partner.erased = draw_in<int>(0, 7) == 0;
    partner.key_epoch = draw_key_epoch();
    if (!partner.erased) {
        partner.email = draw_personal();
        partner.name = draw_personal();
        partner.surname = draw_personal();
    }
    partner.status = draw_enum(PartnerStatus::deleted);
    partner.tags = draw_tags();
    partner.joined_at = draw_time();
    if (draw_bool()) partner.metrics = draw_metrics();
    if (draw_bool()) partner.profile_stamp = draw_stamp();
    if (draw_bool()) partner.metrics_stamp = draw_stamp();
    return partner;
}

inline UpstreamFactsChanged draw_upstream_facts() {
    UpstreamFactsChanged facts;
    facts.held = draw_list(2, [] {
        return HeldPartner{draw_partner(), draw_metrics(), draw_stamp(), draw_stamp()};
    });
    facts.customers = draw_list(2, [] {
        return CustomerState{draw_name(), draw_partner(), draw_bool(), draw_stamp()};
    });
    facts.transactions = draw_list(2, [] {
        return TransactionState{draw_name(),  draw_partner(), draw_text(2), draw_money(),
                                draw_money(), draw_bool(),    draw_stamp()};
    });
    facts.payers = draw_list(2, [] {
        return PayerState{draw_partner(), draw_name(), draw_metric()};
    });
    return facts;
}

inline MessageSent draw_message_sent() {
    MessageSent sent;
    sent.subject = draw_name();
    sent.body = draw_text(60);
    sent.replies_enabled = draw_bool();
    sent.sender = draw_actor();
    sent.sent_at = draw_time();
    sent.audience = draw_audience();
    sent.plan = draw_enum(Plan::advanced);
    sent.recipients = draw_bitmap();
    sent.digest = draw_bytes<Hash256>();
    return sent;
}

inline Event draw_event(std::size_t kind) {
    switch (kind) {
        case 0:
            return ProgramChanged{draw_name(), draw_enum(Plan::advanced)};
        case 1:
            return WebhookSecretSet{draw_text()};
        case 2:
            return PartnersChanged{draw_list(5, draw_partner_state)};
        case 3:
            return draw_upstream_facts();
        case 4:
            return draw_message_sent();
        case 5:
            return MessagesOpened{draw_bool() ? draw_single_open<MessagesOpened::Group>()
                                              : draw_opens<MessagesOpened::Group>()};
        case 6:
            return ReplyPosted{draw_number(), draw_ordinal(),    draw_bool(),
                               draw_author(), draw_personal(40), draw_time()};
        case 7:
            return ConversationRead{draw_number(), draw_ordinal(), draw_bool(), draw_number()};
        default:
            return PartnerErased{draw_ordinal()};
    }
}

inline std::vector<Rejected> draw_rejected() {
    return draw_list(6, [] {
        return Rejected{draw_in<std::uint32_t>(0, 5), EventNumber{draw_in<std::uint64_t>(0, 2)},
                        draw_bool() ? ErrorCode::not_a_recipient : ErrorCode::not_found};
    });
}

/// Of any status; its events, if it has any, are of any kind.
inline Outcome draw_outcome() {
    Outcome outcome;
    outcome.id = draw_bytes<CommandId>();
    outcome.digest = draw_bytes<ContentDigest>();
    outcome.caller = draw_bytes<CallerDigest>();
    outcome.program = draw_program();
    outcome.time = draw_time();
    outcome.status = draw_enum(OutcomeStatus::refused);
    outcome.remember = draw_bool();
    outcome.track = draw_bool();
    if (outcome.status == OutcomeStatus::refused) {
        outcome.refusal = Refusal{draw_enum(ErrorCode::not_a_recipient), draw_text(3), draw_text(),
                                  draw_enum(Plan::advanced)};
        return outcome;
    }
    if (draw_bool()) {  // a single first open
        outcome.first_event = draw_number();
        outcome.first_opens = 1;
        outcome.events.push_back(MessagesOpened{draw_single_open<MessagesOpened::Group>()});
        return outcome;
    }
    outcome.answer = draw_bool() ? EventNumber{} : draw_number();
    outcome.created = draw_in<std::uint32_t>(0, 9'000);
    outcome.updated = draw_in<std::uint32_t>(0, 9'000);
    outcome.unchanged = draw_in<std::uint32_t>(0, 9'000);
    outcome.first_opens = draw_in<std::uint32_t>(0, 50'000);
    outcome.rejected = draw_rejected();
    outcome.events =
        draw_list(3, [] { return draw_event(draw_in<std::size_t>(0, kEventKinds - 1)); });
    if (!outcome.events.empty()) outcome.first_event = draw_number();
    return outcome;
}

// ---- the same as generators

inline rc::Gen<Bitmap> bitmaps() {
    return rc::gen::exec([] { return draw_bitmap(); });
}
inline rc::Gen<Filter> filters() {
    return rc::gen::exec([] { return draw_filter(); });
}
inline rc::Gen<Command> commands(std::size_t kind) {
    return rc::gen::exec([kind] { return draw_command(kind); });
}
inline rc::Gen<Command> commands() {
    return rc::gen::exec([] { return draw_command(draw_in<std::size_t>(0, kCommandKinds - 1)); });
}
inline rc::Gen<Event> events(std::size_t kind) {
    return rc::gen::exec([kind] { return draw_event(kind); });
}
inline rc::Gen<Outcome> outcomes() {
    return rc::gen::exec([] { return draw_outcome(); });
}

}  // namespace tidings::testing
