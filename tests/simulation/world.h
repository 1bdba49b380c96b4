// The simulated cluster: topics, nodes, callers, time; what the log says in truth, and the oracle
// that reads it. One thread; everything follows from the setting and the actions.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/node.h"
#include "tests/simulation/oracle.h"

namespace tidings::simulation {

struct Counts {
    std::uint64_t steps = 0, submitted = 0, acknowledged = 0, refused = 0, unknown = 0, commits = 0,
                  commands = 0, events = 0, compared = 0, stopped = 0;
    std::array<std::uint64_t, kActionKinds> actions{};  ///< that did something
    void add(const Counts& other);
};

class World final : private Witness {
public:
    explicit World(const Setting& setting, bool tell = false);
    ~World() override;

    /// Does nothing once something is wrong.
    void act(const Action& action);
    /// Faults end; everything must come to rest, answer every caller, and agree.
    void settle();

    /// What is wrong, in words; empty: nothing so far.
    const std::string& violation() const { return violation_; }
    const Counts& counts() const { return counts_; }
    /// What happened, a line each, if it was to be told.
    const std::vector<std::string>& history() const { return history_; }

private:
    struct Call {
        enum class State { pending, answered, unknown };
        Command command;
        std::string key;  ///< its Idempotency-Key with the scope; empty: none
        std::uint32_t node = 0, partition = 0;
        State state = State::pending;
    };
    struct Commit {
        Hash256 hash;
        std::uint64_t last_command = 0;
        std::size_t record = 0;  ///< its place in the log
        std::vector<Outcome> outcomes;
    };
    /// A partition as it is in truth: the log, and what a careful reader makes of it.
    struct Part {
        explicit Part(std::uint32_t number, std::uint32_t count) : topic(number, count) {}
        Topic topic;
        std::deque<std::string> stray;  ///< commands sent by processes that died
        std::uint32_t decider = 0;
        bool damaged = false;
        bool replaced = false;  ///< other commands may lie where some were answered
        // The reference: commits accepted so far, and the oracle after them.
        std::vector<Commit> chain;
        std::size_t read = 0;                                       ///< records looked at
        enum class End { open, record, commands } end = End::open;  ///< why it goes no further
        Oracle oracle;
    };
    struct Node {
        bool up = false;
        std::uint64_t paused_until = 0;  ///< an action's number
        std::int64_t skew_ms = 0;
        std::unique_ptr<apps::IngressClock> clock;
        std::vector<std::unique_ptr<Replica>> replicas;  ///< by partition
    };

    void published(std::uint32_t node, std::uint32_t partition, std::span<const Outcome> outcomes,
                   const Tip& tip) override;

    bool perform(const Action& action);
    bool submit(Node& node, std::uint32_t number, const Action& action);
    bool again(Node& node, std::uint32_t number, const Action& action);
    bool send(Node& node, std::uint32_t number, Command command, std::string key);
    void check_key(std::size_t call, const Outcome& outcome);
    void answered(std::size_t call, const Result<Applied>& answer);
    bool garbage(Part& part, std::uint64_t value);
    template <class F>
    Replica* find_replica(std::uint32_t number, std::uint32_t partition, F wanted);
    bool deliver(std::uint32_t number, std::uint32_t partition, std::uint64_t value);
    bool step(Replica& replica, std::uint64_t value);
    bool resolve(std::uint32_t number, std::uint32_t partition, std::uint64_t value);
    bool land(Part& part, std::uint64_t value);
    bool expire(Node& node);
    bool compare_now(Part& part, Replica& replica);
    bool crash(std::uint32_t number, std::uint64_t value);
    bool start(std::uint32_t number);
    bool rebuild(std::uint32_t number, std::uint64_t value);
    bool takeover(std::uint32_t number, std::uint32_t partition, std::uint64_t value);
    bool fail_reads(Replica& replica, std::uint64_t value);
    bool snapshot(std::uint32_t number, std::uint32_t partition, std::uint64_t value);
    bool truncate_commits(Part& part, std::uint64_t value);
    bool lose_commands(Part& part, std::uint64_t value);
    bool regrow(Part& part, std::uint64_t value);
    bool lose_commits(Part& part, std::uint64_t value);
    bool truncate_commands(Part& part, std::uint64_t value);
    bool flip(Part& part, std::uint64_t value);
    bool recreate(Part& part);

    void read_reference(Part& part);
    Part::End accept_reference(Part& part, const std::string& record);
    void restart_reference(Part& part);
    bool on_chain(Part& part, const Tip& tip);

    void heal();
    bool run_dry();
    void check_at_rest();
    void check_replica(Part& part, Replica& replica, std::uint32_t number);
    void check_rebuilt(Part& part, std::uint32_t number);
    void check_other_cut();

    void fail(const std::string& what);
    void tell(const std::string& line);

    const Setting setting_;
    const bool tell_;
    CapnpCodec codec_;
    std::int64_t now_ms_ = 1'700'000'000'000;
    std::uint64_t ids_ = 0, acts_ = 0;
    std::vector<std::unique_ptr<Part>> parts_;
    std::vector<Node> nodes_;
    std::vector<Call> calls_;
    Counts counts_;
    std::string violation_;
    std::vector<std::string> history_;
};

}  // namespace tidings::simulation
