// The partners' keys where processes share them: two replicas, and the journal between them.
#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "tests/events/acme.h"
#include "tests/events/key_wraps.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

using testing::kAcme;
using testing::kAlan;
using testing::kGrace;

/// What everybody has appended.
struct Records {
    explicit Records(std::vector<KeyRecord> records = {}) : all(std::move(records)) {}
    std::mutex mutex;  ///< guards what follows, where there are threads
    std::vector<KeyRecord> all;
    bool down = false;
    /// The newest of each key, in their order: what compaction leaves.
    std::vector<KeyRecord> compacted() const {
        std::vector<KeyRecord> out;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const bool newest =
                std::none_of(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(),
                             [&](const auto& later) { return later.key == all[i].key; });
            if (newest && all[i].value) out.push_back(all[i]);
        }
        return out;
    }
};

/// One process: it hears of what others append when it asks.
class Process final : public KeyJournal {
public:
    explicit Process(Records& records) : records_(records) {
        keys = PartnerKeys::make_replica(directory.path() / "keys", wraps.wrap()).value();
        keys->share(*this);
    }
    Result<void> append(std::vector<KeyRecord> records) override {
        {
            const std::lock_guard lock(records_.mutex);
            if (records_.down) return Error{ErrorCode::io, "down", {}};
            records_.all.insert(records_.all.end(), records.begin(), records.end());
        }
        return catch_up();
    }
    Result<void> catch_up() override {
        const std::lock_guard following(following_);
        std::vector<KeyRecord> rest;
        {
            const std::lock_guard lock(records_.mutex);
            ++asked;
            if (records_.down) return Error{ErrorCode::io, "down", {}};
            rest.assign(records_.all.begin() + static_cast<std::ptrdiff_t>(next_),
                        records_.all.end());
            next_ = records_.all.size();
        }
        if (auto applied = keys->apply(rest); !applied) return applied;
        return {};
    }
    PersonalText seal(const KeyOwner& owner, const std::string& text) {
        return seal_text(keys->keys_for(std::span(&owner, 1)).value().at(0), owner.program,
                         PersonalField::name, text);
    }
    std::optional<std::string> read(const PersonalText& text) const {
        return keys->open(kAcme, PersonalField::name, text);
    }
    /// Whether a key that was ever wrapped here lies in the replica's files.
    bool has_wrapped(const std::string& wrapped) const {
        return testing::lies_below(directory.path(), wrapped);
    }

    testing::TemporaryDirectory directory;
    testing::Wraps wraps;
    std::unique_ptr<PartnerKeys> keys;
    int asked = 0;

private:
    Records& records_;
    std::mutex following_;
    std::size_t next_ = 0;
};

TEST_CASE("what one process seals another one opens") {
    Records records;
    Process one(records), other(records);
    const PersonalText grace = one.seal(kGrace, "Grace");
    CHECK(other.read(grace) == "Grace");  // which it has not heard of before
    CHECK(other.seal(kGrace, "Grace") == grace);
    CHECK(records.all.size() == 1);
    const PersonalText alan = other.seal(kAlan, "Alan");
    Process later(records);
    CHECK(later.read(alan) == "Alan");
    CHECK(later.read(grace) == "Grace");
}

TEST_CASE("both make a key at once, and both open") {
    Records records;
    Process one(records), other(records);
    const PersonalText first = one.seal(kGrace, "Grace"), second = other.seal(kGrace, "Grace");
    CHECK(first != second);
    CHECK(one.read(second) == "Grace");
    CHECK(other.read(first) == "Grace");
    REQUIRE(one.keys->apply(records.all).has_value());  // again does no harm
    CHECK(one.read(first) == "Grace");
    CHECK(one.keys->destroy_retired(kGrace, 1).value() == 2);
    CHECK_FALSE(one.read(first));
    CHECK_FALSE(one.read(second));
}

TEST_CASE("a key that is nowhere is asked for once") {
    Records records, elsewhere;
    Process one(records), stranger(elsewhere);
    const PersonalText text = stranger.seal(kGrace, "Grace");
    CHECK_FALSE(one.read(text));
    const int asked = one.asked;
    CHECK(asked > 0);
    CHECK_FALSE(one.read(text));
    CHECK(one.asked == asked);
    records.down = true;
    CHECK_THROWS(one.read(stranger.seal(kAlan, "Alan")));  // not known to be missing
}

TEST_CASE("an erasure destroys the keys everywhere, and later ones live") {
    Records records;
    Process one(records), other(records);
    const PersonalText before = one.seal(kGrace, "Grace"), alan = one.seal(kAlan, "Alan");
    CHECK(other.read(before) == "Grace");
    const std::string wrapped = records.all.front().value.value();
    const std::uint16_t epoch = other.keys->retire(kGrace).value();
    CHECK(epoch == 1);
    // it is not decided yet: everything goes on
    CHECK(other.read(before) == "Grace");
    CHECK(other.seal(kGrace, "Grace") == before);
    CHECK(is_stale(before, epoch));
    CHECK(other.keys->begun({}).value() == std::vector<BegunErasure>{{kGrace, epoch}});
    CHECK(other.keys->destroy_retired(kGrace, epoch).value() == 1);
    CHECK(other.keys->destroy_retired(kGrace, epoch).value() == 0);
    REQUIRE(other.keys->end_erasure(kGrace, epoch, Sequence{7}).has_value());
    CHECK(other.keys->begun({}).value().empty());
    const PersonalText after = other.seal(kGrace, "Grace again");
    CHECK(key_epoch_of(after) == epoch);
    CHECK_FALSE(is_stale(after, epoch));
    REQUIRE(one.catch_up().has_value());
    for (Process* process : {&one, &other}) {
        REQUIRE(process->keys->erase_destroyed().has_value());
        CHECK_FALSE(process->read(before));
        CHECK(process->read(after) == "Grace again");
        CHECK(process->read(alan) == "Alan");
        CHECK_FALSE(process->has_wrapped(wrapped));
        CHECK(process->keys->erasures() == std::map<ProgramId, Sequence>{{kAcme, Sequence{7}}});
        CHECK(process->seal(kGrace, "Grace again") == after);
    }
    for (const bool compacted : {false, true}) {
        Records left{compacted ? records.compacted() : records.all};
        Process later(left);
        REQUIRE(later.catch_up().has_value());
        REQUIRE(later.keys->erase_destroyed().has_value());
        CHECK_FALSE(later.read(before));
        CHECK(later.read(after) == "Grace again");
        CHECK_FALSE(later.has_wrapped(wrapped));
        CHECK(later.keys->begun({}).value().empty());
        CHECK(later.keys->erasures() == std::map<ProgramId, Sequence>{{kAcme, Sequence{7}}});
        CHECK(later.keys->retire(kGrace).value() == epoch + 1);
    }
}

TEST_CASE("the read models may know of an epoch before the journal does") {
    Records records;
    Process one(records);
    const PersonalText before = one.seal(kGrace, "Grace");
    const std::uint16_t known = 3;
    const PartnerKey key =
        one.keys->keys_for(std::span(&kGrace, 1), std::span(&known, 1)).value().at(0);
    CHECK(key.id_view() != key_id_of(before));
    const PersonalText after = seal_text(key, kAcme, PersonalField::name, "new");
    CHECK(key_epoch_of(after) == known);
    CHECK(one.keys->keys_for(std::span(&kGrace, 1), std::span(&known, 1)).value().at(0) == key);
}

TEST_CASE("a key that is made behind the back of an erasure dies with the others") {
    Records records;
    Process one(records), deaf(records);
    (void)one.seal(kGrace, "Grace");
    const std::uint16_t epoch = one.keys->retire(kGrace).value();
    PersonalText late;
    SECTION("before the keys are destroyed") {
        late = deaf.seal(kGrace, "late");
        CHECK(one.keys->destroy_retired(kGrace, epoch).value() >= 1);
        REQUIRE(one.keys->end_erasure(kGrace, epoch, Sequence{3}).has_value());
    }
    SECTION("before it has ended") {
        CHECK(one.keys->destroy_retired(kGrace, epoch).value() == 1);
        late = deaf.seal(kGrace, "late");
        REQUIRE(one.keys->end_erasure(kGrace, epoch, Sequence{3}).has_value());
    }
    SECTION("after its end, by a record that comes twice") {
        late = deaf.seal(kGrace, "late");
        const KeyRecord again = records.all.front();
        CHECK(one.keys->destroy_retired(kGrace, epoch).value() >= 1);
        REQUIRE(one.keys->end_erasure(kGrace, epoch, Sequence{3}).has_value());
        records.all.push_back(again);
    }
    CHECK(is_stale(late, epoch));  // so it is refused behind the erasure
    REQUIRE(one.catch_up().has_value());
    for (const BegunErasure& left : one.keys->begun({}).value()) {
        CHECK(left == BegunErasure{kGrace, epoch});
        CHECK(one.keys->begun(std::chrono::hours(1)).value().empty());
        CHECK(one.keys->destroy_retired(kGrace, epoch).value() == 1);
        REQUIRE(one.keys->end_erasure(kGrace, epoch, Sequence{4}).has_value());
    }
    CHECK(one.keys->begun({}).value().empty());
    REQUIRE(deaf.catch_up().has_value());
    CHECK_FALSE(one.read(late));
    CHECK_FALSE(deaf.read(late));
    CHECK(key_epoch_of(deaf.seal(kGrace, "new")) == epoch);
    const auto left = records.compacted();
    CHECK(std::count_if(left.begin(), left.end(),
                        [](const KeyRecord& record) { return record.key[0] == 'k'; }) == 1);
}

TEST_CASE("an erasure that was refused erases nothing, and the next one is no other") {
    Records records;
    Process one(records);
    const PersonalText text = one.seal(kGrace, "Grace");
    const std::uint16_t epoch = one.keys->retire(kGrace).value();
    REQUIRE(one.keys->end_erasure(kGrace, epoch, {}).has_value());
    CHECK(one.keys->begun({}).value().empty());
    CHECK(one.keys->erasures().empty());
    CHECK(one.read(text) == "Grace");
    CHECK(one.seal(kGrace, "Grace") == text);
    CHECK(one.keys->retire(kGrace).value() == epoch);
}

TEST_CASE("in whatever order erasures are told of, they come to the same") {
    Records records;
    Process one(records);
    (void)one.seal(kGrace, "Grace");
    for (const std::uint64_t at : {5, 9}) {
        const std::uint16_t epoch = one.keys->retire(kGrace).value();
        REQUIRE(one.keys->destroy_retired(kGrace, epoch).has_value());
        REQUIRE(one.keys->end_erasure(kGrace, epoch, Sequence{at}).has_value());
        (void)one.seal(kGrace, "Grace");
    }
    std::vector<KeyRecord> epochs;
    for (const KeyRecord& record : records.all) {
        if (record.key[0] == 'e') epochs.push_back(record);
    }
    REQUIRE(epochs.size() == 4);  // begun and ended, twice
    std::ranges::sort(epochs, {},
                      [](const KeyRecord& record) { return *record.value + record.key; });
    do {
        Records shuffled{epochs};
        Process later(shuffled);
        REQUIRE(later.catch_up().has_value());
        CHECK(later.keys->begun({}).value().empty());
        CHECK(later.keys->erasures() == std::map<ProgramId, Sequence>{{kAcme, Sequence{9}}});
        CHECK(key_epoch_of(later.seal(kGrace, "Grace")) == 2);
    } while (std::ranges::next_permutation(epochs, {}, [](const KeyRecord& record) {
                 return *record.value + record.key;
             }).found);
}

TEST_CASE("one that has only begun hides no earlier one") {
    Records records;
    Process one(records);
    (void)one.seal(kGrace, "Grace");
    const std::uint16_t epoch = one.keys->retire(kGrace).value();
    REQUIRE(one.keys->destroy_retired(kGrace, epoch).has_value());
    REQUIRE(one.keys->end_erasure(kGrace, epoch, Sequence{50}).has_value());
    REQUIRE(one.keys->retire(kGrace).value() == epoch + 1);
    records.all.push_back(records.all.front());  // and a destroyed key has come back
    REQUIRE(one.catch_up().has_value());
    const auto next = static_cast<std::uint16_t>(epoch + 1);
    CHECK(one.keys->begun({}).value() ==
          std::vector<BegunErasure>{{kGrace, next}, {kGrace, epoch}});
    CHECK(one.keys->destroy_retired(kGrace, epoch).value() == 1);
    CHECK(one.keys->begun({}).value() == std::vector<BegunErasure>{{kGrace, next}});
    Records left{records.compacted()};
    Process later(left);
    REQUIRE(later.catch_up().has_value());
    CHECK(later.keys->erasures() == std::map<ProgramId, Sequence>{{kAcme, Sequence{50}}});
    CHECK(later.keys->begun({}).value() == std::vector<BegunErasure>{{kGrace, next}});
}

TEST_CASE("without the journal nothing is made, retired or destroyed") {
    Records records;
    Process one(records);
    const PersonalText text = one.seal(kGrace, "Grace");
    records.down = true;
    CHECK_FALSE(one.keys->keys_for(std::span(&kAlan, 1)).has_value());
    CHECK_FALSE(one.keys->retire(kGrace).has_value());
    CHECK_FALSE(one.keys->destroy_retired(kGrace, 1).has_value());
    CHECK(one.read(text) == "Grace");
    CHECK(one.seal(kGrace, "Grace") == text);
    records.down = false;
    CHECK(one.seal(kAlan, "Alan").is_sealed());
}

TEST_CASE("records that are none of ours change nothing, and are counted") {
    Records records;
    Process one(records);
    const PersonalText text = one.seal(kGrace, "Grace");
    const KeyRecord good = records.all.front();
    const std::string cut = good.key.substr(0, 9);
    const std::vector<KeyRecord> bad = {
        {"", "x"},
        {"k", "x"},
        {"k", std::nullopt},
        {cut, good.value},
        {"r", "x"},
        {"r" + cut, "x"},
        {"x" + cut, "x"},
        {"s", "1234567"},
        {good.key, "no"},
        {good.key, std::string("")},
        {"e" + good.key.substr(1, 20), std::nullopt},
        {good.key.substr(0, good.key.size() - 1) + "?", good.value}};
    REQUIRE(one.keys->apply(bad).has_value());
    CHECK(one.keys->ignored() == bad.size());
    REQUIRE(one.keys->apply(std::vector<KeyRecord>{{"m", "m"}}).has_value());
    CHECK(one.keys->ignored() == bad.size());
    CHECK(one.read(text) == "Grace");
    Process later(records);
    CHECK(later.read(text) == "Grace");
}

TEST_CASE("threads that seal, erase, follow and read at once") {
    Records records;
    Process one(records);
    constexpr int kRounds = 40, kOwners = 5;
    const auto owner_of = [](int i) {
        return KeyOwner{kAcme, {"p" + std::to_string(i % kOwners)}};
    };
    std::atomic<bool> over{false};
    std::atomic<int> failed{0};  // Catch is for one thread
    std::thread follower([&] {
        while (!over) {
            if (!one.catch_up() || !one.keys->erase_destroyed()) ++failed;
        }
    });
    std::thread eraser([&] {
        for (int i = 0; i < kRounds; ++i) {
            const std::uint16_t epoch = one.keys->retire(owner_of(i)).value();
            if (!one.keys->destroy_retired(owner_of(i), epoch)) ++failed;
            if (!one.keys->end_erasure(owner_of(i), epoch, Sequence{1u + i})) ++failed;
        }
        over = true;
    });
    for (int i = 0; !over; ++i) {
        const PersonalText text = one.seal(owner_of(i), "text");
        const auto read = one.read(text);
        if (read && *read != "text") ++failed;
    }
    follower.join();
    eraser.join();
    CHECK(failed == 0);
    for (int i = 0; i < kOwners; ++i) {
        for (const BegunErasure& late : one.keys->begun({}).value()) {
            REQUIRE(one.keys->destroy_retired(late.owner, late.key_epoch).has_value());
        }
        const PersonalText text = one.seal(owner_of(i), "text");
        CHECK(key_epoch_of(text) == kRounds / kOwners);
        CHECK(one.read(text) == "text");
    }
    CHECK(one.keys->begun({}).value().empty());
}

TEST_CASE("what older versions left plain is kept for all") {
    Records records;
    Process one(records), other(records);
    CHECK(one.keys->last_plain(PartitionId{1}, Sequence{9}).value() == Sequence{9});
    REQUIRE(other.catch_up().has_value());
    CHECK(other.keys->last_plain(PartitionId{1}, Sequence{20}).value() == Sequence{9});
}

}  // namespace
}  // namespace tidings
