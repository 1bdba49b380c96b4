// Erasures at a node whose read models are being made anew, or are read for long.
#include <fstream>
#include <thread>

#include "apps/generations.h"
#include "apps/snapshots.h"
#include "projections/exports.h"
#include "tests/apps/node_world.h"

namespace tidings::apps {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using tidings::testing::TemporaryDirectory;

const PartitionId kPartition = route(kAcme, 2);

std::future<Result<Erasure>> begin_erasure(Node& node, const std::string& partner) {
    auto promise = std::make_shared<std::promise<Result<Erasure>>>();
    auto answer = promise->get_future();
    node.erase(command(kAcme, ErasePartner{PartnerId{partner}}),
               [promise](Result<Erasure> erasure) { promise->set_value(std::move(erasure)); });
    return answer;
}

Result<Erasure> erase(Node& node, const std::string& partner) {
    auto answer = begin_erasure(node, partner);
    if (answer.wait_for(kPatience) != std::future_status::ready) FAIL("no answer came");
    return answer.get();
}

/// A stopped node's directory with some partners.
class ErasureData {
public:
    ErasureData() {
        const auto node = start_node(node_options(path()));
        apply(*node, kAcme, program_body());
        apply(*node, kAcme, partners_body(20));
        apply(*node, kAcme, send_body());
    }
    const fs::path& path() const { return directory_.path(); }
    Generations generations() const { return {path(), kPartition}; }
    /// As an interrupted rebuild leaves one; moved to its place later, so that no start goes on
    /// with it.
    fs::path copy_live() const {
        const fs::path to = path() / "copy";
        fs::copy(generations().live().value(), to, fs::copy_options::recursive);
        return to;
    }

private:
    TemporaryDirectory directory_;
};

TEST_CASE("an erasure leaves no generation that had read the partner's texts") {
    const ErasureData data;
    const fs::path copy = data.copy_live(), next = data.generations().next().value();
    const auto node = start_node(node_options(data.path()));
    const std::vector<fs::path> aside = {data.generations().differing(), data.path() / "models.old",
                                         data.path() / "models.rebuild"};
    for (const fs::path& directory : aside) fs::copy(copy, directory, fs::copy_options::recursive);
    fs::rename(copy, next);
    const auto erasure = erase(*node, "p3");
    if (!erasure) FAIL(erasure.error().detail);
    CHECK(erasure->keys == 1);
    CHECK_FALSE(fs::exists(next));
    for (const fs::path& directory : aside) CHECK_FALSE(fs::exists(directory));
    CHECK(node->read(kAcme)->partner(kAcme, {"p3"})->erased);
}

TEST_CASE("an erasure keeps a generation that never read them, or has erased them, too") {
    const ErasureData data;
    {
        const auto node = start_node(node_options(data.path()));
        REQUIRE(erase(*node, "p3").has_value());
    }
    const fs::path copy = data.copy_live(), next = data.generations().next().value();
    const auto node = start_node(node_options(data.path()));
    apply(*node, kAcme, partners_body(21));  // the last one is new
    fs::rename(copy, next);
    for (const char* partner : {"p3", "p20"}) {
        const auto erasure = erase(*node, partner);
        if (!erasure) FAIL(erasure.error().detail);
        CHECK(fs::exists(next));
    }
    REQUIRE(erase(*node, "p4").has_value());
    CHECK_FALSE(fs::exists(next));
}

TEST_CASE("an erasure waits for whoever reads an older state") {
    const ErasureData data;
    const auto node = start_node(node_options(data.path()));
    ReadModelsPtr models;
    std::unique_ptr<Export> rows;
    std::future<Result<Erasure>> erasure;
    SECTION("an export") {
        models = node->read(kAcme);
        rows = models->export_rows({kAcme, ExportTable::recipients, {}});
        erasure = begin_erasure(*node, "p3");
    }
    SECTION("a generation that a rebuild has replaced") {
        models = node->read(kAcme);
        REQUIRE(node->rebuilder().rebuild({kPartition}, false).has_value());
        while (node->read(kAcme) == models) std::this_thread::yield();
        erasure = begin_erasure(*node, "p3");
    }
    CHECK(erasure.wait_for(std::chrono::milliseconds(300)) == std::future_status::timeout);
    rows.reset();
    models.reset();
    REQUIRE(erasure.wait_for(kPatience) == std::future_status::ready);
    const auto done = erasure.get();
    if (!done) FAIL(done.error().detail);
    CHECK(done->keys == 1);
}

TEST_CASE("erasures and rebuilds at the same time both come to an end") {
    const ErasureData data;
    const auto node = start_node(node_options(data.path()));
    std::atomic<bool> enough{false};
    std::thread rebuilding([&] {
        while (!enough) {
            (void)node->rebuilder().rebuild({kPartition}, false);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    for (int i = 0; i < 20; ++i) {
        const auto erasure = erase(*node, "p" + std::to_string(i));
        if (!erasure) FAIL_CHECK(erasure.error().detail);
    }
    enough = true;
    rebuilding.join();
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (node->rebuilder().rebuilds().front().state < RebuildState::done) {
        REQUIRE(std::chrono::steady_clock::now() < until);
        std::this_thread::yield();
    }
    const RebuildProgress end = node->rebuilder().rebuilds().front();
    INFO(end.problem);
    CHECK(end.state == RebuildState::done);
    for (const ComparedModel& model : end.models) CHECK(model.live == model.rebuilt);
    for (int i = 0; i < 20; ++i) {
        CHECK(node->read(kAcme)->partner(kAcme, {"p" + std::to_string(i)})->erased);
    }
}

}  // namespace
}  // namespace tidings::apps
