// What words of bits hold, against walking every bit.
#include "core/bits.h"

#include <utility>
#include <vector>

#include "tests/support/memory_commands.h"
#include "tests/support/property.h"

using namespace tidings;
using testing::Random;

namespace {

bool has(const std::vector<std::uint64_t>& words, std::uint64_t bit) {
    return bit < 64 * words.size() && (words[bit / 64] >> bit % 64 & 1) != 0;
}

}  // namespace

TEST_CASE("members and runs of words of bits") {
    CHECK_PROPERTY([] {
        Random random(*rc::gen::arbitrary<std::uint64_t>());
        std::vector<std::uint64_t> words(random.below(6));
        for (std::uint64_t& word : words) {
            const std::uint64_t any = random.below(~std::uint64_t{0});
            const std::uint64_t choices[] = {0, ~std::uint64_t{0}, any, any | 1 | 1ull << 63};
            word = choices[random.below(4)];
        }
        std::vector<std::uint64_t> members;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
        for (std::uint64_t bit = 0; bit < 64 * words.size(); ++bit) {
            if (!has(words, bit)) continue;
            members.push_back(bit);
            if (bit == 0 || !has(words, bit - 1)) runs.emplace_back(bit, bit);
            runs.back().second = bit + 1;
        }

        RC_ASSERT(bits::count(words) == members.size());
        RC_ASSERT(bits::count_runs(words) == runs.size());
        std::vector<std::uint64_t> visited;
        bits::for_each(words, [&](std::uint64_t member) { visited.push_back(member); });
        RC_ASSERT(visited == members);
        std::vector<std::pair<std::uint64_t, std::uint64_t>> joined;
        bits::for_each_run(
            words, [&](std::uint64_t from, std::uint64_t to) { joined.emplace_back(from, to); });
        RC_ASSERT(joined == runs);
    });
}
