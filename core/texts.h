// Reading personal texts of one program, for whoever shows or searches them.
#pragma once

#include <optional>
#include <string>

#include "core/event.h"

namespace tidings {

/// Empty: none, or it cannot be opened.
struct PartnerTexts {
    std::string email, name, surname;
    bool operator==(const PartnerTexts&) const = default;
};

/// `keys` (null: there are none) and `program` outlive it.
class TextReader {
public:
    TextReader(const Keys* keys, const ProgramId& program) : keys_(keys), program_(program) {}

    /// Nothing: it is sealed, and cannot be opened.
    std::optional<std::string> read(PersonalField field, const PersonalText& text) const {
        if (!text.is_sealed()) return text.stored();
        if (keys_ == nullptr) return std::nullopt;
        return keys_->open(program_, field, text);
    }
    /// Empty if it cannot be opened.
    std::string show(PersonalField field, const PersonalText& text) const {
        return read(field, text).value_or(std::string());
    }
    PartnerTexts show(const PartnerState& partner) const {
        return {show(PersonalField::email, partner.email), show(PersonalField::name, partner.name),
                show(PersonalField::surname, partner.surname)};
    }

private:
    const Keys* keys_;
    const ProgramId& program_;
};

}  // namespace tidings
