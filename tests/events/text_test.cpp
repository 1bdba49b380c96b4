#include "events/text.h"

#include <string>

#include "tests/support/property.h"

namespace tidings {
namespace {

TEST_CASE("UTF-8 is checked to the letter") {
    for (const char* good :
         {"", "plain ascii text of more than eight bytes", "é", "łódź", "€", "😀", "\xED\x9F\xBF",
          "\xEE\x80\x80", "\xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80"}) {
        CHECK(valid_utf8(good));
    }
    for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                            "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
                            "a\xC3", "\xE2\x82", "\xF0\x9F\x98", "12345678\x80", "\xC3\x28"}) {
        CHECK_FALSE(valid_utf8(bad));
    }
}

TEST_CASE("code points, blanks and controls") {
    CHECK(code_points("") == 0);
    CHECK(code_points("Zoë Ząbek 😀") == 11);
    CHECK(is_blank(""));
    // all 25 of White_Space
    CHECK(
        is_blank("\t\n\v\f\r \u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
                 "\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000"));
    for (const char* text : {"x", " \u200B ", "\u180E", "\uFEFF", "\u2060", "\x01"}) {
        CHECK_FALSE(is_blank(text));
    }
    CHECK(has_white_space("a\u00A0b"));
    CHECK_FALSE(has_white_space("a\u200Bb"));
    for (const char* text : {"\x01", "a\nb", "\x7F", "\u0080", "x\u009F"}) CHECK(has_control(text));
    for (const char* text : {"", "a b", "\u00A0", "\u00C0", "é", "\u2028", "😀"}) {
        CHECK_FALSE(has_control(text));
    }
}

TEST_CASE("ids") {
    const std::string wide(4, '\0');
    std::string longest, too_long;
    for (int i = 0; i < 128; ++i) longest += "😀";
    too_long = longest + "x";
    CHECK(is_valid_id(longest));
    for (const char* good : {"a", " ", "partner_1", "łódź?#%\\", "..", "\u2028"})
        CHECK(is_valid_id(good));
    CHECK_FALSE(is_valid_id(too_long));
    for (const char* bad : {"", "a/b", "/", "a\nb", "\x7F", "\u0085", "\xFF", "a\xC3"}) {
        CHECK_FALSE(is_valid_id(bad));
    }
    CHECK_FALSE(is_valid_id(wide));
}

TEST_CASE("no bytes upset the text functions") {
    CHECK_PROPERTY([](const std::string& bytes) {
        if (!valid_utf8(bytes)) return;
        RC_ASSERT(code_points(bytes) <= bytes.size());
        RC_ASSERT(!is_blank(bytes) || bytes.empty() || has_white_space(bytes));
        RC_ASSERT(valid_utf8(bytes + bytes));
    });
}

}  // namespace
}  // namespace tidings
