// A projection on the oracle's plain maps: publishing keeps the outcomes, dropping folds the kept
// ones again.
#pragma once

#include <vector>

#include "core/projection.h"
#include "tests/support/memory_facts.h"

namespace tidings::testing {

class MemoryProjection : public Projection {
public:
    /// The next so many publishes fail with `io`.
    int failing_publishes = 0;
    /// ...or throw.
    int throwing_publishes = 0;
    /// The next so many folds throw.
    int failing_folds = 0;
    /// How far behind the tip the ledger stays.
    std::size_t ledger_distance = 3;

    Tip tip() const override { return tips_.empty() ? Tip{} : tips_.back(); }
    std::optional<LedgerEntry> ledger() const override {
        if (tips_.size() <= ledger_distance) return std::nullopt;
        return LedgerEntry{tips_[tips_.size() - 1 - ledger_distance]};
    }
    const MemoryFacts& facts() const override { return facts_; }

    void fold(const Outcome& outcome) override {
        if (failing_folds > 0) {
            --failing_folds;
            throw std::runtime_error("injected fold failure");
        }
        run_.push_back(outcome);
        testing::fold(state_, outcome);
    }
    Result<void> publish(const Tip& tip, std::span<const Hash256>) override {
        if (throwing_publishes > 0) {
            --throwing_publishes;
            throw std::runtime_error("injected publish exception");
        }
        if (failing_publishes > 0) {
            --failing_publishes;
            return Error{ErrorCode::io, "injected publish failure", {}};
        }
        published_.insert(published_.end(), run_.begin(), run_.end());
        run_.clear();
        tips_.push_back(tip);
        return {};
    }
    void drop() override {
        if (run_.empty()) return;
        run_.clear();
        state_ = {};
        for (const Outcome& outcome : published_) testing::fold(state_, outcome);
    }

    /// Tip plus everything folded since.
    const MemoryState& state() const { return state_; }
    /// One per command, in the order of the log.
    const std::vector<Outcome>& published() const { return published_; }

private:
    MemoryState state_;
    MemoryFacts facts_{state_};
    std::vector<Outcome> published_, run_;
    std::vector<Tip> tips_;
};

}  // namespace tidings::testing
