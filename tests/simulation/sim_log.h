// One process' handle on a partition's log: the shared records of tests/support/memory_log.h, with
// commands that are under way for a while, and an append of a commit that waits for its fate.
#pragma once

#include <deque>

#include "tests/support/memory_log.h"

namespace tidings::simulation {

using Topic = testing::MemoryLogStore;

class SimLog final : public testing::MemoryLog {
public:
    /// `embedded`: commands wait in the process' memory, that is: they are in the log at once, and
    /// the world takes those without a commit away when the process dies.
    SimLog(Topic& topic, bool embedded) : MemoryLog(topic), topic_(topic), embedded_(embedded) {
        hold = true;
    }

    /// Kafka: the command is sent, and lands later.
    Result<void> append_command(std::string record) override {
        if (embedded_) return MemoryLog::append_command(std::move(record));
        under_way_.push_back(std::move(record));
        return {};
    }
    std::uint64_t generation() const override { return noticed_; }
    /// The client hears of the leader changes until now.
    void notice() { noticed_ = topic_.generation; }

    std::size_t under_way() const { return under_way_.size(); }
    /// The oldest command under way reaches the log; twice, if the producer gave up too early.
    void deliver(bool twice) {
        topic_.commands.push_back(under_way_.front());
        if (twice) topic_.commands.push_back(under_way_.front());
        under_way_.pop_front();
    }
    /// The process dies: what it had sent may still arrive, or be lost.
    std::deque<std::string> take_under_way() { return std::exchange(under_way_, {}); }

private:
    Topic& topic_;
    const bool embedded_;
    std::uint64_t noticed_ = 0;
    std::deque<std::string> under_way_;
};

}  // namespace tidings::simulation
