// Events: facts, and the outcome of one command. An event carries after-states, so that folding it
// needs no arithmetic that a later version could do differently. Stored in the commits
// (events/schema.capnp).
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/command.h"
#include "core/result.h"

namespace tidings {

struct Metrics {
    std::uint64_t clicks = 0, signups = 0, sales = 0, paid_accounts = 0;
    Money revenue, commission;  ///< every currency once seen
    bool operator==(const Metrics&) const = default;
};

/// A partner as known now.
struct PartnerState {
    PartnerOrdinal ordinal;
    PartnerId id;
    PersonalText email, name, surname;
    bool erased = false;  ///< and not seen again since: has no texts
    /// Texts sealed under keys of an older epoch are refused: an erasure has destroyed those keys.
    std::uint16_t key_epoch = 0;
    PartnerStatus status = PartnerStatus::active;
    std::vector<std::string> tags;  ///< sorted, distinct
    Timestamp joined_at;
    Metrics metrics;
    SourceStamp profile_stamp;  ///< newest upstream upsert or delete applied
    SourceStamp metrics_stamp;  ///< newest upstream `set` applied
    bool operator==(const PartnerState&) const = default;
};

/// Facts about a partner not yet known: invisible until it is first seen.
struct HeldPartner {
    PartnerId id;
    Metrics metrics;
    SourceStamp deleted_stamp;  ///< a delete that arrived first; zero: none
    SourceStamp metrics_stamp;
    bool operator==(const HeldPartner&) const = default;
};

struct CustomerState {
    std::string key;
    PartnerId partner;
    bool deleted = false;
    SourceStamp stamp;
    bool operator==(const CustomerState&) const = default;
};

struct TransactionState {
    std::string key;
    PartnerId partner;
    std::string customer;
    Money revenue, commission;
    bool deleted = false;
    SourceStamp stamp;
    bool operator==(const TransactionState&) const = default;
};

/// Live transactions of one customer with one partner; paid_accounts counts the customers with at
/// least one.
struct PayerState {
    PartnerId partner;
    std::string customer;
    std::uint64_t transactions = 0;
    bool operator==(const PayerState&) const = default;
};

struct ProgramChanged {
    std::string name;
    Plan plan = Plan::starter;
    bool operator==(const ProgramChanged&) const = default;
};
struct WebhookSecretSet {
    std::string sealed;
    bool operator==(const WebhookSecretSet&) const = default;
};
/// After-states. A partner with the program's next ordinal is new.
struct PartnersChanged {
    std::vector<PartnerState> partners;
    bool operator==(const PartnersChanged&) const = default;
};
/// After-states of upstream facts; a held partner with empty metrics and no stamp is no longer
/// held.
struct UpstreamFactsChanged {
    std::vector<HeldPartner> held;
    std::vector<CustomerState> customers;
    std::vector<TransactionState> transactions;
    std::vector<PayerState> payers;
    bool operator==(const UpstreamFactsChanged&) const = default;
};
/// Its message is known by this event's number.
struct MessageSent {
    std::string subject, body;
    bool replies_enabled = false;
    Actor sender;
    Timestamp sent_at;
    Audience audience;  ///< as sent
    Plan plan = Plan::partner;
    Bitmap recipients;  ///< frozen
    Hash256 digest;     ///< audience_digest(recipients)
    bool operator==(const MessageSent&) const = default;
};
/// First opens only.
struct MessagesOpened {
    struct Group {
        EventNumber message;
        Bitmap partners;
        std::vector<Timestamp>
            at;  ///< in ascending order of partners, or empty: the outcome's time
        bool operator==(const Group&) const = default;
    };
    std::vector<Group> groups;
    bool operator==(const MessagesOpened&) const = default;
};
/// The post is known by this event's number. Also: its author has read the conversation up to here.
struct ReplyPosted {
    EventNumber message;
    PartnerOrdinal partner;
    bool from_owner = false;
    Actor author;
    PersonalText body;
    Timestamp posted_at;
    bool operator==(const ReplyPosted&) const = default;
};
struct ConversationRead {
    EventNumber message;
    PartnerOrdinal partner;
    bool by_owner = false;
    EventNumber up_to;  ///< posts up to this event number are read
    bool operator==(const ConversationRead&) const = default;
};

/// Nothing of what was written by or to the partner in conversations stays, nor what it is searched
/// by. Its profile has lost its texts in a PartnersChanged before, of the same command.
struct PartnerErased {
    PartnerOrdinal partner;
    bool operator==(const PartnerErased&) const = default;
};

using Event =
    std::variant<ProgramChanged, WebhookSecretSet, PartnersChanged, UpstreamFactsChanged,
                 MessageSent, MessagesOpened, ReplyPosted, ConversationRead, PartnerErased>;
const char* name_of(const Event& event);

/// A decision against a command. `plan` is the one in force, recorded with refusals for M7.
struct Refusal {
    ErrorCode code = ErrorCode::invalid;
    std::string pointer;  ///< JSON pointer of the field, or empty
    std::string detail;
    Plan plan = Plan::starter;
    bool operator==(const Refusal&) const = default;
};

/// One part of a bulk command that did not apply; the others did.
struct Rejected {
    std::uint32_t index =
        0;  ///< UpsertPartners: index of the patch; RecordOpens: the partner's ordinal
    EventNumber message;  ///< RecordOpens only
    ErrorCode code = ErrorCode::invalid;
    bool operator==(const Rejected&) const = default;
};

enum class OutcomeStatus : std::uint8_t {
    applied,    ///< its events are facts
    unchanged,  ///< nothing to change (a repeated open, an older upstream fact, an equal upsert)
    replayed,   ///< same id, same content: the first answer again
    refused,
};
const char* name_of(OutcomeStatus status);

struct Outcome {
    CommandId id;
    ContentDigest digest;
    CallerDigest caller;
    ProgramId program;
    Timestamp time;  ///< the program's log time at the decision
    OutcomeStatus status = OutcomeStatus::unchanged;
    bool remember = false, track = false;  ///< as in the command
    EventNumber first_event;               ///< number of events[0]; 0 without events
    EventNumber answer;  ///< the message or post that the command made (or had made); 0: none
    std::uint32_t created = 0, updated = 0, unchanged = 0;  ///< UpsertPartners
    std::uint32_t first_opens = 0;                          ///< RecordOpens
    std::vector<Rejected> rejected;
    std::optional<Refusal> refusal;  ///< exactly when status is refused
    std::vector<Event> events;
    bool operator==(const Outcome&) const = default;
};

}  // namespace tidings
