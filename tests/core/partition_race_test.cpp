// Several deciders race on one log under a random schedule of steps, late, lost, repeated and
// unacknowledged appends, crashes and failing disks: every command is decided exactly once, in
// order, and everyone sees the same.
#include <memory>

#include "core/decide.h"
#include "core/partition_loop.h"
#include "tests/support/memory_codec.h"
#include "tests/support/memory_commands.h"
#include "tests/support/memory_log.h"
#include "tests/support/memory_projection.h"
#include "tests/support/property.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

struct Silent : CommitObserver {
    void on_applied(std::span<const Outcome>, const Tip&) override {}
};

class Race {
public:
    explicit Race(std::uint64_t seed) : random_(seed), generator_(seed + 1) {
        const std::uint64_t deciders = 1 + random_.below(3);
        for (std::uint64_t i = 0; i <= deciders; ++i) {
            nodes_.push_back(std::make_unique<Node>(store_, codec_, i < deciders));
        }
    }

    void run(int steps) {
        for (int i = 0; i < steps; ++i) act(*nodes_[random_.below(nodes_.size())]);
        settle();
        check();
    }

private:
    struct Node {
        Node(MemoryLogStore& store, const MemoryCodec& codec, bool decides)
            : log(store), codec(codec), decides(decides) {
            log.hold = true;
            restart();
        }
        void restart() {
            projection.drop();
            loop = std::make_unique<PartitionLoop>(log, codec, projection, silent, decides);
            RC_ASSERT(loop->verify_start().has_value());
        }
        MemoryLog log;
        const MemoryCodec& codec;
        bool decides;
        MemoryProjection projection;
        Silent silent;
        std::unique_ptr<PartitionLoop> loop;
    };

    void act(Node& node) {
        switch (random_.below(16)) {
            case 0:
                submit();
                break;
            case 1:
                if (node.log.holding()) fate(node);
                break;
            case 2:
                if (!store_.late.empty()) store_.land_late(random_.below(store_.late.size()));
                break;
            case 3:
                if (random_.one_in(4)) crash(node);
                break;
            case 4:
                fail(node);
                break;
            case 5:
                node.log.commands_per_read = 1 + random_.below(4);
                break;
            case 6:
                node.log.lag = random_.below(2);
                break;
            default:
                step(node);
        }
    }
    void submit() {
        // The oracle's state tells the generator which messages there are; it need not be up to
        // date.
        const Command command = generator_.next(nodes_.front()->projection.state());
        store_.commands.push_back(random_.one_in(20) ? MemoryCodec::malformed_command()
                                                     : codec_.encode_command(command));
    }
    void fate(Node& node) {
        switch (random_.below(6)) {
            case 0:
                return node.log.lose();
            case 1:
                return node.log.delay();
            case 2:
                return node.log.land_twice();
            case 3:
                return node.log.land_without_a_word();
            default:
                return node.log.land();
        }
    }
    void crash(Node& node) {
        if (node.log.holding())
            fate(node);  // in flight: whatever becomes of it, nobody remembers it
        node.log.lag = 0;
        node.log.failing_reads = node.log.throwing_reads = 0;
        node.restart();
    }
    void fail(Node& node) {
        switch (random_.below(6)) {
            case 0:
                node.projection.failing_publishes = 1;
                break;
            case 1:
                node.projection.failing_folds = 1;
                break;
            case 3:
                node.projection.throwing_publishes = 1;
                break;
            case 4:
                node.log.throwing_reads = 1;
                break;
            case 2:
                node.projection.facts().failing_reads = 1;
                break;
            default:
                node.log.failing_reads = 1;
        }
    }
    void step(Node& node) {
        const Tip before = node.loop->tip();
        const auto result = node.loop->step();
        if (result.has_error() && result.error().code != ErrorCode::io) {
            RC_FAIL(result.error().detail);
        }
        RC_ASSERT(node.loop->tip().sequence >= before.sequence);
        RC_ASSERT(node.loop->tip() == node.projection.tip() ||
                  node.loop->tip().sequence == Sequence{0});
    }
    /// No more faults: everyone comes to rest.
    void settle() {
        while (!store_.late.empty()) store_.land_late(0);
        for (const auto& node : nodes_) {
            node->projection.failing_publishes = node->projection.throwing_publishes = 0;
            node->projection.failing_folds = node->projection.facts().failing_reads = 0;
            node->log.failing_reads = node->log.throwing_reads = 0;
            node->log.lag = 0;
        }
        for (int i = 0; i < 20'000; ++i) {
            bool rest = true;
            for (const auto& node : nodes_) {
                if (node->log.holding()) node->log.land();
                const auto result = node->loop->step();
                RC_ASSERT(result.has_value());
                rest = rest && *result == StepResult::idle;
            }
            if (rest) return;
        }
        RC_FAIL("the loops do not come to rest");
    }
    void check() const {
        MemoryState expected;
        const MemoryFacts facts(expected);
        std::vector<CommandId> order;
        for (const std::string& bytes : store_.commands) {
            const auto command = codec_.decode_command(bytes);
            order.push_back(command ? command->id : CommandId{});
            if (command) fold(expected, decide(facts, *command));
        }
        for (const auto& node : nodes_) {
            RC_ASSERT(node->projection.state() == expected);
            RC_ASSERT(node->loop->tip() == nodes_.front()->loop->tip());
            RC_ASSERT(node->projection.published() == nodes_.front()->projection.published());
            RC_ASSERT(node->loop->counters().alarms == 0u);
        }
        const std::vector<Outcome>& published = nodes_.front()->projection.published();
        RC_ASSERT(published.size() == order.size());
        for (std::size_t i = 0; i < order.size(); ++i) RC_ASSERT(published[i].id == order[i]);
    }

    Random random_;
    CommandGenerator generator_;
    MemoryLogStore store_;
    MemoryCodec codec_;
    std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace

TEST_CASE("racing deciders make one truth") {
    CHECK_PROPERTY([](std::uint64_t seed) {
        Race race(seed);
        race.run(600);
    });
}

TEST_CASE("racing deciders make one truth, for long", "[slow]") {
    for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
        INFO("seed " << seed);
        Race race(seed * 7'919);
        REQUIRE_NOTHROW(race.run(1'500));
    }
}
