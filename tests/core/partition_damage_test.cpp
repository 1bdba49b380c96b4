// The partition loop refuses a log that is not what it was, names what is gone, and never resets by
// itself.
#include "tests/core/loop_world.h"

using namespace tidings;
using namespace tidings::testing;

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
