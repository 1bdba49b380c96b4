// Audiences of 0, 1, both sides of the row limit, and 250,000, against plain sets.
#include <set>

#include "projections/models.h"
#include "tests/support/catch.h"
#include "tests/support/memory_commands.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

const ProgramId kProgram{"acme"};

/// A program of `count` partners; every second one is tagged "even", and metrics tell how far along
/// one is.
class Program {
public:
    explicit Program(std::uint32_t count) : count_(count) {
        ModelsOptions options;
        options.directory = directory_.path();
        models_ = std::move(*Models::open(options));
        run(UpsertProgram{"Acme", Plan::advanced});
        for (std::uint32_t next = 0; next < count;) {
            UpsertPartners chunk;
            for (; next < count && chunk.partners.size() < limits::kImportChunkPartners; ++next) {
                PartnerPatch patch;
                patch.id = {"partner-" + std::to_string(next)};
                patch.email = patch.id.value + "@example.com";
                patch.tags = std::vector<std::string>{next % 2 == 0 ? "even" : "odd"};
                patch.metrics.clicks = next;
                chunk.partners.push_back(std::move(patch));
            }
            run(std::move(chunk));
        }
    }

    Outcome run(CommandBody body, Role role = Role::owner) {
        Command command;
        command.program = kProgram;
        command.actor = {role, "someone", "Someone"};
        command.time = {1'700'000'000'000 + static_cast<std::int64_t>(sequence_)};
        command.body = std::move(body);
        const Outcome outcome = decide(models_->facts(), command);
        models_->fold(outcome);
        Tip tip;
        tip.sequence = {++sequence_};
        REQUIRE(models_->publish(tip).has_value());
        return outcome;
    }

    /// Sends to the partners with fewer than `below` clicks.
    EventNumber send_below(std::uint32_t below) {
        SendMessage message;
        message.subject = "To " + std::to_string(below);
        message.body = "Hello";
        message.replies_enabled = true;
        message.audience.type = Audience::Type::filter;
        message.audience.filter.kind = Filter::Kind::metric;
        message.audience.filter.metric = Metric::clicks;
        message.audience.filter.op = Comparison::less;
        message.audience.filter.value = below;
        const Outcome outcome = run(std::move(message));
        if (below == 0) {
            REQUIRE(outcome.refusal.has_value());
            CHECK(outcome.refusal->code == ErrorCode::audience_empty);
        } else {
            REQUIRE(outcome.status == OutcomeStatus::applied);
        }
        return outcome.answer;
    }

    void check_message(EventNumber message, const std::set<std::uint32_t>& recipients) {
        testing::Random random(message.value);
        std::set<std::uint32_t> opened;
        for (int i = 0; i < 3; ++i) {
            RecordOpens opens;
            opens.groups.push_back({message, {}, {}});
            for (int k = 0; k < 500; ++k)
                opens.groups[0].partners.add(static_cast<std::uint32_t>(random.below(count_)));
            std::uint32_t first = 0;
            for (const std::uint32_t ordinal : opens.groups[0].partners)
                if (recipients.contains(ordinal) && opened.insert(ordinal).second) ++first;
            CHECK(run(std::move(opens)).first_opens == first);
        }
        const MessageStats stats = models_->stats(kProgram, message);
        CHECK(stats.recipients == recipients.size());
        CHECK(stats.opens == opened.size());
        for (int i = 0; i < 200; ++i) {
            const auto ordinal = static_cast<std::uint32_t>(random.below(count_));
            CHECK(models_->is_recipient(kProgram, message, {ordinal}) ==
                  recipients.contains(ordinal));
            CHECK(models_->opened_at(kProgram, message, {ordinal}).has_value() ==
                  opened.contains(ordinal));
        }
        std::set<std::uint32_t> listed;
        PageRequest request{limits::kPageMax, ""};
        do {
            const auto page =
                models_->recipients(kProgram, message, RecipientState::opened, "", request);
            REQUIRE(page.has_value());
            for (const RecipientRow& row : page->rows) listed.insert(row.partner->ordinal.value);
            request.cursor = page->next_cursor;
        } while (!request.cursor.empty());
        CHECK(listed == opened);
        for (const std::uint32_t ordinal : opened) ++opens_[ordinal];
    }

    void check_inboxes(const std::vector<std::uint32_t>& audiences) {
        testing::Random random(99);
        for (int i = 0; i < 300; ++i) {
            const auto ordinal = static_cast<std::uint32_t>(random.below(count_));
            std::uint64_t received = 0;
            for (const std::uint32_t below : audiences) received += ordinal < below ? 1 : 0;
            const InboxSummary summary = models_->inbox_summary(kProgram, {ordinal});
            CHECK(summary.total == received);
            CHECK(summary.unread == received - opens_[ordinal]);
            const auto page = models_->inbox(kProgram, {ordinal}, false, false, {});
            REQUIRE(page.has_value());
            CHECK(page->rows.size() == received);
        }
        CHECK(models_->check().empty());
    }

    const Models& models() const { return *models_; }

private:
    testing::TemporaryDirectory directory_;
    std::unique_ptr<Models> models_;
    std::uint32_t count_;
    std::uint64_t sequence_ = 0;
    std::map<std::uint32_t, std::uint64_t> opens_;
};

void check_audiences(std::uint32_t partners, const std::vector<std::uint32_t>& audiences) {
    Program program(partners);
    for (const std::uint32_t below : audiences) {
        const EventNumber message = program.send_below(below);
        if (below == 0) continue;
        std::set<std::uint32_t> recipients;
        for (std::uint32_t i = 0; i < below; ++i) recipients.insert(i);
        program.check_message(message, recipients);
    }
    program.check_inboxes(audiences);
}

TEST_CASE("audiences of 0, 1 and both sides of the row limit") {
    check_audiences(5'000,
                    {0, 1, limits::kRowLimit - 1, limits::kRowLimit, limits::kRowLimit + 1, 5'000});
}

TEST_CASE("an audience of 250,000", "[slow]") { check_audiences(250'100, {1, 250'000, 4'097}); }

TEST_CASE("a send to all follows the status of a partner through the years") {
    Program program(3);
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
        return program.models().inbox_summary(kProgram, {ordinal}).total;
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
    CHECK(program.models().stats(kProgram, first).recipients == 3);
    CHECK(program.models().check().empty());
}

}  // namespace
}  // namespace tidings
