// Commands: what is asked. A command carries everything that deciding it may depend on besides the
// facts: its id, the time of its ingress, who asks. Stored in the command log
// (events/schema.capnp).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/bitmap.h"
#include "core/filter.h"
#include "core/ids.h"
#include "core/money.h"
#include "core/personal_text.h"

namespace tidings {

enum class Role : std::uint8_t { platform, owner, partner, analyst, auditor };
const char* name_of(Role role);
std::optional<Role> parse_role(std::string_view text);

enum class Plan : std::uint8_t { starter, partner, advanced };
const char* name_of(Plan plan);
std::optional<Plan> parse_plan(std::string_view text);
/// M7: sends and replies need such a plan.
inline constexpr bool has_messaging(Plan plan) { return plan != Plan::starter; }

enum class PartnerStatus : std::uint8_t { active, pending, archived, deleted };
const char* name_of(PartnerStatus status);
std::optional<PartnerStatus> parse_partner_status(std::string_view text);

struct Actor {
    Role role = Role::platform;
    PersonalText sub, name;  ///< sealed where the actor is a partner
    bool operator==(const Actor&) const = default;
};

/// When an upstream fact happened, as its source says; the greater (micros, tiebreak) wins whatever
/// arrives first.
struct SourceStamp {
    std::int64_t micros = 0;
    Hash256 tiebreak;  ///< SHA-256 of the raw body
    auto operator<=>(const SourceStamp&) const = default;
};

struct MetricsPatch {
    std::optional<std::uint64_t> clicks, signups, sales, paid_accounts;  ///< each at most 2^53 - 1
    Money revenue,
        commission;  ///< the currencies named are set; 0 clears (the currency stays, as "0")
    bool operator==(const MetricsPatch&) const = default;
};

/// Members left out keep their value; at first sight they take the defaults of API.md.
struct PartnerPatch {
    PartnerId id;
    std::optional<PersonalText> email, name, surname;
    std::optional<PartnerStatus> status;
    std::optional<std::vector<std::string>> tags;  ///< sorted, distinct
    std::optional<Timestamp> joined_at;
    MetricsPatch metrics;
    bool clear_metrics =
        false;  ///< merge-patch null: all counters 0, every currency seen "0", then `metrics`
    bool clear_revenue = false, clear_commission = false;
    std::optional<SourceStamp>
        stamp;  ///< upstream only: an older one than the partner's newest is ignored
    bool operator==(const PartnerPatch&) const = default;
};

struct UpsertProgram {
    std::string name;
    Plan plan = Plan::starter;
    bool operator==(const UpsertProgram&) const = default;
};

struct SetWebhookSecret {
    std::string sealed;  ///< AES-256-GCM under the deployment key
    bool operator==(const SetWebhookSecret&) const = default;
};

/// One PUT, PATCH or DELETE (one patch), a chunk of an import (many), or an upstream delivery.
/// Patches apply one after the other. One that cannot apply (no email at first sight, must_exist)
/// is rejected alone.
struct UpsertPartners {
    std::vector<PartnerPatch> partners;
    bool must_exist = false;  ///< PATCH, DELETE
    bool revive =
        false;  ///< PUT, import, upsert: a deleted partner without a status given becomes active
    bool hold_unknown =
        false;  ///< upstream: a patch that only deletes an unknown partner is held, invisible
    bool operator==(const UpsertPartners&) const = default;
};

/// io.tidings.partner.performance. Applies to unknown partners too (held until they are seen).
struct AdjustMetrics {
    enum class Mode : std::uint8_t { add, set };
    PartnerId partner;
    Mode mode = Mode::add;
    std::int64_t clicks = 0, signups = 0, sales = 0,
                 paid_accounts = 0;  ///< add: may be negative; result never below 0
    MetricsPatch set;                ///< mode set
    Money revenue, commission;       ///< mode add
    SourceStamp stamp;               ///< mode set: an older one is ignored
    bool operator==(const AdjustMetrics&) const = default;
};

/// Partnero customer.*: a customer referred by a partner counts as one signup while it is not
/// deleted.
struct RecordCustomer {
    std::string key;
    PartnerId partner;  ///< empty: none named
    bool deleted = false;
    SourceStamp stamp;
    bool operator==(const RecordCustomer&) const = default;
};

/// Partnero transaction.*: one sale, its revenue and commission, while it is not deleted
/// (refunded).
struct RecordTransaction {
    std::string key;
    PartnerId partner;
    std::string customer;  ///< empty: none
    Money revenue, commission;
    bool deleted = false;
    SourceStamp stamp;
    bool operator==(const RecordTransaction&) const = default;
};

struct Audience {
    enum class Type : std::uint8_t { all, partners, filter };
    Type type = Type::all;
    std::vector<PartnerId> partners;  ///< as named, repeats included
    Filter filter;
    std::vector<PartnerId> exclude;  ///< with a filter; unknown ones are harmless
    bool operator==(const Audience&) const = default;
};

struct SendMessage {
    std::string subject, body;
    Audience audience;
    bool replies_enabled = false;
    std::optional<Hash256> expect_digest;
    bool operator==(const SendMessage&) const = default;
};

/// RecordOpen, one (portal) or a chunk of many (platform), in columns.
struct RecordOpens {
    struct Group {
        EventNumber message;
        Bitmap partners;
        std::vector<Timestamp>
            at;  ///< in ascending order of partners, or empty: the command's time
        bool operator==(const Group&) const = default;
    };
    std::vector<Group> groups;  ///< messages ascending and distinct
    EventNumber up_to;          ///< the newest post the partner has seen; 0: all
    bool operator==(const RecordOpens&) const = default;
};

/// From the partner (actor's role is partner) or from an owner. The author is the actor.
struct PostReply {
    EventNumber message;
    PartnerOrdinal partner;
    PersonalText body;
    bool operator==(const PostReply&) const = default;
};

/// The program's owners have read this conversation's replies.
struct MarkRead {
    EventNumber message;
    PartnerOrdinal partner;
    bool operator==(const MarkRead&) const = default;
};

/// Everything that the read models know of a person goes, but for its id, its numbers and its place
/// in audiences.
struct ErasePartner {
    PartnerId partner;
    /// Of the keys that seal from now on, where several processes share them (on Kafka); else 0.
    std::uint16_t key_epoch = 0;
    bool operator==(const ErasePartner&) const = default;
};

using CommandBody =
    std::variant<UpsertProgram, SetWebhookSecret, UpsertPartners, AdjustMetrics, RecordCustomer,
                 RecordTransaction, SendMessage, RecordOpens, PostReply, MarkRead, ErasePartner>;
/// "SendMessage", ... for logs, metrics and `log cat`.
const char* name_of(const CommandBody& body);

struct Command {
    CommandId id;
    Timestamp time;  ///< ingress; the only time that decide ever sees
    ProgramId program;
    Actor actor;
    ContentDigest digest;
    CallerDigest caller;
    bool remember = false;  ///< its id came from a key: success is remembered (PROTOCOL.md rule 14)
    bool track = false;  ///< sends and replies: its outcome can be asked for at /v1/commands/{id}
    CommandBody body;
    bool operator==(const Command&) const = default;
};

}  // namespace tidings
