// The invariants between read models, counted from the rows themselves (TARGETS.md, Reliability).
#include <algorithm>

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/inboxes.h"
#include "projections/messages.h"
#include "projections/opens.h"
#include "projections/partners.h"
#include "projections/store_models.h"

namespace tidings {

namespace {

class Checker {
public:
    Checker(const CommittedRows& rows, std::uint32_t program, std::vector<std::string>& wrong)
        : rows_(rows),
          program_(program),
          row_(rows.find<ProgramRow>(program_key(program))),
          wrong_(wrong) {}

    void run() {
        if (!row_) return fail("has no row");
        check_partners();
        check_messages();
        check_sums();
    }

private:
    void fail(const std::string& what) {
        wrong_.push_back("program " + (row_ ? row_->id.value : std::to_string(program_)) + ": " +
                         what);
    }
    void equal(std::uint64_t kept, std::uint64_t counted, const std::string& what) {
        if (kept != counted)
            fail(what + ": kept " + std::to_string(kept) + ", counted " + std::to_string(counted));
    }
    template <class F>
    void scan(Table table, F visit) {
        const Key prefix(table, program_);
        rows_.store().scan(prefix.view(), prefix_end(prefix.view()), false,
                           [&](std::string_view key, std::string_view value) {
                               visit(key, value);
                               return true;
                           });
    }
    Bitmap set(const Key& prefix) { return read_set(rows_, prefix, row_->next_ordinal); }

    void check_partners() {
        Bitmap active;
        std::uint64_t count = 0;
        std::vector<std::pair<std::size_t, std::uint64_t>> by_row,
            by_id;  // hash of the id, ordinal
        scan(Table::partner, [&](std::string_view key, std::string_view value) {
            const PartnerRow partner = PartnerRow::decode(value);
            ++count;
            if (partner.ordinal.value != key_number(key, kKeyPrefix, 4))
                fail("partner " + partner.id.value + " lies under another ordinal");
            by_row.emplace_back(std::hash<std::string_view>{}(partner.id.value),
                                partner.ordinal.value);
            if (partner.status == PartnerStatus::active) active.add(partner.ordinal.value);
            broadcasts_ += partner.broadcasts(*row_);
        });
        scan(Table::partner_id, [&](std::string_view key, std::string_view value) {
            by_id.emplace_back(std::hash<std::string_view>{}(key.substr(kKeyPrefix)),
                               NumberRow::decode(value).value);
        });
        std::sort(by_row.begin(), by_row.end());
        std::sort(by_id.begin(), by_id.end());
        if (by_row != by_id) fail("not every partner can be found by its id");
        equal(row_->next_ordinal, count, "partners");
        equal(row_->active, active.cardinality(), "active partners");
        if (!(set(status_set(program_, PartnerStatus::active)) == active))
            fail("the set of active partners differs from their rows");
    }

    void check_message(EventNumber number, std::string_view value) {
        const std::string name = message_id(row_->id, number);
        const auto stats = messages::stats(rows_, program_, number);
        const auto recipients = messages::recipients(rows_, program_, number);
        const auto text =
            rows_.find<MessageTextRow>(of_message(Table::message_text, program_, number));
        if (!stats || !recipients || !text) return fail(name + " is incomplete");
        const MessageRow card = MessageRow::decode(value);
        const Bitmap opened = set(opens::opened_set(program_, number));
        const Bitmap replied = set(conversations::replied_set(program_, number));
        equal(card.recipients, recipients->cardinality(), name + " recipients");
        equal(stats->recipients, recipients->cardinality(), name + " recipients");
        equal(stats->opens, opened.cardinality(), name + " opens");
        equal(stats->replied, replied.cardinality(), name + " replied");
        if (!opened.isSubset(*recipients)) fail(name + " was opened by one who is no recipient");
        if (!replied.isSubset(opened)) fail(name + " was answered by one who has not opened it");
        if (!(audience_digest(*recipients) == card.digest))
            fail(name + " has another audience digest");
        std::uint64_t times = 0;
        for (const OpensBucket& day :
             opens::by_interval(rows_, program_, number, OpensInterval::day))
            times += day.opens;
        equal(stats->opens, times, name + " opens over time");
        opens_ += stats->opens;
        unread_replies_ += stats->unread_replies;
        (text->audience.type == Audience::Type::all ? sent_broadcasts_ : sent_targeted_) +=
            recipients->cardinality();
    }

    void check_messages() {
        std::uint64_t count = 0;
        scan(Table::message, [&](std::string_view key, std::string_view value) {
            ++count;
            check_message({key_number(key, kKeyPrefix, 8)}, value);
        });
        equal(row_->messages, count, "messages");
    }

    void check_sums() {
        std::uint64_t sums[4] = {};
        for (std::uint8_t counter = 0; counter < 4; ++counter) {
            const Key prefix = Key(Table::inbox_counter, program_).u8(counter);
            for (std::uint32_t first = 0; first < row_->next_ordinal;
                 first += limits::kColumnChunk) {
                const auto chunk =
                    rows_.find<ColumnChunk>(Key(prefix).u32(first / limits::kColumnChunk));
                for (std::uint32_t i = 0; i < limits::kColumnChunk; ++i)
                    sums[counter] += static_cast<std::uint64_t>(chunk->get(i));
            }
        }
        using inboxes::Counter;
        equal(sums[static_cast<int>(Counter::opened)], opens_, "opens over partners and messages");
        equal(sums[static_cast<int>(Counter::small)] + sums[static_cast<int>(Counter::wide)],
              sent_targeted_, "targeted messages received and sent");
        equal(broadcasts_, sent_broadcasts_, "messages to all received and sent");
        equal(row_->unread_replies, unread_replies_, "unread replies");
        std::uint64_t unread = 0;
        scan(Table::conversation, [&](std::string_view, std::string_view value) {
            unread += ConversationRow::decode(value).unread_replies;
        });
        equal(row_->unread_replies, unread, "unread replies over conversations");
    }

    const CommittedRows& rows_;
    std::uint32_t program_;
    std::shared_ptr<const ProgramRow> row_;
    std::vector<std::string>& wrong_;
    std::uint64_t broadcasts_ = 0, sent_broadcasts_ = 0, sent_targeted_ = 0;
    std::uint64_t opens_ = 0, unread_replies_ = 0;
};

}  // namespace

void StoreModels::check_tree(std::vector<std::string>& wrong) const {
    merkle::Frontier counted;
    const Key leaves = Key(Table::tree).u8(0);
    store_->scan(leaves.view(), prefix_end(leaves.view()), false,
                 [&](std::string_view, std::string_view tile) {
                     for (; tile.size() >= Hash256::kSize; tile.remove_prefix(Hash256::kSize)) {
                         counted.append(Hash256::from(tile.substr(0, Hash256::kSize)));
                     }
                     return true;
                 });
    if (tree_.size() != tip_.next_command.value) {
        wrong.push_back("the Merkle tree has " + std::to_string(tree_.size()) + " leaves for " +
                        std::to_string(tip_.next_command.value) + " commands");
    }
    if (counted.size() != tree_.size() || counted.root() != tree_.root()) {
        wrong.emplace_back("the Merkle tree is not that of its leaves");
    }
}

std::vector<std::string> StoreModels::check() const {
    const ReadLock lock(mutex_);
    const CommittedRows rows(*store_, cache_);
    std::vector<std::string> wrong;
    try {
        for (const auto& [id, number] : programs()) Checker(rows, number, wrong).run();
        check_tree(wrong);
        // what none of them has read: each block has a checksum
        store_->scan("", "\xff", false, [](std::string_view, std::string_view) { return true; });
    } catch (const StorageFailure& failure) {
        wrong.push_back(std::string("a row cannot be read: ") + failure.what());
    }
    return wrong;
}

}  // namespace tidings
