// The deployment's own secrets, in <data>/keys/: the key that signs tokens, the key that seals
// upstream secrets, the key of the digests in the log, and the key that signs checkpoints. Used by
// the broker, `tidings token`, `tidings audit` and the token verifier.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "connectors/claims.h"
#include "core/ids.h"
#include "core/result.h"

namespace tidings {

/// Thread-safe after open().
class KeyRing {
public:
    /// Reads <data>/keys/{signing.jwk,deployment.key,digest.key,checkpoint.key} and makes those
    /// that are missing (directory 0700, files 0600, durable before use); of several processes that
    /// make one at once, one wins and all use its key. `deployment_key`: file to use instead of
    /// <data>/keys/deployment.key: 32 bytes, or 64 hex digits; empty: none. Errors: io, corruption
    /// (a file is not a key), usage (`deployment_key` is not a key).
    static Result<std::unique_ptr<KeyRing>> open(const std::filesystem::path& data,
                                                 const std::filesystem::path& deployment_key = {});
    /// Whether open() would take the files that are there. Makes nothing; a missing file is no
    /// error. Errors: as open().
    static Result<void> check(const std::filesystem::path& data,
                              const std::filesystem::path& deployment_key = {});
    /// The public half of <data>/keys/checkpoint.key. Makes nothing. Errors: not_found, io,
    /// corruption.
    static Result<std::string> read_checkpoint_key(const std::filesystem::path& data);
    ~KeyRing();
    KeyRing(const KeyRing&) = delete;
    KeyRing& operator=(const KeyRing&) = delete;

    /// A JWT with these claims, signed with Ed25519. Errors: io (the library failed).
    Result<std::string> issue_token(const Claims& claims) const;
    /// The public half of the signing key as a JWK set, for http::TokenVerifier.
    const std::string& public_jwks() const;

    /// AES-256-GCM: version byte (1), nonce (12, random), ciphertext, tag (16). `context` is
    /// authenticated, not stored.
    std::string seal(std::string_view plain, std::string_view context) const;
    /// Errors: corruption (altered, another key, another context).
    Result<std::string> unseal(std::string_view sealed, std::string_view context) const;

    /// HMAC-SHA-256 under the digest key, truncated to 16 bytes; separate domains.
    ContentDigest content_digest(std::string_view canonical) const;
    CallerDigest caller_digest(std::string_view canonical) const;

    /// The Ed25519 signature, 64 bytes, under the key of the checkpoints; and its public half, 32.
    std::string sign_checkpoint(std::string_view text) const;
    const std::string& checkpoint_public_key() const;

private:
    struct State;
    explicit KeyRing(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace tidings
