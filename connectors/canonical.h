// What digests and ids of commands are made of: fields without ambiguity, and the scope of keys.
#pragma once

#include <string>
#include <string_view>

#include "connectors/claims.h"

namespace tidings {

/// Length-prefixed fields, so that no two lists of fields look the same.
class Canonical {
public:
    explicit Canonical(std::string_view domain) { add(domain); }
    Canonical& add(std::string_view field);
    Canonical& add(std::uint64_t field);
    /// The scope of keys and outcomes: role, program, partner or sub.
    Canonical& add_scope(const ProgramId& program, const Claims& claims);
    const std::string& bytes() const { return bytes_; }

private:
    std::string bytes_;
};

/// The id that an Idempotency-Key stands for (PROTOCOL.md rule 2); `program`: of the token.
CommandId command_id_of_key(const Claims& claims, const ProgramId& program, std::string_view key);

}  // namespace tidings
