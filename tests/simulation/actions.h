// What may happen in a simulation, as a list that a seed gives and that can be shortened: an action
// that makes no sense where it comes does nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tidings::simulation {

enum class ActionKind : std::uint8_t {
    // callers
    submit,   ///< a new command at a node
    repeat,   ///< an earlier one again, with the same id and content
    reuse,    ///< an earlier one's id with other content
    garbage,  ///< a command record that nobody can read
    // progress
    deliver,  ///< commands under way reach the log
    step,     ///< a node steps a partition's loop
    resolve,  ///< an append of a commit comes to its end, in one of five ways
    land,     ///< an append whose outcome nobody knows reaches the log after all
    expire,   ///< callers whose time is over are told so
    notice,   ///< a node hears that the log's leader changed
    tick,     ///< time passes: milliseconds to minutes
    compare,  ///< a node's read models against the oracle
    // faults that an intact log survives
    lag,          ///< a node does not see the newest records yet
    pause,        ///< a node stands still for a while, and does not know it
    crash,        ///< a node's process dies; its store keeps a prefix of what was not flushed
    start,        ///< a node's process starts
    takeover,     ///< another node decides; the one before stops, or does not notice
    flush,        ///< a node's store makes everything durable
    fail_reads,   ///< a node's next reads of the log or of its store fail
    fail_writes,  ///< a node's disk is full, or has room again
    long_time,    ///< days pass
    clock_step,   ///< a node's wall clock is set
    snapshot,     ///< a node is restored from another one's store
    // damage: the log is not what it was
    truncate_commits,
    regrow,  ///< the tail is lost, and others come to lie in its place while most nodes sleep
    truncate_commands,
    lose_commands,
    lose_commits,
    flip,
    recreate,
    count_,
};
const char* name_of(ActionKind kind);
inline constexpr std::size_t kActionKinds = static_cast<std::size_t>(ActionKind::count_);

struct Action {
    ActionKind kind = ActionKind::step;
    std::uint32_t node = 0, partition = 0;  ///< taken modulo how many there are
    std::uint64_t value = 0;                ///< every choice within the action follows from it
};
std::string describe(const Action& action);

/// What a seed chooses before anything happens.
struct Setting {
    std::uint64_t seed = 0;
    bool embedded = false;  ///< one node, whose commands wait in its own memory
    std::uint32_t partitions = 1, nodes = 1, programs = 2;
    std::size_t store_memory = 0;  ///< of decoded rows, a node's partition
    std::size_t commits_per_read = 0;
    std::size_t commands_per_read = 0;  ///< of a decider; with 1, all deciders cut alike
    std::vector<ActionKind> faults;  ///< that occur in this run (swarm testing; Groce et al. 2012)
    bool damages() const;
};

Setting setting_of(std::uint64_t seed);
std::vector<Action> actions_of(const Setting& setting, std::size_t count);

}  // namespace tidings::simulation
