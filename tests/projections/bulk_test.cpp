// Read models that are written in bulk, and the search's grams: many partners and events folded
// together are the same as one by one.
#include <set>

#include "projections/models.h"
#include "projections/search.h"
#include "tests/support/catch.h"
#include "tests/support/memory_commands.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

using testing::Random;

const ProgramId kBulkProgram{"acme"};

std::unique_ptr<Models> open_models(const std::filesystem::path& directory, bool bulk) {
    ModelsOptions options;
    options.directory = directory;
    options.bulk = bulk;
    auto models = Models::open(options);
    REQUIRE(models.has_value());
    return std::move(*models);
}

/// Decides on read models that publish every outcome; keeps all of these.
class History {
public:
    explicit History(const std::filesystem::path& directory)
        : models_(open_models(directory, false)) {
        run(UpsertProgram{"Acme", Plan::advanced});
    }

    Outcome run(CommandBody body) {
        Command command;
        command.program = kBulkProgram;
        command.actor = {Role::platform, "someone", "Someone"};
        command.time = {1'700'000'000'000 + static_cast<std::int64_t>(outcomes_.size()) * 1'000};
        command.body = std::move(body);
        outcomes_.push_back(decide(models_->facts(), command));
        models_->fold(outcomes_.back());
        REQUIRE(models_->publish(tip(outcomes_.size()), {}).has_value());
        return outcomes_.back();
    }

    static Tip tip(std::uint64_t sequence) {
        Tip tip;
        tip.sequence = {sequence};
        tip.next_record = {sequence + 1};
        return tip;
    }
    const std::vector<Outcome>& outcomes() const { return outcomes_; }
    const Models& models() const { return *models_; }

private:
    std::unique_ptr<Models> models_;
    std::vector<Outcome> outcomes_;
};

void check_equal(const Models& models, const Models& expected) {
    CHECK(models.program_digests() == expected.program_digests());
    const std::vector<std::string> wrong = models.check();
    for (const std::string& what : wrong) UNSCOPED_INFO(what);
    CHECK(wrong.empty());
}

/// A few letters, so that grams are shared; some of two bytes.
std::string random_word(Random& random, std::uint32_t longest) {
    static constexpr const char* kLetters[] = {"a", "B", "c", "é", "-"};
    std::string out;
    for (std::uint32_t n = random.below(longest + 1); n > 0; --n) out += kLetters[random.below(5)];
    return out;
}

PartnerPatch random_patch(Random& random, std::uint32_t number) {
    PartnerPatch patch;
    patch.id = {"p" + std::to_string(number)};
    patch.email = random_word(random, 4) + "@" + random_word(random, 3);
    patch.name = random_word(random, 3);
    patch.surname = random_word(random, 2);
    patch.tags = {{"tag" + std::to_string(random.below(3))}};
    patch.metrics.clicks = random.below(5);
    patch.metrics.revenue["EUR"] = random.below(3);
    if (random.one_in(10)) patch.status = PartnerStatus::archived;
    return patch;
}

/// Every text of up to three letters must find exactly those in whose texts it stands.
void check_searches(const Models& models, std::uint32_t partners) {
    std::vector<std::string> texts;
    for (std::uint32_t i = 0; i < partners; ++i) {
        const PartnerPtr partner = models.partner(kBulkProgram, {"p" + std::to_string(i)});
        REQUIRE(partner != nullptr);
        texts.push_back(search_text(models.texts(kBulkProgram).show(*partner)));
    }
    std::set<std::string> queries;
    for (const std::string& text : texts) {
        for (std::size_t at = 0; at < text.size(); ++at) {
            for (std::size_t size = 1; size <= 3; ++size) queries.insert(text.substr(at, size));
        }
    }
    for (const char* absent : {"x", "ax", "aax", "éx"}) queries.insert(absent);
    for (const std::string& query : queries) {
        if (query.find('\n') != std::string::npos) continue;
        if ((query[0] & 0xc0) == 0x80) continue;  // half a letter is no text
        std::set<std::string> expected, found;
        for (std::uint32_t i = 0; i < partners; ++i) {
            if (texts[i].find(query) != std::string::npos) expected.insert("p" + std::to_string(i));
        }
        PartnerQuery ask{query, "", std::nullopt};
        PageRequest page{200, ""};
        do {
            const auto rows = models.partners(kBulkProgram, ask, page);
            REQUIRE(rows.has_value());
            for (const PartnerView& row : rows->rows) found.insert(row.state->id.value);
            page.cursor = rows->next_cursor;
        } while (!page.cursor.empty());
        INFO(query);
        CHECK(found == expected);
    }
}

}  // namespace

TEST_CASE("short searches find exactly whose texts hold them, after imports and changes") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        INFO("seed " << seed);
        const testing::TemporaryDirectory directory;
        History history(directory.path() / "live");
        Random random(seed);
        std::uint32_t partners = 0;
        for (int event = 0; event < 12; ++event) {
            UpsertPartners upsert;
            for (std::uint32_t n = random.below(60); n > 0; --n) {
                const bool change = partners > 0 && random.one_in(3);
                upsert.partners.push_back(
                    random_patch(random, change ? random.below(partners) : partners++));
            }
            if (!upsert.partners.empty()) history.run(std::move(upsert));
        }
        check_searches(history.models(), partners);
        for (const bool bulk : {false, true}) {
            const auto path = directory.path() / (bulk ? "bulk" : "runs");
            auto models = open_models(path, bulk);
            std::uint64_t sequence = 0;
            for (const Outcome& outcome : history.outcomes()) {
                models->fold(outcome);
                ++sequence;
                if (random.one_in(4))
                    REQUIRE(models->publish(History::tip(sequence), {}).has_value());
            }
            REQUIRE(models->publish(History::tip(sequence), {}).has_value());
            check_searches(*models, partners);
            check_equal(*models, history.models());
        }
    }
}

TEST_CASE("folded in bulk, in files past the memtable, everything is as if published one by one",
          "[slow]") {
    const testing::TemporaryDirectory directory;
    History history(directory.path() / "live");
    constexpr std::uint32_t kPartners = limits::kSetChunk + 4'000;  // two chunks of every set
    Random random(7);
    for (std::uint32_t next = 0; next < kPartners;) {
        UpsertPartners upsert;
        while (upsert.partners.size() < 8'000 && next < kPartners)
            upsert.partners.push_back(random_patch(random, next++));
        history.run(std::move(upsert));
    }
    SendMessage send;
    send.subject = "Hello";
    send.body = "Hello all";
    const EventNumber message = history.run(send).answer;
    RecordOpens opens;
    opens.groups.emplace_back().message = message;
    for (std::uint32_t i = 0; i < kPartners; i += 3) opens.groups.back().partners.add(i);
    history.run(opens);
    UpsertPartners changes;
    for (std::uint32_t i = 0; i < 500; ++i)
        changes.partners.push_back(random_patch(random, random.below(kPartners)));
    history.run(std::move(changes));

    const std::size_t together = GENERATE(1, 4, 100);
    auto models = open_models(directory.path() / "bulk", true);
    CHECK(models->is_bulk());
    std::uint64_t sequence = 0;
    for (const Outcome& outcome : history.outcomes()) {
        models->fold(outcome);
        if (random.one_in(3)) {  // as after an error in the middle: everything again
            models->drop();
            for (auto at = models->tip().sequence.value; at <= sequence; ++at)
                models->fold(history.outcomes()[at]);
        }
        if (++sequence % together == 0)
            REQUIRE(models->publish(History::tip(sequence), {}).has_value());
    }
    REQUIRE(models->publish(History::tip(sequence), {}).has_value());
    check_equal(*models, history.models());
    SECTION("when it has ended") {
        REQUIRE(models->end_bulk().has_value());
        CHECK_FALSE(models->is_bulk());
        check_equal(*models, history.models());
    }
    SECTION("opened again, without a flush at the end") {
        models.reset();
        models = open_models(directory.path() / "bulk", GENERATE(true, false));
        CHECK(models->tip() == History::tip(sequence));
        check_equal(*models, history.models());
    }
}

}  // namespace tidings
