#include "projections/row_source.h"

#include <algorithm>

#include "projections/bytes.h"

namespace tidings {

std::optional<std::uint32_t> RowSource::number_of(const ProgramId& program) const {
    const auto row = find<NumberRow>(Key(Table::program_number).text(program.value));
    if (!row) return std::nullopt;
    return static_cast<std::uint32_t>(row->value);
}

void RowCache::remove(Shard& shard, std::list<Entry>::iterator entry) {
    shard.bytes -= entry->memory;
    shard.index.erase(*entry->key);
    shard.entries.erase(entry);
}

std::shared_ptr<const void> RowCache::find(const Key& key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.index.find(key);
    if (found == shard.index.end()) return nullptr;
    shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
    return found->second->row;
}

void RowCache::insert(const Key& key, std::shared_ptr<const void> row, std::size_t memory) {
    constexpr std::size_t kOverhead = 200;  // key, list and map nodes, control block
    memory += kOverhead;
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto [found, inserted] = shard.index.try_emplace(key);
    if (!inserted) {
        shard.bytes -= found->second->memory;
        shard.entries.erase(found->second);
    }
    shard.entries.push_front({&found->first, std::move(row), memory});
    found->second = shard.entries.begin();
    shard.bytes += memory;
    while (shard.bytes > bytes_per_shard_ && shard.entries.size() > 1)
        remove(shard, std::prev(shard.entries.end()));
}

void RowCache::erase(const Key& key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.index.find(key);
    if (found != shard.index.end()) remove(shard, found->second);
}

void RowCache::clear() {
    for (Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        shard.entries.clear();
        shard.index.clear();
        shard.bytes = 0;
    }
}

std::shared_ptr<const void> CommittedRows::load(const Key& key, const RowKind& kind) const {
    if (std::shared_ptr<const void> cached = cache_.find(key)) return cached;
    const std::optional<std::string> bytes = store_.get(key.view());
    std::shared_ptr<void> row;
    if (bytes) {
        row = kind.decode(key, *bytes);
    } else if (kind.apply != nullptr) {
        row = kind.fresh(key);
    } else {
        return nullptr;
    }
    cache_.insert(key, row, kind.memory(row.get()));
    return row;
}

std::shared_ptr<const void> Run::load(const Key& key, const RowKind& kind) const {
    const auto found = pending_.find(key);
    if (found == pending_.end()) return committed_.load(key, kind);
    Pending& pending = found->second;
    if (pending.change == Change::merge && !pending.row) {
        pending.row = kind.clone(committed_.load(key, kind).get());
        kind.apply(pending.row.get(), pending.operand);
    }
    return pending.row;
}

void* Run::edit_row(const Key& key, const RowKind& kind) {
    Pending& pending = pending_[key];
    if (!pending.row) {
        if (pending.kind == nullptr) {  // not erased in this run
            const std::shared_ptr<const void> committed = committed_.load(key, kind);
            if (committed) pending.row = kind.clone(committed.get());
        }
        if (!pending.row) pending.row = kind.fresh(key);
        pending.kind = &kind;
        pending.change = Change::put;
    } else if (pending.row.use_count() > 1) {
        pending.row = kind.clone(pending.row.get());  // a reader of this run still holds it
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

void Run::put_row(const Key& key, const RowKind& kind, std::shared_ptr<void> row) {
    pending_[key] = Pending{&kind, std::move(row), {}, Change::put};
}

void Run::change_row(const Key& key, const RowKind& kind, std::string_view operations,
                     Decode decode) {
    Pending& pending = pending_[key];
    if (pending.kind == nullptr && decode == Decode::now)
        pending.row = kind.clone(committed_.load(key, kind).get());
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
            cache_.insert(key, std::move(pending.row), memory);
            continue;
        }
        // Not decoded here: bring a cached copy up to date only if there is none to keep.
        cache_.erase(key);
    }
    pending_.clear();
}

}  // namespace tidings
