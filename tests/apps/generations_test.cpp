// Which generation of read models is live, whatever a dead process has left.
#include "apps/generations.h"

#include <fstream>
#include <set>

#include "apps/data_directory.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {
namespace {

namespace fs = std::filesystem;
using tidings::testing::TemporaryDirectory;

class GenerationsWorld {
public:
    GenerationsWorld() { fs::create_directories(models()); }
    fs::path models() const { return models_directory(directory_.path()); }
    Generations generations(std::uint32_t partition = 0) const {
        return {directory_.path(), PartitionId{partition}};
    }
    void make(const std::string& name) const {
        fs::create_directories(models() / name);
        std::ofstream(models() / name / "row") << name;
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(models() / name) << text;
    }
    std::set<std::string> names() const {
        std::set<std::string> out;
        for (const auto& entry : fs::directory_iterator(models())) {
            out.insert(entry.path().filename().string());
        }
        return out;
    }

private:
    TemporaryDirectory directory_;
};

TEST_CASE("the first generation is live until another one was named") {
    const GenerationsWorld world;
    const Generations generations = world.generations();
    CHECK(generations.live().value() == world.models() / "p0");
    CHECK(generations.next().value() == world.models() / "p0.1");
    world.make("p0");
    world.make("p0.1");
    REQUIRE(generations.make_live(world.models() / "p0.1").has_value());
    CHECK(generations.live().value() == world.models() / "p0.1");
    CHECK(generations.next().value() == world.models() / "p0.2");
    CHECK(world.generations(1).live().value() == world.models() / "p1");
}

TEST_CASE("whoever does not know whether the name was written writes it again") {
    const GenerationsWorld world;
    const Generations generations = world.generations();
    world.make("p0");
    world.make("p0.1");
    REQUIRE(generations.make_live(world.models() / "p0.1").has_value());
    REQUIRE(generations.make_live(world.models() / "p0.1").has_value());
    CHECK(generations.live().value() == world.models() / "p0.1");
    REQUIRE(generations.remove_others().has_value());
    CHECK(world.names() == std::set<std::string>{"p0.1", "p0.live"});
}

TEST_CASE("only a generation that is there can be named") {
    const GenerationsWorld world;
    world.make("p0");
    world.make("p1.1");
    world.make("p0.differs");
    world.write("p0.2", "a file");
    for (const char* name : {"p0.1", "p0.2", "p1.1", "p0.differs"}) {
        const auto named = world.generations().make_live(world.models() / name);
        REQUIRE_FALSE(named.has_value());
        CHECK(named.error().code == ErrorCode::invalid);
    }
    CHECK_FALSE(world.generations().make_live("p0").has_value());
    CHECK(world.generations().live().value() == world.models() / "p0");
}

TEST_CASE("what is still open is not removed") {
    const GenerationsWorld world;
    for (const char* name : {"p0", "p0.1", "p0.2"}) world.make(name);
    world.write("p0.live", "p0.2");
    REQUIRE(world.generations().remove_others({world.models() / "p0.1"}).has_value());
    CHECK(world.names() == std::set<std::string>{"p0.1", "p0.2", "p0.live"});
}

TEST_CASE("a process that dies between any two steps leaves one live generation") {
    const GenerationsWorld world;
    const Generations generations = world.generations();
    world.make("p0");
    SECTION("while the new one is built: the old one is live, the part is kept") {
        world.make("p0.1");
        world.make("p0.compare");
        REQUIRE(generations.remove_others().has_value());
        CHECK(generations.live().value() == world.models() / "p0");
        CHECK(world.names() == std::set<std::string>{"p0", "p0.1"});
    }
    SECTION("before the name is complete") {
        world.make("p0.1");
        world.write("p0.live.new", "p0");
        REQUIRE(generations.remove_others().has_value());
        CHECK(generations.live().value() == world.models() / "p0");
        REQUIRE(generations.make_live(world.models() / "p0.1").has_value());
        CHECK(generations.live().value() == world.models() / "p0.1");
    }
    SECTION("after the name: the new one is live, the old one goes") {
        world.make("p0.1");
        REQUIRE(generations.make_live(world.models() / "p0.1").has_value());
        REQUIRE(generations.remove_others().has_value());
        CHECK(generations.live().value() == world.models() / "p0.1");
        CHECK(world.names() == std::set<std::string>{"p0.1", "p0.live"});
    }
    SECTION("a generation that is named and gone is made from the log under its name") {
        world.write("p0.live", "p0.7\n");
        CHECK(generations.live().value() == world.models() / "p0.7");
        CHECK(generations.next().value() == world.models() / "p0.8");
    }
}

TEST_CASE("what belongs to others, or is kept to be looked at, is not removed") {
    const GenerationsWorld world;
    for (const char* name : {"p0", "p0.1", "p0.2", "p0.differs", "p00", "p0.x", "p0.1x", "p0.0",
                             "p1", "p1.1", "p10", "p10.4"}) {
        world.make(name);
    }
    std::set<std::string> wanted = world.names();
    REQUIRE(world.generations().remove_others().has_value());
    wanted.erase("p0.2");
    CHECK(world.names() == wanted);
}

TEST_CASE("a name that names nothing is an error, not a guess") {
    const GenerationsWorld world;
    world.make("p0");
    for (const char* text : {"", "\n", "p1", "p0.", "p0.0", "p0.x", "p0.1 ", "../p0", "p0.-1",
                             "p0.99999999999999999999"}) {
        world.write("p0.live", text);
        const auto live = world.generations().live();
        REQUIRE_FALSE(live.has_value());
        CHECK(live.error().code == ErrorCode::corruption);
        CHECK(live.error().detail.find("p0.live") != std::string::npos);
        CHECK_FALSE(world.generations().remove_others().has_value());
        CHECK_FALSE(world.generations().make_live(world.models() / "p0").has_value());
    }
}

TEST_CASE("without a models directory the first generation is live") {
    const TemporaryDirectory directory;
    const Generations generations(directory.path(), PartitionId{0});
    CHECK(generations.live().value() == models_directory(directory.path()) / "p0");
    CHECK(generations.remove_others().has_value());
    CHECK_FALSE(generations.make_live(models_directory(directory.path()) / "p0.1").has_value());
}

}  // namespace
}  // namespace tidings::apps
