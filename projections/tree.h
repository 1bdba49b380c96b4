// The Merkle tree over a partition's leaves (docs/formats.md), and in which leaf an event lies.
// Rows: tiles of 2^kTileHeight neighbouring hashes, of the leaves and of every complete subtree
// whose height is a multiple of kTileHeight; they are only ever appended to, so that the tree of
// any earlier size can still be asked. Per program: the command of each event.
#pragma once

#include "core/merkle.h"
#include "projections/fold.h"
#include "projections/store.h"

namespace tidings::tree {

/// Notes that the program's next event lies in the outcome of `command`.
void fold(Fold& fold, EventNumber event, CommandPosition command);

/// The tree as it is stored.
merkle::Frontier load(const Store& store);
/// The tree grown by `leaves`, and what that adds to the rows.
merkle::Frontier grow(merkle::Frontier tree, std::span<const Hash256> leaves, StoreBatch& batch);
/// REQUIRES: the stored tree has it.
Hash256 subtree(const Store& store, const merkle::Subtree& at);

/// Nothing: there is no such event.
std::optional<CommandPosition> command_of(const RowSource& rows, std::uint32_t program,
                                          EventNumber event);

}  // namespace tidings::tree
