// One decider hands over to another: following, starting and ceasing to decide, and what a decider
// makes sure of before its first run.
#include "tests/core/loop_world.h"

using namespace tidings;
using namespace tidings::testing;

TEST_CASE("a decider that is told to stop follows its append to the end, and decides no more") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    REQUIRE(node.verify());
    node.log.hold = true;
    REQUIRE(node.run() == StepResult::waiting);
    node.loop->set_decides(false);
    CHECK_FALSE(node.loop->decides());
    world.submit(PostReply{{3}, {0}, "Reply"});
    CHECK(node.run() == StepResult::waiting);
    node.log.land();
    CHECK(node.run() == StepResult::idle);
    CHECK(node.loop->counters().own_commits == 1);
    CHECK(node.loop->tip().next_command == CommandPosition{4});
    CHECK(node.log.appends == 1);

    node.loop->set_decides(true);
    CHECK(node.run() == StepResult::waiting);
    node.log.land();
    CHECK(node.run() == StepResult::idle);
    CHECK(node.loop->tip().sequence == Sequence{2});
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("who does not decide reads no commands, but to see at its start that they are there") {
    World world;
    world.submit_some();
    Node decider(world.store, world.codec);
    decider.run();
    CHECK(decider.log.reads_commands);
    Node follower(world.store, world.codec, false);
    follower.run();
    CHECK_FALSE(follower.log.reads_commands);
    REQUIRE(follower.loop->check_answered_commands().has_value());
    CHECK_FALSE(follower.log.reads_commands);
    follower.loop->set_decides(true);
    follower.run();
    CHECK(follower.log.reads_commands);
    follower.loop->set_decides(false);
    world.submit(PostReply{{3}, {0}, "Reply"});
    decider.run();
    follower.run();
    CHECK_FALSE(follower.log.reads_commands);
    CHECK(follower.loop->tip() == decider.loop->tip());
}

TEST_CASE("an append of unknown outcome is repeated also by one that decides no more") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    REQUIRE(node.verify());
    node.log.hold = true;
    REQUIRE(node.run() == StepResult::waiting);
    node.loop->set_decides(false);
    node.log.lose();
    CHECK(node.run() == StepResult::waiting);
    CHECK(node.loop->counters().retries == 1);
    node.log.land();
    CHECK(node.run() == StepResult::idle);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a run that another decider overtakes is dropped; the late append is skipped") {
    World world;
    world.submit_some();
    Node old(world.store, world.codec), fresh(world.store, world.codec, false);
    REQUIRE(old.verify());
    REQUIRE(fresh.verify());
    old.log.hold = true;
    REQUIRE(old.run() == StepResult::waiting);
    old.loop->set_decides(false);
    world.submit(PostReply{{3}, {0}, "Reply"});
    CHECK(fresh.run() == StepResult::idle);  // a follower
    fresh.loop->set_decides(true);
    CHECK(fresh.run() == StepResult::idle);
    CHECK(old.run() == StepResult::idle);
    CHECK(old.loop->counters().lost_races == 1);
    CHECK(old.loop->tip() == fresh.loop->tip());
    old.log.land();
    CHECK(old.run() == StepResult::idle);
    CHECK(fresh.run() == StepResult::idle);
    CHECK(old.loop->counters().skipped == 1);
    CHECK(fresh.loop->counters().skipped == 1);
    CHECK(old.projection.state() == world.expected());
    CHECK(fresh.projection.state() == world.expected());

    // And back again, with commands that were queued on neither side.
    fresh.loop->set_decides(false);
    old.loop->set_decides(true);
    old.log.hold = false;
    world.submit(PostReply{{3}, {1}, "Reply"});
    CHECK(old.run() == StepResult::idle);
    CHECK(fresh.run() == StepResult::idle);
    CHECK(fresh.projection.state() == world.expected());
}

TEST_CASE("a command log that does not hold what was answered lets nobody decide") {
    World world;
    world.submit_some();
    for (int i = 0; i < 4; ++i) world.submit(PostReply{{3}, {0}, "Reply"});
    Node node(world.store, world.codec);
    node.log.commands_per_read = 3;
    node.run();
    REQUIRE(node.loop->tip().sequence == Sequence{3});  // the newest answers 6 and 7
    const std::vector<std::string> intact = world.store.commands;
    const auto error = [&] {
        node.restart();
        REQUIRE(node.verify());  // the commits are as they were
        const Error found = node.error();
        CHECK(found.code == ErrorCode::log_mismatch);
        CHECK(node.loop->step().error() == found);
        return found.detail;
    };
    SECTION("cut off") {
        world.store.commands.pop_back();
        CHECK(error() == "command 7 is gone, but commit 3 has answered it");
        world.store.commands.clear();
        CHECK(error() == "command 6 is gone, but commit 3 has answered it");
    }
    SECTION("recreated, and as long again") {
        for (std::string& bytes : world.store.commands) {
            bytes = world.codec.encode_command(world.command(UpsertProgram{"Else", Plan::partner}));
        }
        world.submit(PostReply{{3}, {0}, "Reply"});
        CHECK(error() ==
              "commit 3 answers other commands than the command log holds at positions 6 to 7");
    }
    SECTION("a hole") {
        world.store.lost_commands = {6};
        CHECK(error() == "command 6 is gone, but commit 3 has answered it");
    }
    CHECK(world.store.commits.size() == 3);  // nothing was decided on it
    // A follower needs no commands; it finds out when it is to decide.
    node.decides = false;
    node.restart();
    REQUIRE(node.verify());
    CHECK(node.run() == StepResult::idle);
    node.loop->set_decides(true);
    CHECK(node.error().code == ErrorCode::log_mismatch);

    world.store.commands = intact;
    world.store.lost_commands.clear();
    node.decides = true;
    node.restart();
    REQUIRE(node.verify());
    world.submit(PostReply{{3}, {1}, "Reply"});
    CHECK(node.run() == StepResult::idle);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("what was answered is looked at in pieces, as the log gives it") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    node.run();
    node.restart();
    node.log.commands_per_read = 1;
    REQUIRE(node.verify());
    world.submit(PostReply{{3}, {1}, "Reply"});
    CHECK(node.run() == StepResult::idle);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a loop has not caught up while the log has more than it shows") {
    World world;
    world.submit_some();
    Node first(world.store, world.codec);
    first.log.commands_per_read = 1;
    first.run();
    REQUIRE(world.store.commits.size() == 4);
    Node late(world.store, world.codec);
    late.log.lag = 4;
    REQUIRE(late.verify());
    CHECK_FALSE(late.loop->caught_up());
    world.submit(PostReply{{3}, {1}, "Reply"});
    for (const std::size_t lag : {4u, 3u, 1u}) {
        late.log.lag = lag;
        CHECK(late.run() == StepResult::waiting);
        CHECK_FALSE(late.loop->caught_up());
        CHECK(late.loop->tip().sequence == Sequence{4 - lag});
    }
    CHECK(world.store.commits.size() == 4);  // nor does it decide behind others' backs
    late.log.lag = 0;
    CHECK(late.run() == StepResult::idle);
    CHECK(late.loop->caught_up());
    CHECK(late.loop->tip().sequence == Sequence{5});
    CHECK(late.loop->counters().lost_races == 0);
}
