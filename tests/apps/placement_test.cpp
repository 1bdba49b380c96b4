#include "apps/placement.h"

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/property.h"

namespace tidings::apps {
namespace {

using kafka::Member;

constexpr std::uint32_t kPartitions = 8;

Member member(std::string id, bool decider, bool projector, std::vector<std::uint32_t> ready) {
    Member out;
    out.id = std::move(id);
    out.api = true;
    out.decider = decider;
    out.projector = projector;
    out.ready = std::move(ready);
    return out;
}

/// Up to seven members of any roles, ready for any partitions.
std::vector<Member> any_members() {
    std::vector<Member> live;
    const auto count = *rc::gen::inRange(0, 8);
    for (int i = 0; i < count; ++i) {
        Member one = member("m" + std::to_string(i), *rc::gen::arbitrary<bool>(),
                            *rc::gen::arbitrary<bool>(), {});
        one.api = *rc::gen::arbitrary<bool>();
        for (std::uint32_t p = 0; p < kPartitions; ++p) {
            if (*rc::gen::arbitrary<bool>()) one.ready.push_back(p);
        }
        live.push_back(std::move(one));
    }
    return live;
}

const Member* find(const std::vector<Member>& live, const std::string& id) {
    const auto found =
        std::find_if(live.begin(), live.end(), [&](const Member& m) { return m.id == id; });
    return found == live.end() ? nullptr : &*found;
}

bool same(const PlacedPartition& left, const PlacedPartition& right) {
    return left.holders == right.holders && left.decider == right.decider &&
           left.publisher == right.publisher;
}

TEST_CASE("everybody computes the same placement, in whatever order the members came") {
    CHECK_PROPERTY("order of members does not matter", [] {
        std::vector<Member> live = any_members();
        const auto replicas = *rc::gen::inRange<std::uint32_t>(0, 4);
        const auto before = place(live, kPartitions, replicas);
        for (std::size_t i = live.size(); i > 1; --i) {
            std::swap(live[i - 1], live[*rc::gen::inRange<std::size_t>(0, i)]);
        }
        const auto after = place(live, kPartitions, replicas);
        for (std::uint32_t p = 0; p < kPartitions; ++p) RC_ASSERT(same(before[p], after[p]));
    });
}

TEST_CASE("holders are distinct, live, and as many as asked for") {
    CHECK_PROPERTY("holders", [] {
        const std::vector<Member> live = any_members();
        const auto replicas = *rc::gen::inRange<std::uint32_t>(0, 9);
        const bool any_keeps = std::any_of(
            live.begin(), live.end(), [](const Member& m) { return m.decider || m.projector; });
        std::size_t fit = 0;
        for (const Member& m : live) fit += !any_keeps || m.decider || m.projector ? 1 : 0;
        const std::size_t wanted =
            replicas == 0 ? live.size() : std::min<std::size_t>(replicas, fit);
        for (const PlacedPartition& placed : place(live, kPartitions, replicas)) {
            const std::set<std::string> distinct(placed.holders.begin(), placed.holders.end());
            RC_ASSERT(distinct.size() == placed.holders.size());
            RC_ASSERT(placed.holders.size() == wanted);
            for (const std::string& id : placed.holders) RC_ASSERT(find(live, id) != nullptr);
        }
    });
}

TEST_CASE("who decides and who publishes has the role and has caught up, if anybody has") {
    CHECK_PROPERTY("decider and publisher", [] {
        const std::vector<Member> live = any_members();
        const auto placed = place(live, kPartitions, *rc::gen::inRange<std::uint32_t>(0, 4));
        for (std::uint32_t p = 0; p < kPartitions; ++p) {
            const auto fit = [&](bool Member::*role) {
                return std::any_of(live.begin(), live.end(),
                                   [&](const Member& m) { return m.*role && is_ready(m, p); });
            };
            const auto right = [&](const std::string& id, bool Member::*role) {
                if (id.empty()) return !fit(role);
                const Member* one = find(live, id);
                return one != nullptr && one->*role && is_ready(*one, p);
            };
            RC_ASSERT(right(placed[p].decider, &Member::decider));
            RC_ASSERT(right(placed[p].publisher, &Member::projector));
        }
    });
}

TEST_CASE("one that leaves moves only what it had") {
    CHECK_PROPERTY("leaving", [] {
        const std::vector<Member> live = any_members();
        RC_PRE(!live.empty());
        const auto replicas = *rc::gen::inRange<std::uint32_t>(1, 4);
        const auto keeps = [](const Member& m) { return m.decider || m.projector; };
        const std::string gone = live[*rc::gen::inRange<std::size_t>(0, live.size())].id;
        std::vector<Member> rest;
        for (const Member& m : live) {
            if (m.id != gone) rest.push_back(m);
        }
        // Where the last that keeps read models leaves, everybody else steps in.
        RC_PRE(std::any_of(live.begin(), live.end(), keeps) ==
               std::any_of(rest.begin(), rest.end(), keeps));
        const auto before = place(live, kPartitions, replicas);
        const auto after = place(rest, kPartitions, replicas);
        for (std::uint32_t p = 0; p < kPartitions; ++p) {
            std::vector<std::string> stayed = before[p].holders;
            std::erase(stayed, gone);
            RC_ASSERT(after[p].holders.size() >= stayed.size());
            RC_ASSERT(std::equal(stayed.begin(), stayed.end(), after[p].holders.begin()));
            if (before[p].decider != gone) RC_ASSERT(after[p].decider == before[p].decider);
            if (before[p].publisher != gone) RC_ASSERT(after[p].publisher == before[p].publisher);
        }
    });
}

TEST_CASE("deciders hold before projectors, and others only where there are neither") {
    const std::vector<Member> live = {member("api", false, false, {}),
                                      member("decider", true, false, {}),
                                      member("projector", false, true, {})};
    for (const PlacedPartition& placed : place(live, kPartitions, 1)) {
        CHECK(placed.holders == std::vector<std::string>{"decider"});
    }
    for (const PlacedPartition& placed : place(live, kPartitions, 3)) {
        CHECK(placed.holders == std::vector<std::string>{"decider", "projector"});
    }
    for (const PlacedPartition& placed : place({live[0]}, kPartitions, 2)) {
        CHECK(placed.holders == std::vector<std::string>{"api"});
    }
    for (const PlacedPartition& placed : place(live, kPartitions, 0)) {
        CHECK(placed.holders.size() == 3);
    }
}

TEST_CASE("a decider that has not caught up does not decide, one that has does it unasked") {
    const Member fresh = member("fresh", true, true, {});
    const Member old = member("old", true, true, {0, 1, 2, 3, 4, 5, 6, 7});
    for (const PlacedPartition& placed : place({fresh, old}, kPartitions, 1)) {
        CHECK(placed.decider == "old");
        CHECK(placed.publisher == "old");
    }
}

TEST_CASE("nobody holds anything where nobody lives") {
    const auto placed = place({}, kPartitions, 2);
    REQUIRE(placed.size() == kPartitions);
    for (const PlacedPartition& one : placed) {
        CHECK(one.holders.empty());
        CHECK(one.decider.empty());
        CHECK(one.publisher.empty());
    }
    CHECK_FALSE(falls_to({}, "m0", "thing"));
}

TEST_CASE("the partitions are spread over all members") {
    std::vector<Member> live;
    for (int i = 0; i < 4; ++i) live.push_back(member("m" + std::to_string(i), true, true, {}));
    constexpr std::uint32_t kMany = 400;
    std::map<std::string, int> held;
    for (const PlacedPartition& placed : place(live, kMany, 1)) ++held[placed.holders.at(0)];
    CHECK(held.size() == 4);
    for (const auto& [id, count] : held) CHECK(count > 50);
}

TEST_CASE("a thing falls to exactly one of those with the role api") {
    CHECK_PROPERTY("exactly one", [] {
        const std::vector<Member> live = any_members();
        const std::string thing = *rc::gen::arbitrary<std::string>();
        std::size_t count = 0;
        for (const Member& m : live) {
            if (!falls_to(live, m.id, thing)) continue;
            ++count;
            RC_ASSERT(m.api);
        }
        const bool any =
            std::any_of(live.begin(), live.end(), [](const Member& m) { return m.api; });
        RC_ASSERT(count == (any ? 1u : 0u));
        RC_ASSERT(!falls_to(live, "stranger", thing));
    });
}

}  // namespace
}  // namespace tidings::apps
