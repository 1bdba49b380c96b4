#include "apps/node.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "apps/data_directory.h"
#include "core/limits.h"
#include "tests/apps/node_world.h"

namespace tidings::apps {
namespace {

using namespace testing;
using tidings::testing::TemporaryDirectory;

/// A program with three partners and one message; the message's number.
EventNumber make_program(Node& node) {
    apply(node, kAcme, program_body());
    apply(node, kAcme, partners_body(3));
    return apply(node, kAcme, send_body()).outcome.answer;
}

std::uint64_t opens_of(const Node& node, EventNumber message) {
    return node.read(kAcme)->stats(kAcme, message).opens;
}

TEST_CASE("what was submitted is applied and visible when its outcome comes") {
    const TemporaryDirectory directory;
    const auto node = start_node(node_options(directory.path() / "new" / "data"));
    CHECK(node->ready().has_value());
    const EventNumber message = make_program(*node);
    CHECK(node->read(kAcme)->summary(kAcme).partners == 3);
    const Applied opened = apply(*node, kAcme, open_body(message, 1));
    CHECK(opened.outcome.first_opens == 1);
    CHECK(opened.outcome.events.empty());
    CHECK(opened.partition == node->partition_of(kAcme));
    CHECK(opened.sequence == Sequence{4});
    CHECK(opens_of(*node, message) == 1);
    const PartitionFigures figures = node->figures(opened.partition);
    CHECK(figures.loop.commits == 4);
    CHECK(figures.loop.commands == 4);
    CHECK(figures.pending == 0);
    CHECK(figures.applied == Sequence{4});
}

TEST_CASE("a restart keeps everything") {
    const TemporaryDirectory directory;
    EventNumber message;
    {
        const auto node = start_node(node_options(directory.path()));
        message = make_program(*node);
        apply(*node, kAcme, open_body(message, 0));
        node->stop(kPatience);
    }
    for (int i = 0; i < 2; ++i) {
        const auto node = start_node(node_options(directory.path()));
        CHECK(opens_of(*node, message) == static_cast<std::uint64_t>(1 + i));
        CHECK(apply(*node, kAcme, open_body(message, 0)).outcome.first_opens == 0);
        CHECK(apply(*node, kAcme, open_body(message, static_cast<std::uint32_t>(1 + i)))
                  .outcome.first_opens == 1);
    }
}

TEST_CASE("what was acknowledged is in a copy made while the node runs, as after a kill") {
    const TemporaryDirectory directory;
    const std::filesystem::path copy = directory.path() / "copy";
    const auto node = start_node(node_options(directory.path() / "live"));
    const EventNumber message = make_program(*node);
    apply(*node, kAcme, open_body(message, 2));
    std::filesystem::copy(directory.path() / "live", copy,
                          std::filesystem::copy_options::recursive);
    const auto second = start_node(node_options(copy));
    CHECK(opens_of(*second, message) == 1);
    CHECK(second->read(kAcme)->summary(kAcme).messages == 1);
    CHECK(apply(*second, kAcme, open_body(message, 2)).outcome.first_opens == 0);
}

TEST_CASE("commands with the same id take effect once, and each gets an outcome") {
    const TemporaryDirectory directory;
    const auto node = start_node(node_options(directory.path()));
    make_program(*node);
    Command send = command(kAcme, send_body("Once"));
    send.remember = true;
    constexpr std::size_t kTimes = 8;
    std::vector<Awaited> awaited(kTimes);
    for (Awaited& one : awaited) node->submit(send, one.done());
    std::size_t applied = 0;
    EventNumber answer;
    for (Awaited& one : awaited) {
        const Result<Applied> outcome = one.get();
        REQUIRE(outcome.has_value());
        applied += outcome->outcome.status == OutcomeStatus::applied ? 1 : 0;
        if (answer.value != 0) CHECK(outcome->outcome.answer == answer);
        answer = outcome->outcome.answer;
    }
    CHECK(applied == 1);
    CHECK_FALSE(node->pending(kAcme, send.id));
    CHECK(node->read(kAcme)->summary(kAcme).messages == 2);

    Command other = command(kAcme, send_body("Other"));
    other.id = send.id;
    other.remember = true;
    other.digest.bytes[0] = 1;
    const Result<Applied> refused = submit(*node, other);
    REQUIRE(refused.has_value());
    REQUIRE(refused->outcome.refusal);
    CHECK(refused->outcome.refusal->code == ErrorCode::idempotency_key_reused);
}

TEST_CASE("stopping finishes what was accepted and refuses what comes later") {
    const TemporaryDirectory directory;
    std::vector<Awaited> awaited(500);
    EventNumber message;
    {
        const auto node = start_node(node_options(directory.path()));
        message = make_program(*node);
        for (std::size_t i = 0; i < awaited.size(); ++i) {
            node->submit(command(kAcme, open_body(message, i % 3)), awaited[i].done());
        }
        node->stop(kPatience);
        for (Awaited& one : awaited) {
            REQUIRE(one.answered());
            CHECK(one.get().has_value());
        }
        const Result<Applied> late = submit(*node, command(kAcme, open_body(message, 0)));
        REQUIRE_FALSE(late.has_value());
        CHECK(late.error().code == ErrorCode::overloaded);
        CHECK_FALSE(node->ready().has_value());
        CHECK(opens_of(*node, message) == 3);  // reads stay possible
    }
    CHECK(opens_of(*start_node(node_options(directory.path())), message) == 3);
}

TEST_CASE("many threads submit at once and nothing is lost") {
    const TemporaryDirectory directory;
    const auto node = start_node(node_options(directory.path()));
    apply(*node, kAcme, program_body());
    apply(*node, kAcme, partners_body(1'000));
    const EventNumber message = apply(*node, kAcme, send_body()).outcome.answer;
    std::atomic<std::uint64_t> first_opens{0}, answered{0};
    std::promise<void> all;
    constexpr std::uint32_t kThreads = 4, kPartners = 1'000;
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&] {
            for (std::uint32_t p = 0; p < kPartners; ++p) {
                Command open;
                open.id = command_id(answered + p * kThreads);
                open.program = kAcme;
                open.body = open_body(message, p);
                node->submit(std::move(open), [&](Result<Applied> applied) {
                    if (applied) first_opens += applied->outcome.first_opens;
                    if (++answered == kThreads * kPartners) all.set_value();
                });
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    REQUIRE(all.get_future().wait_for(kPatience) == std::future_status::ready);
    CHECK(first_opens == kPartners);
    CHECK(opens_of(*node, message) == kPartners);
}

TEST_CASE("a position is waited for") {
    const TemporaryDirectory directory;
    const auto node = start_node(node_options(directory.path()));
    const PartitionId partition = node->partition_of(kAcme);
    std::promise<Result<void>> first, second, never;
    node->wait_for(partition, Sequence{2}, 60'000, [&](auto r) { first.set_value(std::move(r)); });
    node->wait_for(partition, Sequence{0}, 60'000, [&](auto r) { second.set_value(std::move(r)); });
    node->wait_for(partition, Sequence{1ull << 40}, 1,
                   [&](auto r) { never.set_value(std::move(r)); });
    apply(*node, kAcme, program_body());
    apply(*node, kAcme, partners_body(1));
    CHECK(first.get_future().get().has_value());
    CHECK(second.get_future().get().has_value());
    const Result<void> timed_out = never.get_future().get();
    REQUIRE_FALSE(timed_out.has_value());
    CHECK(timed_out.error().code == ErrorCode::not_caught_up);
}

TEST_CASE("a clock that jumped stops writes until it is right again") {
    const TemporaryDirectory directory;
    auto wall_ms = std::make_shared<std::atomic<std::int64_t>>(1'700'000'000'000);
    NodeOptions options = node_options(directory.path());
    options.clock = [wall_ms] { return ClockReading{*wall_ms, 0}; };
    const auto node = start_node(options);
    const EventNumber message = make_program(*node);
    CHECK(node->read(kAcme)->message(kAcme, message)->card->sent_at ==
          Timestamp{1'700'000'000'000});
    *wall_ms += 10 * limits::kClockJumpMs;
    const Result<Applied> refused = submit(*node, command(kAcme, open_body(message, 0)));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::overloaded);
    REQUIRE_FALSE(node->ready().has_value());
    CHECK(opens_of(*node, message) == 0);
    *wall_ms -= 10 * limits::kClockJumpMs;
    CHECK(node->ready().has_value());
    CHECK(apply(*node, kAcme, open_body(message, 0)).outcome.first_opens == 1);
}

TEST_CASE("one directory, one node") {
    const TemporaryDirectory directory;
    const auto node = start_node(node_options(directory.path()));
    const auto second = Node::open(node_options(directory.path()));
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().detail.find("in use by process " + std::to_string(getpid())) !=
          std::string::npos);
}

TEST_CASE("the number of partitions is the log's") {
    const TemporaryDirectory directory;
    start_node(node_options(directory.path()))->stop(kPatience);
    NodeOptions options = node_options(directory.path());
    options.partitions = 3;
    const auto refused = Node::open(options);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::usage);
    options.partitions = 0;
    CHECK(start_node(options)->partitions() == 2);
}

TEST_CASE("a lost part of the log is told, and nothing is made in its place") {
    const TemporaryDirectory directory;
    {
        const auto node = start_node(node_options(directory.path()));
        make_program(*node);
    }
    const PartitionId partition = route(kAcme, 2);
    SECTION("one partition") {
        std::filesystem::remove_all(log_directory(directory.path(), PartitionId{0}));
    }
    SECTION("the last partition") {
        std::filesystem::remove_all(log_directory(directory.path(), PartitionId{1}));
    }
    SECTION("all of it") { std::filesystem::remove_all(log_directory(directory.path())); }
    SECTION("a partition of another log in its place") {
        const TemporaryDirectory other;
        start_node(node_options(other.path()))->stop(kPatience);
        std::filesystem::remove_all(log_directory(directory.path(), partition));
        std::filesystem::copy(log_directory(other.path(), partition),
                              log_directory(directory.path(), partition),
                              std::filesystem::copy_options::recursive);
    }
    const auto node = Node::open(node_options(directory.path()));
    REQUIRE_FALSE(node.has_value());
    CHECK(node.error().code == ErrorCode::log_mismatch);
}

TEST_CASE("a shorter log than the read models have seen is refused at the start") {
    const TemporaryDirectory directory;
    const std::filesystem::path data = directory.path() / "data", backup = directory.path() / "log";
    {
        const auto node = start_node(node_options(data));
        apply(*node, kAcme, program_body());
    }
    std::filesystem::copy(log_directory(data), backup, std::filesystem::copy_options::recursive);
    {
        const auto node = start_node(node_options(data));
        apply(*node, kAcme, partners_body(2));
    }
    std::filesystem::remove_all(log_directory(data));
    std::filesystem::copy(backup, log_directory(data), std::filesystem::copy_options::recursive);
    const auto node = Node::open(node_options(data));
    REQUIRE(node.has_value());
    const Result<void> started = (*node)->start();
    REQUIRE_FALSE(started.has_value());
    CHECK(started.error().code == ErrorCode::log_mismatch);
    CHECK_FALSE((*node)->ready().has_value());
    const Result<Applied> refused = submit(**node, command(kAcme, program_body()));
    CHECK_FALSE(refused.has_value());
}

TEST_CASE("lost read models are made anew from the log") {
    const TemporaryDirectory directory;
    EventNumber message;
    {
        const auto node = start_node(node_options(directory.path()));
        message = make_program(*node);
        apply(*node, kAcme, open_body(message, 0));
    }
    std::filesystem::remove_all(models_directory(directory.path()));
    CHECK(opens_of(*start_node(node_options(directory.path())), message) == 1);
}

}  // namespace
}  // namespace tidings::apps
