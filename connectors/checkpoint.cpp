#include "connectors/checkpoint.h"

#include <openssl/evp.h>

#include <charconv>
#include <memory>

#include "connectors/base64.h"
#include "events/text.h"

namespace tidings {

namespace {

constexpr char kEd25519 = 1;  ///< signature type of the note's specification
constexpr std::size_t kKeyIdBytes = 4;
constexpr std::size_t kPublicKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kMaxHostBytes = 200;
constexpr std::size_t kMaxNoteBytes = 64 << 10;
constexpr std::string_view kSignatureStart = "\xe2\x80\x94 ";  // an em dash
constexpr std::string_view kChainLine = "tidings commit ";

Error malformed_checkpoint(const std::string& what) {
    return {ErrorCode::malformed, "a checkpoint: " + what};
}

std::string key_id(const VerifierKey& key) {
    const char type = kEd25519;
    const Hash256 hash = sha256({key.name, "\n", {&type, 1}, key.public_key});
    return std::string(hash.view().substr(0, kKeyIdBytes));
}

/// The text up to `end`, and takes it off `text` with what ends it. Nothing if there is no such
/// end.
std::optional<std::string_view> take_until(std::string_view& text, char end) {
    const std::size_t at = text.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view taken = text.substr(0, at);
    text.remove_prefix(at + 1);
    return taken;
}

/// Decimal digits alone, without zeros before them.
template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (std::to_string(value) != text) return std::nullopt;
    return value;
}

std::string text_of(const Checkpoint& checkpoint) {
    std::string out = checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
                      to_base64(checkpoint.root.view()) + "\n";
    if (checkpoint.chain) {
        out.append(kChainLine) += std::to_string(checkpoint.chain->sequence.value) + " " +
                                  to_hex(checkpoint.chain->hash.view()) + "\n";
    }
    return out;
}

std::optional<ChainPosition> parse_chain(std::string_view line) {
    line.remove_prefix(kChainLine.size());
    const auto sequence_text = take_until(line, ' ');
    const auto sequence =
        sequence_text ? parse_number<std::uint64_t>(*sequence_text) : std::nullopt;
    const auto hash = from_hex(line);
    if (!sequence || !hash || hash->size() != Hash256::kSize) return std::nullopt;
    return ChainPosition{Sequence{*sequence}, Hash256::from(*hash)};
}

struct Note {
    std::string_view text;  ///< with the newline at its end
    std::string_view signatures;
};

/// A text, an empty line, and at least one signature.
std::optional<Note> split(std::string_view note) {
    if (note.size() > kMaxNoteBytes || !valid_utf8(note)) return std::nullopt;
    for (const char c : note) {
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return std::nullopt;
    }
    const std::size_t empty = note.rfind("\n\n");
    if (empty == std::string_view::npos) return std::nullopt;
    const Note out{note.substr(0, empty + 1), note.substr(empty + 2)};
    if (out.signatures.empty() || out.signatures.back() != '\n') return std::nullopt;
    return out;
}

bool verify(const VerifierKey& key, std::string_view text, std::string_view signature) {
    struct Free {
        void operator()(EVP_PKEY* pkey) const { EVP_PKEY_free(pkey); }
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    const auto bytes = [](std::string_view view) {
        return reinterpret_cast<const unsigned char*>(view.data());
    };
    const std::unique_ptr<EVP_PKEY, Free> pkey(EVP_PKEY_new_raw_public_key(
        EVP_PKEY_ED25519, nullptr, bytes(key.public_key), key.public_key.size()));
    const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
    return pkey && context &&
           EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text),
                            text.size()) == 1;
}

}  // namespace

std::string checkpoint_origin(std::string_view host, const LogId& log, PartitionId partition) {
    return std::string(host) + "/" + to_hex(log.view()) + "/p" + std::to_string(partition.value);
}

bool valid_origin_host(std::string_view host) {
    return !host.empty() && host.size() <= kMaxHostBytes && valid_utf8(host) &&
           !has_white_space(host) && !has_control(host) && host.find('+') == std::string_view::npos;
}

std::optional<OriginParts> parse_origin(std::string_view origin) {
    const std::size_t slash = origin.rfind("/p");
    if (slash == std::string_view::npos || slash < 2 * LogId::kSize + 1) return std::nullopt;
    const std::string_view id = origin.substr(slash - 2 * LogId::kSize, 2 * LogId::kSize);
    if (origin[slash - 2 * LogId::kSize - 1] != '/') return std::nullopt;
    const auto log = from_hex(id);
    const auto partition = parse_number<std::uint32_t>(origin.substr(slash + 2));
    if (!log || !partition) return std::nullopt;
    return OriginParts{LogId::from(*log), PartitionId{*partition}};
}

std::string to_text(const VerifierKey& key) {
    return key.name + "+" + to_hex(key_id(key)) + "+" +
           to_base64(std::string(1, kEd25519) + key.public_key);
}

std::optional<VerifierKey> parse_verifier_key(std::string_view text) {
    VerifierKey key;
    const auto name = take_until(text, '+');
    const auto id = take_until(text, '+');
    const auto bytes = from_base64(text);
    if (!name || !id || !bytes || bytes->size() != 1 + kPublicKeyBytes ||
        bytes->front() != kEd25519)
        return std::nullopt;
    key.name = *name;
    key.public_key = bytes->substr(1);
    if (!valid_utf8(key.name) || key.name.empty() || has_white_space(key.name)) return std::nullopt;
    if (to_hex(key_id(key)) != *id) return std::nullopt;
    return key;
}

std::string sign_checkpoint(const Checkpoint& checkpoint, const std::string& public_key,
                            const std::function<std::string(std::string_view)>& sign) {
    const std::string text = text_of(checkpoint);
    const VerifierKey key{checkpoint.origin, public_key};
    return text + "\n" + std::string(kSignatureStart) + key.name + " " +
           to_base64(key_id(key) + sign(text)) + "\n";
}

Result<Checkpoint> read_checkpoint(std::string_view note) {
    const auto parts = split(note);
    if (!parts) return malformed_checkpoint("not a signed note");
    std::string_view text = parts->text;
    const auto origin = take_until(text, '\n'), size = take_until(text, '\n'),
               root = take_until(text, '\n');
    if (!origin || !size || !root || origin->empty()) {
        return malformed_checkpoint("origin, size and root hash are to stand on its first lines");
    }
    Checkpoint out;
    out.origin = *origin;
    const auto count = parse_number<std::uint64_t>(*size);
    if (!count) return malformed_checkpoint("its size is not a number");
    out.size = *count;
    const auto hash = from_base64(*root);
    if (!hash || hash->size() != Hash256::kSize)
        return malformed_checkpoint("its root hash is none");
    out.root = Hash256::from(*hash);
    while (const auto line = take_until(text, '\n')) {
        if (line->empty()) return malformed_checkpoint("an empty line in its text");
        if (!line->starts_with(kChainLine)) continue;  // an extension that we do not know
        if (out.chain) return malformed_checkpoint("it names two commits");
        out.chain = parse_chain(*line);
        if (!out.chain) return malformed_checkpoint("its line about a commit");
    }
    return out;
}

Result<Checkpoint> verify_checkpoint(std::string_view note, const std::vector<VerifierKey>& keys) {
    auto checkpoint = read_checkpoint(note);
    if (!checkpoint) return checkpoint;
    const Note parts = *split(note);
    std::string_view lines = parts.signatures;
    bool verified = false;
    while (auto line = take_until(lines, '\n')) {
        if (!line->starts_with(kSignatureStart))
            return malformed_checkpoint("a line that is no signature");
        line->remove_prefix(kSignatureStart.size());
        const auto name = take_until(*line, ' ');
        const auto bytes = from_base64(*line);
        if (!name || !bytes || bytes->size() <= kKeyIdBytes)
            return malformed_checkpoint("a signature");
        for (const VerifierKey& key : keys) {
            if (key.name != *name || key.name != checkpoint->origin) continue;
            if (bytes->substr(0, kKeyIdBytes) != key_id(key)) continue;
            const std::string signature = bytes->substr(kKeyIdBytes);
            if (signature.size() != kSignatureBytes || !verify(key, parts.text, signature)) {
                return Error{ErrorCode::forbidden,
                             "the checkpoint's signature by " + key.name + " is false",
                             {}};
            }
            verified = true;
        }
    }
    if (verified) return checkpoint;
    return Error{ErrorCode::forbidden,
                 "the checkpoint is not signed by a key given for " + checkpoint->origin,
                 {}};
}

}  // namespace tidings
