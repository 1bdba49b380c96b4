#include "tests/simulation/actions.h"

#include <algorithm>
#include <array>

#include "tests/simulation/random.h"

namespace tidings::simulation {

namespace {

struct Kind {
    ActionKind kind;
    const char* name;
    std::uint32_t weight;  ///< of 10,000 or so; a fault's counts only in runs that have it
};

constexpr std::array<Kind, kActionKinds> kKinds{{
    {ActionKind::submit, "submit", 1'500},
    {ActionKind::repeat, "repeat", 200},
    {ActionKind::reuse, "reuse", 60},
    {ActionKind::garbage, "garbage", 10},
    {ActionKind::deliver, "deliver", 1'200},
    {ActionKind::step, "step", 5'000},
    {ActionKind::resolve, "resolve", 2'000},
    {ActionKind::land, "land", 100},
    {ActionKind::expire, "expire", 100},
    {ActionKind::notice, "notice", 100},
    {ActionKind::tick, "tick", 400},
    {ActionKind::compare, "compare", 60},
    {ActionKind::lag, "lag", 300},
    {ActionKind::pause, "pause", 40},
    {ActionKind::crash, "crash", 60},
    {ActionKind::start, "start", 400},
    {ActionKind::takeover, "takeover", 120},
    {ActionKind::flush, "flush", 100},
    {ActionKind::fail_reads, "fail_reads", 200},
    {ActionKind::fail_writes, "fail_writes", 120},
    {ActionKind::long_time, "long_time", 60},
    {ActionKind::clock_step, "clock_step", 40},
    {ActionKind::snapshot, "snapshot", 40},
    {ActionKind::truncate_commits, "truncate_commits", 120},
    {ActionKind::regrow, "regrow", 60},
    {ActionKind::truncate_commands, "truncate_commands", 20},
    {ActionKind::lose_commands, "lose_commands", 20},
    {ActionKind::lose_commits, "lose_commits", 60},
    {ActionKind::flip, "flip", 20},
    {ActionKind::recreate, "recreate", 5},
}};

constexpr bool is_damage(ActionKind kind) { return kind >= ActionKind::truncate_commits; }
constexpr bool is_fault(ActionKind kind) { return kind >= ActionKind::lag; }

}  // namespace

const char* name_of(ActionKind kind) { return kKinds[static_cast<std::size_t>(kind)].name; }

std::string describe(const Action& action) {
    return std::string(name_of(action.kind)) + " node=" + std::to_string(action.node) +
           " partition=" + std::to_string(action.partition) +
           " value=" + std::to_string(action.value);
}

bool Setting::damages() const { return std::any_of(faults.begin(), faults.end(), is_damage); }

Setting setting_of(std::uint64_t seed) {
    Random random(seed);
    Setting out;
    out.seed = seed;
    out.embedded = random.one_in(4);
    out.partitions = random.one_in(2) ? 1 : 2 + random.below(2);
    out.nodes = out.embedded ? 1 : 1 + random.below(4);
    out.programs = 1 + random.below(4);
    out.store_memory = random.one_in(2) ? 8 << 10 : 256 << 10;
    out.commits_per_read = random.one_in(2) ? 1 : 1'000;
    out.commands_per_read = random.one_in(2) ? 1 : 1'000;
    const bool damage = random.one_in(2);
    for (const Kind& kind : kKinds) {
        if (!is_fault(kind.kind) || random.one_in(2)) continue;
        if (is_damage(kind.kind) && (!damage || out.embedded)) continue;
        if (out.embedded && (kind.kind == ActionKind::lag || kind.kind == ActionKind::takeover))
            continue;
        out.faults.push_back(kind.kind);
    }
    return out;
}

std::vector<Action> actions_of(const Setting& setting, std::size_t count) {
    Random random(setting.seed * 0x9e3779b97f4a7c15 + 1);
    std::vector<const Kind*> kinds;
    std::uint64_t total = 0;
    for (const Kind& kind : kKinds) {
        const bool chosen = std::count(setting.faults.begin(), setting.faults.end(), kind.kind) > 0;
        // A process that is down can always be started.
        if (is_fault(kind.kind) && !chosen && kind.kind != ActionKind::start) continue;
        kinds.push_back(&kind);
        total += kind.weight;
    }
    std::vector<Action> out;
    out.reserve(count);
    while (out.size() < count) {
        std::uint64_t at = random.below(total);
        std::size_t i = 0;
        while (at >= kinds[i]->weight) at -= kinds[i++]->weight;
        Action action;
        action.kind = kinds[i]->kind;
        action.node = static_cast<std::uint32_t>(random.below(64));
        action.partition = static_cast<std::uint32_t>(random.below(64));
        action.value = random.next();
        out.push_back(action);
    }
    return out;
}

}  // namespace tidings::simulation
