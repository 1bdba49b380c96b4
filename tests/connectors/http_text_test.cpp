#include "connectors/http/text.h"

#include "tests/support/property.h"

namespace tidings::http {

TEST_CASE("text: UTF-8 and percent-encoding") {
    for (const char* good : {"", "plain", "ü", "€", "\xf0\x9f\x98\x80", "\xed\x9f\xbf",
                             "\xf4\x8f\xbf\xbf", "12345678ü"})
        CHECK(is_utf8(good));
    for (const char* bad : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                            "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3",
                            "\xe2\x82", "\xf0\x9f\x98", "12345678\xff"}) {
        CHECK_FALSE(is_utf8(bad));
    }
    CHECK(count_code_points("aü€\xf0\x9f\x98\x80") == 4);
    CHECK_PROPERTY("percent_decode inverts percent_encode", [](const std::string& text) {
        std::string decoded;
        const bool good = percent_decode(percent_encode(text), false, decoded);
        RC_ASSERT(decoded == text);
        RC_ASSERT(good == is_utf8(text));
    });
}

}  // namespace tidings::http
