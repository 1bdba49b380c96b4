// What erasures have taken away of one partition's read models, and has still to leave the disk.
#pragma once

#include <set>
#include <vector>

#include "events/partner_keys.h"

namespace tidings::apps {

struct ErasedRows {
    std::set<ProgramId> programs;
    Sequence at;                          ///< the last commit that erased one of them
    std::vector<KeyOwner> partners = {};  ///< empty: not known which
};

}  // namespace tidings::apps
