// What an erasure tells of the texts that it cannot reach.
#include "apps/plain_records.h"

#include "tests/apps/audit_world.h"

namespace tidings::apps {
namespace {

const ProgramId kPlainProgram{"acme"};

/// A log, a commit a command.
struct PlainWorld {
    AuditWorld log{true};
    tidings::testing::MemoryProjection projection;
    Unobserved unobserved;
    tidings::testing::MemoryLog own{log.store};
    PartitionLoop loop{own, log.codec, projection, unobserved, true};
    std::int64_t time = 0;

    void run(CommandBody body, Actor actor = {Role::platform, "up", "Up"}) {
        Command command;
        command.program = kPlainProgram;
        command.time = {++time};
        command.id = CommandId::from(sha256(std::to_string(time)).view().substr(0, 16));
        command.actor = std::move(actor);
        command.body = std::move(body);
        log.store.commands.push_back(log.codec.encode_command(command));
        while (true) {
            const auto step = loop.step();
            REQUIRE(step.has_value());
            if (*step == StepResult::idle) break;
        }
    }
    void upsert(const std::string& id, PersonalText email) {
        UpsertPartners upsert;
        upsert.partners.push_back({.id = {id}, .email = std::move(email)});
        run(std::move(upsert));
    }
    PlainRecords count(const std::string& id, std::uint32_t ordinal, std::uint64_t last) {
        std::vector<PlainRecords> partners{{kPlainProgram, {id}, {ordinal}, 0, {}, {}}};
        CommandsAhead commands(
            [this](CommandPosition from, std::size_t bytes, std::vector<CommandRecord>& out) {
                return log.read_commands(from, bytes, out);
            });
        REQUIRE(count_plain(log, commands, log.codec, {last}, partners).has_value());
        return partners[0];
    }
};

TEST_CASE("plain texts of a partner are counted, with where they are") {
    PlainWorld world;
    world.run(UpsertProgram{"Acme", Plan::advanced});                            // 1
    world.upsert("grace", "grace@hopper.example");                               // 2: both records
    world.upsert("alan", "alan@turing.example");                                 // 3
    world.run(SendMessage{"S", "B", {}, true, {}}, {Role::owner, "o", "O"});     // 4
    world.run(PostReply{{4}, {0}, "hello"}, {Role::partner, "grace", "Grace"});  // 5: both
    world.upsert("grace", "grace@hopper.example");                               // 6: unchanged
    world.run(PostReply{{4},
                        {0},
                        "\xff"
                        "sealed text that is as long as one is"},
              {Role::partner, {}, {}});  // 7: sealed
    const PlainRecords grace = world.count("grace", 0, 99);
    CHECK(grace.records == 2 + 2 + 1);
    CHECK(grace.first == Sequence{2});
    CHECK(grace.last == Sequence{6});
    const PlainRecords alan = world.count("alan", 1, 99);
    CHECK(alan.records == 2);
    CHECK(alan.first == alan.last);
    CHECK(world.count("nobody", 7, 99).records == 0);
    CHECK(world.count("grace", 0, 4).records == 2);  // no further than asked
    CHECK(world.count("grace", 0, 1).records == 0);
}

}  // namespace
}  // namespace tidings::apps
