// The words of the API for every enumeration, both ways.
#include <array>
#include <utility>

#include "core/event.h"

namespace tidings {
namespace {

template <class T, std::size_t N>
using Names = std::array<std::pair<T, const char*>, N>;

template <class T, std::size_t N>
constexpr const char* name_in(const Names<T, N>& names, T value) {
    for (const auto& [known, name] : names) {
        if (known == value) return name;
    }
    return "unknown";
}

template <class T, std::size_t N>
std::optional<T> parse_in(const Names<T, N>& names, std::string_view text) {
    for (const auto& [known, name] : names) {
        if (text == name) return known;
    }
    return std::nullopt;
}

constexpr Names<Role, 5> kRoles{{{Role::platform, "platform"},
                                 {Role::owner, "owner"},
                                 {Role::partner, "partner"},
                                 {Role::analyst, "analyst"},
                                 {Role::auditor, "auditor"}}};

constexpr Names<Plan, 3> kPlans{
    {{Plan::starter, "starter"}, {Plan::partner, "partner"}, {Plan::advanced, "advanced"}}};

constexpr Names<PartnerStatus, 4> kStatuses{{{PartnerStatus::active, "active"},
                                             {PartnerStatus::pending, "pending"},
                                             {PartnerStatus::archived, "archived"},
                                             {PartnerStatus::deleted, "deleted"}}};

constexpr Names<OutcomeStatus, 4> kOutcomeStatuses{{{OutcomeStatus::applied, "applied"},
                                                    {OutcomeStatus::unchanged, "unchanged"},
                                                    {OutcomeStatus::replayed, "replayed"},
                                                    {OutcomeStatus::refused, "refused"}}};

constexpr Names<Metric, 6> kMetrics{{{Metric::clicks, "clicks"},
                                     {Metric::signups, "signups"},
                                     {Metric::sales, "sales"},
                                     {Metric::paid_accounts, "paid_accounts"},
                                     {Metric::revenue, "revenue"},
                                     {Metric::commission, "commission"}}};

constexpr Names<Comparison, 6> kComparisons{{{Comparison::less, "<"},
                                             {Comparison::less_equal, "<="},
                                             {Comparison::equal, "="},
                                             {Comparison::not_equal, "!="},
                                             {Comparison::greater_equal, ">="},
                                             {Comparison::greater, ">"}}};

constexpr Names<Engagement, 3> kEngagements{{{Engagement::opened, "opened"},
                                             {Engagement::not_opened, "not_opened"},
                                             {Engagement::replied, "replied"}}};

constexpr Names<ErrorCode, 26> kErrorCodes{{
    {ErrorCode::malformed, "malformed"},
    {ErrorCode::unauthenticated, "unauthenticated"},
    {ErrorCode::forbidden, "forbidden"},
    {ErrorCode::plan_required, "plan_required"},
    {ErrorCode::replies_disabled, "replies_disabled"},
    {ErrorCode::not_found, "not_found"},
    {ErrorCode::method_not_allowed, "method_not_allowed"},
    {ErrorCode::not_acceptable, "not_acceptable"},
    {ErrorCode::idempotency_key_reused, "idempotency_key_reused"},
    {ErrorCode::audience_changed, "audience_changed"},
    {ErrorCode::payload_too_large, "payload_too_large"},
    {ErrorCode::unsupported_media_type, "unsupported_media_type"},
    {ErrorCode::invalid, "invalid"},
    {ErrorCode::audience_empty, "audience_empty"},
    {ErrorCode::unknown_partner, "unknown_partner"},
    {ErrorCode::rate_limited, "rate_limited"},
    {ErrorCode::overloaded, "overloaded"},
    {ErrorCode::not_caught_up, "not_caught_up"},
    {ErrorCode::outcome_unknown, "outcome_unknown"},
    {ErrorCode::not_a_recipient, "not_a_recipient"},
    {ErrorCode::io, "io"},
    {ErrorCode::corruption, "corruption"},
    {ErrorCode::log_mismatch, "log_mismatch"},
    {ErrorCode::newer_format, "newer_format"},
    {ErrorCode::older_format, "older_format"},
    {ErrorCode::usage, "usage"},
}};

// In the order of the variants.
constexpr std::array<const char*, 11> kCommandNames{
    "UpsertProgram",  "SetWebhookSecret",  "UpsertPartners", "AdjustMetrics",
    "RecordCustomer", "RecordTransaction", "SendMessage",    "RecordOpens",
    "PostReply",      "MarkRead",          "ErasePartner"};
constexpr std::array<const char*, 9> kEventNames{
    "ProgramChanged", "WebhookSecretSet", "PartnersChanged",  "UpstreamFactsChanged", "MessageSent",
    "MessagesOpened", "ReplyPosted",      "ConversationRead", "PartnerErased"};
static_assert(std::variant_size_v<CommandBody> == kCommandNames.size());
static_assert(std::variant_size_v<Event> == kEventNames.size());

}  // namespace

const char* name_of(Role role) { return name_in(kRoles, role); }
std::optional<Role> parse_role(std::string_view text) { return parse_in(kRoles, text); }
const char* name_of(Plan plan) { return name_in(kPlans, plan); }
std::optional<Plan> parse_plan(std::string_view text) { return parse_in(kPlans, text); }
const char* name_of(PartnerStatus status) { return name_in(kStatuses, status); }
std::optional<PartnerStatus> parse_partner_status(std::string_view text) {
    return parse_in(kStatuses, text);
}
const char* name_of(Metric metric) { return name_in(kMetrics, metric); }
const char* name_of(Comparison op) { return name_in(kComparisons, op); }
const char* name_of(Engagement engagement) { return name_in(kEngagements, engagement); }
const char* name_of(ErrorCode code) { return name_in(kErrorCodes, code); }
const char* name_of(OutcomeStatus status) { return name_in(kOutcomeStatuses, status); }
const char* name_of(const CommandBody& body) { return kCommandNames[body.index()]; }
const char* name_of(const Event& event) { return kEventNames[event.index()]; }

bool compare(std::int64_t left, Comparison op, std::int64_t right) {
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

}  // namespace tidings
