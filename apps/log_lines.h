// One line for each command of a commit and its outcome, for `log cat` and `log tail`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/log_walk.h"

namespace tidings::apps {

/// Appends a line for each command: JSON with every field, or text for people. `program`: of this
/// one's alone. `keys` (null: none) open what is sealed.
void append_lines(std::string& out, const Codec& codec, const Keys* keys,
                  const WalkedCommit& commit, bool json,
                  const std::optional<ProgramId>& program = {});

struct LogStart {
    PartitionId partition;
    Sequence sequence;
    bool operator==(const LogStart&) const = default;
};
/// "0:12" or "0:12,3:4", as in Tidings-Position. Nothing if malformed or a partition comes twice.
std::optional<std::vector<LogStart>> parse_log_starts(std::string_view text);

}  // namespace tidings::apps
