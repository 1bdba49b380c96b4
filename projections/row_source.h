// Decoded rows: from the committed cache and store, or from a run in progress on top of them.
#pragma once

#include <boost/container/deque.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <forward_list>
#include <map>
#include <memory>

#include "core/projection.h"
#include "projections/chunks.h"
#include "projections/row_cache.h"
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

using RowPtr = RowCache::Row;

class RowSource {
public:
    virtual ~RowSource() = default;
    /// Null if there is no such row; a chunk row is never null: one that is not stored is empty.
    /// Valid and unchanged for as long as it is held.
    template <class Row>
    std::shared_ptr<const Row> find(const Key& key) const {
        RowPtr loaded;
        const RowPtr* row = load(key, row_kind<Row>(), loaded);
        if (row == nullptr) return nullptr;
        return std::static_pointer_cast<const Row>(*row);
    }
    /// The same for hot paths: counts no reference. Valid until the RowScope around it ends (there
    /// need not be one), the row is changed in the run, or anything is published or dropped; for
    /// readers while they hold the models' lock.
    template <class Row>
    const Row* peek(const Key& key) const {
        RowPtr loaded;
        const RowPtr* row = load(key, row_kind<Row>(), loaded);
        if (row == nullptr) return nullptr;
        if (row == &loaded) row = &kept_.emplace_front(std::move(loaded));
        return static_cast<const Row*>(row->get());
    }

    /// The program's number; nothing if it is unknown.
    std::optional<std::uint32_t> number_of(const ProgramId& program) const;

protected:
    /// Null if there is no such row; `loaded`, with the row in it, if nothing else holds it.
    virtual const RowPtr* load(const Key& key, const RowKind& kind, RowPtr& loaded) const = 0;
    void release() { kept_.clear(); }

private:
    friend class RowScope;
    mutable std::forward_list<RowPtr> kept_;  ///< peeked at, and the cache had no room
};

/// Lets go of the rows that were peeked at within it. For loops.
class RowScope {
public:
    explicit RowScope(const RowSource& rows) : rows_(rows), mark_(rows.kept_.begin()) {}
    ~RowScope() {
        while (rows_.kept_.begin() != mark_) rows_.kept_.pop_front();
    }
    RowScope(const RowScope&) = delete;
    RowScope& operator=(const RowScope&) = delete;

private:
    const RowSource& rows_;
    const std::forward_list<RowPtr>::iterator mark_;
};

/// The rows of the last published commit, for one reader. Nothing may be published while it is used
/// (Models' lock).
class CommittedRows final : public RowSource {
public:
    CommittedRows(const StoreView& store, RowCache& cache) : store_(store), cache_(cache) {}
    const StoreView& store() const { return store_; }
    const RowPtr* load(const Key& key, const RowKind& kind, RowPtr& loaded) const override;

private:
    const StoreView& store_;
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
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

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
    /// The same by the row's bytes, for rows that come in great numbers: decoded only if somebody
    /// reads it, and so not in the cache when the run is published.
    template <class Row>
    void put_encoded(const Key& key, std::string bytes) {
        pending(key) = Pending{&row_kind<Row>(), nullptr, std::move(bytes), Change::put};
    }
    /// The same for a row that is not stored and never was.
    template <class Row>
    void add_encoded(const Key& key, std::string bytes) {
        added_pending(key) = Pending{&row_kind<Row>(), nullptr, std::move(bytes), Change::put};
    }
    void erase(const Key& key);
    /// The operand to append operations to. They reach a decoded row in memory by `applied`
    /// (below), so that a row that nobody reads is never decoded.
    template <class Row>
    void change(const Key& key, std::string_view operations, Decode decode = Decode::lazily) {
        change_row(key, row_kind<Row>(), operations, decode);
    }

    /// The chunk to be changed in place, if it will be written whole (set_rewriting()); otherwise
    /// null: use change(). Valid until anybody else changes or reads the row.
    template <class Row>
    Row* rewrite(const Key& key) {
        return static_cast<Row*>(rewrite_row(key, row_kind<Row>()));
    }

    /// From now on chunks that are decoded at once are written whole, not as operations: cheaper
    /// where each changes much in one run.
    void set_rewriting(bool rewriting) { rewriting_ = rewriting; }

    std::size_t size() const;
    /// The rows of the last published commit, and the keys of those that this run has changed
    /// since.
    const StoreView& stored() const { return committed_.store(); }
    bool is_changed(const Key& key) const { return find_pending(key) != nullptr; }
    /// Those that begin so.
    std::vector<Key> changed(const Key& prefix) const;
    /// Everything pending, in key order. The run stays as it is until the batch is written.
    void write_to(StoreBatch& batch);
    /// After the batch was written: the changed rows become the cached ones. Leaves the run empty.
    void move_to_cache();
    void drop();

private:
    enum class Change { put, merge, erase };
    struct Pending {
        const RowKind* kind = nullptr;
        RowPtr row;         ///< null: not decoded, or erased
        std::string bytes;  ///< merge: the operand; put: the row's, or empty: only `row` has it
        Change change = Change::put;
    };
    using KeyedChange = std::pair<const Key, Pending>;

    const RowPtr* load(const Key& key, const RowKind& kind, RowPtr& loaded) const override;
    /// What the run changes about the row; null if it is nothing yet.
    Pending* find_pending(const Key& key) const;
    /// The same; made if it is nothing yet.
    Pending& pending(const Key& key);
    /// The same, where there is nothing yet and never was.
    Pending& added_pending(const Key& key);
    /// Those that are not added_, in the order of keys.
    std::vector<KeyedChange*> sorted_changes();
    static void decode_put(const Key& key, Pending& pending);
    /// A copy, to be changed; null if there is none.
    RowPtr clone_committed(const Key& key, const RowKind& kind) const;
    void* edit_row(const Key& key, const RowKind& kind);
    void* rewrite_row(const Key& key, const RowKind& kind);
    void change_row(const Key& key, const RowKind& kind, std::string_view operations,
                    Decode decode);
    void put_row(const Key& key, const RowKind& kind, RowPtr row);

    const CommittedRows& committed_;
    RowCache& cache_;
    bool rewriting_ = false;
    /// Pointers to the changes stay good.
    using Changes = boost::container::deque<
        KeyedChange, void, boost::container::deque_options_t<boost::container::block_size<64>>>;
    Changes changes_;  ///< in the order in which they began
    boost::unordered_flat_map<std::string_view, Pending*, std::hash<std::string_view>>
        index_;  ///< of their keys
    /// New rows of each table that came in the order of their keys, as most do that come in great
    /// numbers: neither hashed nor sorted.
    std::map<Table, Changes> added_;
};

}  // namespace tidings
