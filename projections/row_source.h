// Decoded rows: from the committed cache and store, or from a run in progress on top of them.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/projection.h"
#include "projections/chunks.h"
#include "projections/rows.h"
#include "projections/store.h"

namespace tidings {

/// How one table's rows are decoded, copied, changed by operations, and encoded. One static
/// instance per row type.
struct RowKind {
    std::shared_ptr<void> (*decode)(const Key&, std::string_view);
    std::shared_ptr<void> (*fresh)(const Key&);
    std::shared_ptr<void> (*clone)(const void*);
    void (*apply)(void*, std::string_view operand);  ///< null: a record row
    std::string (*encode)(const void*);
    std::size_t (*memory)(const void*);
};

template <class Row>
Row decode_row(const Key&, std::string_view bytes) {
    return Row::decode(bytes);
}
template <>
inline ColumnChunk decode_row<ColumnChunk>(const Key& key, std::string_view bytes) {
    return ColumnChunk::decode(column_size(key.table()), bytes);
}
template <>
inline SetChunk decode_row<SetChunk>(const Key& key, std::string_view bytes) {
    return SetChunk::decode(set_base(key.view()), bytes);
}
template <class Row>
Row fresh_row(const Key&) {
    return Row{};
}
template <>
inline ColumnChunk fresh_row<ColumnChunk>(const Key& key) {
    return ColumnChunk(column_size(key.table()));
}
template <>
inline SetChunk fresh_row<SetChunk>(const Key& key) {
    return SetChunk{set_base(key.view()), {}};
}
template <class Row>
concept Chunk = requires(Row row) {
    row.apply(std::string_view{});
};

template <class Row>
const RowKind& row_kind() {
    static const RowKind kind{
        [](const Key& key, std::string_view bytes) -> std::shared_ptr<void> {
            return std::make_shared<Row>(decode_row<Row>(key, bytes));
        },
        [](const Key& key) -> std::shared_ptr<void> {
            return std::make_shared<Row>(fresh_row<Row>(key));
        },
        [](const void* row) -> std::shared_ptr<void> {
            return std::make_shared<Row>(*static_cast<const Row*>(row));
        },
        [] {
            void (*apply)(void*, std::string_view) = nullptr;
            if constexpr (Chunk<Row>) {
                apply = [](void* row, std::string_view operand) {
                    static_cast<Row*>(row)->apply(operand);
                };
            }
            return apply;
        }(),
        [](const void* row) { return static_cast<const Row*>(row)->encode(); },
        [](const void* row) { return static_cast<const Row*>(row)->memory(); },
    };
    return kind;
}

class RowSource {
public:
    virtual ~RowSource() = default;
    /// Null if there is no such row; a chunk row is never null: one that is not stored is empty.
    template <class Row>
    std::shared_ptr<const Row> find(const Key& key) const {
        return std::static_pointer_cast<const Row>(load(key, row_kind<Row>()));
    }

    /// The program's number; nothing if it is unknown.
    std::optional<std::uint32_t> number_of(const ProgramId& program) const;

protected:
    virtual std::shared_ptr<const void> load(const Key& key, const RowKind& kind) const = 0;
};

/// Least recently used rows in bounded memory. Thread-safe.
class RowCache {
public:
    explicit RowCache(std::size_t bytes) : bytes_per_shard_(bytes / kShards) {}
    std::shared_ptr<const void> find(const Key& key);
    void insert(const Key& key, std::shared_ptr<const void> row, std::size_t memory);
    void erase(const Key& key);
    void clear();

private:
    static constexpr std::size_t kShards = 16;
    struct Entry {
        const Key* key;
        std::shared_ptr<const void> row;
        std::size_t memory;
    };
    struct Shard {
        std::mutex mutex;
        std::list<Entry> entries;  ///< most recently used first
        std::unordered_map<Key, std::list<Entry>::iterator> index;
        std::size_t bytes = 0;
    };
    Shard& shard_of(const Key& key) { return shards_[std::hash<Key>{}(key) >> 60]; }
    static void remove(Shard& shard, std::list<Entry>::iterator entry);

    std::size_t bytes_per_shard_;
    std::array<Shard, kShards> shards_;
};

/// The rows of the last published commit. Thread-safe while nothing publishes (Models' lock).
class CommittedRows final : public RowSource {
public:
    CommittedRows(const Store& store, RowCache& cache) : store_(store), cache_(cache) {}
    const Store& store() const { return store_; }
    std::shared_ptr<const void> load(const Key& key, const RowKind& kind) const override;

private:
    const Store& store_;
    RowCache& cache_;
};

/// Whether a changed chunk row is decoded at once, so that the cache holds it when the run is
/// published, or only if somebody reads it. At once is right for what many will read, lazily for
/// what is written in bulk and read seldom.
enum class Decode { lazily, now };

/// Rows changed by the run in progress, over the committed ones. One thread.
class Run final : public RowSource {
public:
    Run(const CommittedRows& committed, RowCache& cache) : committed_(committed), cache_(cache) {}

    /// The row, to be changed in place; made if it is not there. Record rows only.
    template <class Row>
    Row& edit(const Key& key) {
        return *static_cast<Row*>(edit_row(key, row_kind<Row>()));
    }
    /// Sets the row, whatever it was before: spares reading it. Record rows only.
    template <class Row>
    void put(const Key& key, Row row) {
        put_row(key, row_kind<Row>(), std::make_shared<Row>(std::move(row)));
    }
    void erase(const Key& key);
    /// The operand to append operations to. They reach a decoded row in memory by `applied`
    /// (below), so that a row that nobody reads is never decoded.
    template <class Row>
    void change(const Key& key, std::string_view operations, Decode decode = Decode::lazily) {
        change_row(key, row_kind<Row>(), operations, decode);
    }

    bool empty() const { return pending_.empty(); }
    /// Everything pending, in key order.
    void write_to(StoreBatch& batch) const;
    /// After the batch was written: the changed rows become the cached ones. Leaves the run empty.
    void move_to_cache();
    void drop() { pending_.clear(); }

private:
    enum class Change { put, merge, erase };
    struct Pending {
        const RowKind* kind = nullptr;
        std::shared_ptr<void> row;  ///< null: not decoded (merge), or erased
        std::string operand;
        Change change = Change::put;
    };
    std::shared_ptr<const void> load(const Key& key, const RowKind& kind) const override;
    void* edit_row(const Key& key, const RowKind& kind);
    void change_row(const Key& key, const RowKind& kind, std::string_view operations,
                    Decode decode);
    void put_row(const Key& key, const RowKind& kind, std::shared_ptr<void> row);

    const CommittedRows& committed_;
    RowCache& cache_;
    mutable std::unordered_map<Key, Pending> pending_;
};

}  // namespace tidings
