// Why an audience selects a partner: the same answer as the bitmaps give, node by node.
#include "core/explain.h"

#include "tests/core/scenario.h"
#include "tests/support/memory_commands.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

/// A filter's own verdict must be what the filter alone selects.
void check_nodes(const Facts& facts, const ProgramId& program, const Filter& filter,
                 const FilterVerdict& verdict, const PartnerState& partner) {
    Audience alone;
    alone.type = Audience::Type::filter;
    alone.filter = filter;
    if (partner.status == PartnerStatus::active) {
        const ResolvedAudience resolved = resolve_audience(facts, program, alone);
        REQUIRE_FALSE(resolved.refusal.has_value());
        REQUIRE(resolved.recipients.contains(partner.ordinal.value) == verdict.holds);
    }
    REQUIRE(filter.children.size() == verdict.children.size());
    for (std::size_t i = 0; i < filter.children.size(); ++i) {
        check_nodes(facts, program, filter.children[i], verdict.children[i], partner);
    }
}

}  // namespace

TEST_CASE("explaining a random audience says what resolving it selects") {
    std::size_t selected = 0, left_out = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CommandGenerator generator(seed);
        MemoryState state;
        const MemoryFacts facts(state);
        for (int i = 0; i < 300; ++i) {
            const Command command = generator.next(state);
            const auto* send = std::get_if<SendMessage>(&command.body);
            if (send != nullptr && state.programs.contains(command.program)) {
                const auto resolved = resolve_audience(facts, command.program, send->audience);
                for (std::uint64_t p = 0; p < 12 && !resolved.refusal; ++p) {
                    const PartnerId id = CommandGenerator::partner(p);
                    const Selection why = explain(facts, command.program, send->audience, id);
                    const bool expected =
                        why.partner && resolved.recipients.contains(why.partner->ordinal.value);
                    REQUIRE(why.selected == expected);
                    ++(expected ? selected : left_out);
                    if (why.filter) {
                        check_nodes(facts, command.program, send->audience.filter, *why.filter,
                                    *why.partner);
                    }
                }
            }
            fold(state, decide(facts, command));
        }
    }
    CHECK(selected > 100);
    CHECK(left_out > 100);
}

TEST_CASE("every reason has its word") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(3);
    const auto reason = [&](const Audience& audience, const char* partner) {
        return std::string(
            name_of(explain(scenario.facts(), kProgram, audience, PartnerId{partner}).reason));
    };
    CHECK(reason({}, "p0") == "everyone");
    CHECK(reason({}, "nobody") == "not_known");
    Audience named;
    named.type = Audience::Type::partners;
    named.partners = {{"p1"}};
    CHECK(reason(named, "p1") == "named");
    CHECK(reason(named, "p0") == "not_named");
    Audience filtered;
    filtered.type = Audience::Type::filter;
    filtered.exclude = {{"p2"}};
    CHECK(reason(filtered, "p0") == "matched");
    CHECK(reason(filtered, "p2") == "excluded");
    filtered.filter.kind = Filter::Kind::tag;
    filtered.filter.tag = "premium";
    CHECK(reason(filtered, "p0") == "not_matched");
    UpsertPartners archive;
    archive.partners.push_back(patch("p0"));
    archive.partners.back().status = PartnerStatus::archived;
    scenario.given(archive);
    CHECK(reason({}, "p0") == "not_active");
}

TEST_CASE("a message's standing with a partner") {
    Scenario scenario(Plan::partner);
    scenario.given_partners(3);
    Audience named;
    named.type = Audience::Type::partners;
    named.partners = {{"p0"}, {"p1"}};
    const EventNumber message = scenario.given_message(true, named);
    scenario.given(opens_of(message, {0}));
    Audience opened;
    opened.type = Audience::Type::filter;
    opened.filter.kind = Filter::Kind::engagement;
    opened.filter.engagement = Engagement::opened;
    opened.filter.message = message;
    const auto standing = [&](const char* partner) {
        return explain(scenario.facts(), kProgram, opened, PartnerId{partner}).filter->standing;
    };
    CHECK(standing("p0") == Standing::opened);
    CHECK(standing("p1") == Standing::unopened);
    CHECK(standing("p2") == Standing::not_received);
}
