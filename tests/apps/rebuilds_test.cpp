// Rebuilding beside partitions whose logs fail, that have not caught up or that have stopped.
#include "apps/rebuilds.h"

#include "apps/data_directory.h"
#include "tests/apps/shared_log.h"

namespace tidings::apps {
namespace {

using namespace testing;
using tidings::testing::TemporaryDirectory;

/// A log's reader beside the partition.
class Reader final : public CommitSource {
public:
    Reader(SharedLog& log, const std::atomic<bool>& fails) : log_(log), fails_(fails) {}
    const Genesis& genesis() const override { return log_.genesis(); }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        if (fails_) return Error{ErrorCode::io, "the reader's broker is away", {}};
        return log_.read_commits(from, max_bytes, out);
    }

private:
    HandleOnLog log_;
    const std::atomic<bool>& fails_;
};

struct RebuildsWorld {
    RebuildsWorld() {
        logs[1].store.genesis.partition = PartitionId{1};
        RebuildsOptions options;
        options.data = data.path();
        options.partitions = 2;
        options.open_log = [this](PartitionId p) -> Result<std::unique_ptr<CommitSource>> {
            return std::unique_ptr<CommitSource>(std::make_unique<Reader>(logs[p.value], fails));
        };
        options.host = [this](PartitionId p) { return processes[p.value]->host.get(); };
        options.forget_past = [](PartitionId) {};
        rebuilds = std::make_unique<Rebuilds>(std::move(options));
    }
    Process& start(std::size_t p) {
        processes[p] =
            std::make_unique<Process>(logs[p], PartitionHostOptions{.patient = true},
                                      models_directory(data.path()) / ("p" + std::to_string(p)));
        return *processes[p];
    }
    RebuildProgress progress(std::size_t p) const { return rebuilds->rebuilds().at(p); }
    template <class Predicate>
    void await(std::size_t p, const Predicate& predicate) const {
        processes[p]->await([&] { return predicate(progress(p)); });
    }

    TemporaryDirectory data;
    std::array<SharedLog, 2> logs;
    std::array<std::unique_ptr<Process>, 2> processes;
    std::atomic<bool> fails{false};
    std::unique_ptr<Rebuilds> rebuilds;  // before the hosts
};

bool is_done(const RebuildProgress& progress) { return progress.state == RebuildState::done; }
bool is_failed(const RebuildProgress& progress) { return progress.state == RebuildState::failed; }

TEST_CASE("a log that does not answer is waited for, and the rebuild says so meanwhile") {
    RebuildsWorld world;
    CHECK(world.start(0).submit(program_body()).get().has_value());
    world.fails = true;
    REQUIRE(world.rebuilds->rebuild({PartitionId{0}}, false).has_value());
    world.await(0, [](const RebuildProgress& progress) {
        return progress.problem.find("broker is away") != std::string::npos;
    });
    CHECK(world.progress(0).state < RebuildState::done);
    SECTION("it goes on when the log is back") {
        world.fails = false;
        world.await(0, is_done);
        CHECK(world.progress(0).problem.empty());
    }
    SECTION("it ends with the process") {}
    world.rebuilds->stop();
    const auto late = world.rebuilds->rebuild({PartitionId{0}}, false);
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == ErrorCode::overloaded);
}

TEST_CASE("a partition that has not caught up holds up no other one") {
    RebuildsWorld world;
    world.logs[0].failing = true;
    world.start(0);
    CHECK(world.start(1).submit(program_body()).get().has_value());
    REQUIRE(world.rebuilds->rebuild({PartitionId{0}, PartitionId{1}}, false).has_value());
    world.await(1, is_done);
    CHECK(world.progress(0).state == RebuildState::waiting);
    SECTION("and is rebuilt when it has") { world.logs[0].set(&SharedLog::failing, false); }
    SECTION("and is given up when it stops") {
        world.processes[0]->host->begin_stop(std::chrono::milliseconds(0));
        world.await(0, is_failed);
        CHECK(world.progress(0).problem.find("has stopped") != std::string::npos);
        return;
    }
    world.await(0, is_done);
}

TEST_CASE("a task that is cancelled before it began is never run") {
    SharedLog log;
    log.failing = true;
    Process process(log);
    const std::atomic<bool> cancelled{true};
    bool ran = false;
    const auto task = [&ran](Models&, const Tip&) -> Result<void> {
        ran = true;
        return {};
    };
    const auto refused = process.host->between_steps(task, cancelled);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::overloaded);
    log.set(&SharedLog::failing, false);
    CHECK(process.host->wait_started().has_value());
    CHECK(process.submit(program_body()).get().has_value());
    CHECK_FALSE(ran);
    const std::atomic<bool> wanted{false};
    CHECK(process.host->between_steps(task, wanted).has_value());
    CHECK(ran);
}

}  // namespace
}  // namespace tidings::apps
