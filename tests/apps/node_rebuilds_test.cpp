// Which generation of read models a node opens, and rebuilding while it runs.
#include <fstream>

#include "apps/data_directory.h"
#include "apps/generations.h"
#include "apps/snapshots.h"
#include "events/codec.h"
#include "projections/key.h"
#include "projections/rows.h"
#include "projections/store.h"
#include "tests/apps/node_world.h"

namespace tidings::apps {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using tidings::testing::TemporaryDirectory;

const PartitionId kRebuilt = route(kAcme, 2);

/// A stopped node's directory with a program and a message that one partner opened.
class RebuildsData {
public:
    RebuildsData() {
        NodeOptions options = node_options(path());
        options.snapshots.every = 1;
        const auto node = start_node(options);
        apply(*node, kAcme, program_body());
        apply(*node, kAcme, partners_body(3));
        message_ = apply(*node, kAcme, send_body()).outcome.answer;
        apply(*node, kAcme, open_body(message_, 0));
    }
    const fs::path& path() const { return directory_.path(); }
    Generations generations() const { return {path(), kRebuilt}; }
    EventNumber message() const { return message_; }
    /// As if another version had written them.
    void set_layout(const fs::path& models, std::uint64_t version) const {
        const auto store = open_rocks_store({models, nullptr});
        if (!store) FAIL(store.error().detail);
        const auto batch = (*store)->new_batch();
        batch->put(Key(Table::meta).text("version").view(), NumberRow{version}.encode());
        REQUIRE((*store)->write(*batch).has_value());
        REQUIRE((*store)->flush(true).has_value());
    }
    std::uint64_t layout(const fs::path& models) const {
        const auto store = open_rocks_store({models, nullptr});
        if (!store) FAIL(store.error().detail);
        return NumberRow::decode((*store)->get(Key(Table::meta).text("version").view()).value())
            .value;
    }
    /// Of the live ones.
    fs::path copy() const {
        const fs::path to = path() / "copy";
        fs::copy(generations().live().value(), to, fs::copy_options::recursive);
        return to;
    }
    /// Stored sets of recipients end too early: whoever reads them finds out.
    void damage(const fs::path& models) const {
        const auto store = open_rocks_store({models, nullptr});
        if (!store) FAIL(store.error().detail);
        const auto batch = (*store)->new_batch();
        const Key recipients(Table::recipients);
        int damaged = 0;
        (*store)->scan(recipients.view(), prefix_end(recipients.view()), false,
                       [&](std::string_view key, std::string_view value) {
                           batch->put(key, value.substr(0, 1));
                           return ++damaged > 0;
                       });
        REQUIRE(damaged > 0);
        REQUIRE((*store)->write(*batch).has_value());
        REQUIRE((*store)->flush(true).has_value());
    }
    void check(const Node& node) const {
        CHECK(node.read(kAcme)->stats(kAcme, message_).opens == 1);
        CHECK(node.read(kAcme)->summary(kAcme).partners == 3);
        CHECK(node.ready().has_value());
    }

private:
    TemporaryDirectory directory_;
    EventNumber message_;
};

RebuildProgress await_end(Rebuilder& rebuilder) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
        const auto all = rebuilder.rebuilds();
        REQUIRE(all.size() == 1);
        if (all.front().state >= RebuildState::done) return all.front();
        if (std::chrono::steady_clock::now() > until) FAIL("the rebuild does not end");
        std::this_thread::yield();
    }
}

TEST_CASE("read models of an older layout are made anew, and stay until that is done") {
    const RebuildsData data;
    const fs::path first = data.generations().live().value();
    data.set_layout(first, 1);
    SECTION("at once") {}
    SECTION("after a process that had opened them, and died") {
        spdlog::set_level(spdlog::level::off);
        REQUIRE(Node::open(node_options(data.path())).has_value());
        CHECK(data.generations().live().value() == first);
        CHECK(fs::exists(first));
        CHECK(fs::exists(data.generations().next().value()));
    }
    SECTION("after an older or a newer version that had begun at another layout") {
        data.set_layout(data.generations().next().value(), GENERATE(1, 99));
    }
    SECTION("after a part that cannot be read") {
        const fs::path next = data.generations().next().value();
        fs::create_directories(next);
        std::ofstream(next / "CURRENT") << "no manifest";
    }
    {
        const auto node = start_node(node_options(data.path()));
        data.check(*node);
        CHECK(data.generations().live().value() != first);
        CHECK_FALSE(fs::exists(first));
        apply(*node, kAcme, open_body(data.message(), 0));  // unchanged: it knows of the first
        CHECK_FALSE(fs::exists(snapshots_directory(data.path(), kRebuilt) / "2"));
    }
    data.check(*start_node(node_options(data.path())));
}

TEST_CASE("read models that lack nothing but an operation are gone on with") {
    const RebuildsData data;
    const fs::path first = data.generations().live().value();
    const std::uint64_t now = data.layout(first);
    data.set_layout(first, GENERATE(2, 3));
    {
        const auto node = start_node(node_options(data.path()));
        data.check(*node);
    }
    CHECK(data.generations().live().value() == first);
    CHECK(data.layout(first) == now);
    CHECK(now > 2);  // the older version refuses them
}

TEST_CASE("read models of a newer layout are refused and left alone") {
    const RebuildsData data;
    const fs::path first = data.generations().live().value();
    data.set_layout(first, 99);
    const auto node = Node::open(node_options(data.path()));
    REQUIRE_FALSE(node.has_value());
    CHECK(node.error().code == ErrorCode::newer_format);
    CHECK(data.generations().live().value() == first);
    CHECK_FALSE(fs::exists(data.generations().next().value()));
}

TEST_CASE("a rebuild ends with equal digests, and takes the live one's place") {
    const RebuildsData data;
    const auto node = start_node(node_options(data.path()));
    ReadModelsPtr held = node->read(kAcme);
    const fs::path first = data.generations().live().value();
    REQUIRE(node->rebuilder().rebuild({kRebuilt}, false).has_value());
    while (node->read(kAcme) == held) std::this_thread::yield();
    CHECK(held->summary(kAcme).partners == 3);
    data.check(*node);
    apply(*node, kAcme, partners_body(5));
    CHECK(node->read(kAcme)->summary(kAcme).partners == 5);
    CHECK(held->summary(kAcme).partners == 3);
    for (int round = 0; round < 2; ++round) {  // a reader that lasts holds up no rebuild
        const RebuildProgress end = await_end(node->rebuilder());
        CHECK(end.state == RebuildState::done);
        CHECK(end.models.size() >= 8);
        for (const ComparedModel& model : end.models) CHECK(model.live == model.rebuilt);
        REQUIRE(node->rebuilder().rebuild({kRebuilt}, false).has_value());
    }
    CHECK(await_end(node->rebuilder()).state == RebuildState::done);
    CHECK(held->summary(kAcme).partners == 3);
    CHECK(fs::exists(first));
    held.reset();
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (fs::exists(first) && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    CHECK_FALSE(fs::exists(first));
}

TEST_CASE("rebuilt read models that cannot be read are never made live") {
    const RebuildsData data;
    const fs::path next = data.generations().next().value();
    const fs::path copy = data.copy();
    data.damage(copy);
    const auto node = start_node(node_options(data.path()));
    fs::rename(copy, next);
    REQUIRE(node->rebuilder().rebuild({kRebuilt}, true).has_value());
    const RebuildProgress failed = await_end(node->rebuilder());
    CHECK(failed.state == RebuildState::failed);
    CHECK(failed.problem.find("the rebuilt read models cannot be read") != std::string::npos);
    data.check(*node);
    CHECK_FALSE(fs::exists(next));  // it would fail again and again
    REQUIRE(node->rebuilder().rebuild({kRebuilt}, false).has_value());
    CHECK(await_end(node->rebuilder()).state == RebuildState::done);
}

TEST_CASE("live read models that cannot be read are replaced if that is accepted") {
    const RebuildsData data;
    data.damage(data.generations().live().value());
    const fs::path snapshot = snapshots_directory(data.path(), kRebuilt) / "2";
    REQUIRE(fs::exists(snapshot));
    const auto node = start_node(node_options(data.path()));
    REQUIRE(node->rebuilder().rebuild({kRebuilt}, false).has_value());
    const RebuildProgress failed = await_end(node->rebuilder());
    CHECK(failed.state == RebuildState::failed);
    CHECK(failed.problem.find("the live read models cannot be compared") != std::string::npos);
    CHECK(fs::exists(data.generations().differing()));
    CHECK(fs::exists(snapshot));
    REQUIRE(node->rebuilder().rebuild({kRebuilt}, true).has_value());
    const RebuildProgress end = await_end(node->rebuilder());
    CHECK(end.state == RebuildState::done);
    CHECK(end.compared);
    CHECK(end.models.empty());
    CHECK_FALSE(fs::exists(snapshot));  // of the same damaged rows
    CHECK(node->read(kAcme)->message(kAcme, data.message())->body == "Hello");
    data.check(*node);
}

TEST_CASE("a rebuild that cannot go on says why, and what is live stays") {
    const RebuildsData data;
    const auto node = start_node(node_options(data.path()));
    const fs::path next = data.generations().next().value();
    std::ofstream(next) << "a file where a directory is to be";
    REQUIRE(node->rebuilder().rebuild({kRebuilt}, false).has_value());
    const RebuildProgress failed = await_end(node->rebuilder());
    CHECK(failed.state == RebuildState::failed);
    CHECK_FALSE(failed.problem.empty());
    data.check(*node);
    fs::remove_all(next);
    REQUIRE(node->rebuilder().rebuild({kRebuilt}, false).has_value());
    CHECK(await_end(node->rebuilder()).state == RebuildState::done);
    data.check(*node);
}

TEST_CASE("what another log has left under construction is thrown away") {
    const RebuildsData data, other;
    fs::copy(other.generations().live().value(), data.generations().next().value(),
             fs::copy_options::recursive);
    const auto node = start_node(node_options(data.path()));
    const RebuildProgress end = await_end(node->rebuilder());  // it was resumed by the start
    CHECK(end.state == RebuildState::done);
    data.check(*node);
}

TEST_CASE("only partitions that are held are rebuilt") {
    const RebuildsData data;
    const auto node = start_node(node_options(data.path()));
    const auto unknown = node->rebuilder().rebuild({PartitionId{2}}, false);
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == ErrorCode::invalid);
    CHECK(node->rebuilder().rebuilds().empty());
}

TEST_CASE("a partition that makes its read models anew says how far it is") {
    const RebuildsData data;
    auto logs = open_logs(data.path(), 0, make_log_resources(4 << 20, 8 << 20));
    if (!logs) FAIL(logs.error().detail);
    const TemporaryDirectory directory;
    ModelsOptions models_options;
    models_options.directory = directory.path() / "next";
    auto models = Models::open(models_options);
    if (!models) FAIL(models.error().detail);
    const CapnpCodec codec;
    IngressClock clock;
    std::optional<Result<void>> seen;
    std::unique_ptr<PartitionHost> host;
    PartitionHostOptions options;
    options.anew = true;
    bool fails = false;
    options.on_caught_up = [&]() -> Result<void> {
        seen = host->ready();
        if (fails) return Error{ErrorCode::io, "the name cannot be written", {}};
        return {};
    };
    SECTION("and is ready when it is done") {}
    SECTION("and stops if they cannot be named") { fails = true; }
    host = std::make_unique<PartitionHost>(std::move((*logs)[kRebuilt.value]), std::move(*models),
                                           codec, clock, options);
    host->start();
    CHECK(host->wait_started().has_value() == !fails);
    REQUIRE(seen);
    REQUIRE_FALSE(seen->has_value());
    CHECK(seen->error().code == ErrorCode::not_caught_up);
    CHECK(seen->error().detail.find("makes its read models anew, commit 4 of 4, about 0 s left") !=
          std::string::npos);
    CHECK(host->ready().has_value() == !fails);
}

}  // namespace
}  // namespace tidings::apps
