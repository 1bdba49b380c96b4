// What every reader of the commits log makes of a record that continues the chain (core/chain.h),
// and how errors name it.
#pragma once

#include <string>
#include <vector>

#include "core/chain.h"
#include "core/codec.h"
#include "core/log.h"

namespace tidings {

/// As in "commit 7".
std::string commit_name(Sequence sequence);

/// One for each command that the record answers. Errors: corruption, newer_format.
Result<std::vector<Outcome>> decode_answers(const Codec& codec, const Envelope& envelope,
                                            const CommitRecord& record);

/// A corruption says which record it is about; other errors stay as they are. `after`: of what was
/// accepted before.
Error at_commit(Error error, const CommitRecord& record, const Tip& after);

}  // namespace tidings
