// A partition whose disk fails: what callers are told, and that it recovers by itself.
#include "apps/partition_host.h"

#include "core/limits.h"
#include "events/codec.h"
#include "events/embedded_log.h"
#include "events/embedded_log_resources.h"
#include "tests/apps/node_world.h"
#include "tests/support/faulty_disk.h"

namespace tidings::apps {
namespace {

using namespace testing;
using tidings::testing::FaultyDisk;
using tidings::testing::TemporaryDirectory;

/// One partition on a disk that fails when told to.
class HostWorld {
public:
    HostWorld() {
        spdlog::set_level(spdlog::level::off);
        EmbeddedLogConfig config;
        config.directory = directory_.path() / "log";
        config.log.bytes.fill(7);
        config.create = true;
        config.resources = make_log_resources(4 << 20, 8 << 20);
        config.resources->env = FaultyDisk::env(disk_);
        auto log = EmbeddedLog::open(config);
        if (!log) FAIL(log.error().detail);
        ModelsOptions options;
        options.directory = directory_.path() / "models";
        auto models = Models::open(options);
        if (!models) FAIL(models.error().detail);
        host_ = std::make_unique<PartitionHost>(std::move(*log), std::move(*models), codec_, clock_,
                                                PartitionHostOptions{});
        host_->start();
        REQUIRE(host_->wait_started().has_value());
        REQUIRE(submit(program_body(), 60'000)->get().has_value());
    }

    std::unique_ptr<Awaited> submit(CommandBody body, std::int64_t timeout_ms) {
        Command submitted = command(kAcme, std::move(body));
        submitted.time = Timestamp{1'700'000'000'000};
        last_ = submitted.id;
        auto awaited = std::make_unique<Awaited>();
        host_->submit(submitted.id, submitted.digest, codec_.encode_command(submitted), timeout_ms,
                      awaited->done());
        return awaited;
    }

    /// Until the partition says that it can't write.
    void await_trouble() {
        while (host_->ready()) std::this_thread::yield();
    }

    /// Until it works again.
    void await_ready() {
        while (!host_->ready()) std::this_thread::yield();
    }

    const std::filesystem::path& path() const { return directory_.path(); }
    FaultyDisk& disk() { return *disk_; }
    PartitionHost& host() { return *host_; }
    const CommandId& last() const { return last_; }
    std::uint64_t partners() const { return host_->models()->summary(kAcme).partners; }

private:
    TemporaryDirectory directory_;
    std::shared_ptr<FaultyDisk> disk_ = std::make_shared<FaultyDisk>();
    CapnpCodec codec_;
    IngressClock clock_;
    CommandId last_;
    std::unique_ptr<PartitionHost> host_;
};

TEST_CASE("a full disk: callers are told outcome_unknown, and it recovers by itself") {
    HostWorld world;
    world.disk().set_full(true);
    const auto awaited = world.submit(partners_body(3), 0);
    world.await_trouble();
    CHECK(world.host().ready().error().code == ErrorCode::io);
    CHECK_FALSE(awaited->answered());
    world.host().expire();
    const Result<Applied> unknown = awaited->get();
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == ErrorCode::outcome_unknown);
    CHECK(world.host().pending(world.last()));
    CHECK(world.partners() == 0);

    const Result<Applied> refused = world.submit(program_body(), 60'000)->get();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::overloaded);  // nothing happened: it may be sent again
    world.disk().set_full(false);
    world.await_ready();
    CHECK(world.submit(program_body(), 60'000)->get().has_value());
    CHECK(world.partners() == 3);
    CHECK(world.host().figures().loop.retries > 0);
    CHECK(world.host().figures().pending == 0);
}

TEST_CASE("failing syncs are waited out as well") {
    HostWorld world;
    world.disk().set_failing_syncs(true);
    const auto awaited = world.submit(partners_body(2), 60'000);
    world.await_trouble();
    CHECK_FALSE(awaited->answered());
    world.disk().set_failing_syncs(false);
    CHECK(awaited->get().has_value());
    CHECK(world.partners() == 2);
}

TEST_CASE("a queue that is full refuses, and nothing of the refused command happens") {
    HostWorld world;
    world.disk().set_full(true);
    const auto first = world.submit(partners_body(1), 60'000);
    world.await_trouble();
    SendMessage large;
    large.subject = "Large";
    large.body = std::string(limits::kBodyBytes, 'x');
    std::vector<std::unique_ptr<Awaited>> accepted;
    std::optional<Error> refusal;
    while (!refusal) {
        auto awaited = world.submit(large, 60'000);
        if (awaited->answered()) {
            const Result<Applied> refused = awaited->get();
            REQUIRE_FALSE(refused.has_value());
            refusal = refused.error();
        } else {
            accepted.push_back(std::move(awaited));
        }
        REQUIRE(accepted.size() * limits::kBodyBytes <= limits::kQueueBytes);
    }
    CHECK(refusal->code == ErrorCode::overloaded);
    CHECK_FALSE(world.host().pending(world.last()));
    world.disk().set_full(false);
    CHECK(first->get().has_value());
    for (const auto& awaited : accepted) CHECK(awaited->get().has_value());
    CHECK(world.host().models()->summary(kAcme).messages == accepted.size());
}

TEST_CASE("a stop with a broken disk ends, and tells those who wait") {
    HostWorld world;
    world.disk().set_full(true);
    const auto awaited = world.submit(partners_body(1), 60'000);
    world.await_trouble();
    world.host().begin_stop(std::chrono::milliseconds(30));
    world.host().stop();
    const Result<Applied> unknown = awaited->get();
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == ErrorCode::outcome_unknown);
}

/// What replaces the live read models, made from the log of the host by a task.
class Successor {
public:
    explicit Successor(HostWorld& world) : world_(world) {
        ModelsOptions options;
        options.directory = world.path() / "next";
        auto models = Models::open(options);
        if (!models) FAIL(models.error().detail);
        models_ = std::move(*models);
    }
    /// A copy of the live ones: what folding the same commits gives.
    void copy_live() {
        models_.reset();
        const auto copied = world_.host().between_steps(
            [&](Models& live, const Tip&) { return live.snapshot(world_.path() / "copy"); },
            cancelled_);
        REQUIRE(copied.has_value());
        ModelsOptions options;
        options.directory = world_.path() / "copy";
        auto models = Models::open(options);
        if (!models) FAIL(models.error().detail);
        models_ = std::move(*models);
    }
    Result<void> take_over() {
        return world_.host().between_steps(
            [&](Models&, const Tip&) -> Result<void> {
                auto replaced = world_.host().replace_models(models_);
                if (!replaced) return replaced.error();
                old_ = std::move(*replaced);
                return {};
            },
            cancelled_);
    }
    const std::shared_ptr<Models>& old() const { return old_; }
    const std::shared_ptr<Models>& models() const { return models_; }

private:
    HostWorld& world_;
    std::shared_ptr<Models> models_, old_;
    std::atomic<bool> cancelled_{false};
};

TEST_CASE("read models take the place of others while the partition runs") {
    HostWorld world;
    REQUIRE(world.submit(partners_body(3), 60'000)->get().has_value());
    const auto held = world.host().models();
    Successor successor(world);
    SECTION("at the same commit") {
        successor.copy_live();
        REQUIRE(successor.take_over().has_value());
        CHECK(successor.old() == held);
        CHECK(world.host().models() == successor.models());
        CHECK(world.partners() == 3);
        REQUIRE(world.submit(partners_body(5), 60'000)->get().has_value());
        CHECK(world.partners() == 5);
        CHECK(held->summary(kAcme).partners == 3);  // a reader goes on with what it had
    }
    SECTION("at another commit: refused, and nothing changes") {
        const Result<void> refused = successor.take_over();
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == ErrorCode::log_mismatch);
        CHECK(world.host().models() == held);
        REQUIRE(world.submit(partners_body(4), 60'000)->get().has_value());
        CHECK(world.partners() == 4);
    }
}

TEST_CASE("a run that is appended and not yet read back is folded into the new read models") {
    HostWorld world;
    Successor successor(world);
    successor.copy_live();
    world.disk().set_full(true);
    const auto awaited = world.submit(partners_body(2), 60'000);
    world.await_trouble();
    REQUIRE(successor.take_over().has_value());
    world.disk().set_full(false);
    REQUIRE(awaited->get().has_value());
    CHECK(world.partners() == 2);
    CHECK(successor.old()->summary(kAcme).partners == 0);
}

TEST_CASE("a task's error is its caller's, and a stopped partition takes none") {
    HostWorld world;
    std::atomic<bool> cancelled{false};
    const auto failed = world.host().between_steps(
        [](Models&, const Tip&) -> Result<void> { throw std::runtime_error("unreadable"); },
        cancelled);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().detail == "unreadable");
    REQUIRE(world.submit(partners_body(1), 60'000)->get().has_value());
    world.host().begin_stop(std::chrono::milliseconds(0));
    world.host().stop();
    bool ran = false;
    const auto refused = world.host().between_steps(
        [&ran](Models&, const Tip&) -> Result<void> {
            ran = true;
            return {};
        },
        cancelled);
    REQUIRE_FALSE(refused.has_value());
    CHECK_FALSE(ran);
}

}  // namespace
}  // namespace tidings::apps
