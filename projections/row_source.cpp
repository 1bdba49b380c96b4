#include "projections/row_source.h"

#include <algorithm>

#include "projections/bytes.h"

namespace tidings {

std::optional<std::uint32_t> RowSource::number_of(const ProgramId& program) const {
    const RowScope scope(*this);
    const auto row = peek<NumberRow>(Key(Table::program_number).text(program.value));
    if (!row) return std::nullopt;
    return static_cast<std::uint32_t>(row->value);
}

const RowPtr* CommittedRows::load(const Key& key, const RowKind& kind, RowPtr& loaded) const {
    if (const RowPtr* cached = cache_.find(key)) return cached;
    const std::optional<std::string> bytes = store_.get(key.view());
    if (bytes) {
        loaded = kind.decode(key, *bytes);
    } else if (kind.apply != nullptr) {
        loaded = kind.fresh(key);
    } else {
        return nullptr;
    }
    const RowPtr* cached = cache_.add(key, loaded, kind.memory(loaded.get()));
    return cached != nullptr ? cached : &loaded;
}

RowPtr Run::clone_committed(const Key& key, const RowKind& kind) const {
    RowPtr loaded;
    const RowPtr* row = committed_.load(key, kind, loaded);
    if (row == nullptr) return nullptr;
    return row == &loaded ? std::move(loaded) : kind.clone(row->get());
}

const RowPtr* Run::load(const Key& key, const RowKind& kind, RowPtr& loaded) const {
    const auto found = pending_.find(key);
    if (found == pending_.end()) return committed_.load(key, kind, loaded);
    Pending& pending = found->second;
    if (pending.change == Change::merge && !pending.row) {
        pending.row = clone_committed(key, kind);
        kind.apply(pending.row.get(), pending.operand);
    }
    if (!pending.row && kind.apply != nullptr) return &(loaded = kind.fresh(key));
    return pending.row ? &pending.row : nullptr;
}

std::vector<Key> Run::changed(const Key& prefix) const {
    std::vector<Key> out;
    for (const auto& [key, pending] : pending_) {
        if (key.view().starts_with(prefix.view())) out.push_back(key);
    }
    return out;
}

void* Run::edit_row(const Key& key, const RowKind& kind) {
    Pending& pending = pending_[key];
    if (!pending.row) {
        if (pending.kind == nullptr) pending.row = clone_committed(key, kind);  // not erased
        if (!pending.row) pending.row = kind.fresh(key);
        pending.kind = &kind;
        pending.change = Change::put;
    } else if (pending.row.use_count() > 1) {
        pending.row = kind.clone(pending.row.get());  // someone still holds it
    }
    return pending.row.get();
}

void Run::erase(const Key& key) {
    Pending& pending = pending_[key];
    pending = Pending{};
    static const RowKind kErased{};
    pending.kind = &kErased;
    pending.change = Change::erase;
}

void Run::put_row(const Key& key, const RowKind& kind, RowPtr row) {
    pending_[key] = Pending{&kind, std::move(row), {}, Change::put};
}

void Run::change_row(const Key& key, const RowKind& kind, std::string_view operations,
                     Decode decode) {
    Pending& pending = pending_[key];
    if (pending.change == Change::erase) {
        pending = Pending{&kind, kind.fresh(key), {}, Change::put};
        kind.apply(pending.row.get(), operations);
        return;
    }
    if (pending.kind != nullptr && pending.change == Change::put) {
        if (pending.row.use_count() > 1) pending.row = kind.clone(pending.row.get());
        kind.apply(pending.row.get(), operations);
        return;
    }
    if (pending.kind == nullptr && decode == Decode::now) pending.row = clone_committed(key, kind);
    pending.kind = &kind;
    pending.change = Change::merge;
    pending.operand.append(operations);
    if (!pending.row) return;
    if (pending.row.use_count() > 1) pending.row = kind.clone(pending.row.get());
    kind.apply(pending.row.get(), operations);
}

void Run::write_to(StoreBatch& batch) const {
    std::vector<const std::pair<const Key, Pending>*> sorted;
    sorted.reserve(pending_.size());
    for (const auto& entry : pending_) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(),
              [](const auto* a, const auto* b) { return a->first < b->first; });
    for (const auto* entry : sorted) {
        const auto& [key, pending] = *entry;
        switch (pending.change) {
            case Change::put:
                batch.put(key.view(), pending.kind->encode(pending.row.get()));
                break;
            case Change::merge:
                batch.merge(key.view(), pending.operand);
                break;
            case Change::erase:
                batch.erase(key.view());
                break;
        }
    }
}

void Run::move_to_cache() {
    for (auto& [key, pending] : pending_) {
        if (pending.row) {
            const std::size_t memory = pending.kind->memory(pending.row.get());
            cache_.put(key, std::move(pending.row), memory);
            continue;
        }
        // Not decoded here: bring a cached copy up to date only if there is none to keep.
        cache_.erase(key);
    }
    drop();
}

void Run::drop() {
    pending_.clear();
    release();
}

}  // namespace tidings
