#include "tests/simulation/sim_store.h"

#include <algorithm>

#include "projections/bytes.h"
#include "projections/chunks.h"

namespace tidings::simulation {

namespace {

class SimBatch final : public StoreBatch {
public:
    void put(std::string_view key, std::string_view value) override {
        add(SimChange::Kind::put, key, value);
    }
    void merge(std::string_view key, std::string_view operand) override {
        add(SimChange::Kind::merge, key, operand);
    }
    void erase(std::string_view key) override { add(SimChange::Kind::erase, key, {}); }
    std::size_t bytes() const override { return bytes_; }

    std::vector<SimChange> changes;

private:
    void add(SimChange::Kind kind, std::string_view key, std::string_view value) {
        changes.push_back({kind, std::string(key), std::string(value)});
        bytes_ += key.size() + value.size();
    }
    std::size_t bytes_ = 0;
};

void change_rows(SimRows& rows, const std::vector<SimChange>& changes) {
    for (const SimChange& change : changes) {
        switch (change.kind) {
            case SimChange::Kind::put:
                rows[change.key] = change.value;
                break;
            case SimChange::Kind::erase:
                rows.erase(change.key);
                break;
            case SimChange::Kind::merge: {
                std::optional<std::string_view> base;
                const auto found = rows.find(change.key);
                if (found != rows.end()) base = found->second;
                const std::string_view operand = change.value;
                std::string merged = merge_chunk(change.key, base, &operand, 1);
                rows[change.key] = std::move(merged);
                break;
            }
        }
    }
}

std::optional<std::string> get_row(const SimRows& rows, std::string_view key) {
    const auto found = rows.find(key);
    if (found == rows.end()) return std::nullopt;
    return found->second;
}

void scan_rows(const SimRows& rows, std::string_view from, std::string_view to, bool descending,
               const std::function<bool(std::string_view, std::string_view)>& visit) {
    const auto begin = rows.lower_bound(from);
    const auto end = rows.lower_bound(to);
    if (!descending) {
        for (auto row = begin; row != end; ++row)
            if (!visit(row->first, row->second)) return;
        return;
    }
    for (auto row = end; row != begin;) {
        --row;
        if (!visit(row->first, row->second)) return;
    }
}

/// A copy.
class SimView final : public StoreView {
public:
    explicit SimView(SimRows rows) : rows_(std::move(rows)) {}
    std::optional<std::string> get(std::string_view key) const override {
        return get_row(rows_, key);
    }
    void scan(std::string_view from, std::string_view to, bool descending,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
        scan_rows(rows_, from, to, descending, visit);
    }

private:
    const SimRows rows_;
};

Error full() { return {ErrorCode::io, "the simulated disk is full", {}}; }

}  // namespace

void SimDisk::crash(std::size_t kept) {
    unflushed.resize(std::min(kept, unflushed.size()));
    flush();
}

void SimDisk::flush() {
    for (const auto& batch : unflushed) change_rows(durable, batch);
    unflushed.clear();
}

SimStore::SimStore(SimDisk& disk) : disk_(disk), rows_(disk.durable) {
    for (const auto& batch : disk.unflushed) change_rows(rows_, batch);
}

std::unique_ptr<StoreBatch> SimStore::new_batch() const { return std::make_unique<SimBatch>(); }

Result<void> SimStore::write(StoreBatch& batch) {
    if (disk_.full || disk_.dead) return full();
    auto& changes = static_cast<SimBatch&>(batch).changes;
    change_rows(rows_, changes);
    disk_.unflushed.push_back(std::move(changes));
    return {};
}

void SimStore::fail_if_due() const {
    if (disk_.failing_reads == 0) return;
    --disk_.failing_reads;
    throw StorageFailure("the simulated disk fails to read");
}

std::optional<std::string> SimStore::get(std::string_view key) const {
    fail_if_due();
    return get_row(rows_, key);
}

void SimStore::scan(std::string_view from, std::string_view to, bool descending,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const {
    fail_if_due();
    scan_rows(rows_, from, to, descending, visit);
}

std::unique_ptr<StoreView> SimStore::freeze() const { return std::make_unique<SimView>(rows_); }

Result<void> SimStore::flush(bool) {
    if (disk_.full || disk_.dead) return full();
    disk_.flush();
    return {};
}

}  // namespace tidings::simulation
