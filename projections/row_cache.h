// Decoded rows in bounded memory. One thread changes the cache (the one that publishes); any number
// read from it and add what it lacks, without a lock of their own.
//
// A row that was found stays where it is until the cache is next changed: readers hold the models'
// lock shared, whoever changes the cache holds it exclusively, so that nobody counts references to
// rows that all requests read. Eviction is second chance (CLOCK; Corbató 1969): a look-up sets a
// bit, where an exact order would make every reader write to the same list.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "projections/key.h"

namespace tidings {

/// The memory that the caches of all partitions share. A cache may take what the others leave; when
/// memory is short, those with more than an equal share give it back.
class RowMemory {
public:
    explicit RowMemory(std::size_t bytes) : limit_(bytes) {}
    std::size_t used() const { return used_.load(std::memory_order_relaxed); }

private:
    friend class RowCache;
    const std::size_t limit_;
    std::atomic<std::size_t> used_{0};
    std::atomic<std::size_t> caches_{0};
};

class RowCache {
public:
    using Row = std::shared_ptr<void>;

    explicit RowCache(std::shared_ptr<RowMemory> memory);
    ~RowCache();
    RowCache(const RowCache&) = delete;
    RowCache& operator=(const RowCache&) = delete;

    /// Null if it is not here.
    const Row* find(const Key& key) const;
    /// Adds a row that find() did not find. Returns the one that is here now (another reader may
    /// have been first), or null if there is no room.
    const Row* add(const Key& key, const Row& row, std::size_t memory);

    // For the thread that changes the cache, while nobody reads.

    /// Makes `row` the one that is found.
    void put(const Key& key, Row row, std::size_t memory);
    void erase(const Key& key);
    /// Evicts rows not looked up lately while memory is short; looks at no more than `at_most` of
    /// them. Returns what was evicted, for the caller to destroy when readers may go on.
    std::vector<Row> evict(std::size_t at_most);
    /// Whether evict() has something to do.
    bool crowded() const;

private:
    struct Entry {
        Entry* next;
        std::size_t hash;
        Key key;
        Row row;
        std::size_t memory;
        mutable std::atomic<bool> used;
    };
    using Bucket = std::atomic<Entry*>;

    Bucket& bucket(std::size_t hash) const { return buckets_[hash & mask_]; }
    static Entry* search(Entry* from, std::size_t hash, const Key& key);
    bool has_room(std::size_t memory) const;
    void account(std::size_t added, std::size_t removed);
    Row remove(Bucket& bucket, Entry* entry);

    const std::shared_ptr<RowMemory> memory_;
    std::size_t mask_;
    std::unique_ptr<Bucket[]> buckets_;  ///< entries are added at the front
    std::atomic<std::size_t> used_{0};
    std::size_t hand_ = 0;  ///< the bucket that evict() looks at next
};

}  // namespace tidings
