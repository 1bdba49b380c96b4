#include "connectors/keys.h"

#include <sys/stat.h>

#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "connectors/http/auth.h"
#include "tests/support/property.h"
#include "tests/support/temporary_directory.h"

namespace tidings {

namespace {

mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777;
}

std::size_t files_in(const std::filesystem::path& directory) {
    const std::filesystem::directory_iterator files(directory);
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

}  // namespace

TEST_CASE("a fresh directory makes its keys once, readable by their owner alone") {
    const tidings::testing::TemporaryDirectory data;
    const auto first = KeyRing::open(data.path() / "new").value();
    const auto keys = data.path() / "new" / "keys";
    CHECK(mode_of(keys) == 0700);
    for (const char* name : {"signing.jwk", "deployment.key", "digest.key", "checkpoint.key"})
        CHECK(mode_of(keys / name) == 0600);
    CHECK(files_in(keys) == 4);

    const auto again = KeyRing::open(data.path() / "new").value();
    CHECK(again->public_jwks() == first->public_jwks());
    CHECK(again->content_digest("x") == first->content_digest("x"));
    CHECK(again->unseal(first->seal("secret", "here"), "here").value() == "secret");
    CHECK(first->public_jwks().find("\"d\"") == std::string::npos);
    CHECK(again->checkpoint_public_key() == first->checkpoint_public_key());
    CHECK(again->sign_checkpoint("x") == first->sign_checkpoint("x"));
    CHECK(KeyRing::read_checkpoint_key(data.path() / "new").value() ==
          first->checkpoint_public_key());
    CHECK(KeyRing::read_checkpoint_key(data.path()).error().code == ErrorCode::not_found);
    CHECK(files_in(data.path()) == 1);
}

TEST_CASE("a check of keys makes none, and takes what open() takes") {
    const tidings::testing::TemporaryDirectory data;
    CHECK(KeyRing::check(data.path()).has_value());
    CHECK(files_in(data.path()) == 0);
    const auto keys = data.path() / "keys";
    REQUIRE(KeyRing::open(data.path()).has_value());
    CHECK(KeyRing::check(data.path()).has_value());
    for (const char* name : {"signing.jwk", "deployment.key", "digest.key", "checkpoint.key"}) {
        std::filesystem::rename(keys / name, keys / "aside");
        CHECK(KeyRing::check(data.path()).has_value());
        std::ofstream(keys / name) << "no key";
        const auto checked = KeyRing::check(data.path());
        REQUIRE_FALSE(checked.has_value());
        CHECK(checked.error().code == ErrorCode::corruption);
        CHECK(checked.error().code == KeyRing::open(data.path()).error().code);
        std::filesystem::rename(keys / "aside", keys / name);
    }
    std::ofstream(keys / "other") << "no key";
    CHECK(KeyRing::check(data.path(), keys / "other").error().code == ErrorCode::usage);
}

TEST_CASE("several that open a fresh directory at once agree on its keys") {
    const tidings::testing::TemporaryDirectory data;
    std::vector<std::thread> threads;
    std::vector<std::string> found(8);
    for (std::string& mine : found) {
        threads.emplace_back([&mine, &data] {
            const auto ring = KeyRing::open(data.path());
            if (ring) mine = (*ring)->public_jwks() + to_hex((*ring)->content_digest("x").view());
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(std::set<std::string>(found.begin(), found.end()).size() == 1);
    CHECK_FALSE(found.front().empty());
    CHECK(files_in(data.path() / "keys") == 4);
}

TEST_CASE("damaged key files are refused and never replaced") {
    const tidings::testing::TemporaryDirectory data;
    const auto path = data.path() / "keys";
    const auto original = KeyRing::open(data.path()).value()->content_digest("x");
    for (const char* name : {"signing.jwk", "deployment.key", "digest.key", "checkpoint.key"}) {
        std::filesystem::rename(path / name, data.path() / "saved");
        std::ofstream(path / name) << "short";
        CHECK(KeyRing::open(data.path()).error().code == ErrorCode::corruption);
        std::filesystem::rename(data.path() / "saved", path / name);
    }
    CHECK(KeyRing::open(data.path()).value()->content_digest("x") == original);
}

TEST_CASE("the deployment key may come from a file") {
    const tidings::testing::TemporaryDirectory data;
    const auto file = data.path() / "deployment";
    std::ofstream(file) << std::string(64, 'a') << "\n";
    const auto ring = KeyRing::open(data.path(), file).value();
    CHECK_FALSE(std::filesystem::exists(data.path() / "keys" / "deployment.key"));
    const std::string sealed = ring->seal("secret", "");
    std::ofstream(file) << std::string(32, '\xaa');
    CHECK(KeyRing::open(data.path(), file).value()->unseal(sealed, "").value() == "secret");
    std::ofstream(file) << "too short";
    CHECK(KeyRing::open(data.path(), file).error().code == ErrorCode::usage);
    CHECK(KeyRing::open(data.path(), data.path() / "missing").error().code == ErrorCode::usage);
}

TEST_CASE("what is sealed opens under the same context alone, and not after any change") {
    const tidings::testing::TemporaryDirectory data;
    const auto ring = KeyRing::open(data.path()).value();
    const std::string sealed = ring->seal("webhook secret", "program acme");
    CHECK(sealed.size() == 1 + 12 + 14 + 16);
    CHECK(ring->unseal(sealed, "program acme").value() == "webhook secret");
    CHECK(ring->unseal(sealed, "program acm").error().code == ErrorCode::corruption);
    CHECK(ring->seal("webhook secret", "program acme") != sealed);
    for (std::size_t i = 0; i < sealed.size() * 8; ++i) {
        std::string changed = sealed;
        changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
        CHECK_FALSE(ring->unseal(changed, "program acme").has_value());
    }
    for (std::size_t i = 0; i < sealed.size(); ++i)
        CHECK_FALSE(ring->unseal(sealed.substr(0, i), "program acme").has_value());
    const tidings::testing::TemporaryDirectory elsewhere;
    CHECK_FALSE(
        KeyRing::open(elsewhere.path()).value()->unseal(sealed, "program acme").has_value());
    CHECK_PROPERTY("seal and unseal are inverse", [&ring](const std::string& plain,
                                                          const std::string& context) {
        RC_ASSERT(ring->unseal(ring->seal(plain, context), context).value() == plain);
    });
}

TEST_CASE("digests depend on key, domain and text, and agree between threads") {
    const tidings::testing::TemporaryDirectory data, elsewhere;
    const auto ring = KeyRing::open(data.path()).value();
    const auto other = KeyRing::open(elsewhere.path()).value();
    const ContentDigest digest = ring->content_digest("text");
    CHECK(ring->content_digest("text") == digest);
    CHECK(ring->content_digest("texu") != digest);
    CHECK(ring->caller_digest("text").view() != digest.view());
    CHECK(other->content_digest("text") != digest);
    CHECK(ring->content_digest("text") ==
          digest);  // after the thread's context served another ring
    ContentDigest elsewhere_digest;
    std::thread([&ring, &elsewhere_digest] {
        elsewhere_digest = ring->content_digest("text");
    }).join();
    CHECK(elsewhere_digest == digest);
}

TEST_CASE("the digest is HMAC-SHA-256 over domain and text") {
    // RFC 2104 with key 32 x 0x0b; expected values from Python's hmac.
    const tidings::testing::TemporaryDirectory data;
    std::filesystem::create_directories(data.path() / "keys");
    std::ofstream(data.path() / "keys" / "digest.key") << std::string(32, '\x0b');
    const auto ring = KeyRing::open(data.path()).value();
    CHECK(to_hex(ring->content_digest("Hi There").view()) == "4ca6a845c0352c7498c9b297371d784f");
    CHECK(to_hex(ring->caller_digest("Hi There").view()) == "bb1be95167c55ad3da8fb4cbcff3e3e5");
}

TEST_CASE("tokens that the ring issues are accepted under its public key") {
    const tidings::testing::TemporaryDirectory data, elsewhere;
    const auto ring = KeyRing::open(data.path()).value();
    const auto verifier = http::TokenVerifier::create(ring->public_jwks(), {}).value();
    const Claims claims{Role::partner,    "sub",        "Jürgen \"J\"", ProgramId{"acme"},
                        PartnerId{"p 1"}, 2'000'000'000};
    const auto read = verifier->verify(ring->issue_token(claims).value(), 1'900'000'000);
    REQUIRE(read.has_value());
    CHECK(**read == claims);
    const auto foreign = KeyRing::open(elsewhere.path()).value()->issue_token(claims).value();
    CHECK_FALSE(verifier->verify(foreign, 1'900'000'000).has_value());
}

}  // namespace tidings
