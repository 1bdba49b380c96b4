#include "apps/placement.h"

#include <algorithm>
#include <tuple>

namespace tidings::apps {

namespace {

struct Ranked {
    int tier = 0;   ///< smaller first
    Hash256 score;  ///< greater first
    const kafka::Member* member = nullptr;
};

int tier_of(const kafka::Member& member) {
    if (member.decider) return 0;
    return member.projector ? 1 : 2;
}

std::vector<Ranked> rank(const std::vector<kafka::Member>& live, std::uint32_t partition) {
    std::vector<Ranked> ranked;
    ranked.reserve(live.size());
    for (const kafka::Member& member : live) {
        ranked.push_back(
            {tier_of(member), sha256(member.id + "/" + std::to_string(partition)), &member});
    }
    std::sort(ranked.begin(), ranked.end(), [](const Ranked& left, const Ranked& right) {
        return std::tie(left.tier, right.score) < std::tie(right.tier, left.score);
    });
    return ranked;
}

}  // namespace

bool is_ready(const kafka::Member& member, std::uint32_t partition) {
    return std::binary_search(member.ready.begin(), member.ready.end(), partition);
}

std::vector<PlacedPartition> place(const std::vector<kafka::Member>& live, std::uint32_t partitions,
                                   std::uint32_t replicas) {
    std::vector<PlacedPartition> out(partitions);
    for (std::uint32_t p = 0; p < partitions; ++p) {
        const std::vector<Ranked> ranked = rank(live, p);
        const bool any_keeps =
            std::any_of(ranked.begin(), ranked.end(), [](const Ranked& r) { return r.tier < 2; });
        for (const Ranked& one : ranked) {
            const bool keeps =
                replicas == 0 || (out[p].holders.size() < replicas && (one.tier < 2 || !any_keeps));
            if (keeps) out[p].holders.push_back(one.member->id);
            if (out[p].decider.empty() && one.member->decider && is_ready(*one.member, p)) {
                out[p].decider = one.member->id;
            }
            if (out[p].publisher.empty() && one.member->projector && is_ready(*one.member, p)) {
                out[p].publisher = one.member->id;
            }
        }
    }
    return out;
}

bool falls_to(const std::vector<kafka::Member>& live, const std::string& self,
              const std::string& thing) {
    const kafka::Member* best = nullptr;
    Hash256 best_score;
    for (const kafka::Member& member : live) {
        const Hash256 score = sha256(member.id + "/" + thing);
        if (!member.api || (best != nullptr && score < best_score)) continue;
        best = &member;
        best_score = score;
    }
    return best != nullptr && best->id == self;
}

}  // namespace tidings::apps
