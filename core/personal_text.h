// Personal texts: what a partner's erasure takes away. In commands, events and rows they are in
// their stored form, plain or sealed (docs/formats.md); whoever wants to read one asks Keys.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ids.h"

namespace tidings {

/// Equal if the stored bytes are: the same text sealed under the same key is. Empty: no text.
class PersonalText {
public:
    /// No UTF-8 text begins with it.
    static constexpr char kSealed = '\xff';

    PersonalText() = default;
    /// The stored form; plain text is its own.
    PersonalText(std::string stored) : stored_(std::move(stored)) {}  // NOLINT: on purpose implicit
    PersonalText(std::string_view stored) : stored_(stored) {}        // NOLINT
    PersonalText(const char* stored) : stored_(stored) {}             // NOLINT

    bool empty() const { return stored_.empty(); }
    bool is_sealed() const { return !stored_.empty() && stored_[0] == kSealed; }
    const std::string& stored() const { return stored_; }
    /// REQUIRES: not sealed.
    const std::string& plain() const {
        assert(!is_sealed());
        return stored_;
    }
    friend bool operator==(const PersonalText&, const PersonalText&) = default;

private:
    std::string stored_;
};

/// Of the key that a sealed text was sealed under, where several processes share the keys: the
/// first two bytes behind the locator in the key's id (docs/formats.md), little endian.
inline std::uint16_t key_epoch_of(const PersonalText& text) {
    constexpr std::size_t kAt = 5;
    const std::string& stored = text.stored();
    if (!text.is_sealed() || stored.size() < kAt + 2) return 0;
    return static_cast<std::uint16_t>(static_cast<unsigned char>(stored[kAt]) |
                                      static_cast<unsigned char>(stored[kAt + 1]) << 8);
}

/// Sealed under a key that an erasure has destroyed, or is about to. `epoch`: the partner's; 0
/// where keys have none.
inline bool is_stale(const PersonalText& text, std::uint16_t epoch) {
    return text.is_sealed() && key_epoch_of(text) < epoch;
}

/// What a text is, for all time: part of what a sealed one is bound to.
enum class PersonalField : std::uint8_t {
    email = 1,
    name = 2,
    surname = 3,
    post = 4,
    author_id = 5,
    author_name = 6
};

/// Port: the keys of the partners, as readers see them. Thread-safe.
class Keys {
public:
    virtual ~Keys() = default;
    /// Nothing: the key is gone, or was never here. REQUIRES: `text` is sealed.
    virtual std::optional<std::string> open(const ProgramId& program, PersonalField field,
                                            const PersonalText& text) const = 0;
};

}  // namespace tidings
