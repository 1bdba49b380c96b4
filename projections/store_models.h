// Models on a store: one lock, one run, the committed rows. Private to projections/.
#pragma once

#include <shared_mutex>

#include "projections/fold.h"
#include "projections/lock.h"
#include "projections/models.h"
#include "projections/row_facts.h"
#include "projections/search.h"

namespace tidings {

class StoreModels final : public Models {
public:
    StoreModels(std::unique_ptr<Store> store, const ModelsOptions& options, const Tip& tip);
    ~StoreModels() override;

    // Projection
    Tip tip() const override;
    std::optional<LedgerEntry> ledger() const override;
    const Facts& facts() const override { return facts_; }
    void fold(const Outcome& outcome) override;
    Result<void> publish(const Tip& tip, std::span<const Hash256> leaves) override;
    void drop() override;

    // Models
    void tidy() override;
    Result<void> flush() override;
    Result<void> snapshot(const std::filesystem::path& directory) override;
    Result<void> erase_deleted(const ProgramId& program) override;
    std::vector<ProgramId> program_ids() const override;
    bool is_bulk() const override { return bulk_; }
    Result<void> end_bulk() override;
    std::vector<ModelDigest> digests(const std::atomic<bool>* cancelled) const override;
    std::vector<std::pair<ProgramId, Hash256>> program_digests() const override;
    std::vector<std::string> check() const override;

    // ReadModels
    std::optional<ProgramView> program(const ProgramId&) const override;
    std::optional<std::string> webhook_secret(const ProgramId&) const override;
    PartnerPtr partner(const ProgramId&, const PartnerId&) const override;
    TextReader texts(const ProgramId& program) const override {
        return TextReader(keys_.get(), program);
    }
    std::vector<PartnerId> partner_ids(const ProgramId&,
                                       std::span<const PartnerOrdinal>) const override;
    ProgramSummary summary(const ProgramId&) const override;
    Result<Page<PartnerView>> partners(const ProgramId&, const PartnerQuery&,
                                       const PageRequest&) const override;
    Result<Page<TagCount>> tags(const ProgramId&, const PageRequest&) const override;
    Result<AudiencePreview> preview(const ProgramId&, const Audience&,
                                    const PageRequest&) const override;
    Result<Page<MessageView>> messages(const ProgramId&, const PageRequest&) const override;
    std::optional<MessageView> message(const ProgramId&, EventNumber) const override;
    MessageStats stats(const ProgramId&, EventNumber) const override;
    Result<Page<RecipientRow>> recipients(const ProgramId&, EventNumber, RecipientState,
                                          const std::string&, const PageRequest&) const override;
    std::vector<OpensBucket> opens(const ProgramId&, EventNumber, OpensInterval) const override;
    std::unique_ptr<Export> export_rows(const ExportQuery&) const override;
    InboxSummary inbox_summary(const ProgramId&, PartnerOrdinal) const override;
    Result<Page<InboxRow>> inbox(const ProgramId&, PartnerOrdinal, bool unread_only, bool times,
                                 const PageRequest&) const override;
    bool is_recipient(const ProgramId&, EventNumber, PartnerOrdinal) const override;
    std::optional<ConversationView> conversation(const ProgramId&, EventNumber,
                                                 PartnerOrdinal) const override;
    std::optional<PostView> post(const ProgramId&, EventNumber, PartnerOrdinal,
                                 EventNumber) const override;
    std::optional<Timestamp> opened_at(const ProgramId&, EventNumber,
                                       PartnerOrdinal) const override;
    std::optional<TrackedOutcome> tracked(const ProgramId&, const CommandId&) const override;
    TreeHead tree_head() const override;
    Hash256 subtree(const merkle::Subtree& at) const override;
    std::optional<CommandPosition> command_of(const ProgramId&, EventNumber) const override;
    std::optional<ProgramId> program_of(std::string_view id) const override;
    Tip ledger_before(CommandPosition command) const override;
    Tip ledger_before(Sequence commit) const override;

private:
    using ReadLock = std::shared_lock<WriterFirstMutex>;
    class Reading;
    /// Every program, by id.
    std::vector<std::pair<ProgramId, std::uint32_t>> programs() const;
    /// The tree of the outcomes that the tip answers, anew from its leaves. For check().
    void check_tree(std::vector<std::string>& wrong) const;
    void fold_event(Fold& fold, EventNumber number, const Event& event);

    const std::shared_ptr<const Keys> keys_;
    mutable WriterFirstMutex mutex_;  ///< readers share it; publish makes a commit visible under it
    std::unique_ptr<Store> store_;
    mutable RowCache cache_;
    CommittedRows committed_;  ///< of the publishing thread, under its run
    Run run_;
    GramWriters grams_;
    RowFacts facts_;
    Tip tip_;
    merkle::Frontier tree_;
    std::uint64_t folded_ = 0;  ///< outcomes since the last publish
    const std::size_t flush_bytes_;
    bool bulk_;
    std::size_t unflushed_bytes_ = 0;
    bool flushes_at_end_;
};

inline Key ledger_key(std::uint64_t sequence) {
    return Key(Table::meta).text("ledger").u64(sequence);
}

/// One reader's view: the lock, and the program that it asks about.
class StoreModels::Reading {
public:
    Reading(const StoreModels& models, const ProgramId& id)
        : lock_(models.mutex_),
          rows(*models.store_, models.cache_),
          number_(rows.number_of(id)),
          program_(number_ ? rows.peek<ProgramRow>(program_key(*number_)) : nullptr),
          texts(models.keys_.get(), id) {}

    bool found() const { return program_ != nullptr; }
    std::uint32_t number() const { return *number_; }
    const ProgramRow& program() const { return *program_; }

private:
    ReadLock lock_;

public:
    const CommittedRows rows;

private:
    std::optional<std::uint32_t> number_;
    const ProgramRow* program_;

public:
    const TextReader texts;  ///< the id outlives the reading
};

}  // namespace tidings
