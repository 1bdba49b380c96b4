// Random histories, decided by the product over its real read models: the oracle must agree with
// every outcome, and with every answer at the end.
#include "tests/simulation/compare.h"
#include "tests/support/catch.h"
#include "tests/support/memory_commands.h"
#include "tests/support/temporary_directory.h"

namespace tidings::simulation {
namespace {

using testing::Random;

/// What the generator of commands leaves out: expectations, read marks of single posts, amounts at
/// the bounds, shapes that no ingress makes.
class Variation {
public:
    explicit Variation(std::uint64_t seed) : random_(seed) {}

    void operator()(Command& command, const Oracle& oracle) {
        const auto found = oracle.programs().find(command.program);
        if (found == oracle.programs().end()) return;
        program_ = &found->second;
        std::visit([&](auto& body) { vary(body, command); }, command.body);
    }

private:
    void vary(SendMessage& send, Command&) {
        if (random_.one_in(25)) {
            send.audience.type = Audience::Type::filter;
            send.audience.filter = odd_filter();
        }
        if (!random_.one_in(3)) return;
        const Selected selected = select(*program_, send.audience);
        send.expect_digest = digest_of(selected.partners);
        if (random_.one_in(4)) send.expect_digest->bytes[0] ^= 1;
    }
    Filter odd_filter() {
        Filter out;
        if (random_.one_in(3)) out.kind = Filter::Kind::negation;  // of nothing
        for (std::uint64_t depth = random_.below(20); depth > 0; --depth) {
            Filter outer;
            outer.kind = random_.one_in(2) ? Filter::Kind::negation : Filter::Kind::any;
            outer.children.push_back(std::move(out));
            out = std::move(outer);
        }
        return out;
    }

    void vary(RecordOpens& opens, Command& command) {
        if (opens.groups.empty()) return;
        if (random_.one_in(40)) opens.groups.push_back(opens.groups.back());
        if (random_.one_in(40)) opens.groups.front().at.push_back(command.time);
        if (!random_.one_in(2)) return;
        // One partner in its portal, often in a conversation that has posts.
        opens.groups.resize(1);
        RecordOpens::Group& group = opens.groups.front();
        const std::uint32_t partner = group.partners.minimum();
        group = {group.message, {}, {}};
        group.partners.add(partner);
        command.actor = {Role::partner, std::to_string(partner), "Partner"};
        std::vector<std::pair<EventNumber, PartnerOrdinal>> talks;
        for (const auto& [number, message] : program_->messages) {
            for (const auto& [one, talk] : message.conversations) talks.emplace_back(number, one);
        }
        if (talks.empty() || random_.one_in(4)) return;
        const auto [number, one] = talks[random_.below(talks.size())];
        group.message = number;
        group.partners = {};
        group.partners.add(one.value);
        const auto& posts = program_->messages.at(number).conversation(one).posts;
        opens.up_to = posts[random_.below(posts.size())].number;
        if (random_.one_in(8)) ++opens.up_to.value;
    }

    void vary(UpsertPartners& upsert, Command&) {
        for (PartnerPatch& patch : upsert.partners) {
            patch.clear_revenue = random_.one_in(8);
            patch.clear_commission = random_.one_in(8);
            if (random_.one_in(10)) patch.metrics.signups = random_.below(3);
            if (random_.one_in(40)) patch.metrics.clicks = limits::kCounterMax - random_.below(2);
            if (random_.one_in(60)) patch.metrics.clicks = limits::kCounterMax + 1;
            if (random_.one_in(60)) patch.metrics.revenue["USD"] = huge();
            if (!random_.one_in(60)) continue;
            for (std::size_t i = random_.below(2); i < limits::kCurrencies; ++i) {
                patch.metrics.commission["C" + std::to_string(i)] = 1;
            }
        }
    }
    void vary(AdjustMetrics& adjust, Command&) {
        if (random_.one_in(20)) adjust.clicks = static_cast<std::int64_t>(limits::kCounterMax);
        if (random_.one_in(20)) adjust.signups = std::numeric_limits<std::int64_t>::min();
        if (random_.one_in(20)) adjust.revenue["USD"] = huge();
        if (random_.one_in(20)) adjust.commission["C40"] = 0;
    }
    void vary(RecordTransaction& record, Command&) {
        if (random_.one_in(30)) record.revenue["USD"] = huge();
    }
    template <class Body>
    void vary(Body&, Command&) {}

    std::int64_t huge() {
        return random_.one_in(2) ? std::numeric_limits<std::int64_t>::max() - 1
                                 : std::numeric_limits<std::int64_t>::min() + 1;
    }

    Random random_;
    const Program* program_ = nullptr;
};

/// The product, one command a time, with an oracle that listens.
class Pair {
public:
    Pair() {
        ModelsOptions options;
        options.directory = directory_.path();
        options.row_memory = make_row_memory(1 << 20);  // small: rows are read from the store too
        Result<std::unique_ptr<Models>> models = Models::open(options);
        REQUIRE(models.has_value());
        models_ = std::move(*models);
    }
    const Outcome& run(const Command& command) {
        outcome_ = decide(models_->facts(), command);
        models_->fold(outcome_);
        const std::string wrong = oracle_.apply(command, outcome_);
        if (!wrong.empty()) FAIL_CHECK(wrong);
        return outcome_;
    }
    void publish() {
        Tip tip;
        tip.sequence = {models_->tip().sequence.value + 1};
        REQUIRE(models_->publish(tip, {}).has_value());
    }
    std::vector<std::string> differences(Depth depth) { return compare(*models_, oracle_, depth); }
    const Oracle& oracle() const { return oracle_; }
    const Models& models() const { return *models_; }
    const Facts& facts() const { return models_->facts(); }

private:
    testing::TemporaryDirectory directory_;
    std::unique_ptr<Models> models_;
    Oracle oracle_;
    Outcome outcome_;
};

void run_history(std::uint64_t seed, int commands) {
    INFO("seed " << seed);
    Pair pair;
    testing::MemoryState names;  // only tells the generator which messages there are
    const auto few = testing::CommandGenerator::Names{1, 5, 3};
    const auto many = testing::CommandGenerator::Names{2, 30, 12};
    testing::CommandGenerator generator(seed, seed % 2 == 0 ? few : many);
    Variation vary(seed);
    for (int i = 0; i < commands; ++i) {
        INFO("command " << i);
        Command command = generator.next(names);
        vary(command, pair.oracle());
        testing::fold(names, pair.run(command));
        if (i % 100 != 99) continue;
        CHECK(compare_facts(pair.facts(), pair.oracle()) == std::vector<std::string>{});
        pair.publish();
        CHECK(pair.differences(Depth::quick) == std::vector<std::string>{});
    }
    pair.publish();
    CHECK(pair.differences(Depth::full) == std::vector<std::string>{});
}

}  // namespace

TEST_CASE("oracle: agrees with random histories") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) run_history(seed, 500);
}

TEST_CASE("oracle: agrees with many random histories", "[slow]") {
    for (std::uint64_t seed = 100; seed < 400; ++seed) run_history(seed, 700);
}

TEST_CASE("oracle: keys are remembered as long as promised, not for ever") {
    Pair pair;
    Command command;
    command.program = {"acme"};
    command.body = UpsertProgram{"Acme", Plan::partner};
    pair.run(command);
    command.body = SetWebhookSecret{"x"};
    command.remember = true;
    const auto nth = [&command](std::size_t number) {
        command.id = CommandId::from(sha256(std::to_string(number)).view().substr(0, 16));
        return command;
    };
    // Twice what must be kept by number, over twice what must be kept by time.
    const std::size_t count = 2 * limits::kIdempotencyMinimum + 2;
    const std::int64_t step = 2 * limits::kIdempotencyMs / static_cast<std::int64_t>(count) + 1;
    for (std::size_t i = 0; i < count; ++i) {
        command.time = {static_cast<std::int64_t>(i) * step};
        pair.run(nth(i));
    }
    CHECK(pair.run(nth(0)).status == OutcomeStatus::applied);
    for (std::size_t i = count - limits::kIdempotencyMinimum / 2; i < count; ++i) {
        CHECK(pair.run(nth(i)).status == OutcomeStatus::replayed);
    }
}

TEST_CASE("oracle: tells every changed outcome of a random history") {
    Pair pair;
    testing::MemoryState names;
    testing::CommandGenerator generator(11, {2, 12, 6});
    Random random(12);
    for (int i = 0; i < 400; ++i) {
        const Command command = generator.next(names);
        const Outcome outcome = decide(pair.facts(), command);
        Outcome wrong = outcome;
        switch (random.below(8)) {
            case 0:
                ++wrong.answer.value;
                break;
            case 1:
                ++wrong.created;
                break;
            case 2:
                ++wrong.first_opens;
                break;
            case 3:
                ++wrong.time.value;
                break;
            case 4:
                wrong.rejected.push_back({});
                break;
            case 5:
                ++wrong.first_event.value;
                break;
            case 6:
                wrong.refusal = wrong.refusal ? std::nullopt : std::optional(Refusal{});
                break;
            default:
                wrong.status = static_cast<OutcomeStatus>((static_cast<int>(wrong.status) + 1) % 4);
        }
        Oracle deceived = pair.oracle();
        CHECK(deceived.apply(command, wrong) != "");
        testing::fold(names, pair.run(command));
    }
}

TEST_CASE("compare: tells every kind of difference") {
    Pair pair;
    testing::MemoryState names;
    testing::CommandGenerator generator(5, {1, 12, 6});
    for (int i = 0; i < 300; ++i) testing::fold(names, pair.run(generator.next(names)));
    pair.publish();
    REQUIRE(pair.differences(Depth::full).empty());
    // An oracle that knows one event more: whatever the event, something differs.
    std::size_t visible = 0;
    for (int i = 0; i < 300; ++i) {
        const Command command = generator.next(names);
        Oracle ahead = pair.oracle();
        const Outcome outcome = decide(pair.facts(), command);
        REQUIRE(ahead.apply(command, outcome) == "");
        if (outcome.status != OutcomeStatus::applied) continue;
        CHECK_FALSE(compare_facts(pair.facts(), ahead).empty());
        // The same secret again, customers, and what is held stand behind the answers.
        const Event& event = outcome.events.front();
        if (std::holds_alternative<WebhookSecretSet>(event)) continue;
        if (std::holds_alternative<UpstreamFactsChanged>(event)) continue;
        ++visible;
        CHECK_FALSE(compare(pair.models(), ahead, Depth::full).empty());
    }
    CHECK(visible > 50);
}

}  // namespace tidings::simulation
