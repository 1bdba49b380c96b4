#include "tests/simulation/world.h"

#include "tests/simulation/compare.h"

namespace tidings::simulation {

namespace {

constexpr std::int64_t kDayMs = 86'400'000;

}  // namespace

void Counts::add(const Counts& other) {
    steps += other.steps;
    submitted += other.submitted;
    acknowledged += other.acknowledged;
    refused += other.refused;
    unknown += other.unknown;
    commits += other.commits;
    commands += other.commands;
    events += other.events;
    compared += other.compared;
    stopped += other.stopped;
    for (std::size_t i = 0; i < actions.size(); ++i) actions[i] += other.actions[i];
}

World::World(const Setting& setting, bool tell) : setting_(setting), tell_(tell) {
    for (std::uint32_t p = 0; p < setting.partitions; ++p)
        parts_.push_back(std::make_unique<Part>(p, setting.partitions));
    Witness& witness = *this;
    nodes_.resize(setting.nodes);
    for (std::uint32_t n = 0; n < setting.nodes; ++n) {
        for (const auto& part : parts_) {
            part->decider = part->topic.genesis.partition.value % setting.nodes;
            nodes_[n].replicas.push_back(
                std::make_unique<Replica>(n, part->topic, setting_, codec_, witness));
        }
    }
    for (std::uint32_t n = 0; n < setting.nodes; ++n) start(n);
}

World::~World() = default;

void World::fail(const std::string& what) {
    if (!violation_.empty()) return;
    violation_ = what;
    tell("VIOLATION: " + what);
}

void World::tell(const std::string& line) {
    if (tell_) history_.push_back(line);
}

void World::act(const Action& action) {
    if (!violation_.empty()) return;
    ++acts_;
    if (perform(action)) ++counts_.actions[static_cast<std::size_t>(action.kind)];
}

bool World::perform(const Action& action) {
    const std::uint32_t number = action.node % setting_.nodes;
    const std::uint32_t partition = action.partition % setting_.partitions;
    Node& node = nodes_[number];
    Part& part = *parts_[partition];
    Replica& replica = *node.replicas[partition];
    switch (action.kind) {
        case ActionKind::submit:
            return submit(node, number, action);
        case ActionKind::repeat:
        case ActionKind::reuse:
            return again(node, number, action);
        case ActionKind::garbage:
            return garbage(part, action.value);
        case ActionKind::deliver:
            return deliver(number, partition, action.value);
        case ActionKind::step:
            if (acts_ < node.paused_until || !step(replica, action.value)) return false;
            if (replica.early && !part.damaged)
                fail("ready before what the log held at the start is applied");
            return true;
        case ActionKind::pause:
            node.paused_until = acts_ + action.value % 300;
            return true;
        case ActionKind::resolve:
            return resolve(number, partition, action.value);
        case ActionKind::land:
            return land(part, action.value);
        case ActionKind::expire:
            return expire(node);
        case ActionKind::notice:
            replica.log.notice();
            return true;
        case ActionKind::tick:
            now_ms_ += static_cast<std::int64_t>(action.value % 2'000);
            return true;
        case ActionKind::compare:
            return compare_now(part, replica);
        case ActionKind::lag:
            replica.log.lag = action.value % 5;
            return true;
        case ActionKind::crash:
            return crash(number, action.value);
        case ActionKind::start:
            return rebuild(number, action.value) || start(number);
        case ActionKind::takeover:
            return takeover(number, partition, action.value);
        case ActionKind::flush:
            return replica.running() && replica.models->flush().has_value();
        case ActionKind::fail_reads:
            return fail_reads(replica, action.value);
        case ActionKind::fail_writes:
            replica.disk.full = action.value % 3 == 0;
            return true;
        case ActionKind::long_time:
            now_ms_ += static_cast<std::int64_t>(action.value % 5) * kDayMs;
            return true;
        case ActionKind::clock_step:
            node.skew_ms += static_cast<std::int64_t>(action.value % 7'200'000) - 3'600'000;
            return true;
        case ActionKind::snapshot:
            return snapshot(number, partition, action.value);
        case ActionKind::truncate_commits:
            return truncate_commits(part, action.value);
        case ActionKind::lose_commands:
            return lose_commands(part, action.value);
        case ActionKind::regrow:
            return regrow(part, action.value);
        case ActionKind::lose_commits:
            return lose_commits(part, action.value);
        case ActionKind::truncate_commands:
            return truncate_commands(part, action.value);
        case ActionKind::flip:
            return flip(part, action.value);
        case ActionKind::recreate:
            return recreate(part);
        case ActionKind::count_:
            break;
    }
    return false;
}

// ---- progress

/// From the replica named on, the first for which `wanted` holds; null if there is none.
template <class F>
Replica* World::find_replica(std::uint32_t number, std::uint32_t partition, F wanted) {
    const std::uint32_t all = setting_.nodes * setting_.partitions;
    for (std::uint32_t i = 0; i < all; ++i) {
        const std::uint32_t at = (number * setting_.partitions + partition + i) % all;
        Replica& replica = *nodes_[at / setting_.partitions].replicas[at % setting_.partitions];
        if (wanted(replica)) return &replica;
    }
    return nullptr;
}

bool World::deliver(std::uint32_t number, std::uint32_t partition, std::uint64_t value) {
    Part& part = *parts_[partition];
    if (!part.stray.empty() && value % 3 == 0) {
        part.topic.commands.push_back(std::move(part.stray.front()));
        part.stray.pop_front();
        return true;
    }
    Replica* replica =
        find_replica(number, partition, [](const Replica& one) { return one.log.under_way() > 0; });
    if (replica == nullptr) return false;
    for (std::uint64_t n = value / 3 % 4 + 1; n > 0 && replica->log.under_way() > 0; --n)
        replica->log.deliver(value % 32 == 0);
    return true;
}

bool World::step(Replica& replica, std::uint64_t value) {
    if (!replica.running()) return false;
    const std::uint64_t before = replica.models->tip().sequence.value;
    for (std::uint64_t i = 0; i <= value % 6; ++i) {
        ++counts_.steps;
        if (!replica.step()) break;
    }
    if (replica.models->tip().sequence.value < before) fail("a position went backwards");
    return true;
}

bool World::resolve(std::uint32_t number, std::uint32_t partition, std::uint64_t value) {
    Replica* const holder =
        find_replica(number, partition, [](const Replica& one) { return one.log.holding(); });
    if (holder == nullptr) return false;
    Replica& replica = *holder;
    const std::uint64_t fate = value % 20;
    if (fate < 14) {
        replica.log.land();
    } else if (fate < 16) {
        replica.log.land_without_a_word();
    } else if (fate < 17) {
        replica.log.lose();
    } else if (setting_.embedded) {
        replica.log.land();
    } else if (fate < 18) {
        replica.log.land_twice();
    } else {
        replica.log.delay();
    }
    return true;
}

bool World::land(Part& part, std::uint64_t value) {
    if (part.topic.late.empty()) return false;
    part.topic.land_late(value % part.topic.late.size());
    return true;
}

bool World::compare_now(Part& part, Replica& replica) {
    if (!replica.ready() || replica.orphaned || part.end != Part::End::open) return false;
    read_reference(part);
    const Tip tip = replica.models->tip();
    if (!on_chain(part, tip) || tip.sequence.value != part.chain.size()) return false;
    if (!violation_.empty()) return false;
    const int failing = std::exchange(replica.disk.failing_reads, 0);
    for (const std::string& what : compare(*replica.models, part.oracle, Depth::quick))
        fail("read models at commit " + std::to_string(tip.sequence.value) + ": " + what);
    replica.disk.failing_reads = failing;
    ++counts_.compared;
    return true;
}

}  // namespace tidings::simulation
