#include "connectors/kafka/producer.h"

#include "connectors/kafka/members.h"
#include "tests/connectors/kafka_world.h"

namespace tidings::kafka {
namespace {

using namespace testing;

ProducerRecord record_of(const std::string& topic, std::string value) {
    ProducerRecord record;
    record.topic = topic;
    record.value = std::move(value);
    return record;
}

TEST_CASE("after a fatal error what was insisted on arrives in order, the rest is unknown") {
    MockCluster cluster;
    Clients clients(cluster);
    const std::string topic = clients.names.events;
    CHECK(clients.put(topic, "before") == 0);
    // What lies in the queue, and what is under way and may yet arrive.
    SECTION("no broker answers") { cluster.set_down(); }
    SECTION("a broker answers late") { cluster.set_late(std::chrono::milliseconds(400)); }
    std::atomic<int> done{0}, unknown{0};
    const auto count = [&](Delivery delivery, std::uint64_t) {
        ++(delivery == Delivery::done ? done : unknown);
    };
    int insisted = 0;
    const auto insist = [&] {
        good(clients.producer->send(record_of(topic, std::to_string(insisted++)), true, count));
    };
    constexpr int kLetGo = 20;
    for (int i = 0; i < kLetGo; ++i) {
        insist();
        good(clients.producer->send(record_of(topic, "let go"), false, count));
    }
    // Whoever looks at the old handle meanwhile holds up nothing.
    const std::shared_ptr<Client> held = clients.producer->client();
    clients.make_fatal();
    eventually([&] {
        insist();  // some of them while there is no handle to send them by
        return clients.producer->restarts() == 1;
    });
    CHECK(unknown == kLetGo);  // before anything was sent by the new handle
    cluster.set_late(std::chrono::milliseconds(0));
    cluster.set_up();
    eventually([&] { return done == insisted; });
    eventually([&] { return clients.producer->stalled() == std::chrono::milliseconds(0); });
    CHECK(unknown == kLetGo);
    int next = 0;
    for (const ConsumedRecord& record : clients.all(topic)) {
        const std::string value(record.value());
        if (value == "before" || value == "let go") continue;
        CHECK(std::stoi(value) <= next);  // again, or the next one
        next = std::max(next, std::stoi(value) + 1);
    }
    CHECK(next == insisted);
}

TEST_CASE("a new handle that fails as well is replaced, too", "[slow]") {
    MockCluster cluster;
    Clients clients(cluster);
    cluster.set_down();
    std::atomic<int> done{0};
    for (int i = 0; i < 3; ++i) {
        good(clients.producer->send(record_of(clients.names.events, std::to_string(i)), true,
                                    [&](Delivery, std::uint64_t) { ++done; }));
        clients.break_producer();
    }
    cluster.set_up();
    eventually([&] { return done == 3; });
    CHECK(clients.producer->restarts() == 3);
    std::string all;
    for (const ConsumedRecord& record : clients.all(clients.names.events)) all += record.value();
    CHECK(all == "012");
}

TEST_CASE("records keep their order, key, headers and tombstones") {
    MockCluster cluster;
    Clients clients(cluster);
    const std::string topic = clients.names.bookmarks;
    ProducerRecord first = record_of(topic, "value");
    first.key = "key";
    first.headers = {{"a", "1"}, {"b", ""}, {"a", "2"}};
    clients.put(std::move(first));
    ProducerRecord tombstone;
    tombstone.topic = topic;
    tombstone.key = "key";
    clients.put(std::move(tombstone));
    clients.put(topic, "");
    const auto records = clients.all(topic);
    REQUIRE(records.size() == 3);
    CHECK(records[0].key() == "key");
    CHECK(records[0].value() == "value");
    CHECK_FALSE(records[0].is_tombstone());
    CHECK(records[0].headers().size() == 3);
    CHECK(records[0].header("a") == "2");
    CHECK_FALSE(records[0].header("c").has_value());
    CHECK(records[0].timestamp() > 0);
    CHECK(records[1].is_tombstone());
    CHECK(records[1].key() == "key");
    CHECK(records[1].headers().empty());
}

TEST_CASE("a record that is too large is refused at once, and nothing waits for it") {
    MockCluster cluster;
    Clients clients(cluster);
    const auto sent =
        clients.producer->send(record_of(clients.names.events, std::string(20u << 20, 'x')), true,
                               [](Delivery, std::uint64_t) { FAIL("it was refused"); });
    REQUIRE_FALSE(sent.has_value());
    CHECK(sent.error().code == ErrorCode::payload_too_large);
    CHECK(clients.producer->stalled() == std::chrono::milliseconds(0));
}

TEST_CASE("a producer ends with records under way") {
    MockCluster cluster;
    std::atomic<int> told{0};
    {
        Clients clients(cluster);
        cluster.set_down();
        for (int i = 0; i < 100; ++i) {
            good(clients.producer->send(record_of(clients.names.events, "x"), i % 2 == 0,
                                        [&](Delivery, std::uint64_t) { ++told; }));
        }
    }
    CHECK(told == 0);  // and all of them are freed
}

Member member_of(const std::string& id) {
    Member member;
    member.id = id;
    member.api = true;
    member.keys = "k";
    return member;
}

TEST_CASE("members see each other come, change and go", "[slow]") {
    MockCluster cluster;
    Clients left(cluster), right(cluster);
    const MembersOptions options{left.names.members, std::chrono::milliseconds(900)};
    std::atomic<int> changes{0};
    Members one(*left.producer, *left.commits, options, member_of("one"));
    good(one.start([&] { ++changes; }));
    REQUIRE(one.live().size() == 1);
    {
        Members two(*right.producer, *right.commits, options, member_of("two"));
        good(two.start([] {}));
        CHECK(two.live().size() == 2);  // before start() returns
        eventually([&] { return one.live().size() == 2; });
        two.update("http://two", {1, 3});
        eventually([&] {
            const auto live = one.live();
            return live.size() == 2 && live[1].url == "http://two" && live[1].ready.size() == 2;
        });
    }
    right.producer.reset();
    eventually([&] { return one.live().size() == 1; });
    CHECK(changes > 1);
    // It said goodbye, although its producer ended right behind it.
    std::string last;
    for (const ConsumedRecord& record : left.all(left.names.members)) {
        if (record.key() == "two") last = record.is_tombstone() ? "goodbye" : "alive";
    }
    CHECK(last == "goodbye");
}

}  // namespace
}  // namespace tidings::kafka
