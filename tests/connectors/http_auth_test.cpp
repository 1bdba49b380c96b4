#include "connectors/http/auth.h"

#include <fstream>
#include <thread>
#include <vector>

#include "connectors/keys.h"
#include "tests/connectors/token_maker.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::http {

using tidings::testing::base64url;
using tidings::testing::KeyPair;
using tidings::testing::make_key_pair;
using tidings::testing::make_token;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
const std::string kOwnerClaims =
    R"({"sub":"ann","name":"Ann","role":"owner","program":"acme","exp":1800000060})";

std::string jwks(std::initializer_list<const KeyPair*> pairs) {
    std::string out;
    for (const KeyPair* pair : pairs) out += (out.empty() ? "" : ",") + pair->public_json();
    return R"({"keys":[)" + out + "]}";
}

struct Verifying {
    KeyPair ed = make_key_pair(R_KEY_TYPE_EDDSA, "ed");
    KeyPair ec = make_key_pair(R_KEY_TYPE_EC, "ec");
    std::unique_ptr<TokenVerifier> verifier;

    explicit Verifying(TokenOptions options = {})
        : verifier(std::move(TokenVerifier::create(jwks({&ed, &ec}), options).value())) {}
    bool good(const std::string& token) {
        const auto claims = verifier->verify(token, kNow);
        if (!claims) CHECK(claims.error().code == ErrorCode::unauthenticated);
        return claims.has_value();
    }
    std::string signed_by_ed(const std::string& claims, const char* header = nullptr) {
        return make_token(ed.secret.get(), R_JWA_ALG_EDDSA, claims, header);
    }
};

}  // namespace

TEST_CASE("tokens signed with Ed25519 and P-256 are accepted, and their claims read") {
    Verifying v;
    const auto claims = v.verifier->verify(v.signed_by_ed(kOwnerClaims), kNow);
    REQUIRE(claims.has_value());
    CHECK(**claims ==
          Claims{Role::owner, "ann", "Ann", ProgramId{"acme"}, std::nullopt, kNow + 60});
    const auto partner = v.verifier->verify(
        make_token(
            v.ec.secret.get(), R_JWA_ALG_ES256,
            R"({"sub":"p1","role":"partner","program":"acme","partner":"jürgen","exp":1800000060.9})"),
        kNow);
    REQUIRE(partner.has_value());
    CHECK(**partner ==
          Claims{Role::partner, "p1", "p1", ProgramId{"acme"}, PartnerId{"jürgen"}, kNow + 60});
}

TEST_CASE("claims that are missing or wrong are refused") {
    Verifying v;
    const auto good = [&v](const std::string& claims) { return v.good(v.signed_by_ed(claims)); };
    CHECK(good(R"({"sub":"a","role":"platform","exp":1800000001})"));
    CHECK(good(R"({"sub":"a","role":"analyst","exp":1800000001})"));
    CHECK(good(R"({"sub":"a","role":"auditor","program":"p","exp":1800000001})"));
    CHECK(good(R"({"sub":"a","role":"platform","exp":1800000001,"nbf":1800000030})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"platform","exp":1800000001,"nbf":1800000031})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"platform","exp":1800000001,"nbf":"soon"})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"platform","exp":1800000000})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"platform","exp":-1})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"platform","exp":"1800000001"})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"platform"})"));
    CHECK_FALSE(good(R"({"role":"platform","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":"","role":"platform","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":7,"role":"platform","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":"a","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"root","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"owner","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"partner","program":"p","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"partner","partner":"p","exp":1800000001})"));
    CHECK_FALSE(good(R"({"sub":"a","role":"analyst","program":["p"],"exp":1800000001})"));
}

TEST_CASE("forged tokens are refused") {
    Verifying v;
    const std::string token = v.signed_by_ed(kOwnerClaims);
    const std::size_t first = token.find('.'), second = token.rfind('.');
    const std::string header = token.substr(0, first),
                      payload = token.substr(first + 1, second - first - 1);
    const std::string signature = token.substr(second + 1);

    SECTION("every changed character of the signature and another payload") {
        for (std::size_t i = second + 1; i + 1 < token.size(); ++i) {
            std::string changed = token;
            changed[i] = changed[i] == 'A' ? 'B' : 'A';
            CHECK_FALSE(v.good(changed));
        }
        const std::string other = base64url(R"({"sub":"ann","role":"platform","exp":1900000000})");
        CHECK_FALSE(v.good(header + "." + other + "." + signature));
    }
    SECTION("a key that is not in the set, under a kid that is") {
        const KeyPair foreign = make_key_pair(R_KEY_TYPE_EDDSA, "ed");
        CHECK_FALSE(v.good(make_token(foreign.secret.get(), R_JWA_ALG_EDDSA, kOwnerClaims)));
    }
    SECTION("no signature") {
        for (const char* alg : {"none", "None", "NONE", ""}) {
            const std::string none =
                base64url(std::string(R"({"alg":")") + alg + R"(","typ":"JWT"})");
            CHECK_FALSE(v.good(none + "." + payload + "."));
            CHECK_FALSE(v.good(none + "." + payload + "." + signature));
            CHECK_FALSE(v.good(none + "." + payload));
        }
        CHECK_FALSE(v.good(header + "." + payload + "."));
        CHECK_FALSE(v.good(header + "." + payload));
    }
    SECTION("the public key as an HMAC secret") {
        for (const std::string& secret : {v.ed.public_json(), v.ec.public_json()}) {
            const jose::Jwk hmac = jose::make_jwk();
            REQUIRE(r_jwk_import_from_symmetric_key(
                        hmac.get(), reinterpret_cast<const unsigned char*>(secret.data()),
                        secret.size()) == RHN_OK);
            CHECK_FALSE(v.good(make_token(hmac.get(), R_JWA_ALG_HS256, kOwnerClaims)));
            CHECK_FALSE(
                v.good(make_token(hmac.get(), R_JWA_ALG_HS256, kOwnerClaims, R"({"kid":"ed"})")));
        }
    }
    SECTION("the right key under another algorithm's name") {
        const std::string es = base64url(R"({"alg":"ES256","kid":"ed"})");
        CHECK_FALSE(v.good(es + "." + payload + "." + signature));
        const std::string hs = base64url(R"({"alg":"HS256","kid":"ed"})");
        CHECK_FALSE(v.good(hs + "." + payload + "." + signature));
    }
    SECTION("a key inside the token") {
        const KeyPair own = make_key_pair(R_KEY_TYPE_EDDSA, "own");
        const std::string with_key = R"({"jwk":)" + own.public_json() + "}";
        CHECK_FALSE(
            v.good(make_token(own.secret.get(), R_JWA_ALG_EDDSA, kOwnerClaims, with_key.c_str())));
        CHECK_FALSE(v.good(make_token(own.secret.get(), R_JWA_ALG_EDDSA, kOwnerClaims,
                                      R"({"jku":"https://127.0.0.1:1/"})")));
    }
    SECTION("critical extensions") {
        CHECK_FALSE(v.good(v.signed_by_ed(kOwnerClaims, R"({"crit":["exp"],"exp":1})")));
    }
    SECTION("no JWT at all") {
        for (const char* text : {"", ".", "..", "...", "a.b.c", "eyJ", "\xff\xfe.\xff.\xff"})
            CHECK_FALSE(v.good(text));
        CHECK_FALSE(v.good(std::string(100'000, 'a')));
        CHECK_FALSE(v.good(token + "." + token));
    }
    CHECK(v.good(token));
    CHECK(v.verifier->cached() == 1);
}

TEST_CASE("an unknown kid is refused and a missing one tries every key") {
    Verifying v;
    CHECK_FALSE(v.good(v.signed_by_ed(kOwnerClaims, R"({"kid":"ec"})")));
    CHECK_FALSE(v.good(v.signed_by_ed(kOwnerClaims, R"({"kid":"other"})")));
    CHECK(v.good(v.signed_by_ed(kOwnerClaims, R"({"typ":"JWT"})")));
}

TEST_CASE("expiry is strict and checked on every use of a kept token") {
    Verifying v;
    const std::string token = v.signed_by_ed(kOwnerClaims);
    CHECK(v.verifier->verify(token, kNow).has_value());
    CHECK(v.verifier->verify(token, kNow + 59).has_value());
    CHECK(v.verifier->cached() == 1);
    CHECK_FALSE(v.verifier->verify(token, kNow + 60).has_value());
    CHECK(v.verifier->cached() == 0);
    CHECK_FALSE(v.verifier->verify(token, kNow + 60).has_value());
    CHECK(v.verifier->cached() == 0);
}

TEST_CASE("the cache is bounded and used by many threads") {
    Verifying v({.cache_entries = 32, .leeway_s = 0});
    std::vector<std::string> tokens;
    for (int i = 0; i < 100; ++i) {
        tokens.push_back(v.signed_by_ed(R"({"sub":"s)" + std::to_string(i) +
                                        R"(","role":"platform","exp":1800000060})"));
    }
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&v, &tokens, &wrong, t] {
            for (std::size_t i = 0; i < tokens.size(); ++i) {
                const std::size_t at = (i * 7 + static_cast<std::size_t>(t) * 13) % tokens.size();
                const auto claims = v.verifier->verify(tokens[at], kNow);
                if (!claims || (*claims)->sub != "s" + std::to_string(at)) ++wrong;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(v.verifier->cached() <= 32);
    CHECK(v.verifier->cached() > 0);
}

TEST_CASE("a JWKS file is read, and one without usable keys refused") {
    const tidings::testing::TemporaryDirectory directory;
    const KeyPair ec = make_key_pair(R_KEY_TYPE_EC, "ec");
    const auto write = [&directory](const std::string& text) {
        std::ofstream(directory.path() / "jwks.json") << text;
        return TokenVerifier::from_file(directory.path() / "jwks.json", {});
    };
    const auto verifier =
        write(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"},)" + ec.public_json() + "]}");
    REQUIRE(verifier.has_value());
    CHECK((*verifier)
              ->verify(make_token(ec.secret.get(), R_JWA_ALG_ES256, kOwnerClaims), kNow)
              .has_value());

    CHECK(write("").error().code == ErrorCode::usage);
    CHECK(write("[]").error().code == ErrorCode::usage);
    CHECK(write(R"({"keys":[]})").error().code == ErrorCode::usage);
    CHECK(write(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})").error().code == ErrorCode::usage);
    CHECK(TokenVerifier::from_file(directory.path() / "missing", {}).error().code == ErrorCode::io);
    CHECK(TokenVerifier::create(jwks({&ec}), {.leeway_s = 61}).error().code == ErrorCode::usage);
}

}  // namespace tidings::http
