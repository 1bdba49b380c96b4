// Signed checkpoints of a partition's Merkle tree: C2SP tlog-checkpoint in a C2SP signed note with
// Ed25519 (c2sp.org/tlog-checkpoint, c2sp.org/signed-note), so that existing witnesses read them.
// Drawn in docs/formats.md. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/chain.h"
#include "core/result.h"

namespace tidings {

/// The commit after which the tree had a checkpoint's size, and its hash.
struct ChainPosition {
    Sequence sequence;
    Hash256 hash;
    bool operator==(const ChainPosition&) const = default;
};

struct Checkpoint {
    std::string origin;  ///< of the tree; also the name of the key that signs for it
    std::uint64_t size = 0;
    Hash256 root;
    std::optional<ChainPosition> chain;  ///< an extension line
    bool operator==(const Checkpoint&) const = default;
};

/// "tidings.example/0123…/p3". REQUIRES: valid_origin_host(host).
std::string checkpoint_origin(std::string_view host, const LogId& log, PartitionId partition);
/// Neither empty, nor longer than 200 bytes, nor with spaces, '+' or control characters.
bool valid_origin_host(std::string_view host);
struct OriginParts {
    LogId log;
    PartitionId partition;
};
/// Nothing if it is not an origin of ours.
std::optional<OriginParts> parse_origin(std::string_view origin);

/// The public half of a key, under the name that it signs for.
struct VerifierKey {
    std::string name;
    std::string public_key;  ///< 32 bytes
    bool operator==(const VerifierKey&) const = default;
};
/// "name+01234567+AY8…", as in Go's sumdb/note.
std::string to_text(const VerifierKey& key);
std::optional<VerifierKey> parse_verifier_key(std::string_view text);

/// The note. `sign` gives the Ed25519 signature, 64 bytes, of a text.
std::string sign_checkpoint(const Checkpoint& checkpoint, const std::string& public_key,
                            const std::function<std::string(std::string_view)>& sign);
/// What a note says, whoever signed it. Errors: malformed.
Result<Checkpoint> read_checkpoint(std::string_view note);
/// The same once one of `keys` that has the origin's name was found to have signed it. Other
/// signatures (a witness') do not count. Errors: malformed, forbidden (not signed by one of them).
Result<Checkpoint> verify_checkpoint(std::string_view note, const std::vector<VerifierKey>& keys);

}  // namespace tidings
