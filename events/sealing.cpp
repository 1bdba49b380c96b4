#include "events/sealing.h"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

namespace tidings {
namespace {

constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kKeyIdBytes + kTagBytes;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

/// Found by name once: it is nowhere in OpenSSL's list of constants.
const EVP_CIPHER* cipher() {
    static const std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> fetched(
        EVP_CIPHER_fetch(nullptr, "AES-128-SIV", nullptr), &EVP_CIPHER_free);
    if (!fetched) throw std::runtime_error("OpenSSL has no AES-SIV");
    return fetched.get();
}

/// SIV takes the text in one piece, and a context for one text alone.
EVP_CIPHER_CTX* context() {
    thread_local const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> kept(
        EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
    if (!kept || EVP_CIPHER_CTX_reset(kept.get()) != 1) throw std::bad_alloc();
    return kept.get();
}

std::string bound_to(const ProgramId& program, PersonalField field) {
    std::string out = "tidings.text.v1\n";
    out += static_cast<char>(field);
    return out += program.value;
}

}  // namespace

PersonalText seal_text(const PartnerKey& key, const ProgramId& program, PersonalField field,
                       const PersonalText& text) {
    const std::string& plain = text.plain();
    if (plain.empty()) return text;
    std::string out(1, PersonalText::kSealed);
    out += key.id_view();
    out.resize(kHeadBytes + plain.size());
    const std::string bound = bound_to(program, field);
    EVP_CIPHER_CTX* siv = context();
    int length = 0;
    const bool good =
        EVP_EncryptInit_ex2(siv, cipher(),
                            bytes(std::string_view(key.secret.data(), key.secret.size())), nullptr,
                            nullptr) == 1 &&
        EVP_EncryptUpdate(siv, nullptr, &length, bytes(bound), static_cast<int>(bound.size())) ==
            1 &&
        EVP_EncryptUpdate(siv, bytes(out) + kHeadBytes, &length, bytes(plain),
                          static_cast<int>(plain.size())) == 1 &&
        EVP_EncryptFinal_ex(siv, bytes(out), &length) == 1 &&
        EVP_CIPHER_CTX_ctrl(siv, EVP_CTRL_AEAD_GET_TAG, kTagBytes, bytes(out) + 1 + kKeyIdBytes) ==
            1;
    if (!good) throw std::runtime_error("AES-SIV failed");
    return out;
}

std::optional<std::string> open_text(const PartnerKey& key, const ProgramId& program,
                                     PersonalField field, const PersonalText& sealed) {
    const std::string_view stored = sealed.stored();
    if (key_id_of(sealed).empty() || stored.size() == kHeadBytes) return std::nullopt;
    std::string tag(stored.substr(1 + kKeyIdBytes, kTagBytes));
    const std::string_view text = stored.substr(kHeadBytes);
    std::string out(text.size(), '\0');
    const std::string bound = bound_to(program, field);
    EVP_CIPHER_CTX* siv = context();
    int length = 0;
    const bool good =
        EVP_DecryptInit_ex2(siv, cipher(),
                            bytes(std::string_view(key.secret.data(), key.secret.size())), nullptr,
                            nullptr) == 1 &&
        EVP_CIPHER_CTX_ctrl(siv, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
        EVP_DecryptUpdate(siv, nullptr, &length, bytes(bound), static_cast<int>(bound.size())) ==
            1 &&
        EVP_DecryptUpdate(siv, bytes(out), &length, bytes(text), static_cast<int>(text.size())) ==
            1;
    if (!good) return std::nullopt;
    return out;
}

std::string_view key_id_of(const PersonalText& sealed) {
    if (!sealed.is_sealed() || sealed.stored().size() < kHeadBytes) return {};
    return std::string_view(sealed.stored()).substr(1, kKeyIdBytes);
}

}  // namespace tidings
