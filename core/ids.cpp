// Message and post ids, hex, SHA-256 through libcrypto, routing.
#include "core/ids.h"

#include <openssl/evp.h>

#include <cassert>
#include <new>
#include <stdexcept>

namespace tidings {
namespace {

constexpr std::size_t kPrefixBytes = 8;
constexpr std::string_view kMessagePrefix = "msg_";
constexpr std::string_view kPostPrefix = "post_";

/// Fetched once: OpenSSL 3 looks algorithms up by name, which costs more than hashing a short text.
const EVP_MD* sha256_algorithm() {
    static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    if (algorithm == nullptr) throw std::runtime_error("libcrypto has no SHA-256");
    return algorithm;
}

struct ContextOwner {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ContextOwner() {
        if (context == nullptr) throw std::bad_alloc();
    }
    ~ContextOwner() { EVP_MD_CTX_free(context); }
    ContextOwner(const ContextOwner&) = delete;
    ContextOwner& operator=(const ContextOwner&) = delete;
};

void start(EVP_MD_CTX* context) {
    if (EVP_DigestInit_ex2(context, sha256_algorithm(), nullptr) != 1) {
        throw std::runtime_error("SHA-256 failed to start");
    }
}

void feed(EVP_MD_CTX* context, std::string_view bytes) {
    if (EVP_DigestUpdate(context, bytes.data(), bytes.size()) != 1) {
        throw std::runtime_error("SHA-256 failed");
    }
}

Hash256 take(EVP_MD_CTX* context) {
    Hash256 out;
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context, out.bytes.data(), &size) != 1 || size != Hash256::kSize) {
        throw std::runtime_error("SHA-256 failed to finish");
    }
    return out;
}

std::uint64_t big_endian(const std::uint8_t* bytes) {
    std::uint64_t out = 0;
    for (int i = 0; i < 8; ++i) out = out << 8 | bytes[i];
    return out;
}

/// First 8 bytes of SHA-256(program id). The last program is remembered per thread: ids come in
/// streams of the same program.
std::uint64_t program_hash(const ProgramId& program) {
    struct Memo {
        std::string id;
        std::uint64_t hash = 0;
        bool valid = false;
    };
    thread_local Memo memo;
    if (!memo.valid || memo.id != program.value) {
        memo.hash = big_endian(sha256(program.value).bytes.data());
        memo.id = program.value;
        memo.valid = true;
    }
    return memo.hash;
}

void append_hex(std::string& out, std::uint64_t value) {
    constexpr char kDigits[] = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[value >> shift & 15];
}

std::string make_id(std::string_view prefix, const ProgramId& program, EventNumber number) {
    std::string out;
    out.reserve(prefix.size() + 4 * kPrefixBytes);
    out += prefix;
    append_hex(out, program_hash(program));
    append_hex(out, number.value);
    return out;
}

int hex_value(char c, bool uppercase_too) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (uppercase_too && c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::uint64_t> parse_lowercase(std::string_view digits) {
    std::uint64_t out = 0;
    for (const char c : digits) {
        const int value = hex_value(c, false);
        if (value < 0) return std::nullopt;
        out = out << 4 | static_cast<unsigned>(value);
    }
    return out;
}

struct IdParts {
    std::uint64_t owner = 0;  ///< program_hash of the program
    EventNumber number;
};

std::optional<IdParts> parse_id(std::string_view prefix, std::string_view id) {
    constexpr std::size_t kHalf = 2 * kPrefixBytes;
    if (id.size() != prefix.size() + 2 * kHalf || !id.starts_with(prefix)) return std::nullopt;
    id.remove_prefix(prefix.size());
    const auto owner = parse_lowercase(id.substr(0, kHalf));
    const auto number = parse_lowercase(id.substr(kHalf));
    if (!owner || !number || *number == 0) return std::nullopt;
    return IdParts{*owner, EventNumber{*number}};
}

std::optional<EventNumber> parse_id(std::string_view prefix, const ProgramId& program,
                                    std::string_view id) {
    const auto parts = parse_id(prefix, id);
    if (!parts || parts->owner != program_hash(program)) return std::nullopt;
    return parts->number;
}

}  // namespace

std::string message_id(const ProgramId& program, EventNumber number) {
    return make_id(kMessagePrefix, program, number);
}

std::string post_id(const ProgramId& program, EventNumber number) {
    return make_id(kPostPrefix, program, number);
}

std::optional<EventNumber> parse_message_id(const ProgramId& program, std::string_view id) {
    return parse_id(kMessagePrefix, program, id);
}

std::optional<EventNumber> parse_post_id(const ProgramId& program, std::string_view id) {
    return parse_id(kPostPrefix, program, id);
}

std::string to_hex(std::string_view bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(2 * bytes.size());
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string out;
    out.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = hex_value(hex[i], true);
        const int low = hex_value(hex[i + 1], true);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high << 4 | low);
    }
    return out;
}

Hash256 sha256(std::string_view bytes) { return sha256({bytes}); }

Hash256 sha256(std::initializer_list<std::string_view> pieces) {
    thread_local ContextOwner owner;
    start(owner.context);
    for (const std::string_view piece : pieces) feed(owner.context, piece);
    return take(owner.context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    if (context_ == nullptr) throw std::bad_alloc();
    try {
        start(static_cast<EVP_MD_CTX*>(context_));
    } catch (...) {
        EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_));
        throw;
    }
}

Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256::update(std::string_view bytes) { feed(static_cast<EVP_MD_CTX*>(context_), bytes); }

Hash256 Sha256::finish() { return take(static_cast<EVP_MD_CTX*>(context_)); }

PartitionId route(const ProgramId& program, std::uint32_t count) {
    assert(count > 0);
    return PartitionId{static_cast<std::uint32_t>(program_hash(program) % count)};
}

std::optional<PartitionId> route_id(std::string_view id, std::uint32_t count) {
    assert(count > 0);
    auto parts = parse_id(kMessagePrefix, id);
    if (!parts) parts = parse_id(kPostPrefix, id);
    if (!parts) return std::nullopt;
    return PartitionId{static_cast<std::uint32_t>(parts->owner % count)};
}

}  // namespace tidings
