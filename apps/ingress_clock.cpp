#include "apps/ingress_clock.h"

#include <time.h>

#include "core/limits.h"

namespace tidings::apps {

namespace {

std::int64_t read_ms(clockid_t clock) {
    timespec time{};
    // fails only for an unknown clock or a bad address (clock_gettime(2))
    (void)::clock_gettime(clock, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

ClockReading read_system_clocks() { return {read_ms(CLOCK_REALTIME), read_ms(CLOCK_BOOTTIME)}; }

IngressClock::IngressClock(ClockSource source) : source_(std::move(source)) {
    const ClockReading reading = source_();
    offset_ms_ = reading.wall_ms - reading.steady_ms;
}

Result<Timestamp> IngressClock::stamp() {
    const ClockReading reading = source_();
    const std::int64_t offset = reading.wall_ms - reading.steady_ms;
    const std::int64_t trusted = offset_ms_.load(std::memory_order_relaxed);
    const std::int64_t jump = offset - trusted;
    if (jump > limits::kClockJumpMs || jump < -limits::kClockJumpMs) {
        return Error{ErrorCode::overloaded,
                     "the wall clock was stepped by " + std::to_string(jump) +
                         " ms: nothing is written until it is set right again"};
    }
    if (jump != 0) offset_ms_.store(offset, std::memory_order_relaxed);
    return Timestamp{reading.wall_ms};
}

std::int64_t IngressClock::jump_ms() const {
    const ClockReading reading = source_();
    const std::int64_t jump =
        reading.wall_ms - reading.steady_ms - offset_ms_.load(std::memory_order_relaxed);
    return jump > limits::kClockJumpMs || jump < -limits::kClockJumpMs ? jump : 0;
}

Timestamp IngressClock::now() const { return Timestamp{source_().wall_ms}; }

std::int64_t IngressClock::steady_ms() const { return source_().steady_ms; }

}  // namespace tidings::apps
