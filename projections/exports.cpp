#include "projections/exports.h"

#include <algorithm>
#include <span>

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/messages.h"
#include "projections/models.h"
#include "projections/opens.h"
#include "projections/partners.h"
#include "projections/recipients.h"

namespace tidings::exports {

namespace {

constexpr std::size_t kSliceRows = 64;           ///< 20 us each where texts are opened
constexpr std::size_t kSparseRows = 16;          ///< the same, where each takes a read of its own
constexpr std::size_t kSliceBytes = 256 << 10;   ///< of posts, which may be long
constexpr std::uint64_t kDenseEnoughToScan = 8;  ///< rows passed over for one that is wanted

class TableExport final : public Export {
public:
    TableExport(std::unique_ptr<StoreView> store, const Tip& tip, std::shared_ptr<const Keys> keys,
                const ExportQuery& query)
        : store_(std::move(store)),
          keys_(std::move(keys)),
          program_id_(query.program),
          texts_(keys_.get(), program_id_),
          cache_(make_row_memory(0)),  // each row is read once
          rows_(*store_, cache_),
          tip_(tip),
          table_(query.table),
          program_(rows_.number_of(query.program)) {
        if (!program_) return;
        const Table scanned = table_ == ExportTable::conversations ? Table::post : Table::message;
        const Key scope = query.message ? of_message(scanned, *program_, *query.message)
                                        : Key(scanned, *program_);
        from_ = scope.view();
        end_ = prefix_end(scope.view());
    }

    Tip tip() const override { return tip_; }

    std::optional<ExportSlice> next() override {
        if (!program_) return std::nullopt;
        switch (table_) {
            case ExportTable::messages:
                return next_message();
            case ExportTable::conversations:
                return next_posts();
            default:
                return next_recipients();
        }
    }

private:
    /// Moves to the next message. False: there is none.
    bool open_message() {
        card_.reset();
        store_->scan(from_, end_, false, [this](std::string_view key, std::string_view value) {
            card_ = std::make_shared<MessageRow>(MessageRow::decode(value));
            from_.assign(key).push_back('\0');  // the first key behind it
            return false;
        });
        return card_ != nullptr;
    }

    std::optional<ExportSlice> next_message() {
        if (!open_message()) return std::nullopt;
        return ExportSlice{card_, messages::view(rows_, *program_, card_->number), {}, {}};
    }

    std::optional<ExportSlice> next_recipients() {
        if (taken_ < members_.size()) return take_members();
        if (card_ && open_chunk()) return take_members();
        if (!open_message()) return std::nullopt;
        stats_ = messages::stats(rows_, *program_, card_->number);
        recipients_ = messages::recipients(rows_, *program_, card_->number);
        if (!stats_ || !recipients_) throw StorageFailure("a message lacks its recipients");
        next_ordinal_ = 0;
        times_.reset();
        return ExportSlice{};
    }

    /// The members of the next chunk of ordinals that has recipients. False: there is none.
    bool open_chunk() {
        members_.clear();
        taken_ = 0;
        const bool opens = table_ == ExportTable::opens;
        if (opens && stats_->opens == 0) return false;
        if (recipients_->isEmpty() || next_ordinal_ > recipients_->maximum()) return false;
        auto first = recipients_->begin();
        first.equalorlarger(static_cast<std::uint32_t>(next_ordinal_));
        const std::uint32_t chunk = *first / limits::kSetChunk;
        const std::uint64_t begin = std::uint64_t{chunk} * limits::kSetChunk;
        next_ordinal_ = begin + limits::kSetChunk;
        Bitmap found;
        found.addRange(begin, next_ordinal_);
        found &= *recipients_;
        if (opens) {
            found &=
                read_set_chunk(rows_, opens::opened_set(*program_, card_->number), chunk)->bits;
        }
        members_.resize(found.cardinality());
        found.toUint32Array(members_.data());
        return true;
    }

    ExportSlice take_members() {
        std::span<const std::uint32_t> members = std::span(members_).subspan(taken_);
        members = members.first(std::min(kSliceRows, members.size()));
        if (!is_dense(members)) members = members.first(std::min(kSparseRows, members.size()));
        taken_ += members.size();
        ExportSlice slice{card_, {}, {}, {}};
        slice.recipients.resize(members.size());
        std::vector<PartnerPtr> partners = find_partners(members);
        for (std::size_t i = 0; i < members.size(); ++i) {
            PartnerTexts texts;  // opening them costs more than all the rest
            if (table_ == ExportTable::recipients) texts = texts_.show(*partners[i]);
            slice.recipients[i].partner = {std::move(partners[i]), std::move(texts)};
            if (stats_->opens > 0) slice.recipients[i].opened_at = opened_at(members[i]);
        }
        if (table_ == ExportTable::recipients && stats_->conversations > 0 && !members.empty()) {
            add_replies(members, slice.recipients);
        }
        return slice;
    }

    /// Worth a scan of what lies between them.
    static bool is_dense(std::span<const std::uint32_t> ordinals) {
        if (ordinals.size() < 2) return false;
        const std::uint64_t range = std::uint64_t{ordinals.back()} - ordinals.front() + 1;
        return range <= kDenseEnoughToScan * ordinals.size();
    }

    /// In their order. REQUIRES: `ordinals` ascend.
    std::vector<PartnerPtr> find_partners(std::span<const std::uint32_t> ordinals) const {
        std::vector<PartnerPtr> out;
        out.reserve(ordinals.size());
        if (ordinals.empty()) return out;
        if (is_dense(ordinals)) {
            const Key from = partner_key(*program_, {ordinals.front()});
            store_->scan(
                from.view(), prefix_end(partner_key(*program_, {ordinals.back()}).view()), false,
                [&](std::string_view key, std::string_view value) {
                    if (key_number(key, kKeyPrefix, 4) == ordinals[out.size()]) {
                        out.push_back(std::make_shared<PartnerRow>(PartnerRow::decode(value)));
                    }
                    return out.size() < ordinals.size();
                });
        } else {
            for (const std::uint32_t ordinal : ordinals) {
                auto row = partners::find(rows_, *program_, PartnerOrdinal{ordinal});
                if (!row) break;
                out.push_back(std::move(row));
            }
        }
        if (out.size() < ordinals.size()) throw StorageFailure("a recipient has no row");
        return out;
    }

    std::optional<Timestamp> opened_at(std::uint32_t ordinal) {
        const std::uint32_t chunk = ordinal / limits::kTimesChunk;
        if (!times_ || times_chunk_ != chunk) {
            times_ = rows_.find<ColumnChunk>(
                of_message(Table::open_times, *program_, card_->number).u32(chunk));
            times_chunk_ = chunk;
        }
        return opens::time(*times_, *card_, {ordinal});
    }

    void add_replies(std::span<const std::uint32_t> members, std::vector<RecipientRow>& out) const {
        const auto key_of = [this](std::uint32_t ordinal) {
            return of_conversation(Table::conversation, *program_, card_->number, {ordinal});
        };
        std::size_t at = 0;
        store_->scan(key_of(members.front()).view(), prefix_end(key_of(members.back()).view()),
                     false, [&](std::string_view key, std::string_view value) {
                         const std::uint64_t ordinal = key_number(key, kKeyPrefix + 8, 4);
                         while (members[at] < ordinal) ++at;
                         if (members[at] == ordinal) {
                             recipients::add_replies(out[at], ConversationRow::decode(value));
                         }
                         return true;
                     });
    }

    std::optional<ExportSlice> next_posts() {
        EventNumber message;
        std::vector<std::uint32_t> writers;  // of each post, with repeats
        ExportSlice slice;
        std::size_t bytes = 0;
        store_->scan(from_, end_, false, [&](std::string_view key, std::string_view value) {
            const EventNumber of{key_number(key, kKeyPrefix, 8)};
            const bool full = slice.posts.size() == kSliceRows || bytes >= kSliceBytes;
            if (!slice.posts.empty() && (of != message || full)) return false;
            message = of;
            writers.push_back(static_cast<std::uint32_t>(key_number(key, kKeyPrefix + 8, 4)));
            const PostRow row = PostRow::decode(value);
            bytes += row.body.stored().size();
            slice.posts.push_back(
                {nullptr,
                 conversations::view_of({key_number(key, kKeyPrefix + 12, 8)}, row, texts_)});
            from_.assign(key).push_back('\0');
            return true;
        });
        if (slice.posts.empty()) return std::nullopt;
        slice.message = messages::card(rows_, *program_, message);
        if (!slice.message) throw StorageFailure("a post is about a message that is not there");
        std::vector<std::uint32_t> once = writers;
        once.erase(std::unique(once.begin(), once.end()), once.end());
        const std::vector<PartnerPtr> partners = find_partners(once);
        for (std::size_t post = 0, at = 0; post < writers.size(); ++post) {
            while (once[at] != writers[post]) ++at;
            slice.posts[post].partner = partners[at];
        }
        return slice;
    }

    const std::unique_ptr<StoreView> store_;
    const std::shared_ptr<const Keys> keys_;
    const ProgramId program_id_;
    const TextReader texts_;
    RowCache cache_;
    const CommittedRows rows_;
    const Tip tip_;
    const ExportTable table_;
    const std::optional<std::uint32_t> program_;
    std::string from_, end_;  ///< keys still to come, of messages or of posts
    // Of the message that is being read.
    std::shared_ptr<const MessageRow> card_;
    std::shared_ptr<const StatsRow> stats_;
    std::shared_ptr<const Bitmap> recipients_;
    std::uint64_t next_ordinal_ = 0;      ///< where the next chunk begins
    std::vector<std::uint32_t> members_;  ///< of the chunk
    std::size_t taken_ = 0;               ///< of them
    std::shared_ptr<const ColumnChunk> times_;
    std::uint32_t times_chunk_ = 0;
};

}  // namespace

std::unique_ptr<Export> open(std::unique_ptr<StoreView> rows, const Tip& tip,
                             std::shared_ptr<const Keys> keys, const ExportQuery& query) {
    return std::make_unique<TableExport>(std::move(rows), tip, std::move(keys), query);
}

}  // namespace tidings::exports
