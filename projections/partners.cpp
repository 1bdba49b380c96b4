#include "projections/partners.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "projections/bytes.h"
#include "projections/chunk_writers.h"
#include "projections/cursor.h"

namespace tidings::partners {

namespace {

constexpr char kListCursor = 'p';
constexpr char kTagCursor = 't';

constexpr std::size_t kStatuses = static_cast<std::size_t>(PartnerStatus::deleted) + 1;
constexpr std::size_t kMetrics = static_cast<std::size_t>(Metric::commission) + 1;

/// Folds the partners of one event. What they change in sets, columns and counts is collected, and
/// written by write().
class PartnerFold {
public:
    explicit PartnerFold(Fold& fold)
        : fold_(fold),
          grams_(fold.grams.of(fold.number)),
          joined_(fold.run, Key(Table::joined_column, fold.number)) {
        for (std::size_t i = 0; i < kStatuses; ++i) {
            statuses_.emplace_back(fold.run,
                                   status_set(fold.number, static_cast<PartnerStatus>(i)));
        }
    }

    void take(const PartnerState& after);
    void write();

private:
    struct Tag {
        SetWriter partners;
        std::int64_t active = 0;  ///< more of them, or fewer
    };
    struct Column {
        std::string currency;
        ColumnWriter values;
    };

    Tag& tag(const std::string& name);
    void change_tag(const std::string& name, PartnerOrdinal ordinal, bool had, bool has,
                    std::int64_t active);
    void fold_tags(const PartnerRow* before, const PartnerState& after);
    void set_metric(Metric metric, const std::string& currency, PartnerOrdinal ordinal,
                    std::int64_t before, std::int64_t after);
    void fold_money(Metric metric, PartnerOrdinal ordinal, const Money& before, const Money& after);
    void fold_metrics(PartnerOrdinal ordinal, const Metrics& before, const Metrics& after);
    std::int64_t fold_status(const PartnerRow* before, const PartnerState& after);
    void fold_texts(const PartnerRow* before, const PartnerState& after);

    Fold& fold_;
    GramWriter& grams_;
    ColumnWriter joined_;
    std::vector<SetWriter> statuses_;
    std::unordered_map<std::string, Tag> tags_;          ///< in any order: a run is sorted
    std::array<std::vector<Column>, kMetrics> metrics_;  ///< a column for each currency, or one
};

PartnerFold::Tag& PartnerFold::tag(const std::string& name) {
    const auto found = tags_.find(name);
    if (found != tags_.end()) return found->second;
    return tags_.emplace(name, Tag{{fold_.run, tag_set(fold_.number, name)}}).first->second;
}

void PartnerFold::change_tag(const std::string& name, PartnerOrdinal ordinal, bool had, bool has,
                             std::int64_t active) {
    if (had == has && active == 0) return;
    Tag& tag = this->tag(name);
    tag.active += active;
    if (had && !has) tag.partners.remove(ordinal);
    if (has && !had) tag.partners.add(ordinal);
}

/// `before`: null for a new partner.
void PartnerFold::fold_tags(const PartnerRow* before, const PartnerState& after) {
    static const std::vector<std::string> kNone;
    const bool was_active = before != nullptr && before->status == PartnerStatus::active;
    const bool is_active = after.status == PartnerStatus::active;
    const auto change = [&](const std::string& name, bool had, bool has) {
        change_tag(name, after.ordinal, had, has,
                   (has && is_active ? 1 : 0) - (had && was_active ? 1 : 0));
    };
    const std::vector<std::string>& old = before != nullptr ? before->tags : kNone;
    auto had = old.begin();
    for (const std::string& name : after.tags) {
        for (; had != old.end() && *had < name; ++had) change(*had, true, false);
        const bool kept = had != old.end() && *had == name;
        change(name, kept, true);
        if (kept) ++had;
    }
    for (; had != old.end(); ++had) change(*had, true, false);
}

void PartnerFold::set_metric(Metric metric, const std::string& currency, PartnerOrdinal ordinal,
                             std::int64_t before, std::int64_t after) {
    if (before == after) return;
    std::vector<Column>& columns = metrics_.at(static_cast<std::size_t>(metric));
    auto column = std::find_if(columns.begin(), columns.end(),
                               [&](const Column& one) { return one.currency == currency; });
    if (column == columns.end()) {
        columns.push_back({currency, {fold_.run, metric_column(fold_.number, metric, currency)}});
        column = columns.end() - 1;
    }
    column->values.set(ordinal, after);
}

void PartnerFold::fold_money(Metric metric, PartnerOrdinal ordinal, const Money& before,
                             const Money& after) {
    for (const auto& [currency, micros] : after) {
        const auto old = before.find(currency);
        set_metric(metric, currency, ordinal, old == before.end() ? 0 : old->second, micros);
    }
    for (const auto& [currency, micros] : before)
        if (!after.contains(currency)) set_metric(metric, currency, ordinal, micros, 0);
}

void PartnerFold::fold_metrics(PartnerOrdinal ordinal, const Metrics& before,
                               const Metrics& after) {
    static const std::string kNoCurrency;
    const auto count = [&](Metric metric, std::uint64_t old, std::uint64_t now) {
        set_metric(metric, kNoCurrency, ordinal, static_cast<std::int64_t>(old),
                   static_cast<std::int64_t>(now));
    };
    count(Metric::clicks, before.clicks, after.clicks);
    count(Metric::signups, before.signups, after.signups);
    count(Metric::sales, before.sales, after.sales);
    count(Metric::paid_accounts, before.paid_accounts, after.paid_accounts);
    fold_money(Metric::revenue, ordinal, before.revenue, after.revenue);
    fold_money(Metric::commission, ordinal, before.commission, after.commission);
}

/// The status set, the number of active ones, and what of the broadcasts is received: the row's
/// broadcasts_offset.
std::int64_t PartnerFold::fold_status(const PartnerRow* before, const PartnerState& after) {
    const std::int64_t offset = before != nullptr ? before->broadcasts_offset : 0;
    if (before != nullptr && before->status == after.status) return offset;
    if (before != nullptr)
        statuses_.at(static_cast<std::size_t>(before->status)).remove(after.ordinal);
    statuses_.at(static_cast<std::size_t>(after.status)).add(after.ordinal);
    const bool was_active = before != nullptr && before->status == PartnerStatus::active;
    const bool is_active = after.status == PartnerStatus::active;
    if (was_active == is_active) return offset;
    fold_.program.active += is_active ? 1 : -1;
    return static_cast<std::int64_t>(fold_.program.broadcasts) - offset;
}

void PartnerFold::fold_texts(const PartnerRow* before, const PartnerState& after) {
    const TextReader texts(fold_.keys, fold_.program.id);
    if (before == nullptr) {
        grams_.change(after.ordinal, {}, search_text(texts, after));
    } else if (before->email != after.email || before->name != after.name ||
               before->surname != after.surname) {
        grams_.change(after.ordinal, search_text(texts, *before), search_text(texts, after));
    }
}

void PartnerFold::take(const PartnerState& after) {
    const Key key = partner_key(fold_.number, after.ordinal);
    std::shared_ptr<const PartnerRow> before;
    if (after.ordinal.value < fold_.program.next_ordinal) {
        before = fold_.run.find<PartnerRow>(key);
        if (!before) throw StorageFailure("a partner that was seen has no row");
    } else {
        fold_.run.add_encoded<NumberRow>(Key(Table::partner_id, fold_.number).text(after.id.value),
                                         NumberRow{after.ordinal.value}.encode());
        fold_.program.next_ordinal = after.ordinal.value + 1;
    }
    static const PartnerRow kNew;
    const PartnerRow& old = before ? *before : kNew;
    const std::int64_t broadcasts_offset = fold_status(before.get(), after);
    fold_tags(before.get(), after);
    fold_metrics(after.ordinal, old.metrics, after.metrics);
    if (old.joined_at != after.joined_at) joined_.set(after.ordinal, after.joined_at.value);
    fold_texts(before.get(), after);
    std::string row = PartnerRow::encode(after, broadcasts_offset);
    if (before != nullptr) {
        fold_.run.put_encoded<PartnerRow>(key, std::move(row));
    } else {
        fold_.run.add_encoded<PartnerRow>(key, std::move(row));
    }
}

void PartnerFold::write() {
    grams_.end_event();
    joined_.write();
    for (SetWriter& status : statuses_) status.write();
    for (auto& [name, tag] : tags_) {
        tag.partners.write();
        if (tag.active == 0) continue;
        const Key key = Key(Table::tag_count, fold_.number).text(name);
        NumberRow& count = fold_.run.edit<NumberRow>(key);
        count.value += static_cast<std::uint64_t>(tag.active);
        if (count.value == 0) fold_.run.erase(key);
    }
    for (std::vector<Column>& columns : metrics_) {
        for (Column& column : columns) column.values.write();
    }
}

}  // namespace

void fold(Fold& fold, const PartnersChanged& event) {
    PartnerFold partners(fold);
    for (const PartnerState& state : event.partners) partners.take(state);
    partners.write();
}

std::shared_ptr<const PartnerRow> find(const RowSource& rows, std::uint32_t program,
                                       PartnerOrdinal ordinal) {
    return rows.find<PartnerRow>(partner_key(program, ordinal));
}

std::shared_ptr<const PartnerRow> find(const RowSource& rows, std::uint32_t program,
                                       const PartnerId& id) {
    const RowScope scope(rows);
    const auto ordinal = rows.peek<NumberRow>(Key(Table::partner_id, program).text(id.value));
    if (ordinal == nullptr) return nullptr;
    return find(rows, program, PartnerOrdinal{static_cast<std::uint32_t>(ordinal->value)});
}

namespace {

/// Ordinals of one set chunk that pass status, tag and the search's grams.
Bitmap candidates(const RowSource& rows, std::uint32_t program, std::uint32_t ordinals,
                  const PartnerQuery& query, const Search& search, std::uint32_t chunk) {
    Bitmap out;
    if (query.status) {
        out = read_set_chunk(rows, status_set(program, *query.status), chunk)->bits;
    } else {
        const std::uint64_t first = static_cast<std::uint64_t>(chunk) * limits::kSetChunk;
        out.addRange(first, std::min<std::uint64_t>(first + limits::kSetChunk, ordinals));
    }
    if (!query.tag.empty()) out &= read_set_chunk(rows, tag_set(program, query.tag), chunk)->bits;
    if (!search.matches_all() && !out.isEmpty()) out &= search.candidates(rows, program, chunk);
    return out;
}

std::string list_name(std::uint32_t program, const PartnerQuery& query) {
    std::string name;
    ByteWriter out(name);
    out.varint(program);
    out.u8(query.status ? static_cast<std::uint8_t>(*query.status) + 1 : 0);
    out.string(query.tag);
    out.string(query.query);
    return name;
}

}  // namespace

Result<Page<PartnerView>> list(const RowSource& rows, std::uint32_t program, const ProgramRow& row,
                               const TextReader& texts, const PartnerQuery& query,
                               const PageRequest& request) {
    const std::string name = list_name(program, query);
    std::uint64_t from = 0;
    if (!request.cursor.empty()) {
        Result<Cursor> cursor = parse_cursor(kListCursor, name, request.cursor, 1);
        if (!cursor) return cursor.error();
        from = cursor->numbers[0];
    }
    const Search search(query.query);
    Page<PartnerView> page;
    for (auto chunk = static_cast<std::uint32_t>(from / limits::kSetChunk);
         chunk < set_chunks(row.next_ordinal); ++chunk) {
        const Bitmap found = candidates(rows, program, row.next_ordinal, query, search, chunk);
        auto member = found.begin();
        const auto end = found.end();
        if (member != end && *member < from) member.equalorlarger(static_cast<std::uint32_t>(from));
        for (; member != end; ++member) {
            const auto partner = find(rows, program, PartnerOrdinal{*member});
            if (!partner) throw StorageFailure("a partner that a set names has no row");
            if (!search.exact() && !search.matches(texts.show(*partner))) continue;
            if (page.rows.size() == request.limit) {
                page.next_cursor = make_cursor(kListCursor, name, {*member});
                return page;
            }
            page.rows.push_back({partner, texts.show(*partner)});
        }
    }
    return page;
}

Page<PartnerView> page_of(const RowSource& rows, std::uint32_t program, const TextReader& texts,
                          const Bitmap& set, std::uint64_t from, std::size_t limit, char kind,
                          std::string_view list) {
    Page<PartnerView> page;
    if (set.isEmpty()) return page;
    auto member = set.begin();
    const auto end = set.end();
    if (*member < from) member.equalorlarger(static_cast<std::uint32_t>(from));
    for (; member != end; ++member) {
        if (page.rows.size() == limit) {
            page.next_cursor = make_cursor(kind, list, {*member});
            break;
        }
        const auto partner = find(rows, program, PartnerOrdinal{*member});
        page.rows.push_back({partner, texts.show(*partner)});
    }
    return page;
}

Result<Page<TagCount>> tags(const CommittedRows& rows, std::uint32_t program,
                            const PageRequest& request) {
    const std::string name = std::to_string(program);
    const Key prefix(Table::tag_count, program);
    std::string from(prefix.view());
    if (!request.cursor.empty()) {
        Result<Cursor> cursor = parse_cursor(kTagCursor, name, request.cursor, 0);
        if (!cursor) return cursor.error();
        from += cursor->text;
    }
    Page<TagCount> page;
    rows.store().scan(from, prefix_end(prefix.view()), false,
                      [&](std::string_view key, std::string_view value) {
                          const std::string_view tag = key.substr(kKeyPrefix);
                          if (page.rows.size() == request.limit) {
                              page.next_cursor = make_cursor(kTagCursor, name, {}, tag);
                              return false;
                          }
                          page.rows.push_back({std::string(tag), NumberRow::decode(value).value});
                          return true;
                      });
    return page;
}

}  // namespace tidings::partners
