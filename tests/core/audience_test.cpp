// Who an audience selects.
#include "core/limits.h"
#include "tests/core/scenario.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

Filter tag(const std::string& name) {
    Filter out;
    out.kind = Filter::Kind::tag;
    out.tag = name;
    return out;
}
Filter metric(Metric metric, Comparison op, std::int64_t value, const std::string& currency = "") {
    Filter out;
    out.kind = Filter::Kind::metric;
    out.metric = metric;
    out.op = op;
    out.value = value;
    out.currency = currency;
    return out;
}
Filter joined(Filter::Kind kind, std::int64_t ms) {
    Filter out;
    out.kind = kind;
    out.joined = Timestamp{ms};
    return out;
}
Filter engagement(Engagement engagement, EventNumber message) {
    Filter out;
    out.kind = Filter::Kind::engagement;
    out.engagement = engagement;
    out.message = message;
    return out;
}
Filter tree(Filter::Kind kind, std::vector<Filter> children) {
    Filter out;
    out.kind = kind;
    out.children = std::move(children);
    return out;
}
Filter all(std::vector<Filter> children) { return tree(Filter::Kind::all, std::move(children)); }
Filter any(std::vector<Filter> children) { return tree(Filter::Kind::any, std::move(children)); }
Filter negation(Filter child) { return tree(Filter::Kind::negation, {std::move(child)}); }

Audience filtered(Filter filter) {
    Audience out;
    out.type = Audience::Type::filter;
    out.filter = std::move(filter);
    return out;
}

/// p0 {premium}, p1 {premium, new}, p2 {new}, p3 {} active; p4 {premium} archived.
struct Program : Scenario {
    Program() : Scenario(Plan::partner) {
        const std::vector<std::vector<std::string>> tags{
            {"premium"}, {"new", "premium"}, {"new"}, {}, {"premium"}};
        UpsertPartners upsert;
        for (std::size_t i = 0; i < tags.size(); ++i) {
            PartnerPatch one = patch("p" + std::to_string(i));
            one.tags = tags[i];
            one.joined_at = Timestamp{static_cast<std::int64_t>(100 * i)};
            one.metrics.clicks = 10 * i;
            if (i % 2 == 1) {
                one.metrics.revenue["USD"] = static_cast<std::int64_t>(1'000'000 * i);
            }
            upsert.partners.push_back(std::move(one));
        }
        upsert.partners[4].status = PartnerStatus::archived;
        given(upsert);
    }
    Bitmap select(Filter filter) const { return resolve(filtered(std::move(filter))).recipients; }
    ResolvedAudience resolve(const Audience& audience) const {
        return resolve_audience(facts(), kProgram, audience);
    }
};

}  // namespace

TEST_CASE("every kind of audience selects active partners only") {
    const Program program;
    CHECK(program.resolve({}).recipients == set_of({0, 1, 2, 3}));
    CHECK(program.select(tag("premium")) == set_of({0, 1}));
    Audience named;
    named.type = Audience::Type::partners;
    named.partners = {{"p2"}, {"p0"}, {"p2"}};
    CHECK(program.resolve(named).recipients == set_of({0, 2}));
    named.partners.push_back({"p4"});
    CHECK(program.resolve(named).refusal->pointer == "/audience/partners/3");
    CHECK(program.resolve(named).refusal->code == ErrorCode::unknown_partner);
}

TEST_CASE("filters are boolean trees") {
    Program program;
    CHECK(program.select(all({})) == set_of({0, 1, 2, 3}));
    CHECK(program.select(any({})) == Bitmap());
    CHECK(program.select(all({tag("premium"), tag("new")})) == set_of({1}));
    CHECK(program.select(any({tag("premium"), tag("new")})) == set_of({0, 1, 2}));
    CHECK(program.select(negation(tag("premium"))) == set_of({2, 3}));
    CHECK(program.select(negation(any({tag("premium"), tag("new")}))) == set_of({3}));
    CHECK(program.select(any({tag("new"), negation(tag("new"))})) == set_of({0, 1, 2, 3}));
    CHECK(program.select(tag("unheard of")) == Bitmap());

    CHECK(program.select(metric(Metric::clicks, Comparison::greater_equal, 20)) == set_of({2, 3}));
    CHECK(program.select(metric(Metric::clicks, Comparison::not_equal, 0)) == set_of({1, 2, 3}));
    CHECK(program.select(metric(Metric::revenue, Comparison::greater, 1'000'000, "USD")) ==
          set_of({3}));
    CHECK(program.select(metric(Metric::revenue, Comparison::less, 1, "USD")) == set_of({0, 2}));
    CHECK(program.select(metric(Metric::revenue, Comparison::equal, 0, "EUR")) ==
          set_of({0, 1, 2, 3}));
    CHECK(program.select(joined(Filter::Kind::joined_before, 200)) == set_of({0, 1}));
    CHECK(program.select(joined(Filter::Kind::joined_after, 200)) == set_of({3}));
}

TEST_CASE("engagement is of that message's recipients") {
    Program program;
    const EventNumber message =
        program.given_message(true, filtered(any({tag("premium"), tag("new")})));
    program.given(opens_of(message, {0}));
    program.as(partner_actor("p2")).given(PostReply{message, {2}, "Hi"});
    program.as(kPlatform);
    CHECK(program.select(engagement(Engagement::opened, message)) == set_of({0, 2}));
    CHECK(program.select(engagement(Engagement::not_opened, message)) == set_of({1}));
    CHECK(program.select(engagement(Engagement::replied, message)) == set_of({2}));
    CHECK(program.select(negation(engagement(Engagement::opened, message))) == set_of({1, 3}));
    // An owner's post is no reply.
    program.as(kOwner).given(PostReply{message, {1}, "Hello?"});
    CHECK(program.select(engagement(Engagement::replied, message)) == set_of({2}));
}

TEST_CASE("exclusions may name anyone") {
    const Program program;
    Audience audience = filtered(all({}));
    audience.exclude = {{"p1"}, {"p4"}, {"nobody"}, {"p1"}};
    CHECK(program.resolve(audience).recipients == set_of({0, 2, 3}));
}

TEST_CASE("a filter's message must exist, wherever it stands") {
    const Program program;
    const Filter bad = engagement(Engagement::opened, EventNumber{1});  // the program's creation
    const auto pointer = [&program](Filter filter) {
        const ResolvedAudience resolved = program.resolve(filtered(std::move(filter)));
        REQUIRE(resolved.refusal);
        CHECK(resolved.refusal->code == ErrorCode::invalid);
        return resolved.refusal->pointer;
    };
    CHECK(pointer(bad) == "/audience/filter/message");
    // Not even behind what selects no one.
    CHECK(pointer(all({any({}), negation(bad)})) == "/audience/filter/all/1/not/message");
    CHECK(pointer(any({all({}), bad})) == "/audience/filter/any/1/message");
}

TEST_CASE("a filter of a shape that no ingress makes is refused") {
    const Program program;
    CHECK(program.resolve(filtered(tree(Filter::Kind::negation, {}))).refusal);
    Filter deep = tag("new");
    for (std::size_t i = 1; i < limits::kFilterDepth; ++i) deep = negation(std::move(deep));
    CHECK_FALSE(program.resolve(filtered(deep)).refusal);
    CHECK(program.resolve(filtered(negation(deep))).refusal);
}
