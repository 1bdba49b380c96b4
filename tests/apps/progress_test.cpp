#include "apps/progress.h"

#include "tests/support/catch.h"

namespace tidings::apps {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("amounts have three digits and a unit") {
    CHECK(format_amount(0, Unit::count) == "0");
    CHECK(format_amount(999, Unit::count) == "999");
    CHECK(format_amount(1'000, Unit::count) == "1.00 k");
    CHECK(format_amount(12'340, Unit::count) == "12.3 k");
    CHECK(format_amount(123'400, Unit::count) == "123 k");
    CHECK(format_amount(999'600, Unit::count) == "1.00 M");
    CHECK(format_amount(2'000'000, Unit::count) == "2.00 M");
    CHECK(format_amount(1'023, Unit::bytes) == "1023 B");
    CHECK(format_amount(1'536, Unit::bytes) == "1.50 KiB");
    CHECK(format_amount(5.0 * (1 << 20), Unit::bytes) == "5.00 MiB");
}

TEST_CASE("durations") {
    CHECK(format_duration(seconds(0)) == "0s");
    CHECK(format_duration(seconds(59)) == "59s");
    CHECK(format_duration(seconds(75)) == "1m15s");
    CHECK(format_duration(seconds(3'600)) == "1h00m");
    CHECK(format_duration(seconds(7'384)) == "2h03m");
}

TEST_CASE("a bar shows share, rate and time left") {
    const std::string line =
        format_progress({"import", Unit::count, 500, 2'000, milliseconds(1'000)}, true);
    CHECK(line == "import  [#######.......................]   25%  500 of 2.00 k  500/s  3s left");
    const std::string plain =
        format_progress({"import", Unit::count, 500, 2'000, milliseconds(1'000)}, false);
    CHECK(plain == "import   25%  500 of 2.00 k  500/s  3s left");
}

TEST_CASE("what is done or has no known end has no time left") {
    CHECK(format_progress({"x", Unit::count, 10, 10, milliseconds(2'000)}, false) ==
          "x  100%  10 of 10  5/s  2s");
    CHECK(format_progress({"x", Unit::bytes, 2'048, std::nullopt, milliseconds(1'000)}, true) ==
          "x  2.00 KiB  2.00 KiB/s  1s");
    CHECK(format_progress({"x", Unit::count, 0, 0, milliseconds(0)}, false) ==
          "x  100%  0 of 0  0s");
    CHECK(format_progress({"x", Unit::count, 0, 5, milliseconds(0)}, false) ==
          "x    0%  0 of 5  0s");
}

TEST_CASE("more than was expected is not over 100%") {
    const std::string line = format_progress({"x", Unit::count, 30, 20, milliseconds(10)}, true);
    CHECK(line.find("100%") != std::string::npos);
}

}  // namespace
}  // namespace tidings::apps
