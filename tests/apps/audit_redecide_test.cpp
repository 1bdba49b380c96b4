// `audit redecide`: nothing differs on a random history; what was planted does, with its fields.
#include "apps/audit_redecide.h"

#include "tests/apps/audit_world.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {
namespace {

struct Found {
    std::uint64_t count = 0;
    std::vector<Difference> kept;
    PartitionAudit audit;
};

Found redecide(AuditWorld& world, std::size_t most = 20) {
    const tidings::testing::TemporaryDirectory directory;
    ModelsOptions options;
    options.directory = directory.path() / "p0";
    const auto models = Models::open(options);
    REQUIRE(models.has_value());
    Redecision redecision(world, world.codec, *world.end_of_commits(), **models, most);
    while (true) {
        const Result<bool> more = redecision.step();
        INFO((more ? "" : more.error().detail));
        REQUIRE(more.has_value());
        if (!*more) break;
    }
    return {redecision.count(), redecision.kept(), redecision.audit()};
}

TEST_CASE("a random history is decided alike") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        AuditWorld world(true);
        world.play(seed, 150);
        const Found found = redecide(world);
        INFO((found.kept.empty() ? "" : found.kept[0].kind + " " + found.kept[0].fields[0]));
        CHECK(found.count == 0);
        CHECK(!found.audit.fault);
        CHECK(found.audit.commands == world.store.commands.size());
    }
}

/// The first commit and outcome of which `wanted` is true.
template <class Wanted>
std::pair<std::size_t, std::size_t> find(const AuditWorld& world, Wanted wanted) {
    for (std::size_t at = 1; at < world.store.commits.size(); ++at) {
        const std::vector<Outcome> outcomes = world.outcomes(at);
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            if (wanted(outcomes[i])) return {at, i};
        }
    }
    FAIL("the history has none");
    return {};
}

TEST_CASE("planted differences are found, in an unbroken chain") {
    AuditWorld world(true);
    world.play(5, 150);
    const auto [sent_at, sent] = find(world, [](const Outcome& outcome) {
        return !outcome.events.empty() && std::holds_alternative<MessageSent>(outcome.events[0]);
    });
    std::vector<Outcome> changed = world.outcomes(sent_at);
    std::get<MessageSent>(changed[sent].events[0]).subject = "forged";
    world.rewrite(sent_at, changed);
    const auto [refused_at, refused] = find(world, [](const Outcome& outcome) {
        return outcome.refusal && outcome.refusal->code != ErrorCode::malformed;
    });
    changed = world.outcomes(refused_at);
    changed[refused].refusal->detail = "no";
    world.rewrite(refused_at, changed);
    REQUIRE(!world.verify().fault);

    const Found found = redecide(world);
    REQUIRE(found.count == 2);
    REQUIRE(found.kept.size() == 2);
    const bool sent_first = sent_at <= refused_at;
    const Difference& message = found.kept[sent_first ? 0 : 1];
    CHECK(message.commit.value == sent_at);
    CHECK(message.command.value == world.envelope(sent_at).first.value + sent);
    CHECK(message.kind == "SendMessage");
    REQUIRE(message.fields.size() == 1);
    CHECK(message.fields[0].find("events[0]") == 0);
    CHECK(message.fields[0].find("subject: \"forged\" -> \"") != std::string::npos);
    const Difference& refusal = found.kept[sent_first ? 1 : 0];
    CHECK(refusal.commit.value == refused_at);
    REQUIRE(refusal.fields.size() == 1);
    CHECK(refusal.fields[0].find("refusal.detail: \"no\" -> \"") == 0);

    const Found one = redecide(world, 1);  // all are counted
    CHECK(one.count == 2);
    CHECK(one.kept.size() == 1);
}

TEST_CASE("it stops where the log is not sound") {
    AuditWorld world(true);
    world.play(6, 20);
    world.store.commits[9][130] ^= 1;
    const Found found = redecide(world);
    REQUIRE(found.audit.fault.has_value());
    CHECK(found.audit.fault->position.value == 9);
    CHECK(found.audit.commits == 8);
}

}  // namespace
}  // namespace tidings::apps
