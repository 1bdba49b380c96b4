// Places in the log as callers write them.
#include "connectors/positions.h"

#include "tests/support/catch.h"

namespace tidings {

TEST_CASE("as_of is a position of the program's partition, or a time") {
    const PartitionId partition{2};
    const Sequence tip{40};
    CHECK(format_position(partition, tip) == "2:40");
    for (const std::uint64_t sequence : {0, 1, 40}) {
        const std::string text = format_position(partition, Sequence{sequence});
        CHECK(parse_as_of(text, partition, tip).value() == AsOf(Sequence{sequence}));
    }
    CHECK(parse_as_of("1970-01-01T00:00:01.5Z", partition, tip).value() == AsOf(Timestamp{1'500}));
    CHECK(parse_as_of("1970-01-01T01:00:00+01:00", partition, tip).value() == AsOf(Timestamp{0}));

    CHECK(parse_as_of("2:41", partition, tip).error().detail.find("2:40") != std::string::npos);
    CHECK(parse_as_of("1:4", partition, tip).error().detail.find("partition 2") !=
          std::string::npos);
    for (const char* const bad :
         {"", ":", "2:", ":4", "2:4 ", " 2:4", "+2:4", "2:-1", "2:4,2:5", "2:0x4", "4", "yesterday",
          "1970-01-01", "2:18446744073709551616", "4294967298:4"}) {
        INFO(bad);
        const auto parsed = parse_as_of(bad, partition, tip);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().code == ErrorCode::invalid);
    }
}

}  // namespace tidings
