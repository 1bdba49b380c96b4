// Bytes and digests of sets depend on the members alone, and hostile bytes are errors.
#include "core/bitmap.h"

#include <chrono>
#include <set>

#include "tests/support/memory_commands.h"
#include "tests/support/property.h"

using namespace tidings;
using testing::Random;

namespace {

/// Runs, scattered members and dense stretches, so that every kind of container comes up, and
/// borders between them.
std::set<std::uint32_t> members(Random& random) {
    std::set<std::uint32_t> out;
    const std::uint64_t pieces = random.below(6);
    for (std::uint64_t i = 0; i < pieces; ++i) {
        const std::uint64_t base = random.below(4) * 65'536 + random.below(70'000);
        const std::uint64_t count = random.below(random.one_in(3) ? 9'000 : 12);
        const std::uint64_t step = 1 + random.below(3);
        for (std::uint64_t n = 0; n < count; ++n) {
            out.insert(static_cast<std::uint32_t>(base + n * step));
        }
    }
    if (random.one_in(4)) out.insert(0xFFFFFFFF);
    if (random.one_in(4)) out.insert(0);
    return out;
}

/// The same set by one of several ways, which leave different containers behind.
Bitmap build(const std::set<std::uint32_t>& members, Random& random) {
    Bitmap out;
    switch (random.below(4)) {
        case 0:
            for (auto it = members.rbegin(); it != members.rend(); ++it) out.add(*it);
            break;
        case 1:  // in ranges, as run containers
            for (auto it = members.begin(); it != members.end();) {
                std::uint64_t end = *it;
                while (it != members.end() && *it == end) ++it, ++end;
                out.addRange(*std::prev(it) - (end - 1 - *std::prev(it)), end);
                out.addRange(end - 1, end);
            }
            for (const std::uint32_t member : members) out.add(member);
            out.runOptimize();
            break;
        case 2: {  // everything, less the others
            const std::uint64_t end = members.empty() ? 0 : std::uint64_t{*members.rbegin()} + 1;
            if (end > 2'000'000) {
                for (const std::uint32_t member : members) out.add(member);
                break;
            }
            out.addRange(0, end);
            for (std::uint64_t i = 0; i < end; ++i) {
                if (!members.contains(static_cast<std::uint32_t>(i))) {
                    out.remove(static_cast<std::uint32_t>(i));
                }
            }
            break;
        }
        default:
            // Not removeRunCompression: in Roaring 0.2.66 it writes beyond its array when a run
            // ends at the last ordinal of a container.
            for (const std::uint32_t member : members) out.add(member);
    }
    return out;
}

void put_varint(std::uint64_t value, std::string& out) {
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
}

std::string plain_runs(const std::set<std::uint32_t>& members) {
    std::string out;
    std::uint64_t end = 0;
    for (auto it = members.begin(); it != members.end();) {
        const std::uint64_t start = *it;
        std::uint64_t next = start;
        while (it != members.end() && *it == next) ++it, ++next;
        put_varint(start - end, out);
        put_varint(next - start - 1, out);
        end = next;
    }
    return out;
}

}  // namespace

TEST_CASE("bytes, runs and digests depend only on the members") {
    CHECK_PROPERTY([](std::uint64_t seed) {
        Random random(seed);
        const auto wanted = members(random);
        const Bitmap one = build(wanted, random);
        const Bitmap two = build(wanted, random);
        RC_ASSERT(one == two);
        RC_ASSERT(serialize(one) == serialize(two));
        RC_ASSERT(audience_digest(one) == audience_digest(two));
        std::string runs;
        append_runs(one, runs);
        RC_ASSERT(runs == plain_runs(wanted));
        const auto back = deserialize_bitmap(serialize(one));
        RC_ASSERT(back.has_value());
        RC_ASSERT(*back == one);
    });
}

TEST_CASE("where runs and an array are equally long, the bytes are still the same") {
    Bitmap added, ranged;
    for (const std::uint32_t base : {0u, 10u, 20u, 65'536u}) {
        added.add(base);
        added.add(base + 1);
        ranged.addRange(base, base + 2);
    }
    ranged.runOptimize();
    CHECK(serialize(added) == serialize(ranged));
    // Next to containers that stay runs, with and without an offset header.
    for (const std::uint32_t containers : {2u, 5u}) {
        Bitmap one = added, two = ranged;
        for (std::uint32_t i = 2; i < 2 + containers; ++i) {
            one.addRange(i << 16, (i << 16) + 1'000);
            two.addRange(i << 16, (i << 16) + 1'000);
        }
        two.runOptimize();
        CHECK(serialize(one) == serialize(two));
        CHECK(*deserialize_bitmap(serialize(two)) == one);
    }
}

TEST_CASE("the bytes are the portable format of the library") {
    for (const std::uint64_t size : {0u, 1u, 2u, 100u, 100'000u}) {
        Bitmap set;
        set.addRange(5, 5 + size);
        set.add(3'000'000'000);
        const std::string bytes = serialize(set);
        CHECK(Bitmap::readSafe(bytes.data(), bytes.size()) == set);
    }
    CHECK(serialize(Bitmap()).size() == 8);
    CHECK(deserialize_bitmap(serialize(Bitmap()))->isEmpty());
}

TEST_CASE("a set that is bits is serialised as any other") {
    const auto check = [](std::uint16_t key, const std::vector<std::uint64_t>& words) {
        Bitmap set;
        for (std::uint32_t i = 0; i < 65'536; ++i) {
            if ((words[i / 64] >> i % 64 & 1) != 0) set.add(std::uint32_t{key} * 65'536 + i);
        }
        return serialize_words(key, words.data()) == serialize(set);
    };
    const std::vector<std::uint64_t> none(1'024), all(1'024, ~std::uint64_t{0});
    CHECK(check(7, none));
    CHECK(check(65'535, all));
    // as many as an array takes, and one more; runs of two and three, where the forms are equally
    // long; and up to where runs are as long as bits
    for (const std::uint32_t length : {1u, 2u, 3u}) {
        for (const std::uint32_t count :
             {1u, 2u, 3u, 682u, 1'365u, 1'366u, 2'046u, 2'047u, 2'048u, 4'095u, 4'096u, 4'097u}) {
            std::vector<std::uint64_t> words(1'024);
            for (std::uint32_t i = 0; i < count * 8; ++i) {
                if (i % 8 < length) words[(i + 5) / 64] |= std::uint64_t{1} << (i + 5) % 64;
            }
            INFO(count << " runs of " << length);
            CHECK(check(3, words));
        }
    }
    CHECK_PROPERTY([&] {
        Random random(*rc::gen::arbitrary<std::uint64_t>());
        std::vector<std::uint64_t> words(1'024);
        for (const std::uint32_t member : members(random)) {
            if (member < 65'536) words[member / 64] |= std::uint64_t{1} << member % 64;
        }
        RC_ASSERT(check(static_cast<std::uint16_t>(random.below(65'536)), words));
    });
}

TEST_CASE("a digest tells sets apart") {
    std::set<std::string> seen;
    for (std::uint32_t mask = 0; mask < 64; ++mask) {
        Bitmap set;
        for (std::uint32_t bit = 0; bit < 6; ++bit) {
            if (mask >> bit & 1) set.add(bit == 5 ? 65'536 : bit);
        }
        seen.insert(std::string(audience_digest(set).view()));
    }
    CHECK(seen.size() == 64);
    // Fixed for good: the format of receipts.
    Bitmap all;
    all.addRange(0, 3);
    CHECK(audience_digest(all) == sha256(std::string("tidings.audience.v1\n\x00\x02", 22)));
}

TEST_CASE("all of ten million partners are one run, found without walking members") {
    Bitmap all;
    all.addRange(0, 10'000'000);
    std::string runs;
    append_runs(all, runs);
    CHECK(runs == std::string("\x00\xff\xac\xe2\x04", 5));
    all.runOptimize();
    CHECK(serialize(all).size() < 3'000);
}

TEST_CASE("damaged bytes are errors, never sets that break the library") {
    CHECK_PROPERTY([](std::uint64_t seed) {
        Random random(seed);
        std::string bytes = serialize(build(members(random), random));
        for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
            switch (random.below(3)) {
                case 0:
                    bytes.resize(random.below(bytes.size() + 1));
                    break;
                case 1:
                    bytes.insert(random.below(bytes.size() + 1), 1, '\x01');
                    break;
                default: {
                    // Mostly in the head, where a byte decides about the rest.
                    if (bytes.empty()) break;
                    const std::uint64_t range = random.one_in(2) ? bytes.size() : 40;
                    char& byte = bytes[random.below(std::min<std::uint64_t>(range, bytes.size()))];
                    byte = static_cast<char>(byte ^ 1 << random.below(8));
                }
            }
        }
        const auto set = deserialize_bitmap(bytes);
        if (!set) {
            RC_ASSERT(set.error().code == ErrorCode::malformed);
            return;
        }
        // Whatever was read is a sound set: members ascend, and it goes through bytes again.
        std::uint64_t count = 0;
        std::int64_t previous = -1;
        for (const std::uint32_t member : *set) {
            RC_ASSERT(std::int64_t{member} > previous);
            RC_ASSERT(set->contains(member));
            previous = member;
            ++count;
        }
        RC_ASSERT(count == set->cardinality());
        RC_ASSERT(*deserialize_bitmap(serialize(*set)) == *set);
    });
}

TEST_CASE("random bytes are errors") {
    CHECK_PROPERTY([](const std::string& bytes) {
        RC_ASSERT(deserialize_bitmap(bytes).has_error());
        RC_ASSERT(deserialize_bitmap(std::string("\x3a\x30\x00\x00", 4) + bytes).has_error() ||
                  bytes == std::string(4, '\0') || bytes.size() > 12);
    });
}
