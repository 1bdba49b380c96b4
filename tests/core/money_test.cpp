// Exact money.
#include "core/money.h"

#include <limits>

#include "tests/support/catch.h"
#include "tests/support/property.h"

using namespace tidings;

TEST_CASE("plain decimals") {
    CHECK(parse_micros("99.99") == 99'990'000);
    CHECK(parse_micros("0") == 0);
    CHECK(parse_micros("-0.5") == -500'000);
    CHECK(parse_micros("5") == 5'000'000);
    CHECK(parse_micros("0.000001") == 1);
    CHECK(parse_micros("9999999999.999999") == 9'999'999'999'999'999);
    CHECK(parse_micros("9223372036854.775807") == std::numeric_limits<std::int64_t>::max());
    CHECK(parse_micros("-9223372036854.775808") == std::numeric_limits<std::int64_t>::min());
    for (const char* bad : {"",
                            "-",
                            ".",
                            "1.",
                            ".5",
                            "01",
                            "-01",
                            "00",
                            "+1",
                            "1e2",
                            "1,5",
                            " 1",
                            "1 ",
                            "--1",
                            "0.0000001",
                            "1.0000000",
                            "9223372036854.775808",
                            "-9223372036854.775809",
                            "99999999999999999999",
                            "NaN",
                            "0x1",
                            "1.2.3",
                            "5.00",
                            "1.50",
                            "-0",
                            "0.0",
                            "\xd9\xa1"}) {
        INFO(bad);
        CHECK_FALSE(parse_micros(bad));
    }
}

TEST_CASE("JSON numbers, exactly") {
    CHECK(parse_number_micros("29.997") == 29'997'000);
    CHECK(parse_number_micros("50.0") == 50'000'000);
    CHECK(parse_number_micros("1e2") == 100'000'000);
    CHECK(parse_number_micros("12.5E-1") == 1'250'000);
    CHECK(parse_number_micros("1e-6") == 1);
    CHECK(parse_number_micros("1.000000000000") == 1'000'000);
    CHECK(parse_number_micros("10e-7") == 1);
    CHECK(parse_number_micros("-0.0e999999999999999999") == 0);
    CHECK(parse_number_micros("0e-999999999999999999") == 0);
    CHECK(parse_number_micros("9999999999.999999") == 9'999'999'999'999'999);
    for (const char* bad : {"", "1e", "1e+", "1e-7", "0.1234567", "1e13", "1e999999999999",
                            "1e-999999999999", "01", "1.e1", "e1", "1e1.5", "1e1 "}) {
        INFO(bad);
        CHECK_FALSE(parse_number_micros(bad));
    }
    CHECK_FALSE(parse_number_micros("1" + std::string(100'000, '0')));
    CHECK(parse_number_micros("0." + std::string(100'000, '0')) == 0);
}

TEST_CASE("money that is written is read again") {
    CHECK(format_micros(99'990'000) == "99.99");
    CHECK(format_micros(0) == "0");
    CHECK(format_micros(-1) == "-0.000001");
    CHECK(format_micros(std::numeric_limits<std::int64_t>::min()) == "-9223372036854.775808");
    CHECK_PROPERTY([](std::int64_t micros) {
        RC_ASSERT(parse_micros(format_micros(micros)) == micros);
        RC_ASSERT(parse_number_micros(format_micros(micros)) == micros);
    });
}

TEST_CASE("currency codes") {
    for (const char* good : {"USD", "usd", "X", "POINTS_2", "a-b", "ABCDEFGHIJKLMNOP"}) {
        CHECK(is_currency(good));
    }
    for (const char* bad : {"", "ABCDEFGHIJKLMNOPQ", "U SD", "€", "U/D", "U\nD"}) {
        CHECK_FALSE(is_currency(bad));
    }
    CHECK_FALSE(is_currency(std::string_view("U\0D", 3)));
}
