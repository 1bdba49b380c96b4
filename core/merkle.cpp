#include "core/merkle.h"

#include <bit>
#include <cassert>

namespace tidings::merkle {
namespace {

constexpr char kLeaf = 0, kNode = 1;  ///< RFC 9162, section 2.1.1: one is never taken for the other

/// How many of `width` > 1 leaves are the left subtree's: the largest power of two below it.
std::uint64_t left_of(std::uint64_t width) { return std::bit_floor(width - 1); }

/// A node of the tree over the leaves from `begin` to before `end`.
Hash256 node_over(std::uint64_t begin, std::uint64_t end, const Subtrees& subtrees) {
    const std::uint64_t width = end - begin;
    if (std::has_single_bit(width)) {
        return subtrees({static_cast<unsigned>(std::countr_zero(width)), begin / width});
    }
    const std::uint64_t middle = begin + left_of(width);
    return node_hash(node_over(begin, middle, subtrees), node_over(middle, end, subtrees));
}

void prove_inclusion(std::uint64_t index, std::uint64_t begin, std::uint64_t end,
                     const Subtrees& subtrees, Proof& out) {
    if (end - begin == 1) return;
    const std::uint64_t middle = begin + left_of(end - begin);
    if (index < middle) {
        prove_inclusion(index, begin, middle, subtrees, out);
        out.push_back(node_over(middle, end, subtrees));
    } else {
        prove_inclusion(index, middle, end, subtrees, out);
        out.push_back(node_over(begin, middle, subtrees));
    }
}

/// `known`: the node over begin to end is the older tree's root, which whoever checks has.
void prove_consistency(std::uint64_t from, std::uint64_t begin, std::uint64_t end, bool known,
                       const Subtrees& subtrees, Proof& out) {
    if (from == end) {
        if (!known) out.push_back(node_over(begin, end, subtrees));
        return;
    }
    const std::uint64_t middle = begin + left_of(end - begin);
    if (from <= middle) {
        prove_consistency(from, begin, middle, known, subtrees, out);
        out.push_back(node_over(middle, end, subtrees));
    } else {
        prove_consistency(from, middle, end, false, subtrees, out);
        out.push_back(node_over(begin, middle, subtrees));
    }
}

}  // namespace

Hash256 leaf_hash(std::string_view leaf) { return sha256({{&kLeaf, 1}, leaf}); }

Hash256 node_hash(const Hash256& left, const Hash256& right) {
    return sha256({{&kNode, 1}, left.view(), right.view()});
}

std::vector<Subtree> parts_of(std::uint64_t size) {
    std::vector<Subtree> out;
    for (std::uint64_t begin = 0; begin < size;) {
        const std::uint64_t width = std::bit_floor(size - begin);
        out.push_back({static_cast<unsigned>(std::countr_zero(width)), begin / width});
        begin += width;
    }
    return out;
}

Frontier::Frontier(std::uint64_t size, std::vector<Hash256> hashes)
    : size_(size), hashes_(std::move(hashes)) {
    assert(hashes_.size() == static_cast<std::size_t>(std::popcount(size)));
}

Hash256 Frontier::root() const {
    if (hashes_.empty()) return sha256("");
    Hash256 root = hashes_.back();
    for (std::size_t i = hashes_.size() - 1; i-- > 0;) root = node_hash(hashes_[i], root);
    return root;
}

Hash256 root(std::uint64_t size, const Subtrees& subtrees) {
    return size == 0 ? sha256("") : node_over(0, size, subtrees);
}

Proof inclusion_proof(std::uint64_t index, std::uint64_t size, const Subtrees& subtrees) {
    assert(index < size);
    Proof out;
    prove_inclusion(index, 0, size, subtrees, out);
    return out;
}

Proof consistency_proof(std::uint64_t from, std::uint64_t to, const Subtrees& subtrees) {
    assert(from <= to);
    Proof out;
    if (from != 0) prove_consistency(from, 0, to, true, subtrees, out);
    return out;
}

// RFC 9162, section 2.1.3.2.
bool verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash256& leaf,
                      std::span<const Hash256> proof, const Hash256& root) {
    if (index >= size) return false;
    std::uint64_t node = index, last = size - 1;
    Hash256 hash = leaf;
    for (const Hash256& sibling : proof) {
        if (last == 0) return false;
        if (node % 2 == 1 || node == last) {
            hash = node_hash(sibling, hash);
            while (node % 2 == 0 && node != 0) {
                node /= 2;
                last /= 2;
            }
        } else {
            hash = node_hash(hash, sibling);
        }
        node /= 2;
        last /= 2;
    }
    return last == 0 && hash == root;
}

// RFC 9162, section 2.1.4.2; it leaves out sizes that are equal or 0.
bool verify_consistency(std::uint64_t from, std::uint64_t to, std::span<const Hash256> proof,
                        const Hash256& from_root, const Hash256& to_root) {
    if (from > to) return false;
    if (from == to) return proof.empty() && from_root == to_root;
    if (from == 0) return proof.empty() && from_root == sha256("");
    std::uint64_t node = from - 1, last = to - 1;
    while (node % 2 == 1) {
        node /= 2;
        last /= 2;
    }
    Hash256 older = from_root, newer = from_root;
    if (!std::has_single_bit(from)) {  // otherwise the older root is itself the first node
        if (proof.empty()) return false;
        older = newer = proof.front();
        proof = proof.subspan(1);
    }
    for (const Hash256& sibling : proof) {
        if (last == 0) return false;
        if (node % 2 == 1 || node == last) {
            older = node_hash(sibling, older);
            newer = node_hash(sibling, newer);
            while (node % 2 == 0 && node != 0) {
                node /= 2;
                last /= 2;
            }
        } else {
            newer = node_hash(newer, sibling);
        }
        node /= 2;
        last /= 2;
    }
    return last == 0 && older == from_root && newer == to_root;
}

}  // namespace tidings::merkle
