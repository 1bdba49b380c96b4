// The real store, and a count of what is written to it.
#pragma once

#include <memory>

#include "projections/store.h"

namespace tidings::testing {

struct Written {
    std::size_t rows = 0;  ///< put, merged or erased
    std::size_t bytes = 0;
    bool flushes_fail = false;
};

class CountingStore final : public Store {
public:
    /// `written` outlives the store.
    CountingStore(std::unique_ptr<Store> store, Written& written)
        : store_(std::move(store)), written_(written) {}

    std::unique_ptr<StoreBatch> new_batch() const override {
        return std::make_unique<Batch>(store_->new_batch());
    }
    Result<void> write(StoreBatch& batch) override {
        auto& counted = dynamic_cast<Batch&>(batch);
        written_.rows += counted.written.rows;
        written_.bytes += counted.written.bytes;
        return store_->write(*counted.inner);
    }
    std::optional<std::string> get(std::string_view key) const override { return store_->get(key); }
    void scan(std::string_view from, std::string_view to, bool descending,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
        store_->scan(from, to, descending, visit);
    }
    std::unique_ptr<StoreView> freeze() const override { return store_->freeze(); }
    Result<void> flush(bool wait) override {
        if (written_.flushes_fail) return Error{ErrorCode::io, "the disk is full", {}};
        return store_->flush(wait);
    }
    Result<void> end_bulk() override { return store_->end_bulk(); }
    Result<void> snapshot(const std::filesystem::path& directory) override {
        return store_->snapshot(directory);
    }
    Result<void> erase_deleted(
        const std::vector<std::pair<std::string, std::string>>& ranges) override {
        return store_->erase_deleted(ranges);
    }

private:
    struct Batch final : StoreBatch {
        explicit Batch(std::unique_ptr<StoreBatch> batch) : inner(std::move(batch)) {}
        void put(std::string_view key, std::string_view value) override {
            count(key, value);
            inner->put(key, value);
        }
        void merge(std::string_view key, std::string_view operand) override {
            count(key, operand);
            inner->merge(key, operand);
        }
        void erase(std::string_view key) override {
            count(key, {});
            inner->erase(key);
        }
        std::size_t bytes() const override { return inner->bytes(); }
        void count(std::string_view key, std::string_view value) {
            ++written.rows;
            written.bytes += key.size() + value.size();
        }

        std::unique_ptr<StoreBatch> inner;
        Written written;
    };

    std::unique_ptr<Store> store_;
    Written& written_;
};

}  // namespace tidings::testing
