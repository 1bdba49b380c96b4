#include "tests/simulation/world.h"

#include <algorithm>

#include "connectors/canonical.h"
#include "tests/simulation/compare.h"
#include "tests/simulation/workload.h"

namespace tidings::simulation {

namespace {

constexpr std::int64_t kTimeoutMs = 15'000;
constexpr std::int64_t kDayMs = 86'400'000;

CommandId id_of(std::uint64_t number) {
    return CommandId::from(sha256("command " + std::to_string(number)).view().substr(0, 16));
}

std::string show(const Command& command) {
    return to_hex(command.id.view()).substr(0, 8) + " " + name_of(command.body) + " " +
           command.program.value;
}

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
            return step(replica, action.value);
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
            now_ms_ += static_cast<std::int64_t>(action.value % 10'000);
            return true;
        case ActionKind::compare:
            return compare_now(part, replica);
        case ActionKind::lag:
            replica.log.lag = action.value % 4;
            return true;
        case ActionKind::crash:
            return crash(number, action.value);
        case ActionKind::start:
            return start(number);
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

// ---- callers

bool World::submit(Node& node, std::uint32_t number, const Action& action) {
    Random random(action.value);
    const ProgramId program = program_id(random.below(setting_.programs));
    const std::uint32_t partition = route(program, setting_.partitions).value;
    Replica& replica = *node.replicas[partition];
    if (!replica.ready()) return false;
    const Result<Timestamp> stamp = node.clock->stamp();
    if (!stamp) return false;
    Command command;
    try {
        command = make_command(*replica.models, program, *stamp, random);
    } catch (const std::exception&) {
        return false;  // its disk fails
    }
    command.id = id_of(++ids_);
    const bool message = std::holds_alternative<SendMessage>(command.body) ||
                         std::holds_alternative<PostReply>(command.body);
    if (!message) {  // as events of an upstream platform are, by source and id
        command.remember = random.one_in(2);
        return send(node, number, std::move(command), {});
    }
    if (random.one_in(2)) return send(node, number, std::move(command), {});
    // Few enough keys that callers use the same ones, each in a scope of its own.
    Claims claims;
    claims.role = command.actor.role;
    claims.sub = command.actor.sub;
    if (claims.role == Role::partner) claims.partner = PartnerId{command.actor.sub};
    const std::string key = "key " + std::to_string(random.below(40));
    command.id = command_id_of_key(claims, program, key);
    command.remember = true;
    return send(
        node, number, std::move(command),
        std::string(name_of(claims.role)) + "/" + program.value + "/" + claims.sub + "/" + key);
}

bool World::again(Node& node, std::uint32_t number, const Action& action) {
    if (calls_.empty()) return false;
    Random random(action.value);
    const Call& earlier = calls_[random.below(calls_.size())];
    Command command = earlier.command;
    const std::string key = earlier.key;
    if (!command.remember) return false;
    const std::uint32_t partition = route(command.program, setting_.partitions).value;
    Replica& replica = *node.replicas[partition];
    if (!replica.ready()) return false;
    if (action.kind == ActionKind::reuse) {
        const CommandId id = command.id;
        try {
            command = make_command(*replica.models, command.program, command.time, random);
        } catch (const std::exception&) {
            return false;
        }
        command.id = id;
        command.remember = true;
    }
    return send(node, number, std::move(command), key);
}

bool World::send(Node& node, std::uint32_t number, Command command, std::string key) {
    const std::uint32_t partition = route(command.program, setting_.partitions).value;
    Replica& replica = *node.replicas[partition];
    const Result<Timestamp> stamp = node.clock->stamp();
    if (!stamp) return false;
    Command content = command;  // what the digest is of: not when, nor under which id
    content.id = CommandId{};
    content.time = Timestamp{};
    content.digest = ContentDigest{};
    command.digest = ContentDigest::from(
        sha256(codec_.encode_command(content)).view().substr(0, ContentDigest::kSize));
    command.caller =
        CallerDigest::from(sha256(command.actor.sub).view().substr(0, CallerDigest::kSize));
    command.time = *stamp;
    command.track = std::holds_alternative<SendMessage>(command.body) ||
                    std::holds_alternative<PostReply>(command.body);
    const std::size_t call = calls_.size();
    calls_.push_back({command, std::move(key), number, partition, Call::State::pending});
    const std::int64_t steady = node.clock->steady_ms();
    Broker::Done done = [this, call](const Result<Applied>& answer) { answered(call, answer); };
    const auto ticket =
        replica.waiters->add(command.id, command.digest, done, steady, steady + kTimeoutMs);
    if (!ticket) {
        calls_.pop_back();
        return false;
    }
    (void)replica.log.append_command(codec_.encode_command(command));
    ++counts_.submitted;
    if (tell_) tell("call " + std::to_string(call) + ": " + show(command));
    return true;
}

void World::answered(std::size_t number, const Result<Applied>& answer) {
    Call& call = calls_[number];
    const std::string name = "call " + std::to_string(number) + " (" + show(call.command) + ")";
    if (call.state != Call::State::pending) return fail(name + " is answered twice");
    if (!answer) {
        call.state = Call::State::unknown;
        ++counts_.unknown;
        return;
    }
    call.state = Call::State::answered;
    const Outcome& outcome = answer->outcome;
    ++(outcome.status == OutcomeStatus::refused ? counts_.refused : counts_.acknowledged);
    tell(name + " is answered: " + name_of(outcome.status) + " by commit " +
         std::to_string(answer->sequence.value));
    if (outcome.id != call.command.id || outcome.digest != call.command.digest)
        return fail(name + " is answered with the outcome of another command");
    check_key(number, outcome);
    Replica& replica = *nodes_[call.node].replicas[call.partition];
    if (replica.models->tip().sequence < answer->sequence)
        return fail(name + " is answered before its commit is visible");
    if (replica.orphaned) return;
    const auto& chain = parts_[call.partition]->chain;
    if (answer->sequence.value > chain.size())
        return fail(name + " is answered by a commit that is not in the log");
    for (const Outcome& logged : chain[answer->sequence.value - 1].outcomes)
        if (logged.id == outcome.id && logged.digest == outcome.digest &&
            logged.status == outcome.status && logged.answer == outcome.answer)
            return;
    fail(name + " is answered otherwise than its commit says");
}

/// A key that nobody used before in its scope cannot have been used before.
void World::check_key(std::size_t number, const Outcome& outcome) {
    const Call& call = calls_[number];
    const bool used =
        outcome.status == OutcomeStatus::replayed ||
        (outcome.refusal && outcome.refusal->code == ErrorCode::idempotency_key_reused);
    if (!used || call.key.empty()) return;
    const bool found = std::any_of(calls_.begin(), calls_.end(), [&](const Call& other) {
        return &other != &call && other.key == call.key;
    });
    if (!found) fail("call " + std::to_string(number) + ": nobody used " + call.key + " before");
}

bool World::garbage(Part& part, std::uint64_t value) {
    std::string bytes;
    for (Random random(value); bytes.size() < value % 40;)
        bytes += static_cast<char>(random.next());
    part.topic.commands.push_back(std::move(bytes));
    return true;
}

bool World::expire(Node& node) {
    if (!node.up) return false;
    for (const auto& replica : node.replicas)
        if (replica->waiters) replica->waiters->expire(node.clock->steady_ms());
    return true;
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
    if (tip.sequence.value != part.chain.size() || !violation_.empty()) return false;
    const int failing = std::exchange(replica.disk.failing_reads, 0);
    for (const std::string& what : compare(*replica.models, part.oracle, Depth::quick))
        fail("read models at commit " + std::to_string(tip.sequence.value) + ": " + what);
    replica.disk.failing_reads = failing;
    ++counts_.compared;
    return true;
}

// ---- faults

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
        replica.start(setting_.embedded || parts_[p]->decider == number);
        started = true;
    }
    node.up = true;
    return started;
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

bool World::truncate_commits(Part& part, std::uint64_t value) {
    auto& commits = part.topic.commits;
    if (commits.empty()) return false;
    commits.resize(commits.size() - std::min<std::size_t>(commits.size(), 1 + value % 3));
    part.damaged = true;
    auto& lost = part.topic.lost_commits;
    lost.erase(lost.lower_bound(std::max<std::size_t>(commits.size(), 1) - 1), lost.end());
    if (value / 3 % 2 == 0) return truncate_commands(part, value / 6);
    ++part.topic.generation;
    restart_reference(part);
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
