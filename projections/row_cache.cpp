#include "projections/row_cache.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tidings {

namespace {

constexpr std::size_t kOverhead = 160;       // entry, control block, what the allocator rounds up
constexpr std::size_t kTypicalRow = 512;     // with overhead: one bucket for each
constexpr std::size_t kSmallestTable = 256;  // buckets

/// Readers may fill the last eighth; the publishing thread evicts down to this.
std::size_t comfortable(std::size_t limit) { return limit - limit / 8; }

}  // namespace

RowCache::RowCache(std::shared_ptr<RowMemory> memory)
    : memory_(std::move(memory)),
      mask_(std::bit_ceil(std::max(kSmallestTable, memory_->limit_ / kTypicalRow)) - 1),
      buckets_(std::make_unique<Bucket[]>(mask_ + 1)) {
    ++memory_->caches_;
}

RowCache::~RowCache() {
    for (std::size_t i = 0; i <= mask_; ++i) {
        Entry* entry = buckets_[i].load(std::memory_order_relaxed);
        while (entry != nullptr) delete std::exchange(entry, entry->next);
    }
    memory_->used_ -= used_;
    --memory_->caches_;
}

RowCache::Entry* RowCache::search(Entry* from, std::size_t hash, const Key& key) {
    while (from != nullptr && (from->hash != hash || !(from->key == key))) from = from->next;
    return from;
}

const RowCache::Row* RowCache::find(const Key& key) const {
    const std::size_t hash = std::hash<Key>{}(key);
    const Entry* found = search(bucket(hash).load(std::memory_order_acquire), hash, key);
    if (found == nullptr) return nullptr;
    if (!found->used.load(std::memory_order_relaxed))
        found->used.store(true, std::memory_order_relaxed);
    return &found->row;
}

bool RowCache::has_room(std::size_t memory) const {
    return memory_->used_.load(std::memory_order_relaxed) + memory <= memory_->limit_;
}

void RowCache::account(std::size_t added, std::size_t removed) {
    used_.fetch_add(added - removed, std::memory_order_relaxed);
    memory_->used_.fetch_add(added - removed, std::memory_order_relaxed);
}

const RowCache::Row* RowCache::add(const Key& key, const Row& row, std::size_t memory) {
    memory += kOverhead;
    if (!has_room(memory)) return nullptr;
    const std::size_t hash = std::hash<Key>{}(key);
    Bucket& list = bucket(hash);
    Entry* first = list.load(std::memory_order_acquire);
    std::unique_ptr<Entry> made;
    for (;;) {
        if (Entry* found = search(first, hash, key)) return &found->row;
        if (!made) made.reset(new Entry{nullptr, hash, key, row, memory, {false}});
        made->next = first;
        if (list.compare_exchange_weak(first, made.get(), std::memory_order_release,
                                       std::memory_order_acquire))
            break;
    }
    account(memory, 0);
    return &made.release()->row;
}

void RowCache::put(const Key& key, Row row, std::size_t memory) {
    const std::size_t hash = std::hash<Key>{}(key);
    Entry* found = search(bucket(hash).load(std::memory_order_relaxed), hash, key);
    if (found == nullptr) {
        add(key, row, memory);
        return;
    }
    account(memory + kOverhead, found->memory);
    found->memory = memory + kOverhead;
    found->row = std::move(row);
}

RowCache::Row RowCache::remove(Bucket& list, Entry* entry) {
    Entry* first = list.load(std::memory_order_relaxed);
    if (first == entry) {
        list.store(entry->next, std::memory_order_relaxed);
    } else {
        while (first->next != entry) first = first->next;
        first->next = entry->next;
    }
    account(0, entry->memory);
    Row row = std::move(entry->row);
    delete entry;
    return row;
}

void RowCache::erase(const Key& key) {
    const std::size_t hash = std::hash<Key>{}(key);
    Bucket& list = bucket(hash);
    if (Entry* found = search(list.load(std::memory_order_relaxed), hash, key)) remove(list, found);
}

bool RowCache::crowded() const {
    return memory_->used() > comfortable(memory_->limit_) &&
           used_ > comfortable(memory_->limit_) / memory_->caches_;
}

std::vector<RowCache::Row> RowCache::evict(std::size_t at_most) {
    std::vector<Row> out;
    for (std::size_t seen = 0; seen < at_most && crowded();) {
        Bucket& list = buckets_[hand_++ & mask_];
        ++seen;
        for (Entry* entry = list.load(std::memory_order_relaxed); entry != nullptr;) {
            Entry* const next = entry->next;
            ++seen;
            if (entry->used.load(std::memory_order_relaxed)) {
                entry->used.store(false, std::memory_order_relaxed);
            } else {
                out.push_back(remove(list, entry));
            }
            entry = next;
        }
    }
    return out;
}

}  // namespace tidings
