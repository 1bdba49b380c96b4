// The partition loop over an in-memory log: following, deciding, losing races, retrying.
#include "core/partition_loop.h"

#include "core/limits.h"
#include "tests/core/loop_world.h"

using namespace tidings;
using namespace tidings::testing;

TEST_CASE("commands are decided in one run, appended once, published, and told") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    REQUIRE(node.verify());
    CHECK(node.run() == StepResult::idle);
    CHECK(world.store.commits.size() == 1);
    CHECK(node.projection.state() == world.expected());
    CHECK(node.recorder.outcomes.size() == 4);
    CHECK(node.recorder.tip == node.loop->tip());
    CHECK(node.projection.tip() == node.loop->tip());
    CHECK(node.loop->tip().next_command == CommandPosition{4});
    CHECK(node.loop->caught_up());
    const LoopCounters& counters = node.loop->counters();
    CHECK(counters.commits == 1);
    CHECK(counters.own_commits == 1);
    CHECK(counters.commands == 4);
    CHECK(counters.lost_races + counters.skipped + counters.alarms + counters.retries == 0);
}

TEST_CASE("the same commands give the same facts however they were cut into runs") {
    World world;
    world.submit_some();
    for (int i = 0; i < 6; ++i) world.submit(PostReply{{3}, {1}, "Reply"});
    const MemoryState expected = world.expected();
    for (const std::size_t cut : {1u, 3u, 100u}) {
        MemoryLogStore store = world.store;
        Node node(store, world.codec);
        node.log.commands_per_read = cut;
        node.run();
        CHECK(store.commits.size() == (10 + cut - 1) / cut);
        CHECK(node.projection.state() == expected);
    }
}

TEST_CASE(
    "a loop has not caught up before it has read to the log's end, however little a read gives") {
    World world;
    world.submit_some();
    Node first(world.store, world.codec);
    first.log.commands_per_read = 1;
    first.run();
    REQUIRE(world.store.commits.size() == 4);
    Node late(world.store, world.codec, false);
    late.log.commits_per_read = 1;
    REQUIRE(late.verify());
    while (!late.loop->caught_up()) REQUIRE(late.loop->step().has_value());
    CHECK(late.loop->tip().sequence == Sequence{4});
}

TEST_CASE("nothing is visible before it is durable") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    node.log.hold = true;
    CHECK(node.run() == StepResult::waiting);
    CHECK(node.recorder.outcomes.empty());
    CHECK(node.projection.tip() == Tip{});
    world.submit(PostReply{{3}, {0}, "Queued meanwhile"});
    CHECK(node.run() == StepResult::waiting);
    CHECK(node.log.appends == 1);
    node.log.land();
    CHECK(node.run() == StepResult::waiting);
    CHECK(node.recorder.outcomes.size() == 4);
    CHECK(node.log.appends == 2);
    node.log.land();
    CHECK(node.run() == StepResult::idle);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a restarted loop resumes from the log") {
    World world;
    Node node(world.store, world.codec);
    node.log.commands_per_read = 1;
    world.submit_some();
    node.run();
    node.restart();
    REQUIRE(node.verify());
    world.submit(PostReply{{3}, {0}, "After"});
    node.run();
    CHECK(world.store.commits.size() == 5);
    CHECK(node.loop->counters().commits == 1);
    CHECK(node.projection.state() == world.expected());
    // An empty read model reads it all again.
    Node fresh(world.store, world.codec);
    REQUIRE(fresh.verify());
    fresh.run();
    CHECK(fresh.projection.state() == world.expected());
    CHECK(fresh.loop->tip() == node.loop->tip());
    CHECK(fresh.loop->counters().own_commits == 0);
    CHECK(world.store.commits.size() == 5);
}

TEST_CASE("a crash between append and publish loses and repeats nothing") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    node.log.hold = true;
    node.run();
    SECTION("the append had landed") { node.log.land(); }
    SECTION("the append was lost") { node.log.lose(); }
    node.log.hold = false;
    node.restart();
    REQUIRE(node.verify());
    node.run();
    CHECK(world.store.commits.size() == 1);
    CHECK(node.recorder.outcomes.size() == 4);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a follower applies what others decide and decides nothing") {
    World world;
    world.submit_some();
    Node follower(world.store, world.codec, false);
    CHECK(follower.run() == StepResult::idle);
    CHECK(world.store.commits.empty());
    Node decider(world.store, world.codec);
    decider.run();
    follower.run();
    CHECK(follower.projection.state() == decider.projection.state());
    CHECK(follower.loop->tip() == decider.loop->tip());
}

TEST_CASE("whichever commit lies first wins; the loser decides again") {
    World world;
    Node one(world.store, world.codec), two(world.store, world.codec);
    one.log.hold = two.log.hold = true;
    two.log.commands_per_read = 3;
    world.submit_some();
    one.run();
    two.run();
    two.log.land();
    one.log.land();
    CHECK(one.run() == StepResult::waiting);
    CHECK(one.loop->counters().lost_races == 1);
    CHECK(one.loop->counters().skipped == 1);
    one.log.land();
    one.run();
    two.run();
    CHECK(two.loop->counters().lost_races == 0);
    for (Node* node : {&one, &two}) {
        CHECK(node->projection.state() == world.expected());
        CHECK(node->recorder.outcomes.size() == 4);
    }
    CHECK(one.loop->tip() == two.loop->tip());
}

TEST_CASE("a lost run leaves nothing behind") {
    World world;
    Node one(world.store, world.codec), two(world.store, world.codec);
    one.log.hold = true;
    two.log.commands_per_read = 1;
    world.submit_some();
    one.run();
    two.run();
    // Between: one has folded four commands, of which the log so far knows the first.
    const std::vector<std::string> commits = world.store.commits;
    world.store.commits.resize(1);
    one.log.lose();
    one.log.hold = true;
    one.run();
    CHECK(one.loop->tip().sequence == Sequence{1});
    CHECK(one.projection.published().size() == 1);
    world.store.commits = commits;
    one.run();
    CHECK(one.projection.state() == world.expected());
    CHECK(one.loop->counters().lost_races == 2);
}

TEST_CASE("two deciders that decide the very same run both keep it") {
    World world;
    world.submit_some();
    Node one(world.store, world.codec), two(world.store, world.codec);
    one.log.hold = two.log.hold = true;
    one.run();
    two.run();
    one.log.land();
    two.log.land();
    one.run();
    two.run();
    for (Node* node : {&one, &two}) {
        CHECK(node->projection.state() == world.expected());
        CHECK(node->loop->counters().lost_races == 0);
        CHECK(node->loop->counters().skipped == 1);
    }
}

TEST_CASE("an append of unknown outcome is repeated with the same bytes") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    node.log.hold = true;
    node.run();
    SECTION("it was lost") {
        node.log.lose();
        CHECK(node.run() == StepResult::waiting);
        CHECK(node.loop->counters().retries == 1);
        node.log.land();
    }
    SECTION("it had landed without a word") {
        node.log.land_without_a_word();
        node.run();
        CHECK(node.loop->counters().retries == 0);
    }
    SECTION("it landed after the retry") {
        node.log.delay();
        CHECK(node.run() == StepResult::waiting);
        node.log.land();
        CHECK(world.store.commits.back() == world.store.late.front());
        world.store.land_late(0);
    }
    SECTION("it lies in the log but reading is behind") {
        node.log.lag = 1;
        node.log.land();
        CHECK(node.run() == StepResult::waiting);
        CHECK(node.run() == StepResult::waiting);
        CHECK(node.log.appends == 1);
        node.log.lag = 0;
    }
    node.log.hold = false;
    CHECK(node.run() == StepResult::idle);
    CHECK(node.recorder.outcomes.size() == 4);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a commit that the producer wrote twice counts once") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    node.log.hold = true;
    node.run();
    node.log.land_twice();
    CHECK(node.run() == StepResult::idle);
    CHECK(node.loop->counters().skipped == 1);
    CHECK(node.recorder.outcomes.size() == 4);
}

TEST_CASE("an unreadable or misplaced command becomes a refusal, not a block") {
    World world;
    world.store.commands.push_back(MemoryCodec::malformed_command());
    world.submit(UpsertProgram{"Acme", Plan::partner});
    Node node(world.store, world.codec);
    CHECK(node.run() == StepResult::idle);
    REQUIRE(node.recorder.outcomes.size() == 2);
    CHECK(refusal_of(node.recorder.outcomes[0]) == "malformed");
    CHECK(node.recorder.outcomes[0].id == CommandId{});
    CHECK(node.recorder.outcomes[1].status == OutcomeStatus::applied);

    World other;
    const PartitionId home = route(kProgram, 16);
    other.store = MemoryLogStore((home.value + 1) % 16, 16);
    other.submit(UpsertProgram{"Acme", Plan::partner});
    Node stranger(other.store, other.codec);
    stranger.run();
    REQUIRE(stranger.recorder.outcomes.size() == 1);
    CHECK(refusal_of(stranger.recorder.outcomes[0]) == "invalid");
    CHECK(stranger.recorder.outcomes[0].id != CommandId{});
    CHECK(stranger.projection.state() == MemoryState{});
}

TEST_CASE("what a newer version wrote stops the loop, after what came before it") {
    World world;
    world.submit(UpsertProgram{"Acme", Plan::partner});
    Node node(world.store, world.codec);
    SECTION("a command") {
        world.store.commands.push_back(MemoryCodec::newer_command());
        CHECK(node.error().code == ErrorCode::newer_format);
        CHECK(node.recorder.outcomes.size() == 1);
        CHECK(node.error().code == ErrorCode::newer_format);
        CHECK(world.store.commits.size() == 1);
    }
    SECTION("an envelope") {
        node.run();
        world.store.commits.push_back(MemoryCodec::newer_command());
        CHECK(node.error().code == ErrorCode::newer_format);
    }
    SECTION("a payload") {
        node.run();
        world.codec.undecodable = true;
        Node fresh(world.store, world.codec);
        CHECK(fresh.error().code == ErrorCode::newer_format);
        CHECK(fresh.projection.tip() == Tip{});
    }
}

TEST_CASE("a lost command stops the decider") {
    World world;
    world.submit_some();
    world.store.lost_commands.insert(2);
    Node node(world.store, world.codec);
    const Error error = node.error();
    CHECK(error.code == ErrorCode::log_mismatch);
    CHECK(error.detail.find("command 2 is gone") != std::string::npos);
    CHECK(world.store.commits.empty());
}

TEST_CASE("a commit that answered other commands stops a decider who sees them") {
    World world;
    world.submit(UpsertProgram{"Acme", Plan::partner});
    Node one(world.store, world.codec), two(world.store, world.codec);
    two.log.hold = true;
    two.run();  // has read the command
    two.log.lose();
    one.run();
    MemoryLogStore altered = world.store;
    altered.commands[0] =
        world.codec.encode_command(world.command(UpsertProgram{"Other", Plan::partner}));
    altered.commits.clear();
    Node liar(altered, world.codec);
    liar.run();
    world.store.commits = altered.commits;
    CHECK(two.error().detail.find("answers other commands") != std::string::npos);
}

TEST_CASE("a failing disk under publish keeps the commit until it works") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    node.projection.failing_publishes = 2;
    CHECK(node.error().code == ErrorCode::io);
    world.submit(PostReply{{3}, {0}, "Meanwhile"});
    CHECK(node.error().code == ErrorCode::io);
    CHECK(node.recorder.outcomes.empty());
    CHECK(world.store.commits.size() == 1);
    CHECK(node.run() == StepResult::idle);
    CHECK(node.recorder.outcomes.size() == 5);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a failing disk under deciding or folding makes no facts") {
    World world;
    world.submit_some();
    Node node(world.store, world.codec);
    SECTION("reading facts") {
        node.projection.facts().failing_reads = 1;
        CHECK(node.error().code == ErrorCode::io);
        CHECK(world.store.commits.empty());
    }
    SECTION("folding its own run") {
        node.projection.failing_folds = 1;
        CHECK(node.error().code == ErrorCode::io);
        CHECK(world.store.commits.empty());
    }
    SECTION("folding a commit of others") {
        Node other(world.store, world.codec);
        other.run();
        node.projection.failing_folds = 1;
        CHECK(node.error().code == ErrorCode::io);
        CHECK(node.projection.tip() == Tip{});
    }
    SECTION("after its run was appended") {
        node.log.hold = true;
        node.run();
        node.log.throwing_reads = 1;
        CHECK(node.error().code == ErrorCode::io);
        node.log.hold = false;
        node.log.land();
    }
    SECTION("publishing") {
        node.projection.throwing_publishes = 1;
        CHECK(node.error().code == ErrorCode::io);
        CHECK(node.projection.tip() == Tip{});
    }
    SECTION("reading the log") {
        node.log.failing_reads = 1;
        CHECK(node.error().code == ErrorCode::io);
    }
    CHECK(node.run() == StepResult::idle);
    CHECK(node.recorder.outcomes.size() == 4);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a run is cut before an outcome that would not fit, and large ones fit alone") {
    World world;
    world.submit(UpsertProgram{"Acme", Plan::partner});
    Node node(world.store, world.codec);
    node.run();
    // Many small patches of heavy partners: small commands, large events.
    UpsertPartners heavy;
    for (int i = 0; i < 60; ++i) {
        heavy.partners.push_back(patch("p" + std::to_string(i)));
        heavy.partners.back().tags.emplace();
        for (int tag = 0; tag < 100; ++tag) {
            heavy.partners.back().tags->push_back(std::string(390, 'x') + std::to_string(tag));
        }
    }
    world.submit(heavy);
    for (int round = 0; round < 5; ++round) {
        UpsertPartners touch;
        for (int i = 0; i < 60; ++i) {
            touch.partners.emplace_back();
            touch.partners.back().id = PartnerId{"p" + std::to_string(i)};
            touch.partners.back().metrics.clicks = static_cast<std::uint64_t>(round + 1);
        }
        world.submit(touch);
    }
    const std::size_t before = world.store.commits.size();
    node.run();
    // 60 partners of some 45 kB in each outcome: one and a half fill a run.
    CHECK(world.store.commits.size() - before == 6);
    CHECK(node.projection.state() == world.expected());
}

TEST_CASE("a run holds no more commands than its limit") {
    World world;
    for (std::size_t i = 0; i < limits::kRunCommands + 5; ++i) {
        world.store.commands.push_back(MemoryCodec::malformed_command());
    }
    Node node(world.store, world.codec);
    node.run();
    CHECK(world.store.commits.size() == 2);
    CHECK(node.loop->tip().next_command == CommandPosition{limits::kRunCommands + 5});
}

TEST_CASE("another projection at the same commit takes the place of the first, even in a run") {
    World world;
    Node node(world.store, world.codec), other(world.store, world.codec, false);
    world.submit_some();
    node.run();
    other.run();
    REQUIRE(other.projection.tip() == node.projection.tip());
    world.submit(PostReply{{3}, {0}, "On its way"});
    SECTION("while a commit is on its way to the log") {
        node.log.hold = true;
        CHECK(node.run() == StepResult::waiting);
        REQUIRE(node.loop->continue_on(other.projection).has_value());
        CHECK(node.run() == StepResult::waiting);
        node.log.land();
    }
    SECTION("while a disk keeps a commit from being published") {
        node.projection.failing_publishes = 1;
        Result<StepResult> step = node.loop->step();
        while (step && *step != StepResult::idle) step = node.loop->step();
        REQUIRE_FALSE(step.has_value());
        REQUIRE(node.loop->continue_on(other.projection).has_value());
    }
    SECTION("before anything is decided") {
        REQUIRE(node.loop->continue_on(other.projection).has_value());
    }
    CHECK(node.run() == StepResult::idle);
    CHECK(other.projection.state() == world.expected());
    CHECK(other.projection.tip() == node.loop->tip());
    CHECK(node.projection.tip() != node.loop->tip());
    CHECK(world.store.commits.size() == 2);
}

TEST_CASE("a projection at another commit does not take the place of the first") {
    World world;
    Node node(world.store, world.codec);
    MemoryProjection empty;
    REQUIRE(node.loop->continue_on(empty).has_value());  // both have nothing yet
    REQUIRE(node.loop->continue_on(node.projection).has_value());
    world.submit_some();
    node.run();
    const auto refused = node.loop->continue_on(empty);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::log_mismatch);
    world.submit(PostReply{{3}, {0}, "After"});
    node.run();
    CHECK(node.projection.state() == world.expected());
}
