// Sealed texts: AES-SIV (RFC 5297) under a partner's key, bound to the program and the field. The
// same text under the same key gives the same bytes. Layout: docs/formats.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/personal_text.h"

namespace tidings {

inline constexpr std::size_t kKeyIdBytes = 8;
inline constexpr std::size_t kPartnerKeyBytes = 32;

struct PartnerKey {
    std::array<char, kKeyIdBytes> id{};
    std::array<char, kPartnerKeyBytes> secret{};
    std::string_view id_view() const { return {id.data(), id.size()}; }
    bool operator==(const PartnerKey&) const = default;
};

/// The empty text stays as it is. REQUIRES: `text` is plain.
PersonalText seal_text(const PartnerKey& key, const ProgramId& program, PersonalField field,
                       const PersonalText& text);
/// Nothing: altered, or sealed under another key, for another program or field.
std::optional<std::string> open_text(const PartnerKey& key, const ProgramId& program,
                                     PersonalField field, const PersonalText& sealed);
/// Of the key that it is sealed under; empty if it is too short to be a sealed text.
std::string_view key_id_of(const PersonalText& sealed);

}  // namespace tidings
