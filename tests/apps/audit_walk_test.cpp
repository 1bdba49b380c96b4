// `audit verify` on a small log: whatever is done to a record is found at its position.
#include "apps/audit_walk.h"

#include "tests/apps/audit_world.h"

namespace tidings::apps {
namespace {

constexpr std::size_t kCommits = 8;
constexpr std::uint64_t kSeed = 3;

/// The same history in either kind of log.
AuditWorld small_log(bool exact) {
    AuditWorld world(exact);
    world.play(kSeed, kCommits);
    REQUIRE(world.store.commits.size() == kCommits + 1);
    REQUIRE(world.store.commands.size() > kCommits + 3);
    return world;
}

void check_fault(AuditWorld& world, std::uint64_t position) {
    const PartitionAudit audit = world.verify();
    REQUIRE(audit.fault.has_value());
    INFO(to_text(*audit.fault));
    REQUIRE(audit.fault->position.value == position);
    REQUIRE(audit.commits == position - 1);  // what came before it was sound
    REQUIRE(!audit.fault->detail.empty());
}

/// The commit that answers a command.
std::uint64_t answering(const AuditWorld& world, std::size_t command) {
    for (std::size_t at = 1; at < world.store.commits.size(); ++at) {
        if (world.envelope(at).last.value >= command) return at;
    }
    FAIL("no commit answers it");
    return 0;
}

TEST_CASE("a sound log verifies, with its sums and tip") {
    for (const bool exact : {true, false}) {
        AuditWorld world = small_log(exact);
        const PartitionAudit audit = world.verify();
        INFO((audit.fault ? to_text(*audit.fault) : ""));
        REQUIRE(!audit.fault);
        CHECK(audit.commits == kCommits);
        CHECK(audit.commands == world.store.commands.size());
        CHECK(audit.tip.hash == world.envelope(kCommits).hash);
        CHECK(audit.skips() == 0);
        std::uint64_t bytes = 0, events = 0;
        for (std::size_t at = 1; at <= kCommits; ++at) {
            bytes += world.store.commits[at].size();
            for (const Outcome& outcome : world.outcomes(at)) events += outcome.events.size();
        }
        for (const std::string& command : world.store.commands) bytes += command.size();
        CHECK(audit.bytes == bytes);
        CHECK(audit.events == events);
        CHECK(events > 0);
    }
}

TEST_CASE("every flipped byte of every commit record is found") {
    AuditWorld world = small_log(true);
    for (std::size_t at = 1; at <= kCommits; ++at) {
        for (std::size_t byte = 0; byte < world.store.commits[at].size(); ++byte) {
            for (const unsigned char mask : {0x01, 0x80}) {
                char& flipped = world.store.commits[at][byte];
                flipped = static_cast<char>(flipped ^ mask);
                check_fault(world, at);
                flipped = static_cast<char>(flipped ^ mask);
            }
        }
    }
    CHECK(!world.verify().fault);
}

TEST_CASE("every flipped byte of every command record is found") {
    AuditWorld world = small_log(false);
    for (std::size_t command = 0; command < world.store.commands.size(); ++command) {
        const std::uint64_t commit = answering(world, command);
        for (std::size_t byte = 0; byte < world.store.commands[command].size(); ++byte) {
            for (const unsigned char mask : {0x01, 0x80}) {
                char& flipped = world.store.commands[command][byte];
                flipped = static_cast<char>(flipped ^ mask);
                check_fault(world, commit);
                REQUIRE(world.verify().fault->command == world.envelope(commit).first);
                flipped = static_cast<char>(flipped ^ mask);
            }
        }
    }
    CHECK(!world.verify().fault);
}

TEST_CASE("dropped records are found, but for the end of a log that may have waiting commands") {
    for (const bool exact : {true, false}) {
        const AuditWorld sound = small_log(exact);
        for (std::size_t at = 1; at <= kCommits; ++at) {
            AuditWorld world = sound;
            world.store.commits.erase(world.store.commits.begin() + static_cast<int>(at));
            if (exact || at < kCommits) {
                check_fault(world, at);
            } else {  // a history that ended earlier looks the same: only its tip is another
                const PartitionAudit audit = world.verify();
                CHECK(!audit.fault);
                CHECK(audit.tip.hash == sound.envelope(kCommits - 1).hash);
            }
            AuditWorld gap = sound;
            gap.store.lost_commits.insert(at);
            check_fault(gap, at);
        }
        for (std::size_t command = 0; command < sound.store.commands.size(); ++command) {
            AuditWorld world = sound;
            world.store.commands.erase(world.store.commands.begin() + static_cast<int>(command));
            check_fault(world, answering(sound, command));
        }
    }
}

TEST_CASE("swapped records are found") {
    for (const bool exact : {true, false}) {
        AuditWorld world = small_log(exact);
        for (std::size_t at = 1; at < kCommits; ++at) {
            for (std::size_t other = at + 1; other <= kCommits; ++other) {
                std::swap(world.store.commits[at], world.store.commits[other]);
                check_fault(world, at);
                std::swap(world.store.commits[at], world.store.commits[other]);
            }
        }
        for (std::size_t command = 1; command < world.store.commands.size(); ++command) {
            std::swap(world.store.commands[command - 1], world.store.commands[command]);
            check_fault(world, answering(world, command - 1));
            std::swap(world.store.commands[command - 1], world.store.commands[command]);
        }
    }
}

TEST_CASE("a re-hashed record is found by its successor; the last one has none") {
    const AuditWorld sound = small_log(true);
    for (std::size_t at = 1; at <= kCommits; ++at) {
        AuditWorld world = sound;
        std::vector<Outcome> changed = world.outcomes(at);
        ++changed.back().time.value;
        world.store.commits[at] = world.record(world.envelope(at), changed);
        if (at < kCommits) {
            check_fault(world, at + 1);
            const std::string detail = world.verify().fault->detail;
            CHECK(detail.find("position " + std::to_string(at)) != std::string::npos);
        } else {
            const PartitionAudit audit = world.verify();
            CHECK(!audit.fault);
            CHECK(audit.tip.hash != sound.envelope(kCommits).hash);
        }
    }
}

TEST_CASE("a sound record with foreign contents is found") {
    const AuditWorld sound = small_log(true);
    for (std::size_t at = 1; at <= kCommits; ++at) {
        const Envelope envelope = sound.envelope(at);
        const std::vector<Outcome> outcomes = sound.outcomes(at);
        std::vector<std::string> forged;
        Envelope other = envelope;
        other.log.bytes[0] ^= 1;
        forged.push_back(sound.record(other, outcomes));
        other = envelope;
        other.partition.value = 1;
        forged.push_back(sound.record(other, outcomes));
        other = envelope;
        ++other.sequence.value;
        forged.push_back(sound.record(other, outcomes));
        other = envelope;
        ++other.first.value;
        forged.push_back(sound.record(other, outcomes));
        other = envelope;
        other.last.value = ~std::uint64_t{0} - 1;
        forged.push_back(sound.record(other, outcomes));
        other = envelope;
        other.commands.bytes[0] ^= 1;
        forged.push_back(sound.record(other, outcomes));
        std::vector<Outcome> about_another = outcomes;
        about_another[0].id.bytes[0] ^= 1;
        forged.push_back(sound.record(envelope, about_another));
        std::vector<Outcome> fewer = outcomes;
        fewer.pop_back();
        forged.push_back(sound.record(envelope, fewer));
        std::vector<Outcome> more = outcomes;
        more.push_back(outcomes[0]);
        forged.push_back(sound.record(envelope, more));
        for (const std::string& record : forged) {
            AuditWorld world = sound;
            world.store.commits[at] = record;
            check_fault(world, at);
        }
    }
}

TEST_CASE("duplicates, losers and a second genesis are listed as skipped") {
    AuditWorld world = small_log(false);
    const PartitionAudit before = world.verify();
    std::vector<std::string>& commits = world.store.commits;
    std::vector<Outcome> lost = world.outcomes(3);
    ++lost[0].time.value;
    const std::string loser = world.record(world.envelope(3), lost);
    const std::string duplicate = commits[2];
    Genesis second = world.store.genesis;
    second.log.bytes[0] ^= 1;
    commits.insert(commits.begin() + 1, encode_genesis(second));  // others move up by one
    commits.insert(commits.begin() + 5, loser);                   // behind commit 4
    commits.insert(commits.begin() + 6, duplicate);
    commits.push_back(commits.back());
    const PartitionAudit audit = world.verify();
    INFO((audit.fault ? to_text(*audit.fault) : ""));
    REQUIRE(!audit.fault);
    CHECK(audit.skipped ==
          std::vector<SkippedRecord>{
              {LogPosition{1}, Sequence{0}, SkippedKind::genesis},
              {LogPosition{5}, Sequence{3}, SkippedKind::loser},
              {LogPosition{6}, Sequence{2}, SkippedKind::duplicate},
              {LogPosition{kCommits + 4}, Sequence{kCommits}, SkippedKind::duplicate},
          });
    CHECK((audit.duplicates == 2 && audit.losers == 1 && audit.second_genesis == 1));
    CHECK(audit.commits == kCommits);
    CHECK(audit.tip.hash == before.tip.hash);

    AuditWorld exact = small_log(true);  // there, nothing is ever skipped
    exact.store.commits[kCommits] = exact.store.commits[2];
    check_fault(exact, kCommits);
}

TEST_CASE("a walk reads each command once") {
    AuditWorld world = small_log(true);
    std::size_t read = 0;
    CommandsAhead commands([&](CommandPosition from, std::size_t bytes,
                               std::vector<CommandRecord>& out) -> Result<void> {
        Result<void> done = world.read_commands(from, bytes, out);
        read += out.size();
        return done;
    });
    for (std::size_t at = 1; at <= kCommits; ++at) {
        std::vector<CommandRecord> taken;
        REQUIRE(commands.take(world.envelope(at), taken).has_value());
        REQUIRE(taken.front().position == world.envelope(at).first);
        REQUIRE(taken.back().position == world.envelope(at).last);
    }
    CHECK(read == world.store.commands.size());
}

}  // namespace
}  // namespace tidings::apps
