// RFC 3339.
#include "core/time.h"

#include "tests/support/property.h"

using namespace tidings;

TEST_CASE("times are written in UTC with milliseconds") {
    CHECK(format_time(Timestamp{0}) == "1970-01-01T00:00:00.000Z");
    CHECK(format_time(Timestamp{1'767'603'600'000}) == "2026-01-05T09:00:00.000Z");
    CHECK(format_time(Timestamp{951'782'400'007}) == "2000-02-29T00:00:00.007Z");
    CHECK(format_time(Timestamp{-1}) == "1969-12-31T23:59:59.999Z");
    CHECK(format_time(Timestamp{253'402'300'799'999}) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("every form of RFC 3339 is read") {
    const Timestamp nine{1'767'603'600'000};
    for (const char* text :
         {"2026-01-05T09:00:00Z", "2026-01-05t09:00:00z", "2026-01-05T09:00:00.0Z",
          "2026-01-05T09:00:00.000000Z", "2026-01-05T09:00:00.0009999999999999999999Z",
          "2026-01-05T10:00:00+01:00", "2026-01-04T21:30:00.000-11:30",
          "2026-01-05T09:00:00-00:00"}) {
        INFO(text);
        CHECK(parse_time(text) == nine);
    }
    CHECK(parse_time("2026-01-05T09:00:00.1239Z") == Timestamp{nine.value + 123});
    CHECK(parse_time_micros("2026-01-05T09:00:00.1234567Z") == nine.value * 1000 + 123'456);
    CHECK(parse_time("1970-01-01T00:00:00Z") == Timestamp{0});
    CHECK(parse_time("9999-12-31T23:59:59.999999999Z") == Timestamp{253'402'300'799'999});
}

TEST_CASE("what is no time is refused") {
    for (const char* bad : {"",
                            "2026",
                            "2026-01-05",
                            "2026-01-05T09:00:00",
                            "2026-01-05 09:00:00Z",
                            "2026-1-05T09:00:00Z",
                            "2026-13-05T09:00:00Z",
                            "2026-00-05T09:00:00Z",
                            "2026-02-29T09:00:00Z",
                            "2100-02-29T00:00:00Z",
                            "2026-04-31T09:00:00Z",
                            "2026-01-05T24:00:00Z",
                            "2026-01-05T09:60:00Z",
                            "2016-12-31T23:59:60Z",
                            "2026-01-05T09:00:00.Z",
                            "2026-01-05T09:00:00,5Z",
                            "2026-01-05T09:00:00+24:00",
                            "2026-01-05T09:00:00+0100",
                            "2026-01-05T09:00:00+01:60",
                            "2026-01-05T09:00:00ZZ",
                            "1969-12-31T23:59:59Z",
                            "1970-01-01T00:00:00+00:01",
                            "9999-12-31T23:59:59-00:01",
                            "+026-01-05T09:00:00Z",
                            "02026-01-05T09:00:00Z"}) {
        INFO(bad);
        CHECK_FALSE(parse_time(bad));
        CHECK_FALSE(parse_time_micros(bad));
    }
}

TEST_CASE("a time that is written is read again") {
    CHECK_PROPERTY([] {
        const std::int64_t ms = *rc::gen::inRange<std::int64_t>(0, 253'402'300'800'000);
        RC_ASSERT(parse_time(format_time(Timestamp{ms})) == Timestamp{ms});
    });
}
