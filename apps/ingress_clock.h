// The clock that stamps commands (PROTOCOL.md rule 2). It refuses to stamp once the wall clock was
// stepped by more than limits::kClockJumpMs, because a stamp far in the future would stay in a
// program's log time for ever and let remembered keys expire at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "core/ids.h"
#include "core/result.h"

namespace tidings::apps {

/// Milliseconds of a wall clock and of one that never steps and counts suspended time as well.
struct ClockReading {
    std::int64_t wall_ms = 0;
    std::int64_t steady_ms = 0;
};
using ClockSource = std::function<ClockReading()>;
/// CLOCK_REALTIME and CLOCK_BOOTTIME.
ClockReading read_system_clocks();

/// Thread-safe. Small steps (time synchronisation, leap seconds) are followed; a large one is
/// refused until the wall clock is back where the steady one says it should be. Which of the two is
/// right can't be known here: when the new time is the right one, a restart accepts it.
class IngressClock {
public:
    explicit IngressClock(ClockSource source = read_system_clocks);

    /// The time for a command's stamp. Errors: overloaded (the wall clock jumped).
    Result<Timestamp> stamp();
    /// Milliseconds that the wall clock is ahead (behind: negative) of what it should be; 0 while
    /// it is trusted.
    std::int64_t jump_ms() const;
    /// The wall clock, trusted or not.
    Timestamp now() const;
    std::int64_t steady_ms() const;

private:
    ClockSource source_;
    std::atomic<std::int64_t> offset_ms_;  ///< wall - steady at the last trusted reading
};

}  // namespace tidings::apps
