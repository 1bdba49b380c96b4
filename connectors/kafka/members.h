// Who is alive (PROTOCOL.md rule 21): every process writes what it is and has to <prefix>.members
// several times within the timeout, and reads what the others write. This only spreads the work:
// the chain keeps the truth one when views differ.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"

namespace tidings::kafka {

struct Member {
    std::string id;   ///< of one process, from its start to its end
    std::string url;  ///< where other processes reach it; empty: not yet
    bool api = false, decider = false, projector = false;
    std::vector<std::uint32_t> ready;  ///< partitions that it has caught up with, ascending
    std::string keys;                  ///< fingerprint of its keys: the same everywhere
    bool operator==(const Member&) const = default;
};

/// JSON, one object; and back. Nothing: it is none.
std::string encode_member(const Member& member);
std::optional<Member> decode_member(std::string_view id, std::string_view value);

struct MembersOptions {
    std::string topic;
    std::chrono::milliseconds timeout{3'000};  ///< silent for that long: dead
};

/// Thread-safe.
class Members {
public:
    /// `producer` and `consumer` outlive it.
    Members(Producer& producer, Consumer& consumer, MembersOptions options, Member self);
    /// Says goodbye: the others need not wait for the timeout.
    ~Members();
    Members(const Members&) = delete;
    Members& operator=(const Members&) = delete;

    /// Starts the thread and waits until the topic was read to its end, what this process wrote
    /// came back, and every other live process had its turn to write. `changed` is called on the
    /// members' thread whenever live() has changed. Errors: io. Call once.
    Result<void> start(std::function<void()> changed);

    /// What this process tells of itself.
    void update(std::string url, std::vector<std::uint32_t> ready);
    const std::string& self() const { return self_id_; }
    /// By id. This process is among them while its own records come back in time.
    std::vector<Member> live() const;

private:
    struct Seen {
        Member member;
        std::chrono::steady_clock::time_point at;
    };
    void run();
    void publish();
    bool read_some();
    void take(const ConsumedRecord& record);
    bool drop_silent();

    Producer& producer_;
    const MembersOptions options_;
    const std::string self_id_;
    std::function<void()> changed_;
    PartitionReader reader_;
    std::uint64_t next_ = 0;     ///< the next record to read
    std::uint64_t history_ = 0;  ///< records before it were written before the start

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    Member self_;
    std::map<std::string, Seen> seen_;
    bool stale_ = true;  ///< what others know of us is not what we are
    bool stop_ = false;
    std::atomic<bool> heard_self_{false};
    std::thread thread_;
};

}  // namespace tidings::kafka
