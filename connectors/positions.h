// Places in the log as callers write them.
#pragma once

#include <string>
#include <string_view>

#include "projections/broker.h"

namespace tidings {

/// "0:12"
std::string format_position(PartitionId partition, Sequence sequence);

/// "0:12", or an RFC 3339 time. Errors, as the rule that was broken: malformed, a position of
/// another partition than the program's, or beyond `tip`.
Result<AsOf> parse_as_of(std::string_view text, PartitionId partition, Sequence tip);

}  // namespace tidings
