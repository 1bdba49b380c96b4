// Which commit records a reader accepts (PROTOCOL.md rules 4-6).
#include "core/chain.h"

namespace tidings {

Verdict judge(const Genesis& genesis, const Tip& tip, const Envelope& envelope) {
    // Processes that start at the same time each write a genesis, with a log id of its own; the
    // first one counts.
    if (envelope.sequence.value == 0 && envelope.partition == genesis.partition) {
        return Verdict::skip;
    }
    // A record of another log or partition is no loser of ours, whatever its sequence.
    if (envelope.log != genesis.log || envelope.partition != genesis.partition) {
        return Verdict::alarm;
    }
    if (envelope.sequence <= tip.sequence) return Verdict::skip;
    const bool continues = envelope.sequence.value == tip.sequence.value + 1 &&
                           envelope.previous == tip.hash && envelope.first == tip.next_command &&
                           envelope.last >= envelope.first;
    return continues ? Verdict::accept : Verdict::alarm;
}

Tip advance(const Envelope& envelope, LogPosition at) {
    return Tip{.sequence = envelope.sequence,
               .hash = envelope.hash,
               .next_command = CommandPosition{envelope.last.value + 1},
               .next_record = LogPosition{at.value + 1}};
}

}  // namespace tidings
