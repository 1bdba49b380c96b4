// Exported tables against the lists of the API, on real rows; and against what is published while
// they are read.
#include "projections/exports.h"

#include <map>

#include "tests/projections/crowd.h"

namespace tidings {
namespace {

using testing::Crowd;
using testing::Ordinals;
using testing::Random;

/// All rows of a table, flat.
struct Rows {
    std::vector<MessageView> messages;
    std::vector<std::pair<EventNumber, RecipientRow>> recipients;
    std::vector<std::pair<EventNumber, ExportedPost>> posts;
    std::size_t largest_slice = 0;
};

Rows drain(Export& table) {
    Rows rows;
    while (auto slice = table.next()) {
        if (slice->sent) rows.messages.push_back(std::move(*slice->sent));
        for (auto& row : slice->recipients) {
            rows.recipients.emplace_back(slice->message->number, std::move(row));
        }
        for (auto& post : slice->posts) {
            rows.posts.emplace_back(slice->message->number, std::move(post));
        }
        rows.largest_slice =
            std::max({rows.largest_slice, slice->recipients.size(), slice->posts.size()});
    }
    CHECK_FALSE(table.next().has_value());
    return rows;
}

Rows read(const Models& models, ExportTable table, std::optional<EventNumber> message = {}) {
    const auto rows = models.export_rows({Crowd::program(), table, message});
    CHECK(rows->tip().sequence == models.tip().sequence);
    return drain(*rows);
}

bool equal(const RecipientRow& a, const RecipientRow& b) {
    return a.partner->id == b.partner->id && a.partner->email == b.partner->email &&
           a.opened_at == b.opened_at && a.first_replied_at == b.first_replied_at &&
           a.last_replied_at == b.last_replied_at && a.unread_replies == b.unread_replies;
}

/// The API's list, page after page.
std::vector<RecipientRow> listed(const Models& models, EventNumber message, RecipientState state) {
    std::vector<RecipientRow> out;
    PageRequest request{limits::kPageMax, ""};
    do {
        auto page = models.recipients(Crowd::program(), message, state, "", request);
        REQUIRE(page.has_value());
        for (auto& row : page->rows) out.push_back(std::move(row));
        request.cursor = page->next_cursor;
    } while (!request.cursor.empty());
    return out;
}

/// Opens, replies, answers and read marks by some of the first `among` partners.
void play(Crowd& crowd, Random& random, const std::vector<EventNumber>& messages,
          std::uint32_t among, int steps) {
    for (int step = 0; step < steps; ++step) {
        const EventNumber message = messages[random.below(messages.size())];
        const auto ordinal = static_cast<std::uint32_t>(random.below(among));
        const PartnerOrdinal partner{ordinal};
        const std::string who = "partner-" + std::to_string(ordinal);
        switch (random.below(5)) {
            case 0: {
                RecordOpens opens;
                opens.groups.push_back({message, {}, {}});
                for (int i = 0; i < 30; ++i) {
                    opens.groups[0].partners.add(
                        static_cast<std::uint32_t>(random.below(crowd.count())));
                }
                crowd.run(std::move(opens), Role::platform);
                break;
            }
            case 1:
                crowd.run(MarkRead{message, partner});
                break;
            case 2:
                crowd.run(PostReply{message, partner, "an answer"}, Role::owner, "olivia");
                break;
            default:
                crowd.run(PostReply{message, partner, "a reply " + std::to_string(step)},
                          Role::partner, who);
        }
    }
}

void check_against_lists(const Models& models, const std::vector<EventNumber>& messages) {
    const Rows sent = read(models, ExportTable::messages);
    REQUIRE(sent.messages.size() == messages.size());
    std::size_t recipients = 0, opens = 0, posts = 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        INFO("message " << i);
        CHECK(sent.messages[i].card->number == messages[i]);
        CHECK(sent.messages[i].stats == models.stats(Crowd::program(), messages[i]));
        for (const ExportTable table : {ExportTable::recipients, ExportTable::opens}) {
            const bool all = table == ExportTable::recipients;
            const Rows exported = read(models, table, messages[i]);
            const auto expected =
                listed(models, messages[i], all ? RecipientState::all : RecipientState::opened);
            REQUIRE(exported.recipients.size() == expected.size());
            std::size_t wrong = 0;
            for (std::size_t n = 0; n < expected.size(); ++n) {
                const RecipientRow& row = exported.recipients[n].second;
                if (all ? !equal(row, expected[n])
                        : row.partner->id != expected[n].partner->id ||
                              row.opened_at != expected[n].opened_at) {
                    ++wrong;
                }
            }
            CHECK(wrong == 0);
            CHECK(exported.largest_slice <= 256);
            (all ? recipients : opens) += expected.size();
        }
        CHECK(read(models, ExportTable::opens, messages[i]).recipients.size() ==
              sent.messages[i].stats.opens);
        std::map<std::uint32_t, std::vector<EventNumber>> said;
        const Rows exported = read(models, ExportTable::conversations, messages[i]);
        for (const auto& [message, post] : exported.posts) {
            CHECK(message == messages[i]);
            said[post.partner->ordinal.value].push_back(post.post.number);
        }
        for (const auto& [ordinal, numbers] : said) {
            const auto shown =
                models.conversation(Crowd::program(), messages[i], PartnerOrdinal{ordinal});
            REQUIRE(shown.has_value());
            std::vector<EventNumber> expected;
            for (const PostView& post : shown->posts) expected.push_back(post.number);
            CHECK(numbers == expected);
        }
        posts += exported.posts.size();
    }
    CHECK(read(models, ExportTable::recipients).recipients.size() == recipients);
    CHECK(read(models, ExportTable::opens).recipients.size() == opens);
    CHECK(read(models, ExportTable::conversations).posts.size() == posts);
}

void check_sizes(std::uint32_t partners, const std::vector<std::uint32_t>& sizes, int steps) {
    Random random(partners);
    std::vector<Ordinals> sets;
    for (const std::uint32_t size : sizes) sets.push_back(random_ordinals(random, partners, size));
    Crowd crowd(partners, sets);
    std::vector<EventNumber> messages;
    for (std::size_t set = 0; set < sets.size(); ++set) {
        messages.push_back(crowd.send(Crowd::tagged(set)).answer);
    }
    messages.push_back(crowd.send({}).answer);  // to all
    check_against_lists(crowd.models(), messages);
    play(crowd, random, messages, std::min(partners, 300U), steps);
    check_against_lists(crowd.models(), messages);
}

TEST_CASE("a program without messages has empty tables, and so has one that is unknown") {
    Crowd crowd(3);
    for (const ExportTable table : {ExportTable::messages, ExportTable::recipients,
                                    ExportTable::opens, ExportTable::conversations}) {
        for (const char* program : {"acme", "unknown"}) {
            const auto rows = crowd.models().export_rows({ProgramId{program}, table, {}});
            const Rows all = drain(*rows);
            CHECK(all.messages.size() + all.recipients.size() + all.posts.size() == 0);
        }
    }
}

TEST_CASE("exported rows are those of the lists, on both sides of the row limit") {
    check_sizes(6'000, {1, 2, limits::kRowLimit, limits::kRowLimit + 1}, 600);
}

TEST_CASE("exported rows are those of the lists, over several chunks of ordinals", "[slow]") {
    check_sizes(140'000, {1, 300, limits::kRowLimit + 1, 70'000}, 600);
}

TEST_CASE("what is published while an export is read does not show in it") {
    Random random(7);
    Crowd crowd(3'000, {random_ordinals(random, 3'000, 500)});
    std::vector<EventNumber> messages = {crowd.send({}).answer,
                                         crowd.send(Crowd::tagged(0)).answer};
    play(crowd, random, messages, 50, 100);
    const auto open = [&](ExportTable table) {
        return crowd.models().export_rows({Crowd::program(), table, {}});
    };
    for (const ExportTable table : {ExportTable::messages, ExportTable::recipients,
                                    ExportTable::opens, ExportTable::conversations}) {
        INFO("table " << static_cast<int>(table));
        const auto before = open(table), meanwhile = open(table);
        const Rows expected = drain(*before);
        REQUIRE(meanwhile->next().has_value());  // begun
        play(crowd, random, messages, 50, 60);
        messages.push_back(crowd.send({}).answer);
        const Rows rest = drain(*meanwhile);
        CHECK(rest.messages.size() + 1 >= expected.messages.size());
        CHECK(rest.messages.size() <= expected.messages.size());
        REQUIRE(rest.recipients.size() <= expected.recipients.size());
        const std::size_t skipped = expected.recipients.size() - rest.recipients.size();
        CHECK(skipped <= 256);
        for (std::size_t i = 0; i < rest.recipients.size(); ++i) {
            REQUIRE(rest.recipients[i].first == expected.recipients[skipped + i].first);
            REQUIRE(equal(rest.recipients[i].second, expected.recipients[skipped + i].second));
        }
        const std::size_t passed = expected.posts.size() - rest.posts.size();
        CHECK(passed <= 256);
        for (std::size_t i = 0; i < rest.posts.size(); ++i) {
            REQUIRE(rest.posts[i].second.post.number ==
                    expected.posts[passed + i].second.post.number);
        }
        CHECK(meanwhile->tip().sequence < crowd.models().tip().sequence);
        check_against_lists(crowd.models(), messages);
    }
}

}  // namespace
}  // namespace tidings
