// Bearer tokens: verifies JWTs (RFC 7519) signed with Ed25519 (EdDSA) or P-256 (ES256) and keeps
// the verified ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "connectors/claims.h"
#include "core/result.h"

namespace tidings::http {

struct TokenOptions {
    std::size_t cache_entries = 20'000;  ///< verified tokens kept, over all shards
    int leeway_s = 30;  ///< 0-60: clock difference tolerated for `nbf`; `exp` is strict
};

/// Thread-safe. A token costs one signature check (about 70 us) the first time and a hash lookup
/// afterwards; its expiry is checked at every use. Refused tokens are not kept.
class TokenVerifier {
public:
    /// `jwks`: a JWK set as JSON. Keys of other kinds than Ed25519 and P-256 are ignored; none left
    /// is an error (usage).
    static Result<std::unique_ptr<TokenVerifier>> create(std::string_view jwks,
                                                         TokenOptions options);
    /// The same from a file, and from the set `more` unless that is empty. Errors: io, usage.
    static Result<std::unique_ptr<TokenVerifier>> from_file(const std::filesystem::path& jwks_file,
                                                            TokenOptions options,
                                                            std::string_view more = {});
    ~TokenVerifier();

    /// Errors: unauthenticated, with a sentence for the caller that says nothing about keys.
    /// `now_s`: Unix time.
    Result<std::shared_ptr<const Claims>> verify(std::string_view token, std::int64_t now_s);

    /// Entries kept now; never more than `cache_entries`.
    std::size_t cached() const;

private:
    struct State;
    explicit TokenVerifier(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace tidings::http
