// What callers do, and what they are told.
#include <algorithm>

#include "connectors/canonical.h"
#include "events/json_output.h"
#include "tests/simulation/workload.h"
#include "tests/simulation/world.h"

namespace tidings::simulation {

namespace {

constexpr std::int64_t kTimeoutMs = 15'000;

CommandId id_of(std::uint64_t number) {
    return CommandId::from(sha256("command " + std::to_string(number)).view().substr(0, 16));
}

std::string show(const Command& command) {
    return to_hex(command.id.view()).substr(0, 8) + " " + name_of(command.body) + " " +
           command.program.value;
}

}  // namespace

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
    claims.sub = command.actor.sub.plain();
    if (claims.role == Role::partner) claims.partner = PartnerId{command.actor.sub.plain()};
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
        CallerDigest::from(sha256(command.actor.sub.plain()).view().substr(0, CallerDigest::kSize));
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
    if (tell_) {
        std::string json;
        append_command_json(json, command);
        tell("call " + std::to_string(call) + ": " + show(command) + " " + json);
    }
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

}  // namespace tidings::simulation
