// What goes wrong: processes, disks, clocks, and the log itself.
#include <algorithm>

#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

namespace tidings::simulation {

bool World::crash(std::uint32_t number, std::uint64_t value) {
    Node& node = nodes_[number];
    if (!node.up) return false;
    Random random(value);
    node.up = false;
    for (const auto& replica : node.replicas) {
        const std::uint32_t partition = static_cast<std::uint32_t>(&replica - node.replicas.data());
        Part& part = *parts_[partition];
        if (replica->log.holding()) {
            if (random.one_in(2)) {
                replica->log.land();
            } else if (random.one_in(2) || setting_.embedded) {
                replica->log.lose();
            } else {
                replica->log.delay();
            }
        }
        for (std::string& sent : replica->log.take_under_way())
            if (random.one_in(2)) part.stray.push_back(std::move(sent));
        replica->crash(random.below(replica->disk.unflushed.size() + 1));
        replica->orphaned = false;
        if (!setting_.embedded) continue;
        read_reference(part);
        const std::uint64_t answered = part.chain.empty() ? 0 : part.chain.back().last_command + 1;
        part.topic.commands.resize(std::min<std::size_t>(answered, part.topic.commands.size()));
    }
    for (Call& call : calls_) {
        if (call.node != number || call.state != Call::State::pending) continue;
        call.state = Call::State::unknown;
        ++counts_.unknown;
    }
    return true;
}

bool World::start(std::uint32_t number) {
    Node& node = nodes_[number];
    if (!node.up) {
        node.clock = std::make_unique<apps::IngressClock>([this, &node] {
            return apps::ClockReading{now_ms_ + node.skew_ms, now_ms_};
        });
    }
    bool started = false;
    for (std::uint32_t p = 0; p < setting_.partitions; ++p) {
        Replica& replica = *node.replicas[p];
        if (replica.running()) continue;
        Part& part = *parts_[p];
        replica.start(setting_.embedded || part.decider == number);
        read_reference(part);
        const bool sees_all =
            !part.damaged && replica.log.lag == 0 &&
            std::count(setting_.faults.begin(), setting_.faults.end(), ActionKind::lag) == 0;
        replica.must_reach = Sequence{sees_all ? part.chain.size() : 0};
        replica.early = false;
        started = true;
    }
    node.up = true;
    return started;
}

/// An operator deletes the read models of what has stopped, and starts again.
bool World::rebuild(std::uint32_t number, std::uint64_t value) {
    Node& node = nodes_[number];
    std::vector<Replica*> stopped;
    for (const auto& replica : node.replicas)
        if (replica->problem()) stopped.push_back(replica.get());
    if (stopped.empty()) return false;
    (void)crash(number, value);
    for (Replica* replica : stopped) replica->disk = SimDisk{};
    return start(number);
}

bool World::takeover(std::uint32_t number, std::uint32_t partition, std::uint64_t value) {
    Part& part = *parts_[partition];
    Replica& next = *nodes_[number].replicas[partition];
    if (part.decider == number || !next.running()) return false;
    if (value % 2 == 0) nodes_[part.decider].replicas[partition]->become(false);
    part.decider = number;  // otherwise the one before has not noticed
    next.become(true);
    return true;
}

bool World::fail_reads(Replica& replica, std::uint64_t value) {
    switch (value % 3) {
        case 0:
            replica.log.failing_reads = 1 + static_cast<int>(value / 3 % 3);
            break;
        case 1:
            replica.log.throwing_reads = 1 + static_cast<int>(value / 3 % 3);
            break;
        default:
            replica.disk.failing_reads = 1 + static_cast<int>(value / 3 % 3);
    }
    return true;
}

bool World::snapshot(std::uint32_t number, std::uint32_t partition, std::uint64_t value) {
    const std::uint32_t from = static_cast<std::uint32_t>(value % setting_.nodes);
    Replica& source = *nodes_[from].replicas[partition];
    if (from == number || !source.running() || source.disk.full || source.orphaned) return false;
    if (!source.models->flush()) return false;
    (void)crash(number, value / 64);
    nodes_[number].replicas[partition]->disk.durable = source.disk.durable;
    nodes_[number].replicas[partition]->disk.unflushed.clear();
    return true;
}

/// The tail is lost. Often just so much that a replica which was behind knows nothing of it, and
/// decides from now on: then the log grows again, under readers that are ahead.
bool World::truncate_commits(Part& part, std::uint64_t value) {
    auto& commits = part.topic.commits;
    if (commits.empty()) return false;
    const std::uint32_t partition = part.topic.genesis.partition.value;
    std::size_t left = commits.size() - std::min<std::size_t>(commits.size(), 1 + value % 3);
    std::optional<std::uint32_t> behind;
    for (std::uint32_t n = 0; n < setting_.nodes && value / 3 % 4 != 0; ++n) {
        const Replica& replica = *nodes_[n].replicas[partition];
        if (!replica.ready() || replica.orphaned) continue;
        const std::size_t next = replica.models->tip().next_record.value;
        if (next >= commits.size() || (behind && next >= left)) continue;
        behind = n;
        left = next;
    }
    read_reference(part);
    const std::size_t accepted = part.chain.empty() ? 0 : part.chain.back().record + 1;
    if (value / 96 % 4 == 0 && accepted < commits.size()) left = accepted;  // duplicates only
    commits.resize(left);
    part.damaged = true;
    ++part.topic.generation;
    auto& lost = part.topic.lost_commits;
    lost.erase(lost.lower_bound(std::max<std::size_t>(left, 1) - 1), lost.end());
    if (behind) (void)takeover(*behind, partition, value / 12);
    restart_reference(part);
    if (value / 24 % 2 == 0) return true;
    // With the commands that they answered: other ones will take their places. (Else the same ones
    // are decided again, to the same bytes.)
    read_reference(part);
    const std::uint64_t next = part.chain.empty() ? 0 : part.chain.back().last_command + 1;
    auto& commands = part.topic.commands;
    commands.resize(std::min<std::size_t>(commands.size(), next));
    part.topic.lost_commands.erase(part.topic.lost_commands.lower_bound(commands.size()),
                                   part.topic.lost_commands.end());
    part.replaced = true;
    return true;
}

/// The last commit is lost with its commands; as many others take their place, are decided by a
/// node that nobody knows, and perhaps one more after them.
bool World::regrow(Part& part, std::uint64_t value) {
    read_reference(part);
    if (part.chain.empty() || calls_.empty() || part.end != Part::End::open) return false;
    Random random(value);
    const std::uint64_t last = part.chain.back().last_command;
    const std::uint64_t first =
        part.chain.size() == 1 ? 0 : part.chain[part.chain.size() - 2].last_command + 1;
    auto& topic = part.topic;
    const Hash256 lost = part.chain.back().hash;
    while (!topic.commits.empty()) {  // and its duplicates
        const auto envelope = codec_.decode_envelope(topic.commits.back());
        if (envelope && envelope->sequence.value < part.chain.size()) break;
        topic.commits.pop_back();
    }
    topic.commands.resize(first);
    const std::uint64_t more = random.below(2);
    for (std::uint64_t at = first; at <= last + more; ++at) {
        const Call& call = random.pick(calls_);
        if (parts_[call.partition].get() != &part) {
            topic.commands.emplace_back("nobody can read this");
            continue;
        }
        Command command = call.command;
        command.id = CommandId::from(
            sha256("regrown " + std::to_string(random.next())).view().substr(0, CommandId::kSize));
        topic.commands.push_back(codec_.encode_command(command));
    }
    part.damaged = part.replaced = true;
    ++topic.generation;
    topic.lost_commits.clear();
    topic.lost_commands.clear();
    Replica stranger(90, topic, setting_, codec_, nobody());
    stranger.log.hold = false;
    stranger.log.commands_per_read = last - first + 1;
    stranger.start(true);
    while (stranger.step()) {
    }
    restart_reference(part);
    tell("regrown in place of " + to_hex(lost.view()).substr(0, 8));
    return true;
}

/// Retention, or someone's tool, deletes from the middle of the command log.
bool World::lose_commands(Part& part, std::uint64_t value) {
    if (part.topic.commands.empty()) return false;
    part.topic.lost_commands.insert(value % part.topic.commands.size());
    part.damaged = true;
    restart_reference(part);
    return true;
}

bool World::lose_commits(Part& part, std::uint64_t value) {
    if (part.topic.commits.size() < 2) return false;
    part.topic.lost_commits.insert(value % (part.topic.commits.size() - 1));  // in the middle
    part.damaged = true;
    restart_reference(part);
    return true;
}

bool World::truncate_commands(Part& part, std::uint64_t value) {
    auto& commands = part.topic.commands;
    if (commands.empty()) return false;
    commands.resize(commands.size() - std::min<std::size_t>(commands.size(), 1 + value % 3));
    auto& lost = part.topic.lost_commands;
    lost.erase(lost.lower_bound(commands.size()), lost.end());
    part.damaged = part.replaced = true;
    ++part.topic.generation;
    restart_reference(part);
    return true;
}

bool World::flip(Part& part, std::uint64_t value) {
    auto& commits = part.topic.commits;
    if (commits.empty()) return false;
    std::string& record = commits[value % commits.size()];
    record[value / 7 % record.size()] ^= static_cast<char>(1u << value / 64 % 8);
    part.damaged = true;
    restart_reference(part);
    return true;
}

bool World::recreate(Part& part) {
    part.topic.genesis.log = LogId::from("fedcba9876543210");
    part.topic.genesis.hash = sha256("another genesis");
    part.topic.commits.clear();
    part.topic.lost_commits.clear();
    part.topic.commands.clear();
    part.topic.lost_commands.clear();
    part.damaged = part.replaced = true;
    ++part.topic.generation;
    restart_reference(part);
    return true;
}

}  // namespace tidings::simulation
