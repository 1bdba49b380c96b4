#include "connectors/http/auth.h"

#include <array>
#include <atomic>
#include <boost/json/parse.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "connectors/jose.h"

namespace tidings::http {

namespace json = boost::json;

namespace {

constexpr std::size_t kShards = 16;
/// Copies of the keys, so that signature checks of several io threads do not wait for each other
/// and never share a jansson object.
constexpr std::size_t kKeySets = 8;
/// Longer ones are refused unread; also the bound of a cache entry.
constexpr std::size_t kMaxTokenBytes = 4'096;

struct Key {
    jose::Jwk jwk;
    jwa_alg algorithm;  ///< the only one that this key verifies (RFC 8725, 3.1)
    std::string kid;
};

struct KeySet {
    std::mutex mutex;
    std::vector<Key> keys;
};

std::string property(jwk_t* jwk, const char* name) {
    const char* value = r_jwk_get_property_str(jwk, name);
    return value == nullptr ? std::string() : value;
}

/// R_JWA_ALG_UNKNOWN for keys that we do not use.
jwa_alg algorithm_of(jwk_t* jwk) {
    const std::string kty = property(jwk, "kty"), crv = property(jwk, "crv"),
                      use = property(jwk, "use");
    const std::string alg = property(jwk, "alg");
    if (!use.empty() && use != "sig") return R_JWA_ALG_UNKNOWN;
    if (kty == "OKP" && crv == "Ed25519" && (alg.empty() || alg == "EdDSA")) return R_JWA_ALG_EDDSA;
    if (kty == "EC" && crv == "P-256" && (alg.empty() || alg == "ES256")) return R_JWA_ALG_ES256;
    return R_JWA_ALG_UNKNOWN;
}

Result<std::vector<Key>> parse_keys(const std::string& text) {
    const jose::Jwks jwks = jose::make_jwks();
    if (!jwks) return Error{ErrorCode::io, "rhonabwy: no memory", {}};
    if (r_jwks_import_from_json_str(jwks.get(), text.c_str()) != RHN_OK) {
        return Error{ErrorCode::usage, "not a JWK set", {}};
    }
    std::vector<Key> keys;
    for (std::size_t i = 0; i < r_jwks_size(jwks.get()); ++i) {
        jose::Jwk jwk(r_jwks_get_at(jwks.get(), i));
        const jwa_alg algorithm = jwk ? algorithm_of(jwk.get()) : R_JWA_ALG_UNKNOWN;
        if (algorithm == R_JWA_ALG_UNKNOWN) continue;
        jose::Jwk verifies = jose::make_jwk();
        if (!verifies) return Error{ErrorCode::io, "rhonabwy: no memory", {}};
        const bool is_private =
            (r_jwk_key_type(jwk.get(), nullptr, R_FLAG_IGNORE_REMOTE) & R_KEY_TYPE_PRIVATE) != 0;
        if (is_private) {
            if (r_jwk_extract_pubkey(jwk.get(), verifies.get(), R_FLAG_IGNORE_REMOTE) != RHN_OK)
                continue;
        } else {
            verifies = std::move(jwk);
        }
        std::string kid = property(verifies.get(), "kid");
        keys.push_back({std::move(verifies), algorithm, std::move(kid)});
    }
    if (keys.empty()) return Error{ErrorCode::usage, "the JWK set has no Ed25519 or P-256 key", {}};
    return keys;
}

Error refused(std::string detail) { return {ErrorCode::unauthenticated, std::move(detail), {}}; }

/// A claim that must be a string if it is there. `good` becomes false otherwise.
std::optional<std::string> string_claim(const json::object& claims, std::string_view name,
                                        bool& good) {
    const json::value* value = claims.if_contains(json::string_view(name.data(), name.size()));
    if (value == nullptr) return std::nullopt;
    if (!value->is_string() || value->get_string().empty()) {
        good = false;
        return std::nullopt;
    }
    return std::string(value->get_string());
}

/// NumericDate (RFC 7519, 2), rounded down.
std::optional<std::int64_t> time_claim(const json::object& claims, const char* name) {
    const json::value* value = claims.if_contains(name);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    constexpr double kLatest =
        253402300799.0;  // year 9999: beyond it, double and int64 conversions get unsafe
    const double number = value->to_number<double>();
    if (!(number >= 0 && number <= kLatest)) return std::nullopt;
    return static_cast<std::int64_t>(std::floor(number));
}

Result<Claims> read_claims(const json::object& object) {
    bool good = true;
    const auto role_name = string_claim(object, "role", good);
    const auto sub = string_claim(object, "sub", good);
    const auto name = string_claim(object, "name", good);
    const auto program = string_claim(object, "program", good);
    const auto partner = string_claim(object, "partner", good);
    const auto expires = time_claim(object, "exp");
    const std::optional<Role> role = parse_role(role_name.value_or(""));
    if (!good || !sub || !role)
        return refused("the token's claims are not sub, name, role, program, partner as text");
    if (!expires) return refused("the token has no exp");
    if (*role == Role::partner && !(program && partner))
        return refused("a partner's token needs program and partner");
    if (*role == Role::owner && !program) return refused("an owner's token needs program");
    Claims claims;
    claims.role = *role;
    claims.sub = *sub;
    claims.name = name.value_or(*sub);
    if (program) claims.program = ProgramId{*program};
    if (partner) claims.partner = PartnerId{*partner};
    claims.expires_at_s = *expires;
    return claims;
}

/// Recently used tokens, least recently used last.
class Shard {
public:
    std::shared_ptr<const Claims> find(std::string_view token) {
        const std::lock_guard lock(mutex_);
        const auto found = index_.find(token);
        if (found == index_.end()) return nullptr;
        order_.splice(order_.begin(), order_, found->second);
        return found->second->claims;
    }

    void insert(std::string_view token, std::shared_ptr<const Claims> claims, std::size_t limit) {
        const std::lock_guard lock(mutex_);
        if (limit == 0 || index_.contains(token)) return;
        if (order_.size() >= limit) {
            index_.erase(order_.back().token);
            order_.pop_back();
        }
        order_.push_front({std::string(token), std::move(claims)});
        index_.emplace(order_.front().token, order_.begin());
    }

    void erase(std::string_view token) {
        const std::lock_guard lock(mutex_);
        const auto found = index_.find(token);
        if (found == index_.end()) return;
        const auto entry = found->second;
        index_.erase(found);
        order_.erase(entry);
    }

    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return order_.size();
    }

private:
    struct Entry {
        std::string token;
        std::shared_ptr<const Claims> claims;
    };
    mutable std::mutex mutex_;
    std::list<Entry> order_;
    std::unordered_map<std::string_view, std::list<Entry>::iterator>
        index_;  ///< keys lie in order_
};

std::size_t thread_number() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
    return mine;
}

}  // namespace

struct TokenVerifier::State {
    TokenOptions options;
    std::array<KeySet, kKeySets> key_sets;
    std::array<Shard, kShards> shards;

    /// The signature holds under one of the keys. Errors: unauthenticated.
    Result<void> check_signature(jwt_t* jwt) {
        const jwa_alg algorithm = r_jwt_get_sign_alg(jwt);
        if (algorithm != R_JWA_ALG_EDDSA && algorithm != R_JWA_ALG_ES256) {
            return refused("the token must be signed with EdDSA or ES256");
        }
        const char* kid = r_jwt_get_header_str_value(jwt, "kid");
        KeySet& set = key_sets[thread_number() % kKeySets];
        const std::lock_guard lock(set.mutex);
        for (const Key& key : set.keys) {
            if (key.algorithm != algorithm) continue;
            if (kid != nullptr && !key.kid.empty() && key.kid != kid) continue;
            if (r_jwt_verify_signature(jwt, key.jwk.get(), R_FLAG_IGNORE_REMOTE) == RHN_OK)
                return {};
        }
        return refused("the token's signature does not hold");
    }

    Result<Claims> check(std::string_view token, std::int64_t now_s) {
        if (token.size() > kMaxTokenBytes) return refused("the token is too long");
        const jose::Jwt jwt = jose::make_jwt();
        if (!jwt) return Error{ErrorCode::io, "rhonabwy: no memory", {}};
        // R_PARSE_NONE: no key or address inside the token is looked at.
        if (r_jwt_advanced_parsen(jwt.get(), token.data(), token.size(), R_PARSE_NONE,
                                  R_FLAG_IGNORE_REMOTE) != RHN_OK ||
            jwt->type != R_JWT_TYPE_SIGN) {
            return refused("the token is not a signed JWT");
        }
        // An extension that we do not know must be refused, and we know none (RFC 7515, 4.1.11).
        if (json_t* critical = r_jwt_get_header_json_t_value(jwt.get(), "crit")) {
            json_decref(critical);
            return refused("the token has critical extensions");
        }
        if (const auto signature = check_signature(jwt.get()); !signature) return signature.error();

        const jose::Text payload(r_jwt_get_full_claims_str(jwt.get()));
        boost::system::error_code status;
        const json::value claims = json::parse(payload ? payload.get() : "", status);
        if (status || !claims.is_object()) return refused("the token's claims are not an object");
        if (claims.get_object().contains("nbf")) {
            const auto not_before = time_claim(claims.get_object(), "nbf");
            if (!not_before || *not_before > now_s + options.leeway_s)
                return refused("the token is not valid yet");
        }
        return read_claims(claims.get_object());
    }
};

TokenVerifier::TokenVerifier(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenVerifier::~TokenVerifier() = default;

Result<std::unique_ptr<TokenVerifier>> TokenVerifier::create(std::string_view jwks,
                                                             TokenOptions options) {
    if (options.leeway_s < 0 || options.leeway_s > 60) {
        return Error{ErrorCode::usage, "the leeway for token times must be 0 to 60 s", {}};
    }
    if (!jose::ready()) return Error{ErrorCode::io, "rhonabwy cannot start", {}};
    auto state = std::make_unique<State>();
    state->options = options;
    for (KeySet& set : state->key_sets) {
        auto keys = parse_keys(std::string(jwks));
        if (!keys) return keys.error();
        set.keys = std::move(*keys);
    }
    return std::unique_ptr<TokenVerifier>(new TokenVerifier(std::move(state)));
}

Result<std::unique_ptr<TokenVerifier>> TokenVerifier::from_file(
    const std::filesystem::path& jwks_file, TokenOptions options, std::string_view more) {
    std::ifstream in(jwks_file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in) return Error{ErrorCode::io, "cannot read " + jwks_file.string(), {}};
    auto verifier = create(text, options);
    if (!verifier)
        return Error{
            verifier.error().code, jwks_file.string() + ": " + verifier.error().detail, {}};
    if (more.empty()) return verifier;
    auto others = create(more, options);
    if (!others) return others.error();
    for (std::size_t i = 0; i < (*verifier)->state_->key_sets.size(); ++i) {
        auto& to = (*verifier)->state_->key_sets[i].keys;
        auto& from = (*others)->state_->key_sets[i].keys;
        std::move(from.begin(), from.end(), std::back_inserter(to));
    }
    return verifier;
}

Result<std::shared_ptr<const Claims>> TokenVerifier::verify(std::string_view token,
                                                            std::int64_t now_s) {
    Shard& shard = state_->shards[std::hash<std::string_view>()(token) % kShards];
    std::shared_ptr<const Claims> claims = shard.find(token);
    if (!claims) {
        Result<Claims> fresh = state_->check(token, now_s);
        if (!fresh) return fresh.error();
        claims = std::make_shared<const Claims>(std::move(*fresh));
        if (claims->expires_at_s > now_s)
            shard.insert(token, claims, state_->options.cache_entries / kShards);
    }
    if (claims->expires_at_s <= now_s) {
        shard.erase(token);
        return refused("the token has expired");
    }
    return claims;
}

std::size_t TokenVerifier::cached() const {
    std::size_t total = 0;
    for (const Shard& shard : state_->shards) total += shard.size();
    return total;
}

}  // namespace tidings::http
