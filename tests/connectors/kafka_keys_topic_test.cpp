// The journal of the partners' keys on a topic: what is appended comes to everybody, once or again.
#include "connectors/kafka/keys_topic.h"

#include "tests/connectors/kafka_world.h"

namespace tidings::kafka {
namespace {

using namespace testing;

/// One process, and what it was told to apply.
struct Follower {
    explicit Follower(const MockCluster& cluster,
                      std::chrono::milliseconds segment = std::chrono::hours(1))
        : clients(cluster), topic(clients.producer.get(), *clients.others, options(segment)) {}

    KeysTopicOptions options(std::chrono::milliseconds segment) {
        KeysTopicOptions out;
        out.topic = clients.names.keys;
        out.segment = segment;
        out.apply = [this](const std::vector<KeyRecord>& records) -> Result<void> {
            const std::lock_guard lock(mutex);
            ++calls;
            if (failing) return Error{ErrorCode::io, "the disk is full", {}};
            applied.insert(applied.end(), records.begin(), records.end());
            return {};
        };
        return out;
    }
    std::vector<KeyRecord> seen() {
        const std::lock_guard lock(mutex);
        return applied;
    }

    Clients clients;
    std::mutex mutex;
    std::vector<KeyRecord> applied;
    bool failing = false;
    int calls = 0;
    KeysTopic topic;  // ends before what it tells
};

TEST_CASE("everybody gets what anybody appends, in order, tombstones too") {
    const MockCluster cluster;
    Follower one(cluster), other(cluster);
    good(one.topic.read_all());
    CHECK(one.seen().empty());
    one.topic.follow();
    const std::vector<KeyRecord> records = {
        {"k1", "first"}, {"k2", "second"}, {"k1", std::nullopt}};
    good(one.topic.append(records));
    CHECK(one.seen() == records);  // whoever appends has it
    good(other.topic.read_all());
    CHECK(other.seen() == records);
    other.topic.follow();
    good(other.topic.append({{"k3", "third"}}));
    good(one.topic.catch_up());
    CHECK(one.seen().back() == KeyRecord{"k3", "third"});
    eventually([&] { return other.seen().size() == 4; });
}

TEST_CASE("what could not be applied is read again, and nothing is skipped") {
    const MockCluster cluster;
    Follower one(cluster);
    good(one.topic.read_all());
    {
        const std::lock_guard lock(one.mutex);
        one.failing = true;
    }
    one.topic.follow();
    CHECK_FALSE(one.topic.append({{"k1", "first"}, {"k2", "second"}}).has_value());
    eventually([&] {
        const std::lock_guard lock(one.mutex);
        return one.calls >= 2;
    });
    CHECK(one.seen().empty());
    {
        const std::lock_guard lock(one.mutex);
        one.failing = false;
    }
    eventually([&] { return one.seen().size() == 2; });
    CHECK(one.seen() == std::vector<KeyRecord>{{"k1", "first"}, {"k2", "second"}});
}

TEST_CASE("a reader that appends nothing fails where it cannot apply, and without the topic") {
    const MockCluster cluster;
    Follower writer(cluster);
    good(writer.topic.read_all());
    writer.topic.follow();
    good(writer.topic.append({{"k1", "first"}}));
    Follower one(cluster);
    one.failing = true;
    CHECK_FALSE(one.topic.read_all().has_value());
    one.failing = false;
    good(one.topic.read_all());
    CHECK(one.seen().size() == 1);
}

TEST_CASE("without brokers nothing is appended, and nobody has caught up") {
    MockCluster cluster;
    Follower one(cluster);
    good(one.topic.read_all());
    one.topic.follow();
    cluster.set_down();
    CHECK_FALSE(one.topic.catch_up().has_value());
    CHECK_FALSE(one.topic.append({{"k1", "first"}}).has_value());
    cluster.set_up();
    eventually([&] { return one.seen().size() == 1; });  // it was not given up, and does no harm
}

TEST_CASE("a tombstone's segment is closed by a record of nothing") {
    const MockCluster cluster;
    Follower one(cluster, std::chrono::milliseconds(10));
    good(one.topic.read_all());
    one.topic.follow();
    good(one.topic.append({{"k1", "first"}}));
    good(one.topic.catch_up());
    CHECK(one.seen().size() == 1);
    good(one.topic.append({{"k1", std::nullopt}}));
    eventually([&] { return one.seen().size() == 3; });
    CHECK(one.seen().back() == KeyRecord{"m", "m"});
    good(one.topic.append({{"k2", "second"}}));
    CHECK(one.seen().size() == 4);
}

}  // namespace
}  // namespace tidings::kafka
