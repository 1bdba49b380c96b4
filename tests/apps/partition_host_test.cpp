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

const ProgramId kAcme{"acme"};

/// One partition on a disk that fails when told to.
class World {
public:
    World() {
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
    World world;
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
    World world;
    world.disk().set_failing_syncs(true);
    const auto awaited = world.submit(partners_body(2), 60'000);
    world.await_trouble();
    CHECK_FALSE(awaited->answered());
    world.disk().set_failing_syncs(false);
    CHECK(awaited->get().has_value());
    CHECK(world.partners() == 2);
}

TEST_CASE("a queue that is full refuses, and nothing of the refused command happens") {
    World world;
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
    World world;
    world.disk().set_full(true);
    const auto awaited = world.submit(partners_body(1), 60'000);
    world.await_trouble();
    world.host().begin_stop(std::chrono::milliseconds(30));
    world.host().stop();
    const Result<Applied> unknown = awaited->get();
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == ErrorCode::outcome_unknown);
}

}  // namespace
}  // namespace tidings::apps
