// `tidings audit checkpoint`, `audit prove`, `audit check-proof`.
#pragma once

#include "apps/commands.h"
#include "apps/config.h"
#include "connectors/checkpoint.h"

namespace tidings::apps {

void add_proof_commands(CLI::App& audit, Chosen& chosen);

/// Those that this data directory signs with, for each partition of the log. Errors: usage (it has
/// none), io, corruption.
Result<std::vector<VerifierKey>> own_verifier_keys(const Config& config, const Genesis& genesis);

}  // namespace tidings::apps
