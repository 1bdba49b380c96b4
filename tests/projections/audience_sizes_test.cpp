// Random audiences of 0, 1, both sides of the row limit, and 250,000: opens, replies, answers and
// read marks, against plain maps.
#include <map>

#include "core/bitmap.h"
#include "tests/projections/crowd.h"

namespace tidings {
namespace {

using testing::Crowd;
using testing::Ordinals;
using testing::Random;

/// One partner's conversation about one message.
struct Thread {
    std::vector<std::pair<bool, std::string>> posts;  ///< from an owner?; body
    std::uint64_t last_reply = 0;                     ///< counts all replies: who was last
    std::optional<Timestamp> first_replied_at, last_replied_at;
    std::uint64_t unread_replies = 0;
    bool unread = false;  ///< by the partner
};

struct Message {
    EventNumber number;
    Ordinals recipients;
    std::map<std::uint32_t, Timestamp> opened;
    std::map<std::uint32_t, Thread> threads;

    std::set<std::uint32_t> replied() const {
        std::set<std::uint32_t> out;
        for (const auto& [ordinal, thread] : threads) {
            if (thread.last_replied_at) out.insert(ordinal);
        }
        return out;
    }
    std::uint64_t unread_replies() const {
        std::uint64_t sum = 0;
        for (const auto& [ordinal, thread] : threads) sum += thread.unread_replies;
        return sum;
    }
    const Thread* thread(std::uint32_t ordinal) const {
        const auto found = threads.find(ordinal);
        return found == threads.end() ? nullptr : &found->second;
    }
    std::optional<Timestamp> opened_at(std::uint32_t ordinal) const {
        const auto found = opened.find(ordinal);
        if (found == opened.end()) return std::nullopt;
        return found->second;
    }
    bool unread(std::uint32_t ordinal) const {
        const Thread* const held = thread(ordinal);
        return !opened.contains(ordinal) || (held != nullptr && held->unread);
    }
};

/// The broker's rows and the plain maps, changed alike.
class World {
public:
    World(std::uint32_t partners, const std::vector<Ordinals>& sets)
        : crowd_(partners, sets), random_(partners + sets.size()) {
        for (std::size_t set = 0; set < sets.size(); ++set) send(set, sets[set]);
    }

    void change(std::size_t steps) {
        for (Message& message : messages_) {
            const std::vector<std::uint32_t> recipients(message.recipients.begin(),
                                                        message.recipients.end());
            // few enough that they are met again, and some who did not receive it
            std::vector<std::uint32_t> pool;
            for (int i = 0; i < 40; ++i) {
                pool.push_back(recipients[random_.below(recipients.size())]);
            }
            for (int i = 0; i < 4; ++i) pool.push_back(any_partner());
            for (std::size_t step = 0; step < steps; ++step) {
                one_step(message, pool[random_.below(pool.size())]);
            }
            looked_at_.insert(pool.begin(), pool.end());
        }
    }

    void check() {
        std::uint64_t unread_replies = 0;
        for (const Message& message : messages_) {
            INFO("to " << message.recipients.size());
            check_stats(message);
            check_recipients(message);
            check_conversations(message);
            check_engagement(message);
            unread_replies += message.unread_replies();
        }
        CHECK(models().summary(Crowd::program()).unread_replies == unread_replies);
        for (int i = 0; i < 100; ++i) looked_at_.insert(any_partner());
        for (const std::uint32_t ordinal : looked_at_) check_inbox(ordinal);
        CHECK(models().check().empty());
    }

private:
    const Models& models() const { return crowd_.models(); }
    std::uint32_t any_partner() {
        return static_cast<std::uint32_t>(random_.below(crowd_.count()));
    }

    void send(std::size_t set, const Ordinals& recipients) {
        const Outcome outcome = crowd_.send(Crowd::tagged(set));
        if (recipients.empty()) {
            REQUIRE(outcome.refusal.has_value());
            CHECK(outcome.refusal->code == ErrorCode::audience_empty);
            return;
        }
        REQUIRE(outcome.status == OutcomeStatus::applied);
        messages_.push_back({outcome.answer, recipients, {}, {}});
    }

    void one_step(Message& message, std::uint32_t ordinal) {
        const bool received = message.recipients.contains(ordinal);
        const PartnerOrdinal partner{ordinal};
        switch (random_.below(5)) {
            case 0:
                return open_some(message);
            case 1:
                return open(message, ordinal);
            case 2: {
                const std::string who = "partner-" + std::to_string(ordinal);
                return reply(message, ordinal, received, Role::partner, who);
            }
            case 3:
                return reply(message, ordinal, received, Role::owner, "olivia");
            default: {
                const Outcome outcome = crowd_.run(MarkRead{message.number, partner});
                CHECK(outcome.refusal.has_value() != received);
                const auto thread = message.threads.find(ordinal);
                if (received && thread != message.threads.end()) thread->second.unread_replies = 0;
            }
        }
    }

    /// By the partner in the portal: also reads the conversation.
    void open(Message& message, std::uint32_t ordinal) {
        RecordOpens opens;
        opens.groups.push_back({message.number, {}, {}});
        opens.groups[0].partners.add(ordinal);
        const Timestamp now = crowd_.now();
        const Outcome outcome = crowd_.run(std::move(opens), Role::partner);
        const bool received = message.recipients.contains(ordinal);
        CHECK(outcome.refusal.has_value() != received);
        if (!received) return;
        CHECK(outcome.first_opens == (message.opened.emplace(ordinal, now).second ? 1U : 0U));
        const auto thread = message.threads.find(ordinal);
        if (thread != message.threads.end()) thread->second.unread = false;
    }

    /// In bulk: some of them not for the first time, some by partners who did not receive it.
    void open_some(Message& message) {
        RecordOpens opens;
        opens.groups.push_back({message.number, {}, {}});
        for (int i = 0; i < 30; ++i) opens.groups[0].partners.add(any_partner());
        const Timestamp now = crowd_.now();
        std::uint32_t first = 0, strangers = 0;
        for (const std::uint32_t ordinal : opens.groups[0].partners) {
            if (!message.recipients.contains(ordinal)) {
                ++strangers;
                continue;
            }
            if (message.opened.emplace(ordinal, now).second) ++first;
            const auto thread = message.threads.find(ordinal);
            if (thread != message.threads.end()) thread->second.unread = false;
        }
        const Outcome outcome = crowd_.run(std::move(opens), Role::platform);
        CHECK(outcome.first_opens == first);
        CHECK(outcome.rejected.size() == strangers);
    }

    void reply(Message& message, std::uint32_t ordinal, bool received, Role role,
               const std::string& who) {
        const Timestamp now = crowd_.now();
        const std::string body = "Post " + std::to_string(++posts_);
        const Outcome outcome =
            crowd_.run(PostReply{message.number, PartnerOrdinal{ordinal}, body}, role, who);
        CHECK(outcome.refusal.has_value() != received);
        if (!received) return;
        Thread& thread = message.threads[ordinal];
        thread.posts.emplace_back(role == Role::owner, body);
        if (role == Role::owner) {
            thread.unread_replies = 0;
            thread.unread = true;
            return;
        }
        message.opened.emplace(ordinal, now);
        thread.unread = false;
        ++thread.unread_replies;
        thread.last_reply = posts_;
        thread.last_replied_at = now;
        if (!thread.first_replied_at) thread.first_replied_at = now;
    }

    void check_stats(const Message& message) const {
        const MessageStats expected{message.recipients.size(), message.opened.size(),
                                    message.replied().size(), message.unread_replies()};
        CHECK(models().stats(Crowd::program(), message.number) == expected);
    }

    /// Of a list that is long the beginning.
    static constexpr std::size_t kCompared = 6'000;

    void check_recipients(const Message& message) const {
        using enum RecipientState;
        for (const RecipientState state : {all, opened, unopened, replied}) {
            for (const std::uint32_t surname : {97U, 13U, 96U}) {
                std::vector<std::uint32_t> expected;
                for (const std::uint32_t ordinal : message.recipients) {
                    const Thread* const thread = message.thread(ordinal);
                    const bool has_replied = thread != nullptr && thread->last_replied_at;
                    const bool has_opened = message.opened.contains(ordinal);
                    if ((state == opened && !has_opened) || (state == unopened && has_opened) ||
                        (state == replied && !has_replied)) {
                        continue;
                    }
                    if (surname == 97 || ordinal % 97 == surname) expected.push_back(ordinal);
                }
                if (state == replied) {
                    std::ranges::sort(expected, std::greater(), [&](std::uint32_t ordinal) {
                        return message.thread(ordinal)->last_reply;
                    });
                }
                check_list(message, state, surname == 97 ? "" : Crowd::surname(surname), expected);
            }
        }
        CHECK(models()
                  .recipients(Crowd::program(), message.number, all, "nobody has it", {})
                  ->rows.empty());
    }

    void check_list(const Message& message, RecipientState state, const std::string& query,
                    const std::vector<std::uint32_t>& expected) const {
        INFO("state " << static_cast<int>(state) << ", query '" << query << "'");
        std::size_t at = 0, wrong = 0;
        PageRequest request{limits::kPageMax, ""};
        do {
            const auto page =
                models().recipients(Crowd::program(), message.number, state, query, request);
            REQUIRE(page.has_value());
            for (const RecipientRow& row : page->rows) {
                REQUIRE(at < expected.size());
                const std::uint32_t ordinal = expected[at++];
                const Thread* const thread = message.thread(ordinal);
                const Thread none;
                const Thread& held = thread == nullptr ? none : *thread;
                const bool right = row.partner->ordinal.value == ordinal &&
                                   row.opened_at == message.opened_at(ordinal) &&
                                   row.first_replied_at == held.first_replied_at &&
                                   row.last_replied_at == held.last_replied_at &&
                                   row.unread_replies == held.unread_replies;
                if (!right) ++wrong;
            }
            request.cursor = page->next_cursor;
        } while (!request.cursor.empty() && at < kCompared);
        CHECK(wrong == 0);
        if (request.cursor.empty()) CHECK(at == expected.size());
    }

    void check_conversations(const Message& message) const {
        for (const std::uint32_t ordinal : looked_at_) {
            const auto shown =
                models().conversation(Crowd::program(), message.number, PartnerOrdinal{ordinal});
            CHECK(shown.has_value() == message.recipients.contains(ordinal));
            if (!shown) continue;
            CHECK(shown->opened_at == message.opened_at(ordinal));
            CHECK(shown->can_reply);
            std::vector<std::pair<bool, std::string>> posts;
            for (const PostView& post : shown->posts)
                posts.emplace_back(post.from_owner, post.body);
            const Thread* const thread = message.thread(ordinal);
            CHECK(posts == (thread == nullptr ? decltype(posts)() : thread->posts));
        }
    }

    /// As an audience: the number, the exact set (by its digest), and the first page.
    void check_engagement(const Message& message) const {
        for (const Engagement engagement :
             {Engagement::opened, Engagement::not_opened, Engagement::replied}) {
            Bitmap expected;
            const Ordinals replied = message.replied();
            for (const std::uint32_t ordinal : message.recipients) {
                const bool opened = message.opened.contains(ordinal);
                const bool selected = engagement == Engagement::opened ? opened
                                      : engagement == Engagement::not_opened
                                          ? !opened
                                          : replied.contains(ordinal);
                if (selected) expected.add(ordinal);
            }
            Audience audience;
            audience.type = Audience::Type::filter;
            audience.filter.kind = Filter::Kind::engagement;
            audience.filter.engagement = engagement;
            audience.filter.message = message.number;
            const auto preview = models().preview(Crowd::program(), audience, {});
            REQUIRE(preview.has_value());
            CHECK(preview->count == expected.cardinality());
            CHECK(preview->digest == audience_digest(expected));
            std::vector<std::uint32_t> listed, beginning;
            for (const PartnerView& partner : preview->page.rows) {
                listed.push_back(partner->ordinal.value);
            }
            for (const std::uint32_t ordinal : expected) {
                if (beginning.size() < limits::kPageDefault) beginning.push_back(ordinal);
            }
            CHECK(listed == beginning);
        }
    }

    void check_inbox(std::uint32_t ordinal) const {
        std::vector<const Message*> received, unread;
        for (auto message = messages_.rbegin(); message != messages_.rend(); ++message) {
            if (!message->recipients.contains(ordinal)) continue;
            received.push_back(&*message);
            if (message->unread(ordinal)) unread.push_back(&*message);
        }
        const PartnerOrdinal partner{ordinal};
        const InboxSummary summary = models().inbox_summary(Crowd::program(), partner);
        CHECK(summary.total == received.size());
        CHECK(summary.unread == unread.size());
        for (const bool unread_only : {false, true}) {
            const auto page = models().inbox(Crowd::program(), partner, unread_only, true, {});
            REQUIRE(page.has_value());
            const auto& expected = unread_only ? unread : received;
            REQUIRE(page->rows.size() == expected.size());
            for (std::size_t i = 0; i < expected.size(); ++i) {
                check_row(page->rows[i], *expected[i], ordinal);
            }
        }
    }

    static void check_row(const InboxRow& row, const Message& message, std::uint32_t ordinal) {
        const Thread* const thread = message.thread(ordinal);
        const Thread none;
        const Thread& held = thread == nullptr ? none : *thread;
        CHECK(row.card->number == message.number);
        CHECK(row.unread == message.unread(ordinal));
        CHECK(row.can_reply);
        CHECK(row.posts == held.posts.size());
        CHECK(row.unread_replies == held.unread_replies);
        CHECK(row.opened_at == message.opened_at(ordinal));
        CHECK(row.replied_at == held.last_replied_at);
    }

    Crowd crowd_;
    Random random_;
    std::vector<Message> messages_;
    std::set<std::uint32_t> looked_at_;
    std::uint64_t posts_ = 0;
};

void check_audiences(std::uint32_t partners, const std::vector<std::uint32_t>& sizes,
                     std::size_t steps) {
    Random random(partners);
    std::vector<Ordinals> sets;
    for (const std::uint32_t size : sizes) {
        sets.push_back(testing::random_ordinals(random, partners, size));
    }
    World world(partners, sets);
    world.check();  // before anything happened to them
    world.change(steps);
    world.check();
}

TEST_CASE("audiences of 0, 1 and both sides of the row limit") {
    check_audiences(
        5'000, {0, 1, limits::kRowLimit - 1, limits::kRowLimit, limits::kRowLimit + 1, 5'000}, 200);
}

TEST_CASE("an audience of 250,000", "[slow]") {
    check_audiences(250'100, {1, 250'000, limits::kRowLimit + 1}, 400);
}

TEST_CASE("a send to all follows the status of a partner through the years") {
    Crowd program(3);
    const auto send_to_all = [&] {
        SendMessage message;
        message.subject = "All";
        message.body = "Hello";
        return program.run(std::move(message)).answer;
    };
    const auto set_status = [&](const char* id, PartnerStatus status) {
        UpsertPartners change;
        PartnerPatch patch;
        patch.id = {id};
        patch.email = std::string(id) + "@example.com";
        patch.status = status;
        change.partners.push_back(std::move(patch));
        program.run(std::move(change), Role::platform);
    };
    const auto total = [&](std::uint32_t ordinal) {
        return program.models().inbox_summary(Crowd::program(), {ordinal}).total;
    };
    const EventNumber first = send_to_all();
    set_status("partner-1", PartnerStatus::archived);
    send_to_all();
    CHECK(total(0) == 2);
    CHECK(total(1) == 1);
    set_status("late", PartnerStatus::pending);
    send_to_all();
    set_status("late", PartnerStatus::active);
    set_status("partner-1", PartnerStatus::active);
    send_to_all();
    set_status("partner-2", PartnerStatus::deleted);
    CHECK(total(0) == 4);
    CHECK(total(1) == 2);
    CHECK(total(2) == 4);
    CHECK(total(3) == 1);
    CHECK(program.models().stats(Crowd::program(), first).recipients == 3);
    CHECK(program.models().check().empty());
}

}  // namespace
}  // namespace tidings
