#include "connectors/kafka/kafka_log.h"

#include "events/codec.h"
#include "tests/connectors/kafka_world.h"
#include "tests/core/loop_world.h"

namespace tidings::kafka {
namespace {

using namespace testing;
using tidings::testing::MemoryProjection;
using tidings::testing::Recorder;

/// A partition of the log on a cluster of its own.
struct World {
    MockCluster cluster;
    Clients clients{cluster};
    Genesis genesis = make_genesis(clients);
    std::unique_ptr<KafkaLog> log = clients.log(genesis);

    void append(const std::string& bytes) {
        log->append_commit(bytes);
        eventually([&] { return log->append_state() != AppendState::pending; });
        REQUIRE(log->append_state() == AppendState::idle);
    }
    std::vector<std::string> commits_from(std::uint64_t from) {
        std::vector<CommitRecord> records;
        good(log->read_commits(LogPosition{from}, 1 << 20, records));
        return values(records, std::max<std::uint64_t>(1, from));
    }
    /// One read may give but a few of them.
    std::vector<std::string> all_commits_from(std::uint64_t from) {
        from = std::max<std::uint64_t>(1, from);
        std::vector<std::string> all, some;
        do {
            some = commits_from(from + all.size());
            all.insert(all.end(), some.begin(), some.end());
        } while (!some.empty());
        return all;
    }
    std::vector<std::string> commands_from(std::uint64_t from) {
        std::vector<CommandRecord> records;
        good(log->read_commands(CommandPosition{from}, 1 << 20, records));
        return values(records, from);
    }

private:
    template <class Record>
    static std::vector<std::string> values(const std::vector<Record>& records, std::uint64_t from) {
        std::vector<std::string> out;
        for (const Record& record : records) {
            CHECK(record.position.value == from++);
            out.push_back(record.bytes);
        }
        return out;
    }
};

using Texts = std::vector<std::string>;

TEST_CASE("commits are read back in order, and again from an older position") {
    World world;
    CHECK(world.log->end_of_commits().value() == LogPosition{0});
    CHECK(world.commits_from(0).empty());
    Texts all;
    for (const char* text : {"one", "two", "three"}) {
        world.append(text);
        all.emplace_back(text);
        CHECK(world.log->end_of_commits().value() == LogPosition{all.size() + 1});
        CHECK(world.commits_from(all.size()) == Texts{text});  // acknowledged: it must be there
    }
    CHECK(world.commits_from(4).empty());
    CHECK(world.all_commits_from(0) == all);
    CHECK(world.all_commits_from(2) == Texts{"two", "three"});
    CHECK(world.commits_from(4).empty());
    world.append("four");
    CHECK(world.commits_from(4) == Texts{"four"});
    world.log->rest();
    CHECK(world.all_commits_from(3) == Texts{"three", "four"});
    std::vector<CommitRecord> records;
    good(world.log->read_commits(LogPosition{1}, 1, records));
    CHECK(records.size() == 1);  // at least one, whatever its size
}

TEST_CASE("after a rest the end is asked anew: what came meanwhile is there at once") {
    World world;
    world.append("one");
    CHECK(world.commits_from(1) == Texts{"one"});
    CHECK(world.commits_from(2).empty());
    good(world.log->append_command("a"));
    eventually([&] { return world.commands_from(0) == Texts{"a"}; });
    CHECK(world.commands_from(1).empty());
    Clients others(world.cluster);
    for (int i = 0; i < 5; ++i) {
        world.log->rest();
        const std::string number = std::to_string(i);
        const std::uint64_t commit = others.put(others.names.commits, number);
        const std::uint64_t command = others.put(others.names.commands, number);
        CHECK(world.commits_from(commit) == Texts{number});
        CHECK(world.log->end_of_commits().value() == LogPosition{commit + 1});
        CHECK(world.commands_from(command) == Texts{number});
    }
}

TEST_CASE("commands are read from any position, and counted from 0") {
    World world;
    CHECK(world.commands_from(0).empty());
    CHECK(world.log->end_of_commands().value() == CommandPosition{0});
    for (const char* text : {"a", "b", "c"}) good(world.log->append_command(text));
    Texts read;
    eventually([&] {
        for (std::string& text : world.commands_from(read.size())) read.push_back(std::move(text));
        return read.size() == 3;
    });
    CHECK(read == Texts{"a", "b", "c"});
    CHECK(world.commands_from(1).front() == "b");
    CHECK(world.log->end_of_commands().value() == CommandPosition{3});
}

TEST_CASE("a command that a commit has answered is waited for, though no fetch has shown it yet") {
    World world;
    Clients others(world.cluster);
    for (std::uint64_t i = 0; i < 20; ++i) {
        CHECK(world.commands_from(i).empty());
        others.put(others.names.commands, std::to_string(i));
        world.log->expect_commands(CommandPosition{i + 1});
        CHECK(world.commands_from(i) == Texts{std::to_string(i)});
    }
    world.log->expect_commands(CommandPosition{22});
    CHECK(world.commands_from(20).empty());  // it is not there, the leader says
}

TEST_CASE("what arrives wakes whoever sleeps", "[slow]") {
    World world;
    std::atomic<int> wakes{0};
    world.log->on_activity([&] { ++wakes; });
    CHECK(world.commands_from(0).empty());
    good(world.log->append_command("a"));
    eventually([&] { return wakes > 0; });
    eventually([&] { return world.commands_from(0) == Texts{"a"}; });
    const int before = wakes;
    world.append("one");
    eventually([&] { return wakes > before; });
    world.log.reset();  // nobody is woken any more
}

TEST_CASE("who needs no commands is not woken by them, and reads them again from any place") {
    World world;
    std::atomic<int> wakes{0};
    world.log->on_activity([&] { ++wakes; });
    good(world.log->append_command("0"));
    eventually([&] { return world.commands_from(0) == Texts{"0"}; });
    CHECK(world.commands_from(1).empty());
    world.log->rest_commands();
    // Asked behind the last fetch, on the same connection: what that one brings has come.
    CHECK(world.log->end_of_commands().value() == CommandPosition{1});
    wakes = 0;
    Clients others(world.cluster);
    for (int i = 1; i <= 20; ++i) others.put(others.names.commands, std::to_string(i));
    CHECK(wakes == 0);
    CHECK(world.commands_from(20) == Texts{"20"});
    others.put(others.names.commands, "21");
    eventually([&] { return wakes > 0; });
    world.append("one");
    CHECK(world.commits_from(1) == Texts{"one"});
}

TEST_CASE("what is wrong with an older place is not told about another") {
    World world;
    constexpr std::uint64_t kRecords = 5;
    const std::string topic = world.clients.names.events;
    for (std::uint64_t i = 0; i < kRecords; ++i) world.clients.put(topic, std::to_string(i));
    PartitionReader reader(*world.clients.commits, topic, 0);
    for (int i = 0; i < 30; ++i) {
        // Nobody waits for this answer: it comes while something else is read.
        (void)reader.read(40, std::chrono::milliseconds(i % 10));
        for (std::uint64_t at = 0; at < kRecords; ++at) {
            const auto record = good(reader.read(at, kPatience));
            REQUIRE(record.has_value());
            CHECK(record->value() == std::to_string(at));
        }
    }
    const auto beyond = reader.read(99, kPatience);
    REQUIRE_FALSE(beyond.has_value());
    CHECK(beyond.error().code == ErrorCode::log_mismatch);
    CHECK(beyond.error().detail.find("mock.events [0] does not have position 99") == 0);
}

TEST_CASE("a position beyond the end is no position of this log", "[slow]") {
    World world;
    world.append("one");
    std::vector<CommitRecord> commits;
    const auto beyond = world.log->read_commits(LogPosition{3}, 1 << 20, commits);
    REQUIRE_FALSE(beyond.has_value());
    CHECK(beyond.error().code == ErrorCode::log_mismatch);
    CHECK(beyond.error().detail.find("mock.commits [0] ends at 2, before position 3") == 0);
    std::vector<CommandRecord> commands;
    const auto nothing = world.log->read_commands(CommandPosition{1}, 1 << 20, commands);
    REQUIRE_FALSE(nothing.has_value());
    CHECK(nothing.error().code == ErrorCode::log_mismatch);
    CHECK(world.commits_from(1) == Texts{"one"});  // and it goes on where something is
}

TEST_CASE("an append of unknown outcome goes on through a new producer, with the same bytes") {
    World world;
    world.append("one");
    world.cluster.set_down();
    world.log->append_commit("two");
    good(world.log->append_command("a"));
    CHECK(world.log->append_state() == AppendState::pending);
    world.clients.break_producer();
    eventually([&] { return world.log->append_state() == AppendState::unknown; });
    world.cluster.set_up();
    world.append("two");
    Texts commits;
    eventually([&] {  // the first one may have landed as well
        for (std::string& text : world.commits_from(1 + commits.size())) {
            commits.push_back(std::move(text));
        }
        return commits.size() >= 2;
    });
    CHECK(commits.front() == "one");
    for (std::size_t i = 1; i < commits.size(); ++i) CHECK(commits[i] == "two");
    eventually([&] { return !world.commands_from(0).empty(); });
    CHECK(world.commands_from(0).front() == "a");
}

TEST_CASE("trouble is told while no broker answers, and ends by itself", "[slow]") {
    World world;
    world.append("one");
    CHECK_FALSE(world.log->trouble().has_value());
    const std::uint64_t before = world.log->generation();
    world.cluster.set_down();
    eventually([&] { return world.log->trouble().has_value(); });
    CHECK(world.log->trouble()->code == ErrorCode::io);
    CHECK(world.log->generation() != before);
    good(world.log->append_command("a"));  // kept until it gets through
    world.cluster.set_up();
    eventually([&] { return !world.log->trouble().has_value(); });
    CHECK(world.commits_from(1) == Texts{"one"});
    eventually([&] {
        std::vector<CommandRecord> records;
        return world.log->read_commands(CommandPosition{0}, 1, records) && !records.empty();
    });
}

/// A process' decider on the log.
struct Decider {
    Decider(const MockCluster& cluster, const Genesis& genesis, const Codec& codec)
        : clients(cluster), log(clients.log(genesis)) {
        loop = std::make_unique<PartitionLoop>(*log, codec, projection, recorder, true);
        good(loop->verify_start());
    }
    Clients clients;
    std::unique_ptr<KafkaLog> log;
    MemoryProjection projection;
    Recorder recorder;
    std::unique_ptr<PartitionLoop> loop;
};

TEST_CASE("a genesis that another process wrote as well holds nobody up") {
    World world;
    make_genesis(world.clients, "another log id!!");
    const CapnpCodec codec;
    tidings::testing::World commands;
    Decider decider(world.cluster, world.genesis, codec);
    const auto step_until = [&](const auto& predicate) {
        eventually([&] {
            const auto stepped = decider.loop->step();
            if (!stepped) FAIL(stepped.error().detail);
            return predicate();
        });
    };
    step_until([&] { return decider.loop->caught_up(); });
    const auto submit = [&] {
        world.clients.put(
            world.clients.names.commands,
            codec.encode_command(commands.command(UpsertProgram{"Acme", Plan::partner})));
    };
    submit();
    step_until([&] { return decider.loop->tip().sequence == Sequence{1}; });
    make_genesis(world.clients, "one comes late!!");
    step_until([&] { return decider.loop->counters().skipped == 2; });
    submit();
    step_until([&] { return decider.loop->tip().sequence == Sequence{2}; });
    Decider late(world.cluster, world.genesis, codec);
    eventually([&] { return late.loop->step().has_value() && late.loop->caught_up(); });
    CHECK(late.loop->tip() == decider.loop->tip());
}

}  // namespace
}  // namespace tidings::kafka
