// One partition's log in memory, shared by any number of handles (one per decider or reader), with
// everything that may go wrong between an append and its being read: it waits, it is lost, it lands
// late, twice, or without a word.
#pragma once

#include <cassert>
#include <optional>
#include <set>
#include <stdexcept>
#include <vector>

#include "core/log.h"

namespace tidings::testing {

/// What lies in the log. Tests may change it at will: that is what a damaged log is.
struct MemoryLogStore {
    explicit MemoryLogStore(std::uint32_t partition = 0, std::uint32_t partitions = 1) {
        genesis.log = LogId::from("0123456789abcdef");
        genesis.partition = PartitionId{partition};
        genesis.partitions = partitions;
        genesis.hash = sha256("genesis " + std::to_string(partition));
    }
    Genesis genesis;
    std::uint64_t generation = 0;  ///< leader changes; its handles may hear of them late
    std::vector<std::string> commands;
    std::set<std::uint64_t> lost_commands, lost_commits;  ///< positions that reading skips
    std::vector<std::string> commits;
    std::vector<std::string>
        late;  ///< appends whose outcome nobody knows; they may land at any time

    void land_late(std::size_t index) {
        commits.push_back(late[index]);
        late.erase(late.begin() + static_cast<std::ptrdiff_t>(index));
    }
};

class MemoryLog : public Log {
public:
    explicit MemoryLog(MemoryLogStore& store) : store_(store) {}

    /// True: an append waits until the test says what becomes of it; otherwise it lands at once.
    bool hold = false;
    /// Commits that reading does not show yet, counted from the end.
    std::size_t lag = 0;
    int failing_reads = 0;   ///< the next so many read_commits fail with `io`
    int throwing_reads = 0;  ///< ...or throw
    std::size_t commands_per_read = ~std::size_t{0}, commits_per_read = ~std::size_t{0};
    std::uint64_t appends = 0;
    bool reads_commands = false;  ///< since it was told that none are needed

    bool holding() const { return held_.has_value(); }
    void land() { store_.commits.push_back(take(AppendState::idle)); }
    void land_twice() {
        land();
        store_.commits.push_back(store_.commits.back());
    }
    void land_without_a_word() { store_.commits.push_back(take(AppendState::unknown)); }
    void lose() { take(AppendState::unknown); }
    void delay() { store_.late.push_back(take(AppendState::unknown)); }

    const Genesis& genesis() const override { return store_.genesis; }
    Result<void> append_command(std::string record) override {
        store_.commands.push_back(std::move(record));
        return {};
    }
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override {
        reads_commands = true;
        std::size_t bytes = 0, count = 0;
        for (std::uint64_t at = from.value; at < store_.commands.size(); ++at) {
            if (store_.lost_commands.contains(at)) continue;
            bytes += store_.commands[at].size();
            if (count > 0 && (bytes > max_bytes || count >= commands_per_read)) break;
            out.push_back({CommandPosition{at}, store_.commands[at]});
            ++count;
        }
        return {};
    }
    void append_commit(std::string record) override {
        assert(state_ != AppendState::pending);
        ++appends;
        held_ = std::move(record);
        state_ = AppendState::pending;
        if (!hold) land();
    }
    AppendState append_state() override { return state_; }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        if (throwing_reads > 0) {
            --throwing_reads;
            throw std::runtime_error("injected read exception");
        }
        if (failing_reads > 0) {
            --failing_reads;
            return Error{ErrorCode::io, "injected read failure", {}};
        }
        if (from.value > store_.commits.size()) {
            return Error{ErrorCode::log_mismatch, "reading past the end", {}};
        }
        std::size_t bytes = 0, count = 0;
        for (std::uint64_t at = from.value; at + lag < store_.commits.size(); ++at) {
            if (store_.lost_commits.contains(at)) continue;
            bytes += store_.commits[at].size();
            if (count > 0 && (bytes > max_bytes || count >= commits_per_read)) break;
            ++count;
            out.push_back({LogPosition{at}, store_.commits[at]});
        }
        return {};
    }
    Result<LogPosition> end_of_commits() override { return LogPosition{store_.commits.size()}; }
    void rest_commands() override { reads_commands = false; }

private:
    std::string take(AppendState after) {
        std::string record = std::move(held_.value());
        held_.reset();
        state_ = after;
        return record;
    }

    MemoryLogStore& store_;
    std::optional<std::string> held_;
    AppendState state_ = AppendState::idle;
};

}  // namespace tidings::testing
