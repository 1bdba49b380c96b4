// The Merkle tree against a naive one, and against the vectors that other implementations share.
#include "core/merkle.h"

#include <map>

#include "tests/support/catch.h"
#include "tests/support/property.h"

using namespace tidings;
using merkle::Proof;
using merkle::Subtree;

namespace {

Hash256 hex_hash(std::string_view hex) { return Hash256::from(*from_hex(hex)); }

/// RFC 9162, section 2.1.1, word by word.
Hash256 naive_root(const std::vector<std::string>& leaves, std::size_t begin, std::size_t end) {
    if (begin == end) return sha256("");
    if (end - begin == 1) return merkle::leaf_hash(leaves[begin]);
    std::size_t left = 1;
    while (2 * left < end - begin) left *= 2;
    return merkle::node_hash(naive_root(leaves, begin, begin + left),
                             naive_root(leaves, begin + left, end));
}

/// Every complete subtree, as Frontier tells of them.
class Kept {
public:
    explicit Kept(const std::vector<std::string>& leaves) {
        for (const std::string& leaf : leaves) {
            frontier_.append(merkle::leaf_hash(leaf), [&](const Subtree& at, const Hash256& hash) {
                kept_[{at.level, at.index}] = hash;
            });
        }
    }
    const merkle::Frontier& frontier() const { return frontier_; }
    merkle::Subtrees subtrees() const {
        return [this](const Subtree& at) { return kept_.at({at.level, at.index}); };
    }

private:
    merkle::Frontier frontier_;
    std::map<std::pair<unsigned, std::uint64_t>, Hash256> kept_;
};

std::vector<std::string> numbered(std::size_t count) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back("leaf " + std::to_string(i));
    return out;
}

/// The leaves and roots with which Certificate Transparency's own implementations are tested.
const std::vector<std::string> kVector = {
    "",
    std::string(1, '\0'),
    "\x10",
    "\x20\x21",
    "\x30\x31",
    "\x40\x41\x42\x43",
    "\x50\x51\x52\x53\x54\x55\x56\x57",
    "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
};
const std::vector<std::string> kVectorRoots = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

/// A proof with one of its parts changed, in every way that a liar could try.
std::vector<Proof> altered(const Proof& proof) {
    std::vector<Proof> out;
    for (std::size_t i = 0; i < proof.size(); ++i) {
        out.push_back(proof);
        out.back()[i].bytes[i % 32] ^= 1;
        out.push_back(proof);
        out.back().erase(out.back().begin() + static_cast<std::ptrdiff_t>(i));
    }
    out.push_back(proof);
    out.back().push_back(sha256("more"));
    out.push_back(proof);
    out.back().insert(out.back().begin(), sha256("more"));
    return out;
}

}  // namespace

TEST_CASE("merkle: the vectors of Certificate Transparency") {
    for (std::size_t size = 0; size <= kVector.size(); ++size) {
        const Kept kept({kVector.begin(), kVector.begin() + static_cast<std::ptrdiff_t>(size)});
        CHECK(kept.frontier().root() == hex_hash(kVectorRoots[size]));
        CHECK(merkle::root(size, kept.subtrees()) == hex_hash(kVectorRoots[size]));
    }
    const Kept kept(kVector);
    CHECK(merkle::inclusion_proof(5, 8, kept.subtrees()) ==
          Proof{hex_hash("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
                hex_hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                hex_hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")});
    CHECK(merkle::consistency_proof(6, 8, kept.subtrees()) ==
          Proof{hex_hash("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
                hex_hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                hex_hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")});
}

TEST_CASE("merkle: every tree up to 40 leaves, every proof, and every lie about one") {
    constexpr std::size_t kMost = 40;
    const std::vector<std::string> leaves = numbered(kMost);
    const Kept kept(leaves);
    for (std::size_t size = 1; size <= kMost; ++size) {
        const Hash256 root = naive_root(leaves, 0, size);
        REQUIRE(merkle::root(size, kept.subtrees()) == root);
        for (std::size_t index = 0; index < size; ++index) {
            const Hash256 leaf = merkle::leaf_hash(leaves[index]);
            const Proof proof = merkle::inclusion_proof(index, size, kept.subtrees());
            REQUIRE(merkle::verify_inclusion(index, size, leaf, proof, root));
            REQUIRE_FALSE(merkle::verify_inclusion(index, size, sha256("other"), proof, root));
            REQUIRE_FALSE(merkle::verify_inclusion(index, size, leaf, proof, sha256("other")));
            REQUIRE_FALSE(merkle::verify_inclusion(index + size, size, leaf, proof, root));
            for (std::size_t other = 0; other < size; ++other) {
                REQUIRE(merkle::verify_inclusion(other, size, leaf, proof, root) ==
                        (other == index));
            }
            for (const Proof& lie : altered(proof)) {
                REQUIRE_FALSE(merkle::verify_inclusion(index, size, leaf, lie, root));
            }
        }
        for (std::size_t from = 0; from <= size; ++from) {
            const Hash256 older = naive_root(leaves, 0, from);
            const Proof proof = merkle::consistency_proof(from, size, kept.subtrees());
            REQUIRE(merkle::verify_consistency(from, size, proof, older, root));
            REQUIRE_FALSE(merkle::verify_consistency(from, size, proof, sha256("o"), root));
            if (from > 0) {  // any tree continues the empty one
                REQUIRE_FALSE(merkle::verify_consistency(from, size, proof, older, sha256("o")));
            }
            if (from < size) {
                REQUIRE_FALSE(merkle::verify_consistency(size, from, proof, root, older));
            }
            for (const Proof& lie : altered(proof)) {
                REQUIRE_FALSE(merkle::verify_consistency(from, size, lie, older, root));
            }
        }
    }
    CHECK_FALSE(merkle::verify_inclusion(0, 0, sha256(""), {}, sha256("")));
}

TEST_CASE("merkle: a frontier that is taken up again grows as if it had never been put down") {
    CHECK_PROPERTY("", [] {
        const auto before = *rc::gen::inRange<std::size_t>(0, 600);
        const auto more = *rc::gen::inRange<std::size_t>(0, 600);
        const std::vector<std::string> leaves = numbered(before + more);
        const Kept kept({leaves.begin(), leaves.begin() + static_cast<std::ptrdiff_t>(before)});
        std::vector<Hash256> hashes;
        for (const Subtree& part : merkle::parts_of(before)) {
            hashes.push_back(kept.subtrees()(part));
        }
        merkle::Frontier frontier(before, hashes);
        for (std::size_t i = before; i < leaves.size(); ++i) {
            frontier.append(merkle::leaf_hash(leaves[i]));
        }
        RC_ASSERT(frontier.size() == leaves.size());
        RC_ASSERT(frontier.root() == naive_root(leaves, 0, leaves.size()));
    });
}
