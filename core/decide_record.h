// What a command record comes to: decide() with what goes before it. Pure; the partition loop and
// audits share it, so that a replay decides alike.
#pragma once

#include <string_view>

#include "core/codec.h"
#include "core/facts.h"

namespace tidings {

/// A record that cannot be decoded, and a command of another partition's program, are refusals
/// (PROTOCOL.md rules 1, 12). As with decide(), the outcome is not yet part of `facts`.
/// Errors: newer_format, and whatever else is no verdict on the command.
Result<Outcome> decide_record(const Codec& codec, const Genesis& genesis, const Facts& facts,
                              std::string_view record);

}  // namespace tidings
