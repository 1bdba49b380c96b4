#include "projections/partners.h"

#include <algorithm>

#include "projections/bytes.h"
#include "projections/cursor.h"

namespace tidings::partners {

namespace {

constexpr char kListCursor = 'p';
constexpr char kTagCursor = 't';

void change_set(Run& run, Key prefix, PartnerOrdinal ordinal, bool add) {
    std::string operation;
    const auto index = static_cast<std::uint16_t>(ordinal.value % limits::kSetChunk);
    if (add) {
        set_add(operation, index);
    } else {
        set_remove(operation, index);
    }
    run.change<SetChunk>(prefix.u32(ordinal.value / limits::kSetChunk), operation, Decode::now);
}

void set_value(Run& run, Key prefix, PartnerOrdinal ordinal, std::int64_t before,
               std::int64_t after) {
    if (before == after) return;
    std::string operation;
    column_set(operation, static_cast<std::uint16_t>(ordinal.value % limits::kColumnChunk), after);
    run.change<ColumnChunk>(prefix.u32(ordinal.value / limits::kColumnChunk), operation,
                            Decode::now);
}

void count_tag(Run& run, std::uint32_t program, const std::string& tag, int delta) {
    const Key key = Key(Table::tag_count, program).text(tag);
    NumberRow& row = run.edit<NumberRow>(key);
    row.value += delta;
    if (row.value == 0) run.erase(key);
}

/// `before`: null for a new partner.
void fold_tags(Fold& fold, const PartnerState* before, const PartnerState& after) {
    static const std::vector<std::string> kNone;
    const bool was_active = before != nullptr && before->status == PartnerStatus::active;
    const bool is_active = after.status == PartnerStatus::active;
    const auto change = [&](const std::string& tag, bool had, bool has) {
        if (had != has) change_set(fold.run, tag_set(fold.number, tag), after.ordinal, has);
        const int delta = (has && is_active ? 1 : 0) - (had && was_active ? 1 : 0);
        if (delta != 0) count_tag(fold.run, fold.number, tag, delta);
    };
    const std::vector<std::string>& old = before != nullptr ? before->tags : kNone;
    auto had = old.begin();
    for (const std::string& tag : after.tags) {
        for (; had != old.end() && *had < tag; ++had) change(*had, true, false);
        const bool kept = had != old.end() && *had == tag;
        change(tag, kept, true);
        if (kept) ++had;
    }
    for (; had != old.end(); ++had) change(*had, true, false);
}

void fold_money(Fold& fold, Metric metric, PartnerOrdinal ordinal, const Money& before,
                const Money& after) {
    for (const auto& [currency, micros] : after) {
        const auto old = before.find(currency);
        set_value(fold.run, metric_column(fold.number, metric, currency), ordinal,
                  old == before.end() ? 0 : old->second, micros);
    }
    for (const auto& [currency, micros] : before)
        if (!after.contains(currency))
            set_value(fold.run, metric_column(fold.number, metric, currency), ordinal, micros, 0);
}

void fold_metrics(Fold& fold, PartnerOrdinal ordinal, const Metrics& before, const Metrics& after) {
    const auto count = [&](Metric metric, std::uint64_t old, std::uint64_t now) {
        if (old != now)
            set_value(fold.run, metric_column(fold.number, metric, ""), ordinal,
                      static_cast<std::int64_t>(old), static_cast<std::int64_t>(now));
    };
    count(Metric::clicks, before.clicks, after.clicks);
    count(Metric::signups, before.signups, after.signups);
    count(Metric::sales, before.sales, after.sales);
    count(Metric::paid_accounts, before.paid_accounts, after.paid_accounts);
    fold_money(fold, Metric::revenue, ordinal, before.revenue, after.revenue);
    fold_money(fold, Metric::commission, ordinal, before.commission, after.commission);
}

/// The status set, the number of active ones, and what of the broadcasts is received (PartnerRow).
void fold_status(Fold& fold, const PartnerRow* before, PartnerRow& after) {
    if (before != nullptr && before->status == after.status) return;
    if (before != nullptr)
        change_set(fold.run, status_set(fold.number, before->status), after.ordinal, false);
    change_set(fold.run, status_set(fold.number, after.status), after.ordinal, true);
    const bool was_active = before != nullptr && before->status == PartnerStatus::active;
    const bool is_active = after.status == PartnerStatus::active;
    if (was_active == is_active) return;
    after.broadcasts_offset =
        static_cast<std::int64_t>(fold.program.broadcasts) - after.broadcasts_offset;
    fold.program.active += is_active ? 1 : -1;
}

void fold_partner(Fold& fold, GramWriter& grams, const PartnerState& state) {
    const Key key = partner_key(fold.number, state.ordinal);
    PartnerRow after;
    static_cast<PartnerState&>(after) = state;
    std::shared_ptr<const PartnerRow> before;
    if (state.ordinal.value < fold.program.next_ordinal) {
        before = fold.run.find<PartnerRow>(key);
        if (!before) throw StorageFailure("a partner that was seen has no row");
        after.broadcasts_offset = before->broadcasts_offset;
    } else {
        fold.run.put(Key(Table::partner_id, fold.number).text(state.id.value),
                     NumberRow{state.ordinal.value});
        fold.program.next_ordinal = state.ordinal.value + 1;
    }
    static const PartnerRow kNew;
    const PartnerRow& old = before ? *before : kNew;
    fold_status(fold, before.get(), after);
    fold_tags(fold, before.get(), after);
    fold_metrics(fold, state.ordinal, old.metrics, after.metrics);
    set_value(fold.run, Key(Table::joined_column, fold.number), state.ordinal, old.joined_at.value,
              after.joined_at.value);
    const bool same =
        old.email == after.email && old.name == after.name && old.surname == after.surname;
    if (!same) {
        const TextReader texts(fold.keys, fold.program.id);
        grams.change(state.ordinal, before ? search_text(texts.show(*before)) : std::string(),
                     search_text(texts.show(after)));
    }
    fold.run.put(key, std::move(after));
}

}  // namespace

void fold(Fold& fold, const PartnersChanged& event) {
    GramWriter grams(fold.run, fold.number);
    for (const PartnerState& state : event.partners) fold_partner(fold, grams, state);
    grams.write();
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
