// What other processes have erased is cleaned up here, once each, also after a restart.
#include "apps/cleaner.h"

#include <fstream>
#include <set>

#include "tests/events/key_wraps.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {
namespace {

const ProgramId kCleanProgram{"acme"}, kOther{"of the other, with blanks"};

/// Of one process.
class Journal final : public KeyJournal {
public:
    Result<void> append(std::vector<KeyRecord> records) override { return keys->apply(records); }
    Result<void> catch_up() override { return {}; }
    PartnerKeys* keys = nullptr;
};

/// One process with one partition.
struct CleanerWorld {
    tidings::testing::TemporaryDirectory directory;
    tidings::testing::Wraps wraps;
    Journal journal;
    std::shared_ptr<PartnerKeys> keys = make_keys();
    std::optional<Sequence> applied;
    Result<void> answer;
    std::vector<ErasedRows> cleaned;
    std::unique_ptr<Cleaner> cleaner = open();

    std::shared_ptr<PartnerKeys> make_keys() {
        std::shared_ptr<PartnerKeys> made =
            PartnerKeys::make_replica(directory.path() / "keys", wraps.wrap()).value();
        journal.keys = made.get();
        made->share(journal);
        return made;
    }
    std::unique_ptr<Cleaner> open() {
        CleanerSteps steps;
        steps.partition_of = [](const ProgramId&) { return PartitionId{0}; };
        steps.applied = [this](PartitionId) { return applied; };
        steps.clean = [this](PartitionId, const ErasedRows& erased) {
            cleaned.push_back(erased);
            return answer;
        };
        return Cleaner::open(directory.path(), 1, keys, std::move(steps)).value();
    }
    /// By another process, in that commit.
    void erased(const ProgramId& program, std::uint64_t at, const char* partner = "grace") {
        const KeyOwner owner{program, {partner}};
        const std::uint16_t epoch = keys->retire(owner).value();
        REQUIRE(keys->end_erasure(owner, epoch, Sequence{at}).has_value());
    }
    bool owes() const { return cleaner->owes(PartitionId{0}); }
};

TEST_CASE("it is cleaned up once the partition has applied it") {
    CleanerWorld world;
    world.cleaner->run_due();
    CHECK_FALSE(world.owes());
    world.erased(kCleanProgram, 7);
    world.cleaner->run_due();  // no read models are open
    CHECK(world.owes());
    world.applied = Sequence{6};
    world.cleaner->run_due();
    CHECK(world.owes());
    CHECK(world.cleaned.empty());
    world.applied = Sequence{7};
    world.cleaner->run_due();
    REQUIRE(world.cleaned.size() == 1);
    CHECK(world.cleaned[0].programs == std::set{kCleanProgram});
    CHECK(world.cleaned[0].at == Sequence{7});
    CHECK_FALSE(world.owes());
    world.cleaner->run_due();
    CHECK(world.cleaned.size() == 1);
}

TEST_CASE("an erasure that is heard of late is cleaned up all the same") {
    CleanerWorld world;
    world.applied = Sequence{50};
    world.erased(kCleanProgram, 40);
    world.cleaner->run_due();
    world.erased(kOther, 30);
    world.cleaner->run_due();
    REQUIRE(world.cleaned.size() == 2);
    CHECK(world.cleaned[1].programs == std::set{kOther});
    world.erased(kCleanProgram, 20, "alan");  // the cleaning at 50 had that, too
    world.cleaner->run_due();
    CHECK(world.cleaned.size() == 2);
}

TEST_CASE("after a restart what is clean is known, and what was not is owed") {
    CleanerWorld world;
    world.applied = Sequence{50};
    world.erased(kCleanProgram, 40);
    world.erased(kOther, 41);
    world.cleaner->run_due();
    world.cleaned.clear();
    world.cleaner = world.open();
    CHECK_FALSE(world.owes());
    SECTION("older read models, from a snapshot, owe it again") {
        REQUIRE(world.cleaner->begin(PartitionId{0}, Sequence{40}).has_value());
        CHECK(world.owes());
        world.cleaner->run_due();
        REQUIRE(world.cleaned.size() == 1);
        CHECK(world.cleaned[0].programs == std::set{kOther});
    }
    SECTION("empty ones owe everything") {
        REQUIRE(world.cleaner->begin(PartitionId{0}, Sequence{}).has_value());
        world.cleaner = world.open();
        CHECK(world.owes());
        world.cleaner->run_due();
        REQUIRE(world.cleaned.size() == 1);
        CHECK(world.cleaned[0].programs == std::set{kCleanProgram, kOther});
    }
    SECTION("newer ones owe nothing") {
        REQUIRE(world.cleaner->begin(PartitionId{0}, Sequence{50}).has_value());
        world.cleaner->run_due();
        CHECK(world.cleaned.empty());
    }
}

TEST_CASE("what failed is tried again, and not at once") {
    CleanerWorld world;
    world.applied = Sequence{50};
    world.erased(kCleanProgram, 40);
    world.answer = Error{ErrorCode::overloaded, "somebody reads", {}};
    world.cleaner->run_due();
    world.cleaner->run_due();
    CHECK(world.cleaned.size() == 1);
    CHECK(world.owes());
    world.cleaner = world.open();  // nothing was noted
    world.answer = {};
    world.cleaner->run_due();
    CHECK(world.cleaned.size() == 2);
    CHECK_FALSE(world.owes());
}

TEST_CASE("a damaged note is no number") {
    CleanerWorld world;
    std::ofstream(world.directory.path() / "erased" / "p0") << "forty acme\n";
    CleanerSteps steps;
    steps.partition_of = [](const ProgramId&) { return PartitionId{0}; };
    const auto opened = Cleaner::open(world.directory.path(), 1, world.keys, std::move(steps));
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == ErrorCode::corruption);
    CHECK(opened.error().detail.find("remove it") != std::string::npos);
}

}  // namespace
}  // namespace tidings::apps
