// The real read models against the oracle's plain maps: equal outcomes, equal answers to every
// question.
#include "projections/models.h"

#include <algorithm>

#include "projections/search.h"
#include "tests/support/catch.h"
#include "tests/support/memory_commands.h"
#include "tests/support/memory_facts.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

using testing::MemoryFacts;
using testing::MemoryMessage;
using testing::MemoryProgram;
using testing::MemoryState;

std::unique_ptr<Models> open(const std::filesystem::path& directory) {
    ModelsOptions options;
    options.directory = directory;
    options.row_memory =
        make_row_memory(1 << 20);  // small, so that rows are also read from the store
    Result<std::unique_ptr<Models>> models = Models::open(options);
    REQUIRE(models.has_value());
    return std::move(*models);
}

/// All pages of a list, taken `limit` at a time.
template <class Ask>
auto all_pages(std::size_t limit, Ask ask) {
    PageRequest request{limit, ""};
    auto page = ask(request);
    REQUIRE(page.has_value());
    auto rows = std::move(page->rows);
    while (!page->next_cursor.empty()) {
        REQUIRE(page->rows.size() <= limit);
        request.cursor = page->next_cursor;
        page = ask(request);
        REQUIRE(page.has_value());
        REQUIRE(!page->rows.empty());
        rows.insert(rows.end(), page->rows.begin(), page->rows.end());
    }
    return rows;
}

void compare_partners(const Models& models, const ProgramId& id, const MemoryProgram& program) {
    for (const char* query : {"", "n", "name1", "NAME2 sür", "partner-1@", "zzz", "ü"}) {
        for (const char* tag : {"", "tag1"}) {
            for (int status = -1; status < 4; ++status) {
                PartnerQuery ask{query, tag, std::nullopt};
                if (status >= 0) ask.status = static_cast<PartnerStatus>(status);
                std::vector<PartnerState> expected;
                for (const auto& [ordinal, partner] : program.partners) {
                    if (ask.status && partner.status != *ask.status) continue;
                    if (*tag != 0 && std::count(partner.tags.begin(), partner.tags.end(), tag) == 0)
                        continue;
                    if (search_text(models.texts(id).show(partner)).find(fold_text(query)) ==
                        std::string::npos)
                        continue;
                    expected.push_back(partner);
                }
                std::vector<PartnerState> got;
                for (const PartnerView& row : all_pages(3, [&](const PageRequest& page) {
                         return models.partners(id, ask, page);
                     }))
                    got.push_back(*row.state);
                REQUIRE(got == expected);
            }
        }
    }
    std::map<std::string, std::uint64_t> tags, got;
    for (const auto& [ordinal, partner] : program.partners)
        if (partner.status == PartnerStatus::active)
            for (const std::string& tag : partner.tags) ++tags[tag];
    for (const TagCount& row :
         all_pages(2, [&](const PageRequest& page) { return models.tags(id, page); }))
        got[row.tag] = row.partners;
    REQUIRE(got == tags);
}

MessageStats stats_of(const MemoryMessage& message) {
    MessageStats stats;
    stats.recipients = message.sent.recipients.cardinality();
    stats.opens = message.opened.size();
    for (const auto& [ordinal, conversation] : message.conversations) {
        if (conversation.replied()) ++stats.replied;
        stats.unread_replies += conversation.unread_replies();
    }
    return stats;
}

void compare_recipients(const Models& models, const ProgramId& id, EventNumber number,
                        const MemoryMessage& message, const MemoryProgram& program) {
    for (const RecipientState state : {RecipientState::all, RecipientState::opened,
                                       RecipientState::unopened, RecipientState::replied}) {
        std::vector<std::pair<std::uint64_t, std::uint32_t>> expected;  // order, ordinal
        for (const std::uint32_t ordinal : message.sent.recipients) {
            const bool opened = message.opened.contains(ordinal);
            const auto conversation = message.conversations.find(ordinal);
            const bool replied =
                conversation != message.conversations.end() && conversation->second.replied();
            if (state == RecipientState::opened && !opened) continue;
            if (state == RecipientState::unopened && opened) continue;
            if (state == RecipientState::replied && !replied) continue;
            const std::uint64_t order = state == RecipientState::replied
                                            ? ~conversation->second.last_post(false).value
                                            : ordinal;
            expected.emplace_back(order, ordinal);
        }
        std::sort(expected.begin(), expected.end());
        const auto rows = all_pages(2, [&](const PageRequest& page) {
            return models.recipients(id, number, state, "", page);
        });
        REQUIRE(rows.size() == expected.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::uint32_t ordinal = expected[i].second;
            REQUIRE(*rows[i].partner.state == program.partners.at(ordinal));
            const auto opened = message.opened.find(ordinal);
            REQUIRE(rows[i].opened_at == (opened == message.opened.end()
                                              ? std::optional<Timestamp>()
                                              : std::optional(opened->second)));
            const auto conversation = message.conversations.find(ordinal);
            REQUIRE(rows[i].unread_replies == (conversation == message.conversations.end()
                                                   ? 0
                                                   : conversation->second.unread_replies()));
        }
    }
}

void compare_messages(const Models& models, const ProgramId& id, const MemoryProgram& program) {
    const auto rows =
        all_pages(2, [&](const PageRequest& page) { return models.messages(id, page); });
    REQUIRE(rows.size() == program.messages.size());
    auto row = rows.begin();
    for (auto it = program.messages.rbegin(); it != program.messages.rend(); ++it, ++row) {
        const auto& [number, message] = *it;
        REQUIRE(row->card->number == number);
        REQUIRE(row->card->subject == message.sent.subject);
        REQUIRE(row->card->sent_at == message.sent.sent_at);
        REQUIRE(row->body == message.sent.body);
        REQUIRE(row->audience == message.sent.audience);
        REQUIRE(row->stats == stats_of(message));
        REQUIRE(models.stats(id, number) == stats_of(message));
        compare_recipients(models, id, number, message, program);
        for (const OpensInterval interval :
             {OpensInterval::minute, OpensInterval::hour, OpensInterval::day}) {
            const std::int64_t size = interval == OpensInterval::minute ? 60'000
                                      : interval == OpensInterval::hour ? 3'600'000
                                                                        : 86'400'000;
            std::map<std::int64_t, std::uint64_t> expected, got;
            for (const auto& [ordinal, at] : message.opened) ++expected[at.value / size * size];
            for (const OpensBucket& bucket : models.opens(id, number, interval))
                got[bucket.at.value] = bucket.opens;
            REQUIRE(got == expected);
        }
    }
}

void compare_inbox(const Models& models, const ProgramId& id, const MemoryProgram& program,
                   PartnerOrdinal partner) {
    std::vector<EventNumber> received, unread;
    for (auto it = program.messages.rbegin(); it != program.messages.rend(); ++it) {
        const auto& [number, message] = *it;
        if (!message.sent.recipients.contains(partner.value)) continue;
        received.push_back(number);
        const auto conversation = message.conversations.find(partner.value);
        const bool reopened =
            conversation != message.conversations.end() && conversation->second.unread_by_partner();
        if (!message.opened.contains(partner.value) || reopened) unread.push_back(number);
    }
    const InboxSummary summary = models.inbox_summary(id, partner);
    REQUIRE(summary.total == received.size());
    REQUIRE(summary.unread == unread.size());
    for (const bool unread_only : {false, true}) {
        const auto rows = all_pages(2, [&](const PageRequest& page) {
            return models.inbox(id, partner, unread_only, true, page);
        });
        std::vector<EventNumber> got;
        for (const InboxRow& row : rows) {
            got.push_back(row.card->number);
            REQUIRE(row.unread ==
                    (std::count(unread.begin(), unread.end(), row.card->number) == 1));
            const MemoryMessage& message = program.messages.at(row.card->number);
            const auto conversation = message.conversations.find(partner.value);
            REQUIRE(row.posts == (conversation == message.conversations.end()
                                      ? 0
                                      : conversation->second.posts.size()));
            REQUIRE(row.opened_at.has_value() == message.opened.contains(partner.value));
        }
        REQUIRE(got == (unread_only ? unread : received));
    }
    for (const EventNumber number : received) {
        const auto view = models.conversation(id, number, partner);
        REQUIRE(view.has_value());
        const MemoryMessage& message = program.messages.at(number);
        const auto conversation = message.conversations.find(partner.value);
        const std::size_t posts =
            conversation == message.conversations.end() ? 0 : conversation->second.posts.size();
        REQUIRE(view->posts.size() == posts);
        for (std::size_t i = 0; i < posts; ++i) {
            REQUIRE(view->posts[i].number == conversation->second.posts[i].number);
            const auto& post = conversation->second.posts[i];
            REQUIRE(view->posts[i].body == post.body.plain());
            REQUIRE(view->posts[i].author_id == post.author.sub.plain());
            REQUIRE(view->posts[i].author_name == post.author.name.plain());
        }
    }
}

void compare(const Models& models, const MemoryState& state) {
    for (const auto& [id, program] : state.programs) {
        const ProgramSummary summary = models.summary(id);
        REQUIRE(summary.messages == program.messages.size());
        std::uint64_t active = 0, unread = 0;
        for (const auto& [ordinal, partner] : program.partners) {
            active += partner.status == PartnerStatus::active ? 1 : 0;
            const std::vector<PartnerOrdinal> one{{ordinal}};
            REQUIRE(models.partner_ids(id, one) == std::vector<PartnerId>{partner.id});
        }
        for (const auto& [number, message] : program.messages)
            unread += stats_of(message).unread_replies;
        REQUIRE(summary.partners == active);
        REQUIRE(summary.unread_replies == unread);
        compare_partners(models, id, program);
        compare_messages(models, id, program);
        for (const auto& [ordinal, partner] : program.partners)
            compare_inbox(models, id, program, {ordinal});
    }
    const std::vector<std::string> wrong = models.check();
    for (const std::string& what : wrong) UNSCOPED_INFO(what);
    REQUIRE(wrong.empty());
}

Tip tip_at(std::uint64_t sequence) {
    Tip tip;
    tip.sequence = {sequence};
    tip.hash = sha256(std::to_string(sequence));
    tip.next_record = {sequence + 1};
    return tip;
}

/// Commands cut into runs at random, some runs dropped and decided again, the models closed and
/// opened now and then.
void run_random_history(std::uint64_t seed, int commands) {
    INFO("seed " << seed);
    const testing::TemporaryDirectory directory;
    std::unique_ptr<Models> models = open(directory.path());
    MemoryState state;
    const MemoryFacts oracle(state);
    testing::CommandGenerator generator(seed);
    testing::Random random(seed + 1);
    std::vector<Outcome> run;
    std::uint64_t sequence = 0;
    for (int i = 0; i < commands; ++i) {
        const Command command = generator.next(state);
        const Outcome outcome = decide(models->facts(), command);
        REQUIRE(outcome == decide(oracle, command));
        models->fold(outcome);
        testing::fold(state, outcome);
        run.push_back(outcome);
        if (random.one_in(20)) {
            models->drop();
            for (const Outcome& again : run) models->fold(again);
        }
        if (!random.one_in(5)) continue;
        REQUIRE(models->publish(tip_at(++sequence), {}).has_value());
        run.clear();
        if (!random.one_in(15)) continue;
        models.reset();
        models = open(directory.path());
        REQUIRE(models->tip() == tip_at(sequence));
    }
    REQUIRE(models->publish(tip_at(++sequence), {}).has_value());
    compare(*models, state);
    const auto digests = models->program_digests();
    models.reset();
    models = open(directory.path());
    REQUIRE(models->program_digests() == digests);
    compare(*models, state);
}

TEST_CASE("random histories give the oracle's answers") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) run_random_history(seed, 250);
}

TEST_CASE("long random histories give the oracle's answers", "[slow]") {
    for (std::uint64_t seed = 100; seed < 130; ++seed) run_random_history(seed, 1'500);
}

TEST_CASE("the same commands give the same digest however they were cut into runs") {
    const auto digest_of = [](std::uint64_t cut_seed) {
        const testing::TemporaryDirectory directory;
        const std::unique_ptr<Models> models = open(directory.path());
        MemoryState state;
        testing::CommandGenerator generator(7);
        testing::Random cuts(cut_seed);
        std::uint64_t sequence = 0;
        for (int i = 0; i < 300; ++i) {
            const Outcome outcome = decide(models->facts(), generator.next(state));
            models->fold(outcome);
            testing::fold(state, outcome);
            if (cut_seed == 0 || cuts.one_in(cut_seed))
                REQUIRE(models->publish(tip_at(++sequence), {}).has_value());
        }
        REQUIRE(models->publish(tip_at(++sequence), {}).has_value());
        return combine_digests(models->program_digests());
    };
    const Hash256 expected = digest_of(0);
    CHECK(digest_of(3) == expected);
    CHECK(digest_of(50) == expected);
}

TEST_CASE("what was not published is not seen, and not there after opening again") {
    const testing::TemporaryDirectory directory;
    std::unique_ptr<Models> models = open(directory.path());
    Command command;
    command.program = {"acme"};
    command.body = UpsertProgram{"Acme", Plan::advanced};
    models->fold(decide(models->facts(), command));
    CHECK(models->facts().program({"acme"}).has_value());
    CHECK(!models->program({"acme"}).has_value());
    models->drop();
    CHECK(!models->facts().program({"acme"}).has_value());
    models->fold(decide(models->facts(), command));
    REQUIRE(models->publish(tip_at(1), {}).has_value());
    CHECK(models->program({"acme"}).has_value());
    models->fold(decide(models->facts(), command));
    models.reset();
    models = open(directory.path());
    CHECK(models->tip() == tip_at(1));
    CHECK(models->program({"acme"}).has_value());
}

TEST_CASE("the ledger offers an older commit than the tip") {
    const testing::TemporaryDirectory directory;
    const std::unique_ptr<Models> models = open(directory.path());
    for (std::uint64_t sequence = 1; sequence <= 600; ++sequence)
        REQUIRE(models->publish(tip_at(sequence), {}).has_value());
    REQUIRE(models->ledger().has_value());
    CHECK(models->ledger()->tip == tip_at(512));
}

}  // namespace
}  // namespace tidings
