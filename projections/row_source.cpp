#include "projections/row_source.h"

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <cstring>

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

void Run::decode_put(const Key& key, Pending& pending) {
    if (pending.change == Change::put && !pending.row && pending.kind != nullptr)
        pending.row = pending.kind->decode(key, pending.bytes);
}

const RowPtr* Run::load(const Key& key, const RowKind& kind, RowPtr& loaded) const {
    Pending* const found = find_pending(key);
    if (found == nullptr) return committed_.load(key, kind, loaded);
    Pending& pending = *found;
    if (pending.change == Change::merge && !pending.row) {
        pending.row = clone_committed(key, kind);
        kind.apply(pending.row.get(), pending.bytes);
    }
    decode_put(key, pending);
    if (!pending.row && kind.apply != nullptr) return &(loaded = kind.fresh(key));
    return pending.row ? &pending.row : nullptr;
}

std::vector<Key> Run::changed(const Key& prefix) const {
    std::vector<Key> out;
    for (const auto& [key, pending] : changes_) {
        if (key.view().starts_with(prefix.view())) out.push_back(key);
    }
    const auto added = added_.find(prefix.table());
    if (added == added_.end()) return out;
    for (const auto& [key, pending] : added->second) {
        if (key.view().starts_with(prefix.view())) out.push_back(key);
    }
    return out;
}

std::size_t Run::size() const {
    std::size_t size = changes_.size();
    for (const auto& [table, added] : added_) size += added.size();
    return size;
}

Run::Pending* Run::find_pending(const Key& key) const {
    const auto added = added_.find(key.table());
    if (added != added_.end() && !(added->second.back().first < key)) {
        const auto change =
            std::lower_bound(added->second.begin(), added->second.end(), key,
                             [](const KeyedChange& one, const Key& k) { return one.first < k; });
        if (change->first == key) return const_cast<Pending*>(&change->second);
    }
    const auto found = index_.find(key.view());
    return found != index_.end() ? found->second : nullptr;
}

Run::Pending& Run::pending(const Key& key) {
    if (Pending* const found = find_pending(key)) return *found;
    auto& [kept, pending] = changes_.emplace_back(key, Pending{});
    index_.emplace(kept.view(), &pending);
    return pending;
}

Run::Pending& Run::added_pending(const Key& key) {
    Changes& added = added_[key.table()];
    if (!added.empty() && !(added.back().first < key)) return pending(key);
    return added.emplace_back(key, Pending{}).second;
}

void* Run::edit_row(const Key& key, const RowKind& kind) {
    Pending& pending = this->pending(key);
    decode_put(key, pending);
    pending.bytes.clear();
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

void* Run::rewrite_row(const Key& key, const RowKind& kind) {
    if (!rewriting_) return nullptr;
    const Pending* const found = find_pending(key);
    if (found != nullptr && found->change == Change::merge) return nullptr;
    return edit_row(key, kind);
}

void Run::erase(const Key& key) {
    Pending& pending = this->pending(key);
    pending = Pending{};
    static const RowKind kErased{};
    pending.kind = &kErased;
    pending.change = Change::erase;
}

void Run::put_row(const Key& key, const RowKind& kind, RowPtr row) {
    pending(key) = Pending{&kind, std::move(row), {}, Change::put};
}

void Run::change_row(const Key& key, const RowKind& kind, std::string_view operations,
                     Decode decode) {
    Pending& pending = this->pending(key);
    if (pending.change == Change::erase) {
        pending = Pending{&kind, kind.fresh(key), {}, Change::put};
        kind.apply(pending.row.get(), operations);
        return;
    }
    if (pending.kind != nullptr && pending.change == Change::put) {
        pending.bytes.clear();
        if (pending.row.use_count() > 1) pending.row = kind.clone(pending.row.get());
        kind.apply(pending.row.get(), operations);
        return;
    }
    if (pending.kind == nullptr && decode == Decode::now) {
        pending.row = clone_committed(key, kind);
        if (rewriting_) {
            pending.kind = &kind;
            kind.apply(pending.row.get(), operations);
            return;
        }
    }
    pending.kind = &kind;
    pending.change = Change::merge;
    pending.bytes.append(operations);
    if (!pending.row) return;
    if (pending.row.use_count() > 1) pending.row = kind.clone(pending.row.get());
    kind.apply(pending.row.get(), operations);
}

namespace {

/// 8 bytes of a key from `offset` on, zeros behind its end, as a number that orders as they do.
std::uint64_t ordered_bytes(std::string_view key, std::size_t offset) {
    std::uint64_t bytes = 0;
    if (key.size() > offset)
        std::memcpy(&bytes, key.data() + offset, std::min<std::size_t>(8, key.size() - offset));
    return boost::endian::big_to_native(bytes);
}

}  // namespace

std::vector<Run::KeyedChange*> Run::sorted_changes() {
    struct Place {
        std::uint64_t first, second;  ///< 16 bytes of the key: most are told apart by them
        KeyedChange* change;
    };
    std::vector<Place> places;
    places.reserve(changes_.size());
    for (auto& change : changes_) {
        const std::string_view key = change.first.view();
        places.push_back({ordered_bytes(key, 0), ordered_bytes(key, 8), &change});
    }
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
        if (a.first != b.first) return a.first < b.first;
        if (a.second != b.second) return a.second < b.second;
        return a.change->first < b.change->first;
    });
    std::vector<KeyedChange*> out;
    out.reserve(places.size());
    for (const Place& place : places) out.push_back(place.change);
    return out;
}

void Run::write_to(StoreBatch& batch) {
    const auto write = [&batch](KeyedChange& change) {
        auto& [key, pending] = change;
        switch (pending.change) {
            case Change::put:
                if (pending.bytes.empty()) pending.bytes = pending.kind->encode(pending.row.get());
                batch.put_kept(key.view(), pending.bytes);
                break;
            case Change::merge:
                batch.merge_kept(key.view(), pending.bytes);
                break;
            case Change::erase:
                batch.erase(key.view());
                break;
        }
    };
    const std::vector<KeyedChange*> sorted = sorted_changes();
    auto next = sorted.begin();
    for (auto& [table, added] : added_) {
        for (KeyedChange& change : added) {
            for (; next != sorted.end() && (*next)->first < change.first; ++next) write(**next);
            write(change);
        }
    }
    for (; next != sorted.end(); ++next) write(**next);
}

void Run::move_to_cache() {
    const auto keep = [this](const Key& key, Pending& pending) {
        if (!pending.row) return false;
        const std::size_t memory = pending.kind->memory(pending.row.get());
        cache_.put(key, std::move(pending.row), memory);
        return true;
    };
    for (auto& [key, pending] : changes_) {
        // Not decoded here: bring a cached copy up to date only if there is none to keep.
        if (!keep(key, pending)) cache_.erase(key);
    }
    for (auto& [table, added] : added_) {
        for (auto& [key, pending] : added) keep(key, pending);
    }
    drop();
}

void Run::drop() {
    index_.clear();
    changes_.clear();
    added_.clear();
    release();
}

}  // namespace tidings
