#include "projections/cursor.h"
#include "projections/rows.h"
#include "projections/search.h"
#include "tests/support/property.h"

namespace tidings {
namespace {

TEST_CASE("a cursor comes back as it was made, for its own list only") {
    CHECK_PROPERTY([](const std::vector<std::uint64_t>& numbers, const std::string& list,
                      const std::string& text) {
        const std::string cursor = make_cursor('p', list, numbers, text);
        const auto parsed = parse_cursor('p', list, cursor, numbers.size());
        RC_ASSERT(parsed.has_value());
        RC_ASSERT(parsed->numbers == numbers);
        RC_ASSERT(parsed->text == text);
        RC_ASSERT(!parse_cursor('q', list, cursor, numbers.size()));
        RC_ASSERT(!parse_cursor('p', list + "x", cursor, numbers.size()));
    });
}

TEST_CASE("an altered cursor is refused") {
    const std::string cursor = make_cursor('p', "list", {17, 4'000'000'000});
    for (std::size_t i = 0; i < cursor.size(); ++i) {
        for (const char other : {'A', '_', '0', '*', ' '}) {
            if (cursor[i] == other) continue;
            std::string altered = cursor;
            altered[i] = other;
            INFO(altered);
            const auto parsed = parse_cursor('p', "list", altered, 2);
            REQUIRE(!parsed);
            CHECK(parsed.error().fields.at(0).pointer == "/cursor");
        }
        CHECK(!parse_cursor('p', "list", cursor.substr(0, i), 2));
    }
    CHECK(!parse_cursor('p', "list", cursor + "A", 2));
}

TEST_CASE("search folds case beyond ASCII") {
    CHECK(fold_text("ZOË Ząbek") == fold_text("zoë ZĄBEK"));
    CHECK(fold_text("Straße") == fold_text("STRASSE"));
    CHECK(fold_text("Grace@Hopper.Example") == "grace@hopper.example");
    PartnerTexts partner;
    partner.name = "Zoë";
    partner.surname = "Ząbek";
    partner.email = "zoe@łódź.example";
    CHECK(Search("ZOË").matches(partner));
    CHECK(Search("zoë zą").matches(partner));
    CHECK(Search("ŁÓDŹ").matches(partner));
    CHECK(!Search("zabek").matches(partner));
    CHECK(!Search("bekzoe").matches(partner));
}

TEST_CASE("a preview is one line of at most 140 code points") {
    CHECK(make_preview("  Hello\n\n  world \t! ") == "Hello world !");
    CHECK(make_preview(std::string(500, 'x')) == std::string(140, 'x'));
    std::string wide;
    for (int i = 0; i < 200; ++i) wide += "ż";
    CHECK(make_preview(wide).size() == 280);
    CHECK(make_preview("").empty());
}

}  // namespace
}  // namespace tidings
