// Every question that the API asks of one partition's read models. All answers are committed and
// durable facts. Thread-safe: each call sees one consistent state (the rows of one tip). Storage
// failures are thrown.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/chain.h"
#include "core/decide.h"
#include "core/event.h"
#include "core/limits.h"
#include "core/merkle.h"
#include "core/texts.h"

namespace tidings {

struct PageRequest {
    std::size_t limit = limits::kPageDefault;
    std::string cursor;  ///< opaque, as given by the page before; empty: from the start
};

template <class Row>
struct Page {
    std::vector<Row> rows;
    std::string next_cursor;  ///< empty: no more
};

using PartnerPtr = std::shared_ptr<const PartnerState>;

/// A partner with its texts opened; never null.
struct PartnerView {
    PartnerPtr state;
    PartnerTexts texts;
    const PartnerState* operator->() const { return state.get(); }
};

struct ProgramView {
    ProgramId id;
    std::string name;
    Plan plan = Plan::starter;
    Timestamp log_time{};      ///< of its last event
    EventNumber last_event{};  ///< 0: none yet
};

struct ProgramSummary {
    std::uint64_t messages = 0;  ///< sent
    std::uint64_t partners = 0;  ///< active: whom a send to all would reach
    std::uint64_t unread_replies = 0;
};

struct PartnerQuery {
    std::string query;                    ///< case-insensitive substring; empty: any
    std::string tag;                      ///< empty: any
    std::optional<PartnerStatus> status;  ///< nothing: all
};

struct TagCount {
    std::string tag;
    std::uint64_t partners = 0;  ///< active ones
};

struct MessageStats {
    std::uint64_t recipients = 0, opens = 0, replied = 0, unread_replies = 0;
    double open_rate() const {
        return recipients == 0 ? 0.0 : static_cast<double>(opens) / recipients;
    }
    bool operator==(const MessageStats&) const = default;
};

/// What never changes of a message, but for its body and audience, which are long.
struct MessageCard {
    EventNumber number;
    std::string id;  ///< "msg_…"
    std::string subject;
    std::string preview;  ///< the body's beginning on one line, at most 140 code points
    bool replies_enabled = false;
    Actor sender;
    Timestamp sent_at;
    Plan plan = Plan::partner;
    Hash256 digest;
    std::uint64_t recipients = 0;
    std::string sender_json;  ///< {"id":…,"name":…}
    std::string inbox_json;  ///< the members id, subject, preview, sender, sent_at of an inbox row,
                             ///< without braces
};
using MessageCardPtr = std::shared_ptr<const MessageCard>;

struct MessageView {
    MessageCardPtr card;
    std::string body;
    Audience audience;  ///< as sent
    MessageStats stats;
};

enum class RecipientState { all, opened, unopened, replied };

struct RecipientRow {
    PartnerView partner;
    std::optional<Timestamp> opened_at, first_replied_at, last_replied_at;
    std::uint64_t unread_replies = 0;
};

struct OpensBucket {
    Timestamp at;  ///< start of the interval, UTC
    std::uint64_t opens = 0;
};
enum class OpensInterval { minute, hour, day };

/// One received message, for the portal and for the profile's Messages tab.
struct InboxRow {
    MessageCardPtr card;
    bool unread = false;
    bool can_reply = false;  ///< replies enabled and the plan allows
    std::uint64_t posts = 0;
    std::uint64_t unread_replies = 0;                ///< for owners
    std::optional<Timestamp> opened_at, replied_at;  ///< only when asked for with `times`
};

struct InboxSummary {
    std::uint64_t unread = 0, total = 0;
};

struct PostView {
    EventNumber number;
    bool from_owner = false;
    // Empty where they cannot be opened any more.
    std::string author_id, author_name;
    std::string body;
    Timestamp posted_at;
};

struct ConversationView {
    MessageCardPtr card;
    std::string body;
    PartnerView partner;
    std::optional<Timestamp> opened_at;
    bool can_reply = false;
    std::vector<PostView> posts;  ///< oldest first
};

struct AudiencePreview {
    std::uint64_t count = 0;
    Hash256 digest;
    Page<PartnerView> page;
};

/// The kept outcome of a tracked command.
struct TrackedOutcome {
    CallerDigest caller;
    OutcomeStatus status = OutcomeStatus::applied;
    EventNumber answer;
    EventNumber message;  ///< of a reply: its message and partner
    PartnerOrdinal partner;
    std::optional<Refusal> refusal;
};

/// The Merkle tree over what was decided: a leaf for the outcome of each command, in order.
struct TreeHead {
    Tip tip;
    std::uint64_t size = 0;  ///< leaves: the commands answered up to the tip
    Hash256 root;
};

class Export;
struct ExportQuery;

class ReadModels {
public:
    virtual ~ReadModels() = default;
    virtual Tip tip() const = 0;

    virtual std::optional<ProgramView> program(const ProgramId&) const = 0;
    virtual std::optional<std::string> webhook_secret(const ProgramId&) const = 0;  ///< sealed
    virtual PartnerPtr partner(const ProgramId&, const PartnerId&) const = 0;  ///< null: unknown
    /// Opens what is sealed. `program` outlives it.
    virtual TextReader texts(const ProgramId& program) const = 0;
    /// Their ids, in the order of the ordinals: what never changes about a partner.
    /// REQUIRES: the program has partners with these ordinals.
    virtual std::vector<PartnerId> partner_ids(const ProgramId&,
                                               std::span<const PartnerOrdinal>) const = 0;

    // Everything below answers as if empty for an unknown program.
    virtual ProgramSummary summary(const ProgramId&) const = 0;
    /// By first sight. Errors: invalid (a bad cursor, field /cursor).
    virtual Result<Page<PartnerView>> partners(const ProgramId&, const PartnerQuery&,
                                               const PageRequest&) const = 0;
    /// By tag, bytewise.
    virtual Result<Page<TagCount>> tags(const ProgramId&, const PageRequest&) const = 0;
    /// Errors: invalid (cursor), or the refusal of resolve_audience as an Error with its pointer.
    virtual Result<AudiencePreview> preview(const ProgramId&, const Audience&,
                                            const PageRequest&) const = 0;

    /// Newest first.
    virtual Result<Page<MessageView>> messages(const ProgramId&, const PageRequest&) const = 0;
    virtual std::optional<MessageView> message(const ProgramId&, EventNumber) const = 0;
    virtual MessageStats stats(const ProgramId&, EventNumber) const = 0;
    /// By first sight; `replied` by latest reply.
    virtual Result<Page<RecipientRow>> recipients(const ProgramId&, EventNumber message,
                                                  RecipientState, const std::string& query,
                                                  const PageRequest&) const = 0;
    /// Non-empty intervals, oldest first.
    virtual std::vector<OpensBucket> opens(const ProgramId&, EventNumber message,
                                           OpensInterval) const = 0;

    /// A whole table, from the rows of the tip as it is now. The models outlive it.
    virtual std::unique_ptr<Export> export_rows(const ExportQuery&) const = 0;

    virtual InboxSummary inbox_summary(const ProgramId&, PartnerOrdinal) const = 0;
    /// Newest first. `times` fills opened_at and replied_at.
    virtual Result<Page<InboxRow>> inbox(const ProgramId&, PartnerOrdinal, bool unread_only,
                                         bool times, const PageRequest&) const = 0;
    virtual bool is_recipient(const ProgramId&, EventNumber message, PartnerOrdinal) const = 0;
    /// Nothing if the partner did not receive the message.
    virtual std::optional<ConversationView> conversation(const ProgramId&, EventNumber message,
                                                         PartnerOrdinal) const = 0;
    virtual std::optional<PostView> post(const ProgramId&, EventNumber message, PartnerOrdinal,
                                         EventNumber post) const = 0;
    virtual std::optional<Timestamp> opened_at(const ProgramId&, EventNumber message,
                                               PartnerOrdinal) const = 0;

    virtual std::optional<TrackedOutcome> tracked(const ProgramId&, const CommandId&) const = 0;

    // The tree of the partition. It only grows: the tree of an earlier size can still be asked.
    virtual TreeHead tree_head() const = 0;
    /// REQUIRES: a tree_head() so far had all of its leaves.
    virtual Hash256 subtree(const merkle::Subtree& at) const = 0;
    /// The command in whose outcome, and leaf, the event lies. Nothing: there is no such event.
    virtual std::optional<CommandPosition> command_of(const ProgramId&, EventNumber) const = 0;
    /// The program whose message or post has this id, were there one. Nothing: none here.
    virtual std::optional<ProgramId> program_of(std::string_view id) const = 0;
    /// How the chain stood a while, but not long, before the command was answered.
    virtual Tip ledger_before(CommandPosition command) const = 0;
    /// The same, before a commit.
    virtual Tip ledger_before(Sequence commit) const = 0;
};
using ReadModelsPtr = std::shared_ptr<const ReadModels>;

}  // namespace tidings
