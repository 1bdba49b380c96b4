// The partition loop over an in-memory log: following, deciding, losing races, retrying, and refusing a log that is
// not what it was.
#include "core/partition_loop.h"

#include "core/decide.h"
#include "core/limits.h"
#include "tests/core/scenario.h"
#include "tests/support/memory_codec.h"
#include "tests/support/memory_log.h"
#include "tests/support/memory_projection.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

struct Recorder : CommitObserver {
    std::vector<Outcome> outcomes;
    Tip tip;
    void on_applied(std::span<const Outcome> applied, const Tip& at) override {
        outcomes.insert(outcomes.end(), applied.begin(), applied.end());
        tip = at;
    }
};

/// One process: a handle on the log, a projection that survives restarts, a loop that does not.
struct Node {
    explicit Node(MemoryLogStore& store, const MemoryCodec& codec, bool decides = true)
        : log(store), codec(codec), decides(decides) {
        restart();
    }
    void restart() {
        projection.drop();
        loop = std::make_unique<PartitionLoop>(log, codec, projection, recorder, decides);
    }
    /// Steps until there is nothing left to do at once.
    StepResult run() {
        for (int i = 0; i < 10'000; ++i) {
            const auto result = loop->step();
            INFO(result.error().detail);
            REQUIRE(result.has_value());
            if (*result != StepResult::worked) return *result;
        }
        FAIL("the loop does not come to rest");
        return StepResult::idle;
    }
    /// Steps until the error that must come.
    Error error() {
        for (int i = 0; i < 10'000; ++i) {
            const auto result = loop->step();
            if (result.has_error()) return result.error();
            REQUIRE(*result == StepResult::worked);
        }
        FAIL("no error");
        return {};
    }
    bool verify() { return loop->verify_start().has_value(); }

    MemoryLog log;
    const MemoryCodec& codec;
    bool decides;
    MemoryProjection projection;
    Recorder recorder;
    std::unique_ptr<PartitionLoop> loop;
};

struct World {
    MemoryLogStore store;
    MemoryCodec codec;
    std::uint64_t ids = 0;

    Command command(CommandBody body) {
        Command out;
        out.id = CommandId::from(sha256(std::to_string(++ids)).view().substr(0, 16));
        out.time = Timestamp{static_cast<std::int64_t>(1'000 + ids)};
        out.program = kProgram;
        out.actor = kOwner;
        out.body = std::move(body);
        return out;
    }
    void submit(CommandBody body) {
        store.commands.push_back(codec.encode_command(command(std::move(body))));
    }
    /// A program with partners, a message, an open: one command each.
    void submit_some() {
        submit(UpsertProgram{"Acme", Plan::partner});
        submit(UpsertPartners{{patch("a"), patch("b")}});
        submit(SendMessage{"Subject", "Body", {}, true, {}});
        submit(opens_of(EventNumber{3}, {0}));
    }
    /// What deciding every command one after the other gives.
    MemoryState expected() const {
        MemoryState state;
        const MemoryFacts facts(state);
        for (const std::string& bytes : store.commands) {
            const auto decoded = codec.decode_command(bytes);
            if (decoded) fold(state, decide(facts, *decoded));
        }
        return state;
    }
};

}  // namespace

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
    altered.commands[0] = world.codec.encode_command(
        world.command(UpsertProgram{"Other", Plan::partner}));
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
    SECTION("reading the log") {
        node.log.failing_reads = 1;
        CHECK(node.error().code == ErrorCode::io);
    }
    CHECK(node.run() == StepResult::idle);
    CHECK(node.recorder.outcomes.size() == 4);
    CHECK(node.projection.state() == world.expected());
}

namespace {

/// A log of eight commits of one command each, fully applied by `node`.
struct Applied : World {
    Applied() : node(store, codec) {
        node.log.commands_per_read = 1;
        submit_some();
        for (int i = 0; i < 4; ++i) submit(PostReply{{3}, {0}, "Reply"});
        node.run();
        REQUIRE(store.commits.size() == 8);
    }
    Error start_error() {
        node.restart();
        const auto verified = node.loop->verify_start();
        REQUIRE(verified.has_error());
        CHECK(verified.error().code == ErrorCode::log_mismatch);
        CHECK(node.loop->step().error() == verified.error());
        return verified.error();
    }
    Node node;
};

bool names(const Error& error, const std::string& commit) {
    INFO(error.detail);
    return error.detail.find(commit + " is gone") != std::string::npos;
}

}  // namespace

TEST_CASE("an intact log lets a reader start, however young it is") {
    Applied applied;
    for (const std::size_t distance : {1u, 3u, 100u}) {
        applied.node.projection.ledger_distance = distance;
        applied.node.restart();
        CHECK(applied.node.verify());
        CHECK(applied.node.run() == StepResult::idle);
    }
}

TEST_CASE("a truncated log is refused, with the commit that is gone") {
    Applied applied;
    applied.store.commits.pop_back();
    CHECK(names(applied.start_error(), "commit 8"));
    applied.store.commits.resize(5);
    CHECK(names(applied.start_error(), "commit 6"));
    applied.store.commits.resize(2);
    CHECK(names(applied.start_error(), "commit 6"));  // from the ledger's entry on
    applied.store.commits.clear();
    applied.node.projection.ledger_distance = 100;
    CHECK(names(applied.start_error(), "commit 1"));
}

TEST_CASE("a log that was truncated and written on is refused") {
    Applied applied;
    applied.store.commits.resize(6);
    applied.store.commands.resize(6);
    Node other(applied.store, applied.codec);
    for (int i = 0; i < 4; ++i) applied.submit(PostReply{{3}, {1}, "Another history"});
    other.log.commands_per_read = 1;
    other.run();
    REQUIRE(applied.store.commits.size() == 10);
    SECTION("at the start") { CHECK(names(applied.start_error(), "commit 8")); }
    SECTION("while running") {
        // What is read next does not continue what was applied.
        CHECK(names(applied.node.error(), "commit 8"));
        CHECK(applied.node.loop->counters().alarms == 1);
    }
}

TEST_CASE("a truncated log is noticed while running") {
    Applied applied;
    applied.store.commits.resize(6);
    CHECK(names(applied.node.error(), "commit 7"));
    CHECK(applied.node.error().code == ErrorCode::log_mismatch);
}

TEST_CASE("a replaced log is refused") {
    Applied applied;
    applied.store.genesis.hash = sha256("another genesis");
    applied.node.projection.ledger_distance = 100;
    CHECK(names(applied.start_error(), "commit 1"));
    applied.store.genesis.log = LogId{};
    applied.node.projection.ledger_distance = 3;
    CHECK(names(applied.start_error(), "commit 6"));
}

TEST_CASE("a changed byte anywhere is found") {
    Applied applied;
    Node follower(applied.store, applied.codec, false);
    std::string& record = applied.store.commits[6];
    record[record.size() / 2] = static_cast<char>(record[record.size() / 2] ^ 1);
    const Error error = follower.error();
    CHECK(error.code == ErrorCode::corruption);
    CHECK(error.detail.find("position 6") != std::string::npos);
    CHECK(follower.loop->tip().sequence == Sequence{6});
    CHECK(follower.loop->counters().alarms == 2);
    CHECK(names(applied.start_error(), "commit 7"));
}

TEST_CASE("a missing record is an alarm, and names what is gone") {
    Applied applied;
    Node follower(applied.store, applied.codec, false);
    applied.store.commits.erase(applied.store.commits.begin() + 4);
    const Error error = follower.error();
    CHECK(error.code == ErrorCode::log_mismatch);
    CHECK(names(error, "commit 5"));
    CHECK(follower.loop->tip().sequence == Sequence{4});
    CHECK(follower.projection.tip() == follower.loop->tip());
}

TEST_CASE("an alarm that was a reading error passes") {
    Applied applied;
    Node follower(applied.store, applied.codec, false);
    const std::string record = applied.store.commits[4];
    applied.store.commits[4].back() = static_cast<char>(~record.back());
    while (follower.loop->counters().alarms == 0) REQUIRE(follower.loop->step().has_value());
    applied.store.commits[4] = record;
    CHECK(follower.run() == StepResult::idle);
    CHECK(follower.loop->counters().alarms == 1);
    CHECK(follower.projection.state() == applied.expected());
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
