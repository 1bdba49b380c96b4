#include "projections/store_models.h"

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/idempotency.h"
#include "projections/messages.h"
#include "projections/opens.h"
#include "projections/partners.h"
#include "projections/tree.h"
#include "projections/upstream.h"

namespace tidings {

namespace {

constexpr std::uint64_t kLayoutVersion =
    4;  ///< of keys and rows; another one means: rebuild from the log
constexpr std::uint64_t kOldestLayout = 2;  ///< that can be gone on with: it lacks operations
constexpr std::size_t kDefaultRowMemory = 64 << 20;
constexpr std::size_t kEvictionSlice = 2'000;  ///< rows looked at while readers wait: some 0.1 ms

Key meta(std::string_view name) { return Key(Table::meta).text(name); }
}  // namespace

StoreModels::StoreModels(std::unique_ptr<Store> store, const ModelsOptions& options, const Tip& tip)
    : keys_(options.keys),
      store_(std::move(store)),
      cache_(options.row_memory ? options.row_memory : make_row_memory(kDefaultRowMemory)),
      committed_(*store_, cache_),
      run_(committed_, cache_),
      grams_(run_),
      facts_(run_),
      tip_(tip),
      tree_(tree::load(*store_)),
      flush_bytes_(options.flush_bytes),
      bulk_(options.bulk),
      flushes_at_end_(!options.read_only && !options.scratch) {
    run_.set_rewriting(bulk_);
}

StoreModels::~StoreModels() {
    // What is not flushed is replayed from the log at the next start.
    if (flushes_at_end_) (void)store_->flush(true);
}

Tip StoreModels::tip() const {
    const ReadLock lock(mutex_);
    return tip_;
}

std::optional<LedgerEntry> StoreModels::ledger() const {
    std::optional<LedgerEntry> found;
    const Tip now = tip();
    if (now.sequence.value < 2) return found;
    store_->scan(ledger_key(0).view(), ledger_key(now.sequence.value).view(), true,
                 [&](std::string_view, std::string_view value) {
                     found = LedgerEntry{TipRow::decode(value).tip};
                     return false;
                 });
    return found;
}

void StoreModels::fold_event(Fold& fold, EventNumber number, const Event& event) {
    std::visit(
        [&](const auto& body) {
            using Body = std::decay_t<decltype(body)>;
            if constexpr (std::is_same_v<Body, ProgramChanged>) {
                fold.program.name = body.name;
                fold.program.plan = body.plan;
            } else if constexpr (std::is_same_v<Body, WebhookSecretSet>) {
                fold.program.secret = body.sealed;
            } else if constexpr (std::is_same_v<Body, PartnersChanged>) {
                partners::fold(fold, body);
            } else if constexpr (std::is_same_v<Body, UpstreamFactsChanged>) {
                upstream::fold(fold, body);
            } else if constexpr (std::is_same_v<Body, MessageSent>) {
                messages::fold(fold, number, body);
            } else if constexpr (std::is_same_v<Body, MessagesOpened>) {
                opens::fold(fold, body);
            } else if constexpr (std::is_same_v<Body, ReplyPosted>) {
                conversations::fold(fold, number, body);
            } else if constexpr (std::is_same_v<Body, PartnerErased>) {
                conversations::fold(fold, body);
                erase_grams(fold, body.partner);
            } else {
                static_assert(std::is_same_v<Body, ConversationRead>);
                conversations::fold(fold, body);
            }
        },
        event);
}

void StoreModels::fold(const Outcome& outcome) {
    const CommandPosition command{tip_.next_command.value + folded_++};
    std::optional<std::uint32_t> number = run_.number_of(outcome.program);
    if (!number) {
        if (outcome.events.empty()) return;  // a refusal about a program that is not there
        NumberRow& programs = run_.edit<NumberRow>(meta("programs"));
        number = static_cast<std::uint32_t>(programs.value++);
        run_.edit<NumberRow>(Key(Table::program_number).text(outcome.program.value)).value =
            *number;
        run_.edit<ProgramRow>(program_key(*number)).id = outcome.program;
    }
    if (outcome.track) idempotency::track(run_, *number, outcome);
    const bool kept = outcome.remember && (outcome.status == OutcomeStatus::applied ||
                                           outcome.status == OutcomeStatus::unchanged);
    if (outcome.events.empty() && !kept) return;
    Fold fold{run_,         grams_,     *number, run_.edit<ProgramRow>(program_key(*number)),
              outcome.time, keys_.get()};
    fold.program.log_time = outcome.time;  // what leaves no row leaves no time either
    for (std::size_t i = 0; i < outcome.events.size(); ++i) {
        fold.program.last_event = {outcome.first_event.value + i};
        fold_event(fold, fold.program.last_event, outcome.events[i]);
        tree::fold(fold, fold.program.last_event, command);
    }
    if (kept) idempotency::remember(fold, outcome);
}

Result<void> StoreModels::publish(const Tip& tip, std::span<const Hash256> leaves) {
    grams_.write();
    const std::unique_ptr<StoreBatch> batch = store_->new_batch();
    run_.write_to(*batch);
    merkle::Frontier grown = tree::grow(tree_, leaves, *batch);
    const std::string position = TipRow{tip}.encode();
    batch->put(meta("tip").view(), position);
    if (tip.sequence.value % limits::kLedgerInterval == 0)
        batch->put(ledger_key(tip.sequence.value).view(), position);
    const std::size_t bytes = batch->bytes();
    std::vector<RowPtr> evicted;  // destroyed after the lock
    {
        const std::lock_guard lock(mutex_);
        if (Result<void> written = store_->write(*batch); !written) return written;
        evicted = cache_.evict(std::max(kEvictionSlice, 2 * run_.size()));
        run_.move_to_cache();
        tip_ = tip;
        tree_ = std::move(grown);
    }
    folded_ = 0;
    unflushed_bytes_ += bytes;
    if (unflushed_bytes_ < flush_bytes_) return {};
    // Everything has moved already: no error of publish's. It is tried again with the next one,
    // whose write meets the reason.
    if (store_->flush(false)) unflushed_bytes_ = 0;
    return {};
}

void StoreModels::drop() {
    grams_.drop();
    run_.drop();
    facts_.forget();
    folded_ = 0;
}

void StoreModels::tidy() {
    while (cache_.crowded()) {
        std::vector<RowPtr> evicted;
        const std::lock_guard lock(mutex_);
        evicted = cache_.evict(kEvictionSlice);
    }
}

Result<void> StoreModels::flush() {
    unflushed_bytes_ = 0;
    return store_->flush(true);
}

Result<void> StoreModels::end_bulk() {
    if (Result<void> ended = store_->end_bulk(); !ended) return ended;
    bulk_ = false;
    run_.set_rewriting(false);
    return {};
}

Result<void> StoreModels::snapshot(const std::filesystem::path& directory) {
    if (Result<void> flushed = flush(); !flushed) return flushed;
    return store_->snapshot(directory);
}

Result<void> StoreModels::erase_deleted(const ProgramId& program) {
    std::vector<std::pair<std::string, std::string>> ranges;
    {
        const Reading in(*this, program);
        if (!in.found()) return {};
        for (const Table table : {Table::partner, Table::gram_set, Table::post}) {
            const Key prefix(table, in.number());
            ranges.emplace_back(prefix.view(), prefix_end(prefix.view()));
        }
    }
    return store_->erase_deleted(ranges);
}

std::vector<ProgramId> StoreModels::program_ids() const {
    std::vector<ProgramId> out;
    for (auto& [id, number] : programs()) out.push_back(std::move(id));
    return out;
}

std::vector<std::pair<ProgramId, std::uint32_t>> StoreModels::programs() const {
    std::vector<std::pair<ProgramId, std::uint32_t>> out;
    const Key prefix(Table::program_number);
    store_->scan(prefix.view(), prefix_end(prefix.view()), false,
                 [&](std::string_view key, std::string_view value) {
                     out.emplace_back(ProgramId{std::string(key.substr(1))},
                                      static_cast<std::uint32_t>(NumberRow::decode(value).value));
                     return true;
                 });
    return out;
}

std::shared_ptr<RowMemory> make_row_memory(std::size_t bytes) {
    return std::make_shared<RowMemory>(bytes);
}

Result<std::unique_ptr<Models>> Models::open(const ModelsOptions& options) {
    Result<std::unique_ptr<Store>> store =
        open_rocks_store({options.directory, options.resources, options.read_only, options.scratch,
                          options.bulk, options.cancelled});
    if (!store) return store.error();
    return open_on(std::move(*store), options);
}

Result<std::unique_ptr<Models>> Models::open_on(std::unique_ptr<Store> store,
                                                const ModelsOptions& options) {
    std::unique_ptr<Models> models;
    try {
        const std::optional<std::string> version = store->get(meta("version").view());
        const std::uint64_t layout = version ? NumberRow::decode(*version).value : kLayoutVersion;
        if (layout > kLayoutVersion) {
            return Error{ErrorCode::newer_format,
                         "the read models in " + options.directory.string() +
                             " have the layout of a newer version: run that one, or make them "
                             "anew (tidings rebuild --swap)",
                         {}};
        }
        if (layout < kOldestLayout) {
            return Error{ErrorCode::older_format,
                         "the read models in " + options.directory.string() +
                             " have the layout of an older version: serve makes them anew from "
                             "the log, as does tidings rebuild --swap",
                         {}};
        }
        if ((!version || layout < kLayoutVersion) && !options.read_only) {
            const std::unique_ptr<StoreBatch> batch = store->new_batch();
            batch->put(meta("version").view(), NumberRow{kLayoutVersion}.encode());
            if (Result<void> written = store->write(*batch); !written) return written.error();
        }
        Tip tip;
        if (const auto stored = store->get(meta("tip").view())) tip = TipRow::decode(*stored).tip;
        models = std::make_unique<StoreModels>(std::move(store), options, tip);
    } catch (const StorageFailure& failure) {
        return Error{failure.code(),
                     "read models in " + options.directory.string() + ": " + failure.what(),
                     {}};
    }
    return models;
}

}  // namespace tidings
