// What the log says in truth, and what must hold when everything has come to rest.
#include <algorithm>

#include "tests/simulation/compare.h"
#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

namespace tidings::simulation {

namespace {

constexpr int kRounds = 2'000;  // of every replica, until everything must have come to rest
constexpr int kMostSteps = 20'000;

std::string name_of_part(std::uint32_t partition) {
    return "partition " + std::to_string(partition);
}

using Digests = std::vector<std::pair<ProgramId, Hash256>>;

}  // namespace

// ---- the reference

void World::restart_reference(Part& part) {
    part.chain.clear();
    part.oracle = Oracle();
    part.read = 0;
    part.end = Part::End::open;
}

void World::read_reference(Part& part) {
    while (part.read < part.topic.commits.size() && part.end == Part::End::open &&
           violation_.empty()) {
        const std::size_t at = part.read++;
        if (part.topic.lost_commits.contains(at)) continue;
        part.end = accept_reference(part, part.topic.commits[at]);
    }
}

/// The rules once more, in a few lines of their own. Returns why the log can be read no further.
World::Part::End World::accept_reference(Part& part, const std::string& record) {
    const auto envelope = codec_.decode_envelope(record);
    if (!envelope) {
        if (!part.damaged) fail("a record in the log is broken: " + envelope.error().detail);
        return Part::End::record;
    }
    if (envelope->sequence.value <= part.chain.size())
        return Part::End::open;  // a loser, or a duplicate
    const Hash256 tip = part.chain.empty() ? part.topic.genesis.hash : part.chain.back().hash;
    const std::uint64_t next = part.chain.empty() ? 0 : part.chain.back().last_command + 1;
    if (envelope->sequence.value != part.chain.size() + 1 || envelope->previous != tip ||
        envelope->first.value != next || envelope->last < envelope->first) {
        if (!part.damaged)
            fail("commit " + std::to_string(envelope->sequence.value) +
                 " does not continue the chain");
        return Part::End::record;
    }
    const auto outcomes = codec_.decode_outcomes(record);
    if (!outcomes || outcomes->size() != envelope->last.value - next + 1) {
        fail("a commit's outcomes cannot be decoded");
        return Part::End::record;
    }
    Sha256 commands;
    bool there = envelope->last.value < part.topic.commands.size();
    for (std::uint64_t at = next; there && at <= envelope->last.value; ++at)
        commands.update(part.topic.commands[at]);
    if (!there || commands.finish() != envelope->commands) {
        if (!part.replaced) fail("a commit answers other commands than the log holds");
        return Part::End::commands;
    }
    part.chain.push_back({envelope->hash, envelope->last.value, part.read - 1, *outcomes});
    ++counts_.commits;
    for (std::size_t i = 0; i < outcomes->size(); ++i) {
        ++counts_.commands;
        counts_.events += (*outcomes)[i].events.size();
        const auto command = codec_.decode_command(part.topic.commands[next + i]);
        if (!command) {
            if ((*outcomes)[i].status != OutcomeStatus::refused)
                fail("a command that cannot be read is not refused");
            continue;
        }
        const std::string wrong = part.oracle.apply(*command, (*outcomes)[i]);
        if (!wrong.empty())
            fail("command " + std::to_string(next + i) + " (" + name_of(command->body) +
                 "): " + wrong);
    }
    return Part::End::open;
}

bool World::on_chain(Part& part, const Tip& tip) {
    read_reference(part);
    const std::uint64_t sequence = tip.sequence.value;
    if (sequence == 0) return true;
    return sequence <= part.chain.size() && part.chain[sequence - 1].hash == tip.hash;
}

void World::published(std::uint32_t node, std::uint32_t partition,
                      std::span<const Outcome> outcomes, const Tip& tip) {
    Part& part = *parts_[partition];
    const std::string who = "node " + std::to_string(node) + ", " + name_of_part(partition) +
                            ", commit " + std::to_string(tip.sequence.value);
    tell(who + ": published");
    if (!on_chain(part, tip)) {
        if (!part.damaged) return fail(who + ": published what is not the log's truth");
        nodes_[node].replicas[partition]->orphaned = true;
        return;
    }
    const Tip& before = nodes_[node].replicas[partition]->seen;
    const std::uint64_t at = tip.sequence.value;
    const Hash256 previous = at == 1 ? part.topic.genesis.hash : part.chain[at - 2].hash;
    if (before.sequence.value + 1 != at || (at > 1 && before.hash != previous))
        return fail(who + ": does not continue what this node published before");
    const auto& logged = part.chain[at - 1].outcomes;
    if (!std::equal(outcomes.begin(), outcomes.end(), logged.begin(), logged.end()))
        fail(who + ": published other outcomes than the record holds");
}

// ---- at rest

void World::heal() {
    Random random(setting_.seed + 7);
    for (const auto& part : parts_)
        if (part->damaged) ++part->topic.generation;  // so that everybody looks again
    for (std::uint32_t n = 0; n < setting_.nodes; ++n) {
        nodes_[n].skew_ms = 0;
        for (std::uint32_t p = 0; p < setting_.partitions; ++p) {
            Replica& replica = *nodes_[n].replicas[p];
            replica.log.lag = 0;
            replica.log.notice();
            replica.log.failing_reads = replica.log.throwing_reads = 0;
            replica.disk.full = false;
            replica.disk.failing_reads = 0;
            if (replica.log.holding()) replica.log.land();
            replica.log.hold = false;
            while (replica.log.under_way() > 0) replica.log.deliver(false);
        }
        start(n);
    }
    for (const auto& part : parts_) {
        for (std::string& command : part->stray) part->topic.commands.push_back(std::move(command));
        part->stray.clear();
        // What was delayed arrives now, or never.
        while (!part->topic.late.empty() && random.one_in(2)) part->topic.land_late(0);
        part->topic.late.clear();
    }
}

/// Steps everything until nothing is left to do. False: it does not come to rest.
bool World::run_dry() {
    int steps = 0;
    for (int round = 0; round < kRounds; ++round) {
        bool worked = false;
        for (std::uint32_t i = 0; i < setting_.nodes * setting_.partitions; ++i) {
            const std::uint32_t partition = i / setting_.nodes;
            const std::uint32_t number = (parts_[partition]->decider + i) % setting_.nodes;
            Replica& replica = *nodes_[number].replicas[partition];  // the decider first
            while (replica.step()) {
                worked = true;
                ++counts_.steps;
                if (++steps > kMostSteps || !violation_.empty()) return false;
            }
        }
        // a step that waits or fails says no; twice in a row everybody: rest
        if (!worked && round > 3) return true;
    }
    return false;
}

void World::settle() {
    if (!violation_.empty()) return;
    // A last loss, which may be made good to the very same length.
    Random random(setting_.seed + 11);
    if (std::count(setting_.faults.begin(), setting_.faults.end(), ActionKind::truncate_commits))
        (void)truncate_commits(*parts_[random.below(setting_.partitions)], random.next());
    tell("faults end");
    heal();
    const bool rest = run_dry();
    if (!violation_.empty()) return;
    if (!rest) return fail("the cluster does not come to rest");
    check_at_rest();
}

void World::check_at_rest() {
    for (std::uint32_t p = 0; p < setting_.partitions && violation_.empty(); ++p) {
        Part& part = *parts_[p];
        read_reference(part);
        std::optional<Digests> common;
        for (std::uint32_t n = 0; n < setting_.nodes && violation_.empty(); ++n) {
            Replica& replica = *nodes_[n].replicas[p];
            check_replica(part, replica, n);
            if (replica.problem() || part.end != Part::End::open || !violation_.empty()) continue;
            const Digests digests = replica.models->program_digests();
            if (common && *common != digests) fail("two nodes' digests differ");
            common = digests;
        }
        if (common && violation_.empty()) check_rebuilt(part, p);
    }
    for (const Call& call : calls_)
        if (call.state == Call::State::pending && !parts_[call.partition]->damaged)
            fail("at rest a caller is left without an answer");
    if (violation_.empty()) check_other_cut();
}

void World::check_replica(Part& part, Replica& replica, std::uint32_t number) {
    const std::string who = "at rest, node " + std::to_string(number) + ", " +
                            name_of_part(part.topic.genesis.partition.value) + ": ";
    if (replica.problem()) {
        ++counts_.stopped;
        const ErrorCode code = replica.problem()->code;
        if (!part.damaged) return fail(who + "stopped: " + replica.problem()->detail);
        if (code != ErrorCode::log_mismatch && code != ErrorCode::corruption)
            fail(who + "stopped for another reason than the damage: " + replica.problem()->detail);
        return;
    }
    const Tip tip = replica.models->tip();
    if (part.end == Part::End::commands) return;  // who has no commands at hand cannot know
    if (part.end == Part::End::record) {          // who was past it need not look back
        if (tip.sequence.value <= part.chain.size() && !replica.orphaned)
            fail(who + "reads no further than a damaged record, and does not say so");
        return;
    }
    if (!replica.running() || !replica.ready()) return fail(who + "not ready");
    if (!on_chain(part, tip)) return fail(who + "not on the chain, and does not know it");
    if (tip.sequence.value != part.chain.size()) return fail(who + "not caught up");
    const std::uint64_t answered = part.chain.empty() ? 0 : part.chain.back().last_command + 1;
    if (!part.damaged && answered != part.topic.commands.size())
        return fail(who + "commands are left without an answer");
    for (const std::string& what : compare(*replica.models, part.oracle, Depth::full))
        fail(who + what);
    for (const std::string& what : compare_facts(replica.models->facts(), part.oracle))
        fail(who + what);
    ++counts_.compared;
}

/// A follower from nothing, with another memory.
void World::check_rebuilt(Part& part, std::uint32_t number) {
    Setting setting = setting_;
    setting.store_memory = 1 << 10;
    Replica fresh(99, part.topic, setting, codec_, nobody());
    fresh.start(false);
    for (int i = 0; i < kMostSteps && fresh.step(); ++i) {
    }
    if (fresh.problem()) {
        if (!part.damaged) fail("a rebuild stopped: " + fresh.problem()->detail);
        return;
    }
    const Replica* live = nullptr;
    for (const Node& node : nodes_)
        if (!node.replicas[number]->problem()) live = node.replicas[number].get();
    if (live != nullptr && fresh.models->program_digests() != live->models->program_digests())
        fail(name_of_part(number) + ": a rebuild has another digest than the live read models");
    if (live != nullptr && fresh.models->tree_head().root != live->models->tree_head().root)
        fail(name_of_part(number) + ": a rebuild has another tree than the live read models");
}

/// The same commands on another number of partitions, decided again, in other runs.
void World::check_other_cut() {
    for (const auto& part : parts_)
        if (part->damaged) return;
    Setting setting = setting_;
    setting.embedded = true;
    setting.partitions = setting_.partitions % 3 + 1;
    std::vector<std::unique_ptr<Topic>> topics;
    std::vector<std::unique_ptr<Replica>> replicas;
    for (std::uint32_t p = 0; p < setting.partitions; ++p) {
        topics.push_back(std::make_unique<Topic>(p, setting.partitions));
        replicas.push_back(std::make_unique<Replica>(0, *topics.back(), setting, codec_, nobody()));
        replicas.back()->log.hold = false;
        replicas.back()->log.commands_per_read = 1 + setting_.seed % 7;
    }
    for (const auto& part : parts_) {
        for (const std::string& bytes : part->topic.commands) {
            const auto command = codec_.decode_command(bytes);
            if (command)
                topics[route(command->program, setting.partitions).value]->commands.push_back(
                    bytes);
        }
    }
    Digests expected, got;
    for (const auto& replica : replicas) {
        replica->start(true);
        for (int i = 0; i < kMostSteps && replica->step(); ++i) {
        }
        if (replica->problem()) return fail("another cut stopped: " + replica->problem()->detail);
        const Digests digests = replica->models->program_digests();
        got.insert(got.end(), digests.begin(), digests.end());
    }
    for (std::uint32_t p = 0; p < setting_.partitions; ++p) {
        const Digests digests = nodes_[0].replicas[p]->models->program_digests();
        expected.insert(expected.end(), digests.begin(), digests.end());
    }
    if (combine_digests(expected) != combine_digests(got))
        fail("the same commands on " + std::to_string(setting.partitions) +
             " partitions give another digest");
}

}  // namespace tidings::simulation
