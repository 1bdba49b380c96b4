// The Merkle tree in the read models, against one that is kept in memory.
#include "core/merkle.h"

#include <map>

#include "projections/models.h"
#include "tests/projections/counting_store.h"
#include "tests/support/catch.h"
#include "tests/support/property.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

/// A partition's read models, fed with small outcomes, and what they should say.
class TreeWorld {
public:
    TreeWorld() { open(); }

    /// `flush_bytes`: of rows, after which a publish begins to write them out.
    void open(std::size_t flush_bytes = 16 << 20) {
        models_.reset();
        ModelsOptions options;
        options.directory = directory_.path() / "models";
        options.flush_bytes = flush_bytes;
        auto store = open_rocks_store({options.directory, nullptr}).value();
        auto counting = std::make_unique<testing::CountingStore>(std::move(store), written_);
        models_ = Models::open_on(std::move(counting), options).value();
    }
    testing::Written& written() { return written_; }

    /// One commit with an outcome of so many events for each of `events`; programs take turns.
    void commit(const std::vector<std::size_t>& events) {
        std::vector<Hash256> leaves;
        for (const std::size_t count : events) {
            const ProgramId program{"program-" + std::to_string(leaves_.size() % 3)};
            Outcome outcome;
            outcome.program = program;
            outcome.status = count == 0 ? OutcomeStatus::unchanged : OutcomeStatus::applied;
            std::vector<std::uint64_t>& commands = commands_[program];
            if (count > 0) outcome.first_event = {commands.size() + 1};
            for (std::size_t i = 0; i < count; ++i) {
                outcome.events.emplace_back(ProgramChanged{"a name", Plan::partner});
                commands.push_back(leaves_.size());
            }
            models_->fold(outcome);
            leaves.push_back(merkle::leaf_hash("leaf " + std::to_string(leaves_.size())));
            leaves_.push_back(leaves.back());
        }
        tip_.sequence.value += 1;
        tip_.next_command.value += events.size();
        tip_.next_record.value = tip_.sequence.value + 1;
        tips_.push_back(tip_);
        REQUIRE(models_->publish(tip_, leaves).has_value());
    }

    Models& models() { return *models_; }
    const std::vector<Hash256>& leaves() const { return leaves_; }
    const std::vector<Tip>& tips() const { return tips_; }

    void check() {
        merkle::Frontier tree;
        for (const Hash256& leaf : leaves_) tree.append(leaf);
        const TreeHead head = models_->tree_head();
        REQUIRE(head.size == leaves_.size());
        REQUIRE(head.root == tree.root());
        REQUIRE(head.tip == tip_);
        REQUIRE(models_->check().empty());
        for (const auto& [program, commands] : commands_) {
            for (std::size_t i = 0; i < commands.size(); ++i) {
                REQUIRE(models_->command_of(program, {i + 1}) == CommandPosition{commands[i]});
            }
            REQUIRE_FALSE(models_->command_of(program, {0}).has_value());
            REQUIRE_FALSE(models_->command_of(program, {commands.size() + 1}).has_value());
        }
        REQUIRE_FALSE(models_->command_of({"nobody"}, {1}).has_value());
    }

private:
    testing::TemporaryDirectory directory_;
    testing::Written written_;
    std::unique_ptr<Models> models_;
    Tip tip_;
    std::vector<Tip> tips_;
    std::vector<Hash256> leaves_;
    std::map<ProgramId, std::vector<std::uint64_t>> commands_;
};

}  // namespace

TEST_CASE("a commit is published once, though it cannot be written out yet") {
    TreeWorld world;
    world.open(1);
    world.written().flushes_fail = true;
    for (int i = 0; i < 3; ++i) world.commit({1, 2});
    world.check();
    world.written().flushes_fail = false;
    world.commit({1});
    world.open();
    world.check();
}

TEST_CASE("the tree and the place of each event, over restarts, equal those kept in memory") {
    CHECK_PROPERTY("", [] {
        TreeWorld world;
        world.check();
        for (int commits = *rc::gen::inRange(1, 12); commits > 0; --commits) {
            std::vector<std::size_t> events;
            for (int n = *rc::gen::inRange(1, 150); n > 0; --n) {
                events.push_back(static_cast<std::size_t>(*rc::gen::inRange(0, 3)));
            }
            world.commit(events);
            if (*rc::gen::inRange(0, 3) == 0) world.open();
        }
        world.check();
        world.open();
        world.check();
        // every earlier tree, and the proofs from it to this one
        const std::vector<Hash256>& leaves = world.leaves();
        const auto subtree = [&](const merkle::Subtree& at) { return world.models().subtree(at); };
        const Hash256 root = world.models().tree_head().root;
        merkle::Frontier earlier;
        for (std::size_t size = 1; size <= leaves.size(); ++size) {
            earlier.append(leaves[size - 1]);
            if (size % 7 != 0 && size % 256 > 1) continue;
            RC_ASSERT(merkle::root(size, subtree) == earlier.root());
            const auto grown = merkle::consistency_proof(size, leaves.size(), subtree);
            RC_ASSERT(merkle::verify_consistency(size, leaves.size(), grown, earlier.root(), root));
            const auto held = merkle::inclusion_proof(size - 1, leaves.size(), subtree);
            RC_ASSERT(
                merkle::verify_inclusion(size - 1, leaves.size(), leaves[size - 1], held, root));
        }
    });
}

TEST_CASE("what was folded and dropped leaves no trace in the tree") {
    TreeWorld world;
    world.commit({1, 2});
    Outcome lost;
    lost.program = {"program-0"};
    lost.status = OutcomeStatus::applied;
    lost.first_event = {2};
    lost.events.emplace_back(ProgramChanged{"lost", Plan::starter});
    world.models().fold(lost);
    world.models().drop();
    world.commit({1, 0, 1});
    world.check();
}

TEST_CASE("equal commands give equal trees, however they were cut into commits") {
    TreeWorld together, apart;
    together.commit({1, 0, 2, 1, 1});
    for (const std::size_t events : {1, 0, 2, 1, 1}) apart.commit({events});
    const auto left = together.models().digests(), right = apart.models().digests();
    REQUIRE(left.size() == right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
        CHECK(left[i].model == right[i].model);
        CHECK(left[i].digest == right[i].digest);
    }
    CHECK(left.back().model == "tree");
    apart.commit({0});
    CHECK(apart.models().digests().back().digest != right.back().digest);
    // but not of any one program
    CHECK(apart.models().program_digests() == together.models().program_digests());
}

TEST_CASE("the ledger finds the chain as it stood not long before a command") {
    TreeWorld world;
    for (int commit = 0; commit < 1'100; ++commit) world.commit({0, 0});
    const auto& tips = world.tips();
    for (std::uint64_t command = 0; command < 2'200; command += 37) {
        const Tip before = world.models().ledger_before(CommandPosition{command});
        CHECK(before.next_command.value <= command);
        CHECK(command - before.next_command.value < 2 * limits::kLedgerInterval);
        if (before.sequence.value > 0) CHECK(before == tips[before.sequence.value - 1]);
    }
    for (std::uint64_t commit = 1; commit <= 1'102; ++commit) {
        const Tip before = world.models().ledger_before(Sequence{commit});
        CHECK(before.sequence.value < commit);
        CHECK(commit - before.sequence.value <= limits::kLedgerInterval + 1);
        if (before.sequence.value > 0) CHECK(before == tips[before.sequence.value - 1]);
    }
}

TEST_CASE("a tree that is not that of its leaves is found") {
    TreeWorld world;
    world.commit({1, 1});
    Tip tip = world.tips().back();
    ++tip.sequence.value;
    ++tip.next_command.value;  // a command whose leaf is missing
    REQUIRE(world.models().publish(tip, {}).has_value());
    const auto wrong = world.models().check();
    REQUIRE(wrong.size() == 1);
    CHECK(wrong[0] == "the Merkle tree has 2 leaves for 3 commands");
}

}  // namespace tidings
