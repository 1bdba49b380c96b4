// `audit verify --checkpoint`: with a checkpoint that was kept, no later change of a log stays
// hidden.
#include "apps/audit_checkpoints.h"

#include <fstream>

#include "connectors/keys.h"
#include "connectors/proofs.h"
#include "projections/models.h"
#include "tests/apps/audit_world.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {
namespace {

constexpr std::size_t kCheckedCommits = 10;
constexpr std::uint64_t kCheckedSeed = 3;

AuditWorld checked_log(bool exact) {
    AuditWorld world(exact);
    world.play(kCheckedSeed, kCheckedCommits);
    return world;
}

/// After each commit.
std::vector<Checkpoint> checkpoints_of(AuditWorld& world) {
    std::vector<Checkpoint> out;
    merkle::Frontier tree;
    AuditWalk walk(world, world.codec, *world.end_of_commits());
    while (const auto commit = walk.next()) {
        REQUIRE(
            world.codec
                .read_leaves(commit->record.bytes,
                             [&](std::string_view leaf) { tree.append(merkle::leaf_hash(leaf)); })
                .has_value());
        out.push_back({"tidings.example/x/p0", tree.size(), tree.root(),
                       ChainPosition{commit->envelope.sequence, commit->envelope.hash}});
    }
    REQUIRE(out.size() == kCheckedCommits);
    return out;
}

/// The read models of the log as it was.
std::unique_ptr<Models> models_of(AuditWorld& world, const std::filesystem::path& directory) {
    auto models = Models::open({.directory = directory}).value();
    AuditWalk walk(world, world.codec, *world.end_of_commits());
    while (const auto commit = walk.next()) {
        std::vector<Hash256> leaves;
        REQUIRE(world.codec
                    .read_leaves(
                        commit->record.bytes,
                        [&](std::string_view leaf) { leaves.push_back(merkle::leaf_hash(leaf)); })
                    .has_value());
        for (const Outcome& outcome : commit->outcomes) models->fold(outcome);
        REQUIRE(models->publish(walk.audit().tip, leaves).has_value());
    }
    return models;
}

/// What `audit verify --checkpoint` finds.
std::optional<AuditFault> verify(AuditWorld& world, const std::vector<Checkpoint>& checkpoints,
                                 const ReadModels* models) {
    CheckpointCheck check(world.codec, checkpoints, models);
    AuditWalk walk(world, world.codec, *world.end_of_commits());
    while (const auto commit = walk.next()) {
        if (!check.take(*commit)) break;
    }
    if (walk.audit().fault) return walk.audit().fault;
    (void)check.finish(walk.audit().tip);
    if (!check.fault()) CHECK(check.confirmed() == checkpoints.size());
    return check.fault();
}

void check_position(const std::optional<AuditFault>& fault, std::uint64_t position) {
    REQUIRE(fault.has_value());
    INFO(to_text(*fault));
    REQUIRE(fault->position.value == position);
}

/// Other outcomes that still answer the same commands: what a forger would write.
std::vector<std::vector<Outcome>> forged(const std::vector<Outcome>& outcomes) {
    std::vector<std::vector<Outcome>> out;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        if (outcomes[i].refusal && outcomes[i].refusal->code == ErrorCode::malformed) continue;
        out.push_back(outcomes);
        ++out.back()[i].time.value;
        out.push_back(outcomes);
        out.back()[i].answer.value ^= 1;
        if (outcomes[i].events.empty()) continue;
        out.push_back(outcomes);
        out.back()[i].events.pop_back();
        if (outcomes[i].status == OutcomeStatus::refused) out.pop_back();
    }
    return out;
}

}  // namespace

TEST_CASE("an untouched log is what each of its checkpoints covers, also when it has grown") {
    for (const bool exact : {true, false}) {
        AuditWorld world = checked_log(exact);
        const std::vector<Checkpoint> all = checkpoints_of(world);
        CHECK_FALSE(verify(world, {}, nullptr));
        CHECK_FALSE(verify(world, all, nullptr));
        for (const Checkpoint& one : all) {
            CHECK_FALSE(verify(world, {one}, nullptr));
            Checkpoint bare = one;  // of another size than a tip's, it names no commit
            bare.chain.reset();
            CHECK_FALSE(verify(world, {bare}, nullptr));
        }
        const Checkpoint empty{"tidings.example/x/p0", 0, sha256(""), std::nullopt};
        CHECK_FALSE(verify(world, {empty}, nullptr));
    }
}

TEST_CASE("every flipped byte, dropped and swapped record is found at its position") {
    AuditWorld world = checked_log(true);
    const std::vector<Checkpoint> last = {checkpoints_of(world).back()};
    for (std::size_t at = 1; at <= kCheckedCommits; ++at) {
        std::string& record = world.store.commits[at];
        for (std::size_t byte = 0; byte < record.size(); ++byte) {
            record[byte] = static_cast<char>(record[byte] ^ 0x20);
            check_position(verify(world, last, nullptr), at);
            record[byte] = static_cast<char>(record[byte] ^ 0x20);
        }
        AuditWorld dropped(world);
        dropped.store.commits.erase(dropped.store.commits.begin() +
                                    static_cast<std::ptrdiff_t>(at));
        check_position(verify(dropped, last, nullptr), at);
        if (at == kCheckedCommits) continue;
        AuditWorld swapped(world);
        std::swap(swapped.store.commits[at], swapped.store.commits[at + 1]);
        check_position(verify(swapped, last, nullptr), at);
    }
    CHECK_FALSE(verify(world, last, nullptr));
}

TEST_CASE("every record that is altered, with all hashes behind it made anew, is found") {
    for (const bool exact : {true, false}) {
        AuditWorld world = checked_log(exact);
        const std::vector<Checkpoint> all = checkpoints_of(world);
        const tidings::testing::TemporaryDirectory directory;
        const auto models = models_of(world, directory.path() / "models");
        std::size_t forgeries = 0;
        for (std::size_t at = 1; at <= kCheckedCommits; ++at) {
            for (const std::vector<Outcome>& changed : forged(world.outcomes(at))) {
                AuditWorld other(world);
                other.rewrite(at, changed);
                ++forgeries;
                REQUIRE_FALSE(other.verify().fault);  // nothing but a checkpoint shows it
                // with the read models beside it, one checkpoint is enough to name the record
                check_position(verify(other, {all.back()}, models.get()), at);
                // without them, the first that it can be
                check_position(verify(other, {all.back()}, nullptr), 1);
                check_position(verify(other, all, nullptr), at);
                if (at > 1) {
                    const std::vector<Checkpoint> around = {all[at - 2], all.back()};
                    check_position(verify(other, around, nullptr), at);
                    CHECK_FALSE(verify(other, {all[at - 2]}, models.get()));  // older than it
                }
            }
        }
        CHECK(forgeries > 2 * kCheckedCommits);
    }
}

TEST_CASE("altered commands are found, though the outcomes stay as they were") {
    AuditWorld world = checked_log(true);
    const std::vector<Checkpoint> all = checkpoints_of(world);
    const tidings::testing::TemporaryDirectory directory;
    const auto models = models_of(world, directory.path() / "models");
    for (std::size_t at = 1; at <= kCheckedCommits; ++at) {
        AuditWorld other(world);
        Envelope envelope = other.envelope(at);
        const auto command = other.codec.decode_command(other.store.commands[envelope.first.value]);
        if (!command) continue;  // the malformed one
        Command changed = *command;
        changed.actor.name = changed.actor.name.plain() + "!";  // somebody else asked
        other.store.commands[envelope.first.value] = other.codec.encode_command(changed);
        Sha256 commands;
        for (std::uint64_t c = envelope.first.value; c <= envelope.last.value; ++c) {
            commands.update(other.store.commands[c]);
        }
        envelope.commands = commands.finish();
        other.store.commits[at] = other.record(envelope, other.outcomes(at));
        for (std::size_t next = at + 1; next <= kCheckedCommits; ++next) {
            Envelope linked = other.envelope(next);
            linked.previous = other.envelope(next - 1).hash;
            other.store.commits[next] = other.record(linked, other.outcomes(next));
        }
        REQUIRE_FALSE(other.verify().fault);
        check_position(verify(other, all, models.get()), at);
        check_position(verify(other, {all.back()}, models.get()), 1);
    }
}

TEST_CASE("a log that was cut off below a checkpoint is found at its end") {
    for (const bool exact : {true, false}) {
        AuditWorld world = checked_log(exact);
        const std::vector<Checkpoint> all = checkpoints_of(world);
        for (std::size_t kept = 0; kept < kCheckedCommits; ++kept) {
            AuditWorld cut(world);
            cut.store.commits.resize(kept + 1);
            cut.store.commands.resize(kept == 0 ? 0 : all[kept - 1].size);
            REQUIRE_FALSE(cut.verify().fault);
            check_position(verify(cut, {all.back()}, nullptr), kept + 1);
            check_position(verify(cut, {all[kept]}, nullptr), kept + 1);
            if (kept > 0) CHECK_FALSE(verify(cut, {all[kept - 1]}, nullptr));
        }
    }
}

TEST_CASE("duplicates are listed as skipped, and change nothing about a checkpoint") {
    AuditWorld world = checked_log(false);
    const std::vector<Checkpoint> all = checkpoints_of(world);
    for (std::size_t at = 1; at <= kCheckedCommits; ++at) {
        AuditWorld other(world);
        other.store.commits.insert(
            other.store.commits.begin() + static_cast<std::ptrdiff_t>(at) + 1,
            other.store.commits[at]);
        const PartitionAudit audit = other.verify();
        REQUIRE(audit.skipped.size() == 1);
        CHECK(audit.skipped[0] ==
              SkippedRecord{LogPosition{at + 1}, Sequence{at}, SkippedKind::duplicate});
        CHECK_FALSE(verify(other, all, nullptr));
    }
}

TEST_CASE("checkpoints of a list, of notes one after the other, and of another log") {
    const tidings::testing::TemporaryDirectory directory;
    const auto keys = KeyRing::open(directory.path()).value();
    Genesis genesis;
    genesis.log.bytes[3] = 7;
    genesis.partitions = 2;
    const CheckpointSigner signer{"tidings.example", genesis.log, *keys};
    const std::string first = signer.sign({0}, {{}, 3, sha256("a")}),
                      second = signer.sign({1}, {{}, 4, sha256("b")});
    CHECK(split_notes(first).value() == std::vector<std::string>{first});
    CHECK(split_notes(first + second).value() == std::vector<std::string>{first, second});
    CHECK(split_notes(first + "\n" + second).value() == std::vector<std::string>{first, second});
    CHECK_FALSE(split_notes("{}").has_value());
    const auto file = (directory.path() / "notes").string();
    std::ofstream(file) << first << "\n" << second;
    const std::vector<VerifierKey> both = {signer.key({0}), signer.key({1})};
    const auto read = read_checkpoints({file}, both, genesis);
    REQUIRE(read.has_value());
    CHECK(read->at({0})[0].size == 3);
    CHECK(read->at({1})[0].size == 4);
    CHECK(read_checkpoints({file}, {both[0]}, genesis).error().code == ErrorCode::forbidden);
    CHECK(read_checkpoints({file + "x"}, both, genesis).error().code == ErrorCode::usage);
    genesis.log.bytes[3] = 8;
    CHECK(read_checkpoints({file}, both, genesis).error().code == ErrorCode::log_mismatch);
}

}  // namespace tidings::apps
