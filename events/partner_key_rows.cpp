#include <algorithm>

#include "events/little_endian.h"
#include "events/partner_keys_state.h"

namespace tidings::key_rows {

namespace {

constexpr std::size_t kEpochRowBytes = 2 + 8;
constexpr std::size_t kLengthBytes = 2;

std::size_t program_bytes(std::string_view key) {
    return static_cast<std::size_t>(static_cast<unsigned char>(key[1 + kLocatorBytes])) << 8 |
           static_cast<unsigned char>(key[1 + kLocatorBytes + 1]);
}

}  // namespace

std::string locator_and_owner(const KeyOwner& owner) {
    std::string name;
    name += static_cast<char>(owner.program.value.size() >> 8);
    name += static_cast<char>(owner.program.value.size());
    name += owner.program.value;
    name += owner.partner.value;
    return std::string(sha256(name).view().substr(0, kLocatorBytes)) + name;
}

bool is_row_key(std::string_view key) {
    constexpr std::size_t kHead = 1 + kLocatorBytes + kLengthBytes;
    return key.size() >= kHead && key.size() >= kHead + program_bytes(key);
}

KeyOwner owner_of(std::string_view key) {
    const std::size_t size = program_bytes(key);
    key.remove_prefix(1 + kLocatorBytes + kLengthBytes);
    return {ProgramId{std::string(key.substr(0, size))}, PartnerId{std::string(key.substr(size))}};
}

PartnerKey key_of(std::string_view locator, std::string_view entry) {
    PartnerKey key;
    std::copy_n(locator.data(), kLocatorBytes, key.id.data());
    std::copy_n(entry.data(), kRestBytes, key.id.data() + kLocatorBytes);
    std::copy_n(entry.data() + kRestBytes, kPartnerKeyBytes, key.secret.data());
    return key;
}

std::string Epoch::encode() const {
    std::string out;
    put_le(out, number);
    put_le(out, at.value);
    return out;
}

Epoch Epoch::decode(std::string_view value) {
    if (value.size() != kEpochRowBytes) return {};
    return {get_le<std::uint16_t>(value, 0), Sequence{get_le<std::uint64_t>(value, 2)}};
}

std::uint16_t epoch_of(const PartnerKey& key) {
    return get_le<std::uint16_t>(key.id_view(), kLocatorBytes);
}

bool is_retired(std::string_view retired, const PartnerKey& key) {
    for (std::size_t at = 1; at + kRestBytes <= retired.size(); at += kRestBytes) {
        if (key.id_view().substr(kLocatorBytes) == retired.substr(at, kRestBytes)) return true;
    }
    return false;
}

std::string print_of(const PartnerKey& key) {
    return std::string(
        sha256({"tidings.key.v1\n", std::string_view(key.secret.data(), key.secret.size())})
            .view()
            .substr(0, kPrintBytes));
}

}  // namespace tidings::key_rows
