// How the processes of a deployment share the partners' keys: by a journal that all append to and
// all follow, and of which the newest record of each key is kept (on Kafka a compacted topic).
//
//   key                                                          value; none: it is gone
//   'k' | locator | u16 length | program | partner | print (8)   the row's with this key alone
//   'e' | locator | u16 length | program | partner | epoch (2)   commit (8): the erasure that
//   begins
//                                                                this epoch; 0: it has only begun
//   's' | partition (4)                                          as the row's
//   'm'                                                          anything; means nothing
//
// Rows are those of partner_keys.h. `print` tells the keys of a partner apart: the first 8 bytes of
// SHA-256 over "tidings.key.v1\n" and the secret. Records of other keys may overtake each other:
// what they come to is the same in any order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace tidings {

struct KeyRecord {
    std::string key;
    std::optional<std::string> value;
    bool operator==(const KeyRecord&) const = default;
};

/// Port. Thread-safe.
class KeyJournal {
public:
    virtual ~KeyJournal() = default;
    /// Durable, and applied here, on return; in this order. Errors: io (some may be there all the
    /// same, or come later).
    virtual Result<void> append(std::vector<KeyRecord> records) = 0;
    /// Returns once whatever anybody appended before the call is applied here. Errors: io.
    virtual Result<void> catch_up() = 0;
};

}  // namespace tidings
