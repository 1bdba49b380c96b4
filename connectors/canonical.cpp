#include "connectors/canonical.h"

namespace tidings {

Canonical& Canonical::add(std::string_view field) {
    add(static_cast<std::uint64_t>(field.size()));
    bytes_ += field;
    return *this;
}

Canonical& Canonical::add(std::uint64_t field) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_ += static_cast<char>(field >> shift);
    return *this;
}

Canonical& Canonical::add_scope(const ProgramId& program, const Claims& claims) {
    add(name_of(claims.role)).add(program.value);
    const bool partner = claims.role == Role::partner && claims.partner;
    return add(partner ? claims.partner->value : claims.sub);
}

CommandId command_id_of_key(const Claims& claims, const ProgramId& program, std::string_view key) {
    Canonical canonical("tidings.command.v1");
    canonical.add_scope(program, claims).add(key);
    return CommandId::from(sha256(canonical.bytes()).view().substr(0, CommandId::kSize));
}

}  // namespace tidings
