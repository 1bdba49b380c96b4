#include "events/json_value.h"

#include <chrono>
#include <string>

#include "events/json_output.h"
#include "events/text.h"
#include "tests/support/property.h"

namespace tidings {
namespace {

std::string written(const JsonValue& value) {
    std::string out;
    append_json(out, value);
    return out;
}

std::string round_trip(std::string_view text) {
    const auto value = parse_json(text);
    INFO(text);
    REQUIRE(value.has_value());
    return written(*value);
}

bool refused(std::string_view text) {
    const auto value = parse_json(text);
    if (value.has_value()) return false;
    CHECK(value.error().code == ErrorCode::malformed);
    CHECK(value.error().detail.find("at byte") != std::string::npos);
    return true;
}

TEST_CASE("json keeps what was written") {
    CHECK(round_trip(R"({"b":1,"a":[true,false,null,"x"],"":{}})") ==
          R"({"b":1,"a":[true,false,null,"x"],"":{}})");
    for (const char* number : {"9999999999.999999", "0.1", "-0", "-0.0", "1e2", "1E-7", "1.50",
                               "123456789012345678901234567890", "18446744073709551616",
                               "-9223372036854775809", "0e0", "3.141592653589793238462643383279"}) {
        CHECK(round_trip(number) == number);
    }
    CHECK(round_trip(R"( "\u00e9\ud83d\ude00\/\n\"\\" )") == "\"é😀/\\n\\\"\\\\\"");
    CHECK(round_trip(" [ ] ") == "[]");
    const auto value = parse_json(R"({"a":{"b":2}})");
    REQUIRE(value->find("a") != nullptr);
    CHECK(value->find("a")->find("b")->text == "2");
    CHECK(value->find("c") == nullptr);
}

TEST_CASE("json refuses what RFC 8259 or we do not allow") {
    for (const char* text : {"",
                             " ",
                             "{",
                             "[1,]",
                             "{\"a\":1,}",
                             "{a:1}",
                             "'a'",
                             "01",
                             "+1",
                             "1.",
                             ".5",
                             "-",
                             "1e",
                             "NaN",
                             "Infinity",
                             "nul",
                             "tru",
                             "\"\n\"",
                             "\"\\x\"",
                             "\"",
                             "[1] 2",
                             "{} {}",
                             "// c\n1",
                             "[1]x",
                             "\xEF\xBB\xBF{}",
                             "{\"a\" 1}",
                             "[1 2]",
                             "\"\\u12\"",
                             "{\"a\":1 \"b\":2}"}) {
        INFO(text);
        CHECK(refused(text));
    }
    CHECK(refused(R"({"a":1,"b":2,"a":3})"));
    CHECK(refused(R"({"x":{"a":1,"\u0061":3}})"));
    CHECK(refused(R"("\u0000")"));
    CHECK(refused(R"({"a\u0000":1})"));
    CHECK(refused(std::string_view("\"\0\"", 3)));
    CHECK(refused(R"("\ud800")"));
    CHECK(refused(R"("\ud800x")"));
    CHECK(refused(R"("\udc00")"));
    CHECK(refused(R"("\ud800\ud800")"));
    for (const char* bytes :
         {"\"\x80\"", "\"\xC0\xA0\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE2\x82\"",
          "\"\xFF\"", "\"\xE0\x80\x80\""}) {
        CHECK(refused(bytes));
    }
}

TEST_CASE("json finds a repeated name among many") {
    std::string text = "{";
    for (int i = 0; i < 100; ++i) text += "\"k" + std::to_string(i) + "\":0,";
    CHECK(parse_json(text + "\"last\":1}").has_value());
    CHECK(refused(text + "\"k42\":1}"));
}

TEST_CASE("json nests to its limit and no deeper") {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(parse_json(nested(kJsonDepth)).has_value());
    CHECK(refused(nested(kJsonDepth + 1)));
    CHECK(refused(std::string(1'000'000, '[')));
}

TEST_CASE("a json error tells where") {
    CHECK(parse_json("[1, x]").error().detail.find("at byte 4") != std::string::npos);
    CHECK(parse_json("{} x").error().detail.find("at byte 3") != std::string::npos);
}

TEST_CASE("integers of json numbers") {
    CHECK(integer_of("0") == 0);
    CHECK(integer_of("-0") == 0);
    CHECK(integer_of("42") == 42);
    CHECK(integer_of("-42") == -42);
    CHECK(integer_of("1e2") == 100);
    CHECK(integer_of("1.50e2") == 150);
    CHECK(integer_of("100.000") == 100);
    CHECK(integer_of("100e-2") == 1);
    CHECK(integer_of("0e999999999999") == 0);
    CHECK(integer_of("999999999999999999") == 999999999999999999);
    for (const char* bad : {"0.5", "1e-1", "1e18", "1e999999999999", "1e-99999999999", "12.5e0",
                            "123456789012345678901234567890"}) {
        INFO(bad);
        CHECK_FALSE(integer_of(bad).has_value());
    }
}

JsonValue any_value(int depth) {
    JsonValue value;
    const int kind = *rc::gen::inRange(0, depth > 0 ? 6 : 4);
    value.kind = static_cast<JsonValue::Kind>(kind);
    const auto text = [] {
        std::string out;
        for (const char32_t c : *rc::gen::container<std::u32string>(rc::gen::elementOf(
                 std::u32string(U"a\"\\/\n\t\u0001\u007f\u00e9\u2028\uffff\U0001F600")))) {
            JsonValue unused;
            const auto append = [&out](char32_t byte) { out += static_cast<char>(byte); };
            if (c < 0x80) {
                append(c);
            } else if (c < 0x800) {
                append(0xC0 | c >> 6), append(0x80 | (c & 63));
            } else if (c < 0x10000) {
                append(0xE0 | c >> 12), append(0x80 | (c >> 6 & 63)), append(0x80 | (c & 63));
            } else {
                append(0xF0 | c >> 18), append(0x80 | (c >> 12 & 63));
                append(0x80 | (c >> 6 & 63)), append(0x80 | (c & 63));
            }
        }
        return out;
    };
    if (value.is_boolean()) value.truth = *rc::gen::arbitrary<bool>();
    if (value.is_string()) value.text = text();
    if (value.is_number()) {
        value.text = std::to_string(*rc::gen::arbitrary<std::int64_t>());
        if (*rc::gen::arbitrary<bool>())
            value.text += "." + std::to_string(*rc::gen::inRange(0, 999));
        if (*rc::gen::arbitrary<bool>())
            value.text += "e-" + std::to_string(*rc::gen::inRange(0, 99));
    }
    const int size = value.is_array() || value.is_object() ? *rc::gen::inRange(0, 5) : 0;
    for (int i = 0; i < size; ++i) {
        if (value.is_array()) {
            value.items.push_back(any_value(depth - 1));
        } else {
            value.members.push_back({std::to_string(i) + text(), any_value(depth - 1)});
        }
    }
    return value;
}

TEST_CASE("any json tree survives writing and reading") {
    CHECK_PROPERTY([] {
        const JsonValue value = any_value(4);
        const auto back = parse_json(written(value));
        RC_ASSERT(back.has_value());
        RC_ASSERT(*back == value);
    });
}

TEST_CASE("mutated json is parsed or refused, and what is parsed is well-formed") {
    CHECK_PROPERTY([] {
        std::string text = written(any_value(4));
        for (const int edits = *rc::gen::inRange(1, 5);
             int i : *rc::gen::container<std::vector<int>>(static_cast<std::size_t>(edits),
                                                           rc::gen::inRange(0, 1 << 20))) {
            const std::size_t at = text.empty() ? 0 : static_cast<std::size_t>(i) % text.size();
            if (i % 3 == 0 && !text.empty())
                text.erase(at, 1);
            else
                text.insert(at, 1, static_cast<char>(i >> 8));
        }
        const auto value = parse_json(text);
        if (value.has_error()) {
            RC_ASSERT(value.error().code == ErrorCode::malformed);
            return;
        }
        RC_ASSERT(valid_utf8(text));
        RC_ASSERT(*parse_json(written(*value)) == *value);
    });
}

TEST_CASE("json parsing speed", "[slow]") {
    const std::string line =
        R"({"id":"partner_1234567","email":"grace.hopper.1234567@navy.example","name":"Grace",)"
        R"("surname":"Hopper","status":"active","tags":["premium","integration","eu"],)"
        R"("joined_at":"2026-01-05T09:00:00.000Z","metrics":{"clicks":1234,"signups":56,"sales":7,)"
        R"("paid_accounts":3,"revenue":{"USD":"1234.567891"},"commission":{"USD":"99.99"}}})";
    const auto start = std::chrono::steady_clock::now();
    constexpr int kLines = 100'000;
    std::size_t members = 0;
    for (int i = 0; i < kLines; ++i) members += parse_json(line)->members.size();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    WARN("parse: " << seconds.count() / kLines * 1e6 << " us a line of " << line.size()
                   << " bytes");
    CHECK(members == kLines * 8U);
}

}  // namespace
}  // namespace tidings
