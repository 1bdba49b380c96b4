// What a log still holds of partners in plain: texts that older versions wrote before there were
// keys to seal them with. An erasure cannot reach these, and tells how many there are.
#pragma once

#include <vector>

#include "apps/log_walk.h"
#include "core/codec.h"
#include "core/log.h"

namespace tidings::apps {

struct PlainRecords {
    ProgramId program;
    PartnerId partner;
    PartnerOrdinal ordinal;
    std::uint64_t records = 0;  ///< commands and commits
    Sequence first, last;       ///< the commits where they are
};

/// Counts for each of `partners`, in the commits up to `last`. Errors: those of reading,
/// corruption, newer_format.
Result<void> count_plain(CommitSource& log, CommandsAhead& commands, const Codec& codec,
                         Sequence last, std::vector<PlainRecords>& partners);

}  // namespace tidings::apps
