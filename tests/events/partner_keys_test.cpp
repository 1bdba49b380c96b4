#include "events/partner_keys.h"

#include <algorithm>
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

struct Store {
    testing::TemporaryDirectory directory;
    testing::Wraps wraps;
    std::unique_ptr<PartnerKeys> keys = open();

    std::unique_ptr<PartnerKeys> open() {
        return std::move(PartnerKeys::open(directory.path() / "keys", wraps.wrap()).value());
    }
    void reopen() {
        keys.reset();
        keys = open();
    }
    PartnerKey key_for(const KeyOwner& owner) {
        return keys->keys_for(std::span(&owner, 1)).value().at(0);
    }
    PersonalText seal(const KeyOwner& owner, const std::string& text) {
        return seal_text(key_for(owner), owner.program, PersonalField::name, text);
    }
    std::optional<std::string> read(const PersonalText& text) const {
        return keys->open(kAcme, PersonalField::name, text);
    }
    bool on_disk(const std::string& bytes) const {
        return testing::lies_below(directory.path(), bytes);
    }
};

TEST_CASE("a partner keeps its key, across openings and for readers beside") {
    Store store;
    const PersonalText grace = store.seal(kGrace, "Grace"), alan = store.seal(kAlan, "Alan");
    CHECK(store.seal(kGrace, "Grace") == grace);
    CHECK(store.read(grace) == "Grace");
    store.reopen();
    CHECK(store.read(grace) == "Grace");
    CHECK(store.read(alan) == "Alan");
    CHECK(store.seal(kGrace, "Grace") == grace);
    const auto reader =
        PartnerKeys::open_for_reading(store.directory.path() / "keys", store.wraps.wrap()).value();
    CHECK(reader->open(kAcme, PersonalField::name, alan) == "Alan");
    const auto none =
        PartnerKeys::open_for_reading(store.directory.path() / "none", store.wraps.wrap()).value();
    CHECK_FALSE(none->open(kAcme, PersonalField::name, alan));
}

TEST_CASE("owners asked for twice at once get one key, others their own") {
    Store store;
    const KeyOwner owners[] = {kGrace, kAlan, kGrace, {ProgramId{"acmeg"}, {"race"}}};
    const auto keys = store.keys->keys_for(owners).value();
    CHECK(keys[0] == keys[2]);
    CHECK_FALSE(keys[0] == keys[1]);
    CHECK_FALSE(keys[0] == keys[3]);
    CHECK(store.keys->keys_for({}).value().empty());
}

TEST_CASE("a destroyed key is nowhere on disk, and opens nothing") {
    Store store;
    const PersonalText grace = store.seal(kGrace, "Grace"), alan = store.seal(kAlan, "Alan");
    store.keys->remember(grace, "Grace");
    store.reopen();
    const PartnerKey old = store.key_for(kGrace);
    const std::string wrapped = store.wraps.wrapped.front();
    REQUIRE(store.on_disk(wrapped));
    REQUIRE(store.keys->retire(kGrace).has_value());
    CHECK(store.read(grace) == "Grace");  // until it is destroyed
    CHECK(store.keys->begun({}).value() == std::vector<BegunErasure>{{kGrace, 0}});
    const PersonalText later = store.seal(kGrace, "Grace");
    CHECK_FALSE(later == grace);
    CHECK(store.keys->destroy_retired(kGrace, 0).value() == 1);
    CHECK_FALSE(store.read(grace));
    CHECK(store.read(later) == "Grace");
    CHECK(store.read(alan) == "Alan");
    CHECK_FALSE(store.on_disk(wrapped));
    CHECK_FALSE(store.on_disk(std::string(old.secret.data(), old.secret.size())));
    CHECK(store.keys->destroy_retired(kGrace, 0).value() == 0);  // asked again
    store.reopen();
    CHECK(store.keys->begun({}).value().size() == 1);
    REQUIRE(store.keys->end_erasure(kGrace, 0, {}).has_value());
    CHECK(store.keys->begun({}).value().empty());
    CHECK_FALSE(store.read(grace));
    CHECK(store.read(later) == "Grace");
    CHECK(store.seal(kGrace, "Grace") == later);
}

TEST_CASE("all keys of a partner die") {
    Store store;
    const PersonalText first = store.seal(kGrace, "a");
    REQUIRE(store.keys->retire(kGrace).has_value());
    const PersonalText second = store.seal(kGrace, "b");
    REQUIRE(store.keys->retire(kGrace).has_value());
    CHECK(store.keys->destroy_retired(kGrace, 0).value() == 2);
    CHECK_FALSE(store.read(first));
    CHECK_FALSE(store.read(second));
    REQUIRE(store.keys->retire(kAlan).has_value());  // never had one
    CHECK(store.keys->begun({}).value().size() == 2);
    CHECK(store.keys->destroy_retired(kAlan, 0).value() == 0);
}

TEST_CASE("an erasure that was not decided leaves the keys as they were") {
    Store store;
    const PersonalText grace = store.seal(kGrace, "Grace");
    REQUIRE(store.keys->retire(kGrace).has_value());
    REQUIRE(store.keys->end_erasure(kGrace, 0, {}).has_value());
    CHECK(store.seal(kGrace, "Grace") == grace);
}

TEST_CASE("keys of another deployment are refused") {
    Store store;
    store.seal(kGrace, "Grace");
    store.keys.reset();
    testing::Wraps other;
    other.secret = "other";
    const auto opened = PartnerKeys::open(store.directory.path() / "keys", other.wrap());
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == ErrorCode::corruption);
    store.keys = store.open();
}

TEST_CASE("many keys, made by several threads") {
    Store store;
    constexpr int kThreads = 4, kEach = 200;
    std::vector<std::thread> threads;
    std::vector<std::vector<PersonalText>> sealed(kThreads);
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i) {
                sealed[t].push_back(store.seal({kAcme, {std::to_string(i)}}, std::to_string(i)));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (int i = 0; i < kEach; ++i) {
        for (int t = 1; t < kThreads; ++t) CHECK(sealed[t][i] == sealed[0][i]);
    }
    store.reopen();
    for (int i = 0; i < kEach; ++i) CHECK(store.read(sealed[0][i]) == std::to_string(i));
}

TEST_CASE("the last commit that may be plain is the one at the first asking") {
    Store store;
    CHECK(store.keys->last_plain({3}, {17}).value() == Sequence{17});
    store.reopen();
    CHECK(store.keys->last_plain({3}, {99}).value() == Sequence{17});
    CHECK(store.keys->last_plain({0}, {0}).value() == Sequence{0});
    CHECK(store.keys->last_plain({0}, {5}).value() == Sequence{0});
}

}  // namespace
}  // namespace tidings
