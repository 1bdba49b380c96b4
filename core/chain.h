// The hash chain: which commit records a reader accepts (PROTOCOL.md rules 3-6). Pure; bytes are
// events/envelope.h's.
#pragma once

#include "core/ids.h"

namespace tidings {

/// First record of each commits partition (rule 1).
struct Genesis {
    LogId log;
    PartitionId partition;
    std::uint32_t partitions = 1;
    std::uint32_t format_version = 1;
    Hash256 hash;  ///< the self-hash of its record: commit 1's `previous`
    bool operator==(const Genesis&) const = default;
};

/// The frozen part of a commit record (rule 3).
struct Envelope {
    LogId log;
    PartitionId partition;
    Sequence sequence;
    Hash256 previous;
    CommandPosition first, last;  ///< the commands that it answers, both included
    Hash256 commands;             ///< SHA-256 of those command records' bytes, one after the other
    Hash256 hash;                 ///< self-hash over everything before it
    bool operator==(const Envelope&) const = default;
};

/// How far a reader has come on the chain.
struct Tip {
    Sequence sequence;             ///< 0: genesis only
    Hash256 hash;                  ///< of the record with that sequence
    CommandPosition next_command;  ///< the first command not yet answered
    LogPosition next_record;       ///< where to read on in the commits log
    bool operator==(const Tip&) const = default;
};

enum class Verdict {
    accept,
    skip,   ///< a loser or a duplicate: sequence <= tip
    alarm,  ///< records were lost or changed under us (rule 6)
};

/// Rules 4-6, for a record whose self-hash already held.
Verdict judge(const Genesis& genesis, const Tip& tip, const Envelope& envelope);

/// The tip after accepting `envelope`, which was read at `at`.
Tip advance(const Envelope& envelope, LogPosition at);

}  // namespace tidings
