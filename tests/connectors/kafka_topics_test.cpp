// What is published to <prefix>.events, and what is read from upstream topics.
#include <array>
#include <set>

#include "connectors/kafka/event_publisher.h"
#include "connectors/kafka/upstream_reader.h"
#include "events/codec.h"
#include "tests/connectors/kafka_world.h"

namespace tidings::kafka {
namespace {

using namespace testing;

/// A log of commits of one outcome each, and a publisher that renders a record for each.
struct Publishing {
    MockCluster cluster;
    Clients clients{cluster};
    Genesis genesis = make_genesis(clients);
    CapnpCodec codec;
    Tip tip{.hash = genesis.hash};
    std::atomic<std::uint64_t> applied{0};
    Bookmarks bookmarks{*clients.producer, *clients.commands, clients.names.bookmarks};
    std::unique_ptr<EventPublisher> publisher;

    void commit() {
        Envelope envelope;
        envelope.log = genesis.log;
        envelope.sequence = Sequence{tip.sequence.value + 1};
        envelope.previous = tip.hash;
        envelope.first = envelope.last = tip.next_command;
        Outcome outcome;
        outcome.program = ProgramId{"acme"};
        outcome.status = OutcomeStatus::unchanged;
        const std::array<Outcome, 1> outcomes{outcome};
        const std::string bytes = codec.encode_commit(envelope, outcomes);
        tip = advance(envelope, LogPosition{clients.put(clients.names.commits, bytes)});
        applied = tip.sequence.value;
    }
    void publish(std::function<void(Sequence)> before = [](Sequence) {}) {
        const auto render = [before](const Outcome&, PartitionId, CommandPosition,
                                     Sequence sequence, std::vector<EventRecord>& out) {
            before(sequence);
            out.push_back({"acme", std::to_string(sequence.value)});
        };
        publisher = std::make_unique<EventPublisher>(
            *clients.producer, *clients.commands, bookmarks, clients.names,
            std::vector<Genesis>{genesis}, codec, render,
            [this](PartitionId) { return Sequence{applied}; });
        publisher->start();
        publisher->assign({0});
    }
    /// Of the records as they lie there: in order, but for what is repeated, and each says truly
    /// where to go on.
    std::set<std::uint64_t> published() {
        std::set<std::uint64_t> seen;
        for (const ConsumedRecord& record : clients.all(clients.names.events)) {
            const auto resume = record.header("tidings-resume");
            REQUIRE(resume.has_value());
            const auto tip_of = decode_tip(*resume);
            REQUIRE(tip_of.has_value());
            for (std::uint64_t n = 1; n <= tip_of->sequence.value; ++n) CHECK(seen.contains(n));
            const std::uint64_t number = std::stoull(std::string(record.value()));
            CHECK(number > tip_of->sequence.value);
            CHECK(number <= seen.size() + 1);
            seen.insert(number);
        }
        return seen;
    }
};

TEST_CASE("every commit is published once the read models have it, and a successor goes on",
          "[slow]") {
    Publishing world;
    for (int i = 0; i < 20; ++i) world.commit();
    world.applied = 10;
    world.publish();
    eventually([&] { return world.publisher->figures().records == 10; });
    world.applied = 20;
    eventually([&] { return world.publisher->figures().records == 20; });
    world.publisher.reset();
    make_genesis(world.clients, "one comes late!!");
    world.commit();
    world.publish();
    eventually([&] { return world.published().size() == 21; });
    CHECK(world.publisher->figures().restarts == 1);
    // A few of the last ones may be there twice, never all of them.
    CHECK(world.publisher->figures().records < 21);
}

TEST_CASE("after a fatal error of the producer no commit is missing among the published",
          "[slow]") {
    Publishing world;
    constexpr std::uint64_t kCommits = 60;
    for (std::uint64_t i = 0; i < kCommits; ++i) world.commit();
    std::atomic<bool> broken{false};
    world.publish([&](Sequence sequence) {
        if (sequence.value != kCommits / 2 || broken.exchange(true)) return;
        world.cluster.set_down();
        world.clients.break_producer();
        world.cluster.set_up();
    });
    eventually([&] { return broken && world.published().size() == kCommits; });
}

TEST_CASE("a publisher that is gone is told nothing of what was under way", "[slow]") {
    Publishing world;
    world.commit();
    world.publish([&](Sequence) { world.cluster.set_down(); });
    eventually([&] { return world.clients.producer->stalled() > std::chrono::milliseconds(1); });
    world.publisher.reset();
    world.cluster.set_up();
    eventually([&] { return world.clients.producer->stalled() == std::chrono::milliseconds(0); });
    CHECK(world.published() == std::set<std::uint64_t>{1});
}

TEST_CASE("upstream records are settled in order; what cannot be applied is put aside", "[slow]") {
    MockCluster cluster;
    cluster.make_topic("upstream");
    Clients clients(cluster);
    Bookmarks bookmarks(*clients.producer, *clients.commands, clients.names.bookmarks);
    for (const char* value : {"one", "poison", "two"}) {
        ProducerRecord record;
        record.topic = "upstream";
        record.key = "k";
        record.value = value;
        record.headers = {{"h", "1"}};
        clients.put(std::move(record));
    }
    std::mutex mutex;
    std::vector<std::string> applied;
    int failures = 2;
    const auto deliver = [&](std::vector<UpstreamRecord> records, const Settled& settled) {
        const std::lock_guard lock(mutex);
        if (failures-- > 0) return settled(Error{ErrorCode::io, "not now", {}});
        std::vector<PoisonRecord> poison;
        for (std::size_t i = 0; i < records.size(); ++i) {
            if (records[i].value == "poison") {
                poison.push_back({i, "malformed", "no event"});
            } else {
                applied.push_back(records[i].value);
            }
        }
        settled(std::move(poison));
    };
    const auto read_all = [&](std::uint64_t count) {
        UpstreamReader reader(*clients.producer, *clients.commands, bookmarks, clients.names,
                              {"upstream", "missing"}, deliver,
                              [](const UpstreamPartition&) { return true; });
        reader.start();
        eventually([&] { return reader.figures().records == count; });
        return reader.figures();
    };
    const UpstreamFigures figures = read_all(3);
    CHECK(figures.rejected == 1);
    CHECK(figures.retries == 2);
    CHECK(applied == std::vector<std::string>{"one", "two"});
    const auto rejected = clients.all(clients.names.rejected);
    REQUIRE(rejected.size() == 1);
    CHECK(rejected[0].key() == "k");
    CHECK(rejected[0].value() == "poison");
    CHECK(rejected[0].header("h") == "1");
    CHECK(rejected[0].header("tidings-code") == "malformed");
    CHECK(rejected[0].header("tidings-topic") == "upstream");
    CHECK(rejected[0].header("tidings-offset") == "1");
    eventually([&] { return bookmarks.find("upstream/upstream/0").value() == "3"; });

    clients.put("upstream", "three");
    CHECK(read_all(1).rejected == 0);  // whoever takes over goes on behind the bookmark
    CHECK(applied.back() == "three");
}

}  // namespace
}  // namespace tidings::kafka
