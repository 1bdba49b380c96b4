#include "apps/ingress_clock.h"

#include <memory>

#include "core/limits.h"
#include "tests/support/catch.h"

namespace tidings::apps {
namespace {

/// Both clocks, moved by hand.
struct Clocks {
    std::shared_ptr<ClockReading> reading =
        std::make_shared<ClockReading>(ClockReading{1'700'000'000'000, 5'000});
    ClockSource source() const {
        return [shared = reading] { return *shared; };
    }
    void pass(std::int64_t ms) const {
        reading->wall_ms += ms;
        reading->steady_ms += ms;
    }
    void step(std::int64_t ms) const { reading->wall_ms += ms; }
};

TEST_CASE("stamps are the wall clock's") {
    const Clocks clocks;
    IngressClock clock(clocks.source());
    CHECK(clock.stamp().value() == Timestamp{1'700'000'000'000});
    clocks.pass(10LL * 24 * 3600 * 1000);  // however long it slept
    CHECK(clock.stamp().value() == Timestamp{1'700'864'000'000});
    CHECK(clock.jump_ms() == 0);
}

TEST_CASE("a step beyond the limit is refused until the clocks agree again") {
    for (const std::int64_t sign : {+1, -1}) {
        const Clocks clocks;
        IngressClock clock(clocks.source());
        const std::int64_t jump = sign * (limits::kClockJumpMs + 1);
        clocks.step(jump);
        const Result<Timestamp> refused = clock.stamp();
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == ErrorCode::overloaded);
        CHECK(clock.jump_ms() == jump);
        clocks.pass(3'600'000);
        const Result<Timestamp> still = clock.stamp();
        CHECK_FALSE(still.has_value());
        clocks.step(-jump);
        CHECK(clock.stamp().has_value());
        CHECK(clock.jump_ms() == 0);
    }
}

TEST_CASE("small steps are followed, however many") {
    const Clocks clocks;
    IngressClock clock(clocks.source());
    for (int i = 0; i < 100; ++i) {
        clocks.pass(1'000);
        clocks.step(limits::kClockJumpMs);
        REQUIRE(clock.stamp().has_value());
    }
}

}  // namespace
}  // namespace tidings::apps
