// The Merkle tree of RFC 6962 (RFC 9162, section 2.1) over a list that only grows: roots, inclusion
// and consistency proofs, and checking them. Pure; what the leaves are is docs/formats.md's.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/ids.h"

namespace tidings::merkle {

Hash256 leaf_hash(std::string_view leaf);
Hash256 node_hash(const Hash256& left, const Hash256& right);

/// A complete subtree: over the leaves from index << level to before (index + 1) << level.
struct Subtree {
    unsigned level = 0;
    std::uint64_t index = 0;
    bool operator==(const Subtree&) const = default;
};
/// The complete subtrees that a tree of `size` leaves is made of, from the left; each is larger
/// than the next.
std::vector<Subtree> parts_of(std::uint64_t size);
/// The hash of a complete subtree of the tree that is asked about.
using Subtrees = std::function<Hash256(const Subtree&)>;

/// What has to be kept of a tree so that it can grow and its root be told: a hash for each of
/// parts_of(size).
class Frontier {
public:
    Frontier() = default;
    /// REQUIRES: `hashes` are those of parts_of(size).
    Frontier(std::uint64_t size, std::vector<Hash256> hashes);

    /// Appends a leaf by its hash; `complete(subtree, hash)` is called for every subtree that it
    /// completes, the leaf itself first.
    template <class Complete>
    void append(const Hash256& leaf, Complete complete) {
        Hash256 hash = leaf;
        Subtree subtree{0, size_++};
        complete(subtree, hash);
        for (; subtree.index % 2 == 1; subtree = {subtree.level + 1, subtree.index / 2}) {
            hash = node_hash(hashes_.back(), hash);
            hashes_.pop_back();
            complete(Subtree{subtree.level + 1, subtree.index / 2}, hash);
        }
        hashes_.push_back(hash);
    }
    void append(const Hash256& leaf) {
        append(leaf, [](const Subtree&, const Hash256&) {});
    }

    std::uint64_t size() const { return size_; }
    Hash256 root() const;

private:
    std::uint64_t size_ = 0;
    std::vector<Hash256> hashes_;
};

using Proof = std::vector<Hash256>;

Hash256 root(std::uint64_t size, const Subtrees& subtrees);
/// From the leaf upwards. REQUIRES: index < size.
Proof inclusion_proof(std::uint64_t index, std::uint64_t size, const Subtrees& subtrees);
/// That the first `from` of `to` leaves are those of the tree of that size; empty if `from` is 0 or
/// `to`. REQUIRES: from <= to.
Proof consistency_proof(std::uint64_t from, std::uint64_t to, const Subtrees& subtrees);

bool verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash256& leaf,
                      std::span<const Hash256> proof, const Hash256& root);
bool verify_consistency(std::uint64_t from, std::uint64_t to, std::span<const Hash256> proof,
                        const Hash256& from_root, const Hash256& to_root);

}  // namespace tidings::merkle
