// What a send writes: beyond the row limit the same few rows, however many receive it.
#include "tests/projections/crowd.h"

namespace tidings {
namespace {

using testing::Crowd;
using testing::Written;

/// The partners 0 to `below` - 1.
Audience first(std::uint32_t below) {
    Audience audience;
    audience.type = Audience::Type::partners;
    for (std::uint32_t i = 0; i < below; ++i) {
        audience.partners.push_back({"partner-" + std::to_string(i)});
    }
    return audience;
}

Audience everyone_but(std::uint32_t ordinal) {
    Audience audience;
    audience.type = Audience::Type::filter;
    audience.filter.kind = Filter::Kind::all;
    audience.exclude.push_back({"partner-" + std::to_string(ordinal)});
    return audience;
}

Written written_by_send(Crowd& crowd, Audience audience, std::uint64_t recipients) {
    const Written before = crowd.written();
    const Outcome outcome = crowd.send(std::move(audience));
    REQUIRE(outcome.status == OutcomeStatus::applied);
    CHECK(crowd.models().stats(Crowd::program(), outcome.answer).recipients == recipients);
    return {crowd.written().rows - before.rows, crowd.written().bytes - before.bytes};
}

constexpr std::size_t kFewRows = 12;

/// Beside the few: the columns that count what each received, and the set itself
/// (docs/decisions/0003).
std::size_t chunks(std::uint32_t partners) {
    const auto of = [partners](std::uint32_t chunk) { return (partners + chunk - 1) / chunk; };
    return of(limits::kColumnChunk) + of(limits::kSetChunk);
}

TEST_CASE("a send to all writes as many rows for 20,000 as for one") {
    Crowd one(1), many(20'000);
    const Written alone = written_by_send(one, Audience(), 1);
    const Written wide = written_by_send(many, Audience(), 20'000);
    CHECK(alone.rows <= kFewRows);
    CHECK(wide.rows == alone.rows);
    CHECK(wide.bytes < alone.bytes + 100);  // a run of ordinals, however long
}

TEST_CASE("a wide send to some writes a row for thousands, not for each") {
    Crowd crowd(20'000);
    const Written wide = written_by_send(crowd, everyone_but(7), 19'999);
    CHECK(wide.rows <= kFewRows + chunks(20'000));
    CHECK(wide.bytes < 2 * 20'000 + 1'000);  // an index in its column for each
}

TEST_CASE("a small send writes one row for each recipient at most, and up to the limit only") {
    Crowd crowd(limits::kRowLimit + 10);
    const Written one = written_by_send(crowd, first(1), 1);
    CHECK(one.rows <= kFewRows + 1);
    const Written most = written_by_send(crowd, first(limits::kRowLimit), limits::kRowLimit);
    CHECK(most.rows >= limits::kRowLimit);
    CHECK(most.rows <= limits::kRowLimit + kFewRows);
    const std::uint32_t above = limits::kRowLimit + 1;
    CHECK(written_by_send(crowd, first(above), above).rows <= kFewRows + chunks(above));
}

TEST_CASE("sends to 250,000 write few rows", "[slow]") {
    Crowd crowd(250'000);
    const Written all = written_by_send(crowd, Audience(), 250'000);
    CHECK(all.rows <= kFewRows);
    CHECK(all.bytes < 2'000);
    const Written most = written_by_send(crowd, everyone_but(99'999), 249'999);
    CHECK(most.rows <= kFewRows + chunks(250'000));
    CHECK(most.bytes < 2 * 250'000 + 2'000);
}

}  // namespace
}  // namespace tidings
