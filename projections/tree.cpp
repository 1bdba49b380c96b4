#include "projections/tree.h"

#include <map>

#include "projections/bytes.h"

namespace tidings::tree {

namespace {

constexpr unsigned kHeight = limits::kTileHeight;
constexpr std::uint64_t kTile = 1ULL << kHeight;
constexpr std::uint64_t kEventsPerRow = 256;

/// `layer`: 0 for leaves, 1 for the roots of their tiles, and so on.
Key tile_key(unsigned layer, std::uint64_t tile) {
    return Key(Table::tree).u8(static_cast<std::uint8_t>(layer)).u64(tile);
}

Key commands_key(std::uint32_t program, EventNumber event) {
    return Key(Table::event_command, program).u64(event.value / kEventsPerRow);
}

std::string tile_at(const Store& store, unsigned layer, std::uint64_t tile) {
    std::optional<std::string> row = store.get(tile_key(layer, tile).view());
    if (!row) throw StorageFailure("a tile of the Merkle tree is missing");
    if (row->size() % Hash256::kSize != 0 || row->size() > kTile * Hash256::kSize) {
        throw StorageFailure("a tile of the Merkle tree has a wrong size");
    }
    return std::move(*row);
}

std::uint64_t stored_size(const Store& store) {
    std::uint64_t size = 0;
    const Key layer = Key(Table::tree).u8(0);
    store.scan(layer.view(), prefix_end(layer.view()), true,
               [&](std::string_view key, std::string_view row) {
                   size = key_number(key, 2, 8) * kTile + row.size() / Hash256::kSize;
                   return false;
               });
    return size;
}

}  // namespace

void fold(Fold& fold, EventNumber event, CommandPosition command) {
    std::string operand;
    ByteWriter(operand).varint(command.value);
    fold.run.change<AppendedRow>(commands_key(fold.number, event), operand);
}

merkle::Frontier load(const Store& store) {
    const std::uint64_t size = stored_size(store);
    std::vector<Hash256> hashes;
    for (const merkle::Subtree& part : merkle::parts_of(size)) {
        hashes.push_back(subtree(store, part));
    }
    return {size, std::move(hashes)};
}

merkle::Frontier grow(merkle::Frontier tree, std::span<const Hash256> leaves, StoreBatch& batch) {
    std::map<std::pair<unsigned, std::uint64_t>, std::string>
        tiles;  // layer, tile: appended hashes
    for (const Hash256& leaf : leaves) {
        tree.append(leaf, [&](const merkle::Subtree& at, const Hash256& hash) {
            if (at.level % kHeight != 0) return;
            tiles[{at.level / kHeight, at.index / kTile}] += hash.view();
        });
    }
    for (const auto& [at, hashes] : tiles) {
        batch.merge(tile_key(at.first, at.second).view(), hashes);
    }
    return tree;
}

Hash256 subtree(const Store& store, const merkle::Subtree& at) {
    const unsigned height = at.level % kHeight;  // above the layer
    const std::uint64_t first = at.index << height, count = 1ULL << height;
    const std::string tile = tile_at(store, at.level / kHeight, first / kTile);
    const std::size_t offset = first % kTile;
    if (tile.size() < (offset + count) * Hash256::kSize) {
        throw StorageFailure("a tile of the Merkle tree ends too early");
    }
    merkle::Frontier within;
    for (std::size_t i = offset; i < offset + count; ++i) {
        within.append(Hash256::from({&tile[i * Hash256::kSize], Hash256::kSize}));
    }
    return within.root();
}

std::optional<CommandPosition> command_of(const RowSource& rows, std::uint32_t program,
                                          EventNumber event) {
    const auto row = rows.find<AppendedRow>(commands_key(program, event));
    // event 0 stands for none, so the first row lacks a place
    std::uint64_t place = event.value % kEventsPerRow;
    if (event.value < kEventsPerRow) {
        if (place == 0) return std::nullopt;
        --place;
    }
    for (ByteReader in(row->bytes); !in.done(); --place) {
        const std::uint64_t command = in.varint();
        if (place == 0) return CommandPosition{command};
    }
    return std::nullopt;
}

}  // namespace tidings::tree
