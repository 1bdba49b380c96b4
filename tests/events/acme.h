// Whom the tests here write about.
#pragma once

#include "core/ids.h"
#include "events/partner_keys.h"

namespace tidings::testing {

inline const ProgramId kAcme{"acme"};
inline const KeyOwner kGrace{kAcme, {"grace"}}, kAlan{kAcme, {"alan"}};

}  // namespace tidings::testing
