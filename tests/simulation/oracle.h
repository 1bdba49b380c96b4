// What PRODUCT.md and API.md promise, kept in plain maps: a second opinion on every decision and on
// every answer of the read models. Nothing is kept as a counter, everything is counted; slow and
// obvious on purpose. Shares with the product the data types of commands, events and ids, and
// audience_digest(), no rule.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/event.h"

namespace tidings::simulation {

struct Post {
    EventNumber number;
    bool from_owner = false;
    Actor author;
    PersonalText body;
    Timestamp posted_at;
    bool operator==(const Post&) const = default;
};

struct Conversation {
    std::vector<Post> posts;               ///< oldest first
    EventNumber partner_read, owner_read;  ///< posts up to here are read by them
    std::vector<Post> from(bool owner) const;
    bool unread_by_partner() const;      ///< the owner wrote since
    std::size_t unread_replies() const;  ///< posts of the partner that no owner has read
    bool operator==(const Conversation&) const = default;
};

struct Message {
    std::string subject, body;
    bool replies_enabled = false;
    Actor sender;
    Timestamp sent_at;
    Plan plan = Plan::partner;
    Audience audience;
    std::set<PartnerOrdinal> recipients;
    std::map<PartnerOrdinal, Timestamp> opened;
    std::map<PartnerOrdinal, Conversation> conversations;  ///< with at least one post
    const Conversation& conversation(PartnerOrdinal) const;
    bool replied(PartnerOrdinal) const;
    bool unread(PartnerOrdinal) const;  ///< REQUIRES: a recipient
    bool operator==(const Message&) const = default;
};

struct RememberedAnswer {
    ContentDigest digest;
    EventNumber answer;
    Timestamp time;
    std::size_t serial = 0;  ///< the how-manyth that this program remembered
    bool operator==(const RememberedAnswer&) const = default;
};

/// What /v1/commands/{id} must say about a send or a reply.
struct TrackedAnswer {
    CallerDigest caller;
    OutcomeStatus status = OutcomeStatus::applied;
    EventNumber answer;
    EventNumber message;  ///< of a reply, with its partner
    PartnerOrdinal partner;
    std::optional<ErrorCode> refusal;
    std::optional<std::string> pointer;  ///< as in Refused
    Timestamp time;
    std::size_t serial = 0;  ///< how many outcomes the program had kept when this one came first
    bool doubtful = false;  ///< its time was over once: it may stand, be forgotten, or be told anew
    bool operator==(const TrackedAnswer&) const = default;
};

struct Program {
    std::string name;
    Plan plan = Plan::starter;
    std::optional<std::string> webhook_secret;
    Timestamp log_time;
    EventNumber last_event;
    std::vector<PartnerState> partners;  ///< by ordinal, which is the order of first sight
    std::map<PartnerId, HeldPartner> held;
    std::map<std::string, CustomerState> customers;
    std::map<std::string, TransactionState> transactions;
    std::map<EventNumber, Message> messages;
    std::map<CommandId, RememberedAnswer> remembered;
    std::size_t ever_remembered = 0;
    Timestamp last_remembered;
    std::map<CommandId, TrackedAnswer> tracked;
    std::size_t ever_tracked = 0;
    Timestamp last_tracked;
    /// Whether the outcome must still be told: it is young, or among the last.
    bool must_be_told(const TrackedAnswer&) const;

    PartnerState* find(const PartnerId&);
    const PartnerState* find(const PartnerId&) const;
    bool operator==(const Program&) const = default;
};

/// A refusal as callers can tell it.
struct Refused {
    ErrorCode code = ErrorCode::invalid;
    std::optional<std::string> pointer = "";  ///< nothing: no document says which field
    bool operator==(const Refused&) const = default;
};

/// Who `audience` selects in `program` now, or why it selects nobody at all.
struct Selected {
    std::set<PartnerOrdinal> partners;
    std::optional<Refused> refusal;
};
Selected select(const Program& program, const Audience& audience);

/// audience_digest() of the same set.
Hash256 digest_of(const std::set<PartnerOrdinal>& partners);

/// One partition's commands in log order. A value: copies are independent.
class Oracle {
public:
    /// One command of the log, in log order, with what the product decided. Checks the outcome and
    /// applies the command. Returns what is wrong, in words; empty: as it must be. After a
    /// disagreement the oracle's own view stands, as far as it can do without the product's ids.
    std::string apply(const Command& command, const Outcome& outcome);

    const std::map<ProgramId, Program>& programs() const { return programs_; }
    bool operator==(const Oracle&) const = default;

private:
    std::map<ProgramId, Program> programs_;
};

}  // namespace tidings::simulation
