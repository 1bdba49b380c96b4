#include "connectors/http/handlers_lines.h"

#include <boost/json/parse.hpp>

#include "tests/support/property.h"

namespace tidings::http {
namespace {

struct Seen {
    std::uint64_t number;
    std::string text;
    bool too_long;
    bool operator==(const Seen&) const = default;
};

std::vector<Seen> split(const std::string& text, std::size_t max, std::size_t piece) {
    LineSplitter splitter(max);
    std::vector<Seen> seen;
    const auto take = [&] {
        while (const auto line = splitter.next()) {
            seen.push_back({line->number, std::string(line->text), line->too_long});
        }
        CHECK(splitter.buffered() <= max);
    };
    for (std::size_t at = 0; at < text.size(); at += piece) {
        splitter.feed(text.substr(at, piece));
        take();
    }
    splitter.feed({});
    splitter.finish();
    take();
    return seen;
}

/// The same, the plain way.
std::vector<Seen> expected(const std::string& text, std::size_t max) {
    std::vector<Seen> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string line = text.substr(at, end - at);
        const bool too_long = line.size() > max;
        lines.push_back({lines.size() + 1, too_long ? "" : line, too_long});
        at = end + 1;
    }
    return lines;
}

}  // namespace

TEST_CASE("lines are the same however the stream was cut") {
    CHECK_PROPERTY([] {
        const auto pieces =
            *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
                "a", "bc", "\n", "\r\n", "{\"x\":1}", "0123456789012345678901234567890"));
        std::string text;
        for (const std::string& piece : pieces) text += piece;
        const auto max = *rc::gen::inRange<std::size_t>(1, 40);
        const auto piece = *rc::gen::inRange<std::size_t>(1, 20);
        RC_ASSERT(split(text, max, piece) == expected(text, max));
    });
}

TEST_CASE("a line that is exactly as long as allowed is kept, one byte more is not") {
    for (const std::size_t piece : {1, 3, 100}) {
        const auto seen = split("12345\n123456\n\n1", 5, piece);
        REQUIRE(seen.size() == 4);
        CHECK(seen[0] == Seen{1, "12345", false});
        CHECK(seen[1] == Seen{2, "", true});
        CHECK(seen[2] == Seen{3, "", false});
        CHECK(seen[3] == Seen{4, "1", false});
    }
}

TEST_CASE("blank lines are spaces, tabs and carriage returns") {
    CHECK(is_blank_line(""));
    CHECK(is_blank_line(" \t\r"));
    CHECK_FALSE(is_blank_line(" {"));
}

TEST_CASE("rejected lines come in order, bounded in number and length") {
    RejectedLines rejected(2);
    rejected.add(9, "invalid", std::string(300, 'x') + "é");
    rejected.add(3, "malformed", "short");
    rejected.add(1, "malformed", "one too many");
    std::string out = "{";
    rejected.append_members(out);
    const auto json = boost::json::parse(out + "}");
    const auto& list = json.at("rejected").as_array();
    REQUIRE(list.size() == 2);
    CHECK(list[0].at("line") == 3);
    CHECK(list[1].at("line") == 9);
    CHECK(list[1].at("detail").as_string().size() <= RejectedLines::kDetailBytes + 3);
    CHECK(json.at("rejected_total") == 3);
}

TEST_CASE("nothing rejected is an empty list and no total") {
    RejectedLines rejected(2);
    std::string out;
    rejected.append_members(out);
    CHECK(out == R"("rejected":[])");
}

}  // namespace tidings::http
