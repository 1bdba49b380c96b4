#include "connectors/keys.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "connectors/jose.h"

namespace tidings {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr char kSealVersion = 1;
constexpr const char* kCheckpointKey = "checkpoint.key";
constexpr std::size_t kMaxKeyFileBytes = 16 << 10;

using KeyBytes = std::array<unsigned char, kKeyBytes>;

template <auto Free>
struct Deleter {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>>;
using Mac = std::unique_ptr<EVP_MAC, Deleter<EVP_MAC_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using SigningContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Deleter<EVP_MAC_CTX_free>>;

/// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }
    bool good() const { return fd_ >= 0; }

private:
    int fd_;
};

Error io_error(const std::string& doing, const fs::path& path) {
    return {ErrorCode::io, doing + " " + path.string() + ": " + std::strerror(errno), {}};
}

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string random_bytes(std::size_t count) {
    std::string out(count, '\0');
    if (RAND_bytes(bytes(out), static_cast<int>(count)) != 1)
        throw std::runtime_error("no random bytes");
    return out;
}

/// Nothing if there is no such file.
Result<std::optional<std::string>> read_file(const fs::path& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.good()) {
        if (errno == ENOENT) return std::optional<std::string>();
        return io_error("cannot open", path);
    }
    std::string out;
    std::array<char, 4096> block;
    while (out.size() <= kMaxKeyFileBytes) {
        const ssize_t got = ::read(file.get(), block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_error("cannot read", path);
        if (got == 0) return std::optional<std::string>(std::move(out));
        out.append(block.data(), static_cast<std::size_t>(got));
    }
    return Error{ErrorCode::corruption, path.string() + " is too large for a key", {}};
}

Result<void> sync_directory(const fs::path& directory) {
    const Descriptor file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!file.good() || ::fsync(file.get()) != 0) return io_error("cannot sync", directory);
    return {};
}

Result<void> write_durably(const fs::path& path, std::string_view content) {
    const Descriptor file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.good()) return io_error("cannot create", path);
    while (!content.empty()) {
        const ssize_t put = ::write(file.get(), content.data(), content.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return io_error("cannot write", path);
        content.remove_prefix(static_cast<std::size_t>(put));
    }
    if (::fsync(file.get()) != 0) return io_error("cannot sync", path);
    return {};
}

/// The content of `path`, made by `make` if it is missing. link() gives a name only if it is free,
/// so the first of several processes wins; the others read what it wrote.
template <class Make>
Result<std::string> read_or_make(const fs::path& path, Make make) {
    auto present = read_file(path);
    if (!present) return present.error();
    if (*present) return std::move(**present);
    const fs::path temporary = path.string() + "." + to_hex(random_bytes(8)) + ".new";
    Result<std::string> content = make();
    if (!content) return content.error();
    Result<void> done = write_durably(temporary, *content);
    if (done && ::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
        done = io_error("cannot create", path);
    }
    ::unlink(temporary.c_str());  // a left-over is harmless: it has no name that is ever read
    if (done) done = sync_directory(path.parent_path());
    if (!done) return done.error();
    present = read_file(path);
    if (!present) return present.error();
    if (!*present) return Error{ErrorCode::io, path.string() + " vanished", {}};
    return std::move(**present);
}

Result<std::string> random_key() { return random_bytes(kKeyBytes); }

Result<std::string> new_signing_key() {
    const jose::Jwk secret = jose::make_jwk(), open = jose::make_jwk();
    const std::string kid = to_hex(random_bytes(8));
    constexpr unsigned kBits = 256;
    if (!secret || !open ||
        r_jwk_generate_key_pair(secret.get(), open.get(), R_KEY_TYPE_EDDSA, kBits, kid.c_str()) !=
            RHN_OK) {
        return Error{ErrorCode::io, "cannot generate an Ed25519 key", {}};
    }
    const jose::Text text(r_jwk_export_to_json_str(secret.get(), 0));
    if (!text) return Error{ErrorCode::io, "cannot write an Ed25519 key as JWK", {}};
    return std::string(text.get()) + "\n";
}

Result<KeyBytes> as_key(std::string_view content, const fs::path& path, ErrorCode code) {
    std::string raw(content);
    if (raw.size() != kKeyBytes) {
        while (!raw.empty() && (raw.back() == '\n' || raw.back() == '\r')) raw.pop_back();
        raw = from_hex(raw).value_or("");
    }
    if (raw.size() != kKeyBytes)
        return Error{code, path.string() + " is not a key of 32 bytes", {}};
    KeyBytes key;
    std::memcpy(key.data(), raw.data(), kKeyBytes);
    return key;
}

std::uint64_t next_ring() {
    static std::atomic<std::uint64_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);
}

/// One thread's HMAC context with the key schedule of the ring it was last used for.
struct ThreadMac {
    std::uint64_t ring = 0;
    MacContext context;
};

}  // namespace

struct KeyRing::State {
    const std::uint64_t ring = next_ring();
    KeyBytes deployment{};
    MacContext digest;  ///< keyed; only ever copied
    std::string public_jwks;
    mutable std::mutex signing_mutex;  ///< jansson objects are not shared between threads
    jose::Jwk signing;
    std::string kid;
    PrivateKey checkpoints;  ///< Ed25519
    std::string checkpoint_public_key;

    ~State() { OPENSSL_cleanse(deployment.data(), deployment.size()); }

    Result<void> load_signing(const std::string& text, const fs::path& path) {
        signing = jose::make_jwk();
        const jose::Jwk verifies = jose::make_jwk();
        const auto private_ed25519 = R_KEY_TYPE_EDDSA | R_KEY_TYPE_PRIVATE;
        if (!signing || !verifies ||
            r_jwk_import_from_json_str(signing.get(), text.c_str()) != RHN_OK ||
            (r_jwk_key_type(signing.get(), nullptr, R_FLAG_IGNORE_REMOTE) & private_ed25519) !=
                private_ed25519 ||
            r_jwk_extract_pubkey(signing.get(), verifies.get(), R_FLAG_IGNORE_REMOTE) != RHN_OK) {
            return Error{
                ErrorCode::corruption, path.string() + " is not a private Ed25519 JWK", {}};
        }
        if (const char* id = r_jwk_get_property_str(signing.get(), "kid")) kid = id;
        const jose::Text exported(r_jwk_export_to_json_str(verifies.get(), 0));
        if (!exported) return Error{ErrorCode::io, "cannot export the public signing key", {}};
        public_jwks = std::string(R"({"keys":[)") + exported.get() + "]}";
        return {};
    }

    Result<void> load_digest(const KeyBytes& key) {
        const Mac mac(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr));
        digest.reset(mac ? EVP_MAC_CTX_new(mac.get()) : nullptr);
        std::string name = "SHA256";
        const OSSL_PARAM parameters[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
            OSSL_PARAM_construct_end()};
        if (!digest || EVP_MAC_init(digest.get(), key.data(), key.size(), parameters) != 1) {
            return Error{ErrorCode::io, "HMAC-SHA-256 is not available", {}};
        }
        return {};
    }

    Result<void> load_checkpoints(const std::string& content, const fs::path& path) {
        auto seed = as_key(content, path, ErrorCode::corruption);
        if (!seed) return seed.error();
        checkpoints.reset(
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed->data(), seed->size()));
        OPENSSL_cleanse(seed->data(), seed->size());
        std::size_t size = kKeyBytes;
        checkpoint_public_key.resize(size);
        if (!checkpoints || EVP_PKEY_get_raw_public_key(checkpoints.get(),
                                                        bytes(checkpoint_public_key), &size) != 1) {
            return Error{ErrorCode::io, "Ed25519 is not available", {}};
        }
        return {};
    }

    /// First 16 bytes of HMAC(domain, text). Throws when libcrypto fails, which it does only
    /// without memory.
    template <class Digest>
    Digest keyed(std::string_view domain, std::string_view text) const {
        thread_local ThreadMac mine;
        if (mine.ring != ring) {
            mine.context.reset(EVP_MAC_CTX_dup(digest.get()));
            mine.ring = ring;
        }
        std::array<unsigned char, 32> out;
        std::size_t length = 0;
        EVP_MAC_CTX* context = mine.context.get();
        // Without a key EVP_MAC_init starts anew under the key that the context has.
        const bool good = context != nullptr && EVP_MAC_init(context, nullptr, 0, nullptr) == 1 &&
                          EVP_MAC_update(context, bytes(domain), domain.size()) == 1 &&
                          EVP_MAC_update(context, bytes(text), text.size()) == 1 &&
                          EVP_MAC_final(context, out.data(), &length, out.size()) == 1;
        if (!good || length != out.size()) {
            mine = ThreadMac();
            throw std::runtime_error("HMAC-SHA-256 failed");
        }
        return Digest::from({reinterpret_cast<const char*>(out.data()), Digest::kSize});
    }
};

KeyRing::KeyRing(std::unique_ptr<State> state) : state_(std::move(state)) {}
KeyRing::~KeyRing() = default;

Result<std::unique_ptr<KeyRing>> KeyRing::open(const fs::path& data,
                                               const fs::path& deployment_key) {
    if (!jose::ready()) return Error{ErrorCode::io, "rhonabwy cannot start", {}};
    const fs::path keys = data / "keys";
    std::error_code status;
    fs::create_directories(data, status);
    if (status)
        return Error{ErrorCode::io, "cannot create " + data.string() + ": " + status.message(), {}};
    if (::mkdir(keys.c_str(), 0700) == 0) {
        if (const auto synced = sync_directory(data); !synced) return synced.error();
    } else if (errno != EEXIST) {
        return io_error("cannot create", keys);
    }

    auto state = std::make_unique<State>();
    const auto signing = read_or_make(keys / "signing.jwk", new_signing_key);
    if (!signing) return signing.error();
    if (const auto loaded = state->load_signing(*signing, keys / "signing.jwk"); !loaded)
        return loaded.error();

    const auto digest = read_or_make(keys / "digest.key", random_key);
    if (!digest) return digest.error();
    const auto digest_key = as_key(*digest, keys / "digest.key", ErrorCode::corruption);
    if (!digest_key) return digest_key.error();
    if (const auto loaded = state->load_digest(*digest_key); !loaded) return loaded.error();

    const auto checkpoints = read_or_make(keys / kCheckpointKey, random_key);
    if (!checkpoints) return checkpoints.error();
    if (const auto loaded = state->load_checkpoints(*checkpoints, keys / kCheckpointKey); !loaded)
        return loaded.error();

    const bool own = deployment_key.empty();
    const fs::path sealing_path = own ? keys / "deployment.key" : deployment_key;
    Result<std::string> sealing = std::string();
    if (own) {
        sealing = read_or_make(sealing_path, random_key);
    } else {
        auto present = read_file(sealing_path);
        if (!present) return present.error();
        if (!*present)
            return Error{ErrorCode::usage, "no such key file: " + sealing_path.string(), {}};
        sealing = std::move(**present);
    }
    if (!sealing) return sealing.error();
    const auto sealing_key =
        as_key(*sealing, sealing_path, own ? ErrorCode::corruption : ErrorCode::usage);
    if (!sealing_key) return sealing_key.error();
    state->deployment = *sealing_key;
    return std::unique_ptr<KeyRing>(new KeyRing(std::move(state)));
}

Result<void> KeyRing::check(const fs::path& data, const fs::path& deployment_key) {
    if (!jose::ready()) return Error{ErrorCode::io, "rhonabwy cannot start", {}};
    const bool own = deployment_key.empty();
    const fs::path keys = data / "keys";
    const fs::path signing = keys / "signing.jwk", digest = keys / "digest.key",
                   checkpoints = keys / kCheckpointKey,
                   sealing = own ? keys / "deployment.key" : deployment_key;
    for (const fs::path& path : {signing, digest, checkpoints, sealing}) {
        const auto text = read_file(path);
        if (!text) return text.error();
        if (!*text) continue;
        if (path == signing) {
            State state;
            if (const auto loaded = state.load_signing(**text, path); !loaded)
                return loaded.error();
            continue;
        }
        const auto code = path != sealing || own ? ErrorCode::corruption : ErrorCode::usage;
        if (const auto key = as_key(**text, path, code); !key) return key.error();
    }
    return {};
}

Result<std::string> KeyRing::read_checkpoint_key(const fs::path& data) {
    const fs::path path = data / "keys" / kCheckpointKey;
    const auto content = read_file(path);
    if (!content) return content.error();
    if (!*content) return Error{ErrorCode::not_found, "there is no " + path.string(), {}};
    State state;
    if (const auto loaded = state.load_checkpoints(**content, path); !loaded) return loaded.error();
    return state.checkpoint_public_key;
}

Result<std::string> KeyRing::issue_token(const Claims& claims) const {
    const jose::Jwt jwt = jose::make_jwt();
    if (!jwt) return Error{ErrorCode::io, "rhonabwy: no memory", {}};
    bool good = r_jwt_set_header_str_value(jwt.get(), "typ", "JWT") == RHN_OK;
    const auto set = [&jwt, &good](const char* name, const std::string& value) {
        good = good && r_jwt_set_claim_str_value(jwt.get(), name, value.c_str()) == RHN_OK;
    };
    if (!state_->kid.empty())
        good = good && r_jwt_set_header_str_value(jwt.get(), "kid", state_->kid.c_str()) == RHN_OK;
    set("sub", claims.sub);
    set("name", claims.name.empty() ? claims.sub : claims.name);
    set("role", name_of(claims.role));
    if (claims.program) set("program", claims.program->value);
    if (claims.partner) set("partner", claims.partner->value);
    good = good && r_jwt_set_claim_int_value(jwt.get(), "exp", claims.expires_at_s) == RHN_OK;
    good = good && r_jwt_set_sign_alg(jwt.get(), R_JWA_ALG_EDDSA) == RHN_OK;
    const std::lock_guard lock(state_->signing_mutex);
    const jose::Text token(
        good ? r_jwt_serialize_signed(jwt.get(), state_->signing.get(), R_FLAG_IGNORE_REMOTE)
             : nullptr);
    if (!token) return Error{ErrorCode::io, "cannot sign the token", {}};
    return std::string(token.get());
}

const std::string& KeyRing::public_jwks() const { return state_->public_jwks; }

std::string KeyRing::seal(std::string_view plain, std::string_view context) const {
    std::string out(1, kSealVersion);
    out += random_bytes(kNonceBytes);
    out.resize(1 + kNonceBytes + plain.size() + kTagBytes);
    unsigned char* nonce = bytes(out) + 1;
    unsigned char* cipher = nonce + kNonceBytes;
    const CipherContext gcm(EVP_CIPHER_CTX_new());
    int length = 0;
    const bool good =
        gcm &&
        EVP_EncryptInit_ex(gcm.get(), EVP_aes_256_gcm(), nullptr, state_->deployment.data(),
                           nonce) == 1 &&
        EVP_EncryptUpdate(gcm.get(), nullptr, &length, bytes(context),
                          static_cast<int>(context.size())) == 1 &&
        EVP_EncryptUpdate(gcm.get(), cipher, &length, bytes(plain),
                          static_cast<int>(plain.size())) == 1 &&
        EVP_EncryptFinal_ex(gcm.get(), cipher + length, &length) == 1 &&
        EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, cipher + plain.size()) == 1;
    if (!good) throw std::runtime_error("AES-256-GCM failed");
    return out;
}

Result<std::string> KeyRing::unseal(std::string_view sealed, std::string_view context) const {
    const Error refused{
        ErrorCode::corruption, "the sealed value does not open under the deployment key", {}};
    if (sealed.size() < 1 + kNonceBytes + kTagBytes || sealed.front() != kSealVersion)
        return refused;
    const unsigned char* nonce = bytes(sealed) + 1;
    const unsigned char* cipher = nonce + kNonceBytes;
    std::string plain(sealed.size() - 1 - kNonceBytes - kTagBytes, '\0');
    std::string tag(sealed.substr(sealed.size() - kTagBytes));
    const CipherContext gcm(EVP_CIPHER_CTX_new());
    int length = 0;
    const bool good =
        gcm &&
        EVP_DecryptInit_ex(gcm.get(), EVP_aes_256_gcm(), nullptr, state_->deployment.data(),
                           nonce) == 1 &&
        EVP_DecryptUpdate(gcm.get(), nullptr, &length, bytes(context),
                          static_cast<int>(context.size())) == 1 &&
        EVP_DecryptUpdate(gcm.get(), bytes(plain), &length, cipher,
                          static_cast<int>(plain.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(gcm.get(), bytes(plain) + length, &length) == 1;
    if (!good) return refused;
    return plain;
}

ContentDigest KeyRing::content_digest(std::string_view canonical) const {
    return state_->keyed<ContentDigest>("tidings.content.v1\n", canonical);
}

CallerDigest KeyRing::caller_digest(std::string_view canonical) const {
    return state_->keyed<CallerDigest>("tidings.caller.v1\n", canonical);
}

std::string KeyRing::sign_checkpoint(std::string_view text) const {
    std::string signature(2 * kKeyBytes, '\0');
    std::size_t size = signature.size();
    const SigningContext context(EVP_MD_CTX_new());
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->checkpoints.get()) !=
            1 ||
        EVP_DigestSign(context.get(), bytes(signature), &size, bytes(text), text.size()) != 1) {
        throw std::runtime_error("Ed25519 failed");
    }
    return signature;
}

const std::string& KeyRing::checkpoint_public_key() const { return state_->checkpoint_public_key; }

}  // namespace tidings
