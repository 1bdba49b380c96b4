// StoreModels as ReadModels: take the lock, find the program, ask the model.
#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/cursor.h"
#include "projections/exports.h"
#include "projections/idempotency.h"
#include "projections/inboxes.h"
#include "projections/messages.h"
#include "projections/opens.h"
#include "projections/partners.h"
#include "projections/recipients.h"
#include "projections/store_models.h"
#include "projections/tree.h"

namespace tidings {

namespace {
constexpr char kPreviewCursor = 'a';
}

std::optional<ProgramView> StoreModels::program(const ProgramId& id) const {
    const Reading in(*this, id);
    if (!in.found()) return std::nullopt;
    const ProgramRow& row = in.program();
    return ProgramView{row.id, row.name, row.plan, row.log_time, row.last_event};
}

std::optional<std::string> StoreModels::webhook_secret(const ProgramId& id) const {
    const Reading in(*this, id);
    if (!in.found() || in.program().secret.empty()) return std::nullopt;
    return in.program().secret;
}

PartnerPtr StoreModels::partner(const ProgramId& id, const PartnerId& partner) const {
    const Reading in(*this, id);
    if (!in.found()) return nullptr;
    return partners::find(in.rows, in.number(), partner);
}

std::vector<PartnerId> StoreModels::partner_ids(const ProgramId& id,
                                                std::span<const PartnerOrdinal> ordinals) const {
    const Reading in(*this, id);
    std::vector<PartnerId> out;
    out.reserve(ordinals.size());
    for (const PartnerOrdinal ordinal : ordinals) {
        const auto row = in.found() ? partners::find(in.rows, in.number(), ordinal) : nullptr;
        if (!row) throw StorageFailure("a partner that was seen has no row");
        out.push_back(row->id);
    }
    return out;
}

ProgramSummary StoreModels::summary(const ProgramId& id) const {
    const Reading in(*this, id);
    if (!in.found()) return {};
    return {in.program().messages, in.program().active, in.program().unread_replies};
}

Result<Page<PartnerView>> StoreModels::partners(const ProgramId& id, const PartnerQuery& query,
                                                const PageRequest& request) const {
    const Reading in(*this, id);
    if (!in.found()) return Page<PartnerView>{};
    return partners::list(in.rows, in.number(), in.program(), in.texts, query, request);
}

Result<Page<TagCount>> StoreModels::tags(const ProgramId& id, const PageRequest& request) const {
    const Reading in(*this, id);
    if (!in.found()) return Page<TagCount>{};
    return partners::tags(in.rows, in.number(), request);
}

Result<AudiencePreview> StoreModels::preview(const ProgramId& id, const Audience& audience,
                                             const PageRequest& request) const {
    const Reading in(*this, id);
    if (!in.found()) return AudiencePreview{};
    const RowFacts facts(in.rows);
    ResolvedAudience resolved = resolve_audience(facts, id, audience);
    if (resolved.refusal) {
        Error error{resolved.refusal->code, resolved.refusal->detail, {}};
        if (!resolved.refusal->pointer.empty())
            error.fields.push_back({resolved.refusal->pointer, name_of(resolved.refusal->code),
                                    resolved.refusal->detail});
        return error;
    }
    const std::string name = std::to_string(in.number());
    std::uint64_t from = 0;
    if (!request.cursor.empty()) {
        Result<Cursor> cursor = parse_cursor(kPreviewCursor, name, request.cursor, 1);
        if (!cursor) return cursor.error();
        from = cursor->numbers[0];
    }
    AudiencePreview out;
    out.count = resolved.recipients.cardinality();
    out.digest = audience_digest(resolved.recipients);
    out.page = partners::page_of(in.rows, in.number(), in.texts, resolved.recipients, from,
                                 request.limit, kPreviewCursor, name);
    return out;
}

Result<Page<MessageView>> StoreModels::messages(const ProgramId& id,
                                                const PageRequest& request) const {
    const Reading in(*this, id);
    if (!in.found()) return Page<MessageView>{};
    return messages::list(in.rows, in.number(), request);
}

std::optional<MessageView> StoreModels::message(const ProgramId& id, EventNumber number) const {
    const Reading in(*this, id);
    if (!in.found()) return std::nullopt;
    return messages::view(in.rows, in.number(), number);
}

MessageStats StoreModels::stats(const ProgramId& id, EventNumber message) const {
    const Reading in(*this, id);
    if (!in.found()) return {};
    const auto row = messages::stats(in.rows, in.number(), message);
    if (!row) return {};
    return {row->recipients, row->opens, row->replied, row->unread_replies};
}

Result<Page<RecipientRow>> StoreModels::recipients(const ProgramId& id, EventNumber message,
                                                   RecipientState state, const std::string& query,
                                                   const PageRequest& request) const {
    const Reading in(*this, id);
    if (!in.found()) return Page<RecipientRow>{};
    return recipients::list(in.rows, in.number(), in.texts, message, state, query, request);
}

std::vector<OpensBucket> StoreModels::opens(const ProgramId& id, EventNumber message,
                                            OpensInterval interval) const {
    const Reading in(*this, id);
    if (!in.found()) return {};
    return opens::by_interval(in.rows, in.number(), message, interval);
}

std::unique_ptr<Export> StoreModels::export_rows(const ExportQuery& query) const {
    const ReadLock lock(mutex_);
    return exports::open(store_->freeze(), tip_, keys_, query);
}

InboxSummary StoreModels::inbox_summary(const ProgramId& id, PartnerOrdinal partner) const {
    const Reading in(*this, id);
    if (!in.found()) return {};
    return inboxes::summary(in.rows, in.number(), partner);
}

Result<Page<InboxRow>> StoreModels::inbox(const ProgramId& id, PartnerOrdinal partner,
                                          bool unread_only, bool times,
                                          const PageRequest& request) const {
    const Reading in(*this, id);
    if (!in.found()) return Page<InboxRow>{};
    return inboxes::list(in.rows, in.number(), partner, unread_only, times, request);
}

bool StoreModels::is_recipient(const ProgramId& id, EventNumber message,
                               PartnerOrdinal partner) const {
    const Reading in(*this, id);
    return in.found() && messages::is_recipient(in.rows, in.number(), message, partner);
}

std::optional<ConversationView> StoreModels::conversation(const ProgramId& id, EventNumber message,
                                                          PartnerOrdinal partner) const {
    const Reading in(*this, id);
    if (!in.found() || !messages::is_recipient(in.rows, in.number(), message, partner))
        return std::nullopt;
    const auto card = messages::card(in.rows, in.number(), message);
    const auto text =
        in.rows.find<MessageTextRow>(of_message(Table::message_text, in.number(), message));
    ConversationView out;
    out.card = card;
    out.body = text->body;
    const auto profile = partners::find(in.rows, in.number(), partner);
    out.partner = {profile, in.texts.show(*profile)};
    if (opens::contains(in.rows, in.number(), message, partner))
        out.opened_at = opens::time(in.rows, in.number(), *card, partner);
    out.can_reply = card->replies_enabled && has_messaging(in.program().plan);
    if (conversations::find(in.rows, in.number(), message, partner))
        out.posts = conversations::posts(in.rows, in.number(), in.texts, message, partner);
    return out;
}

std::optional<PostView> StoreModels::post(const ProgramId& id, EventNumber message,
                                          PartnerOrdinal partner, EventNumber post) const {
    const Reading in(*this, id);
    if (!in.found()) return std::nullopt;
    return conversations::post(in.rows, in.number(), in.texts, message, partner, post);
}

std::optional<Timestamp> StoreModels::opened_at(const ProgramId& id, EventNumber message,
                                                PartnerOrdinal partner) const {
    const Reading in(*this, id);
    if (!in.found()) return std::nullopt;
    const auto card = messages::card(in.rows, in.number(), message);
    if (!card) return std::nullopt;
    return opens::time(in.rows, in.number(), *card, partner);
}

std::optional<TrackedOutcome> StoreModels::tracked(const ProgramId& id,
                                                   const CommandId& command) const {
    const Reading in(*this, id);
    if (!in.found()) return std::nullopt;
    return idempotency::tracked(in.rows, in.number(), command);
}

TreeHead StoreModels::tree_head() const {
    const ReadLock lock(mutex_);
    return {tip_, tree_.size(), tree_.root()};
}

Hash256 StoreModels::subtree(const merkle::Subtree& at) const {
    return tree::subtree(*store_, at);  // never changes, so that no lock is needed
}

std::optional<CommandPosition> StoreModels::command_of(const ProgramId& id,
                                                       EventNumber event) const {
    const Reading in(*this, id);
    if (!in.found()) return std::nullopt;
    return tree::command_of(in.rows, in.number(), event);
}

std::optional<ProgramId> StoreModels::program_of(std::string_view id) const {
    const ReadLock lock(mutex_);
    for (const auto& [program, number] : programs()) {
        if (parse_message_id(program, id) || parse_post_id(program, id)) return program;
    }
    return std::nullopt;
}

Tip StoreModels::ledger_before(CommandPosition command) const {
    const ReadLock lock(mutex_);
    Tip found;
    std::uint64_t low = 0, high = tip_.sequence.value / limits::kLedgerInterval;
    while (low < high) {  // the ledger's entry number `low` is from before the answer
        const std::uint64_t middle = high - (high - low) / 2;
        const auto row = store_->get(ledger_key(middle * limits::kLedgerInterval).view());
        if (!row) throw StorageFailure("an entry of the ledger is missing");
        const Tip at = TipRow::decode(*row).tip;
        if (at.next_command <= command) {
            low = middle;
            found = at;
        } else {
            high = middle - 1;
        }
    }
    return found;
}

Tip StoreModels::ledger_before(Sequence commit) const {
    const ReadLock lock(mutex_);
    const std::uint64_t last = std::min(commit.value, tip_.sequence.value + 1);
    if (last <= limits::kLedgerInterval) return {};
    const std::uint64_t entry = (last - 1) / limits::kLedgerInterval * limits::kLedgerInterval;
    const auto row = store_->get(ledger_key(entry).view());
    if (!row) throw StorageFailure("an entry of the ledger is missing");
    return TipRow::decode(*row).tip;
}

}  // namespace tidings
