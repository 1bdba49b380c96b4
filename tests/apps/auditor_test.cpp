// Audits of a running broker: one that reads a long way keeps nobody waiting, and ends with it.
#include "apps/auditor.h"

#include <functional>
#include <future>

#include "connectors/keys.h"
#include "tests/apps/audit_world.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {
namespace {

constexpr std::chrono::seconds kPatience{60};  ///< for what must happen

/// Says when it is read.
class WatchedLog final : public CommitSource {
public:
    WatchedLog(AuditWorld& world, std::function<void()> on_read)
        : world_(world), on_read_(std::move(on_read)) {}
    const Genesis& genesis() const override { return world_.genesis(); }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        on_read_();
        return world_.read_commits(from, max_bytes, out);
    }

private:
    AuditWorld& world_;
    const std::function<void()> on_read_;
};

/// An auditor of one log.
struct Audited {
    explicit Audited(
        std::size_t commits, std::function<void()> on_read = [] {},
        std::chrono::milliseconds patience = kPatience)
        : world(true),
          keys(KeyRing::open(directory.path()).value()),
          auditor(
              {"tidings.example", world.genesis().log, *keys},
              [this, on_read](PartitionId) -> Result<Auditor::OpenedLog> {
                  return Auditor::OpenedLog{
                      std::make_shared<WatchedLog>(world, on_read),
                      CommandsAhead([this](CommandPosition from, std::size_t bytes,
                                           std::vector<CommandRecord>& out) {
                          return world.read_commands(from, bytes, out);
                      })};
              },
              nullptr, patience) {
        world.play(3, commits);
    }
    Sequence last() const { return Sequence{world.store.commits.size() - 1}; }
    AuditSource::LinesQuestion everything(std::optional<ProgramId> program = {}) const {
        return {PartitionId{0}, Tip{}, Sequence{1}, last(), std::move(program)};
    }
    std::future<Result<LogLines>> ask(AuditSource::LinesQuestion question) const {
        auto promise = std::make_shared<std::promise<Result<LogLines>>>();
        auto answer = promise->get_future();
        auditor.read_lines(std::move(question), [promise](Result<LogLines> lines) {
            promise->set_value(std::move(lines));
        });
        return answer;
    }
    Result<LogLines> lines(AuditSource::LinesQuestion question) const {
        auto answer = ask(std::move(question));
        if (answer.wait_for(kPatience) != std::future_status::ready) FAIL("no answer came");
        return answer.get();
    }

    tidings::testing::TemporaryDirectory directory;
    AuditWorld world;
    std::unique_ptr<KeyRing> keys;
    Auditor auditor;
};

bool is_overloaded(const Result<LogLines>& lines) {
    return !lines && lines.error().code == ErrorCode::overloaded;
}

}  // namespace

TEST_CASE("a long stretch of other programs' commits is read a piece at a time") {
    Audited audited(150);
    std::size_t large = 0;
    for (std::size_t position = 1; position <= audited.last().value; ++position) {
        auto outcomes = audited.world.outcomes(position);
        for (Outcome& outcome : outcomes) {
            for (Event& event : outcome.events) {
                if (auto* sent = std::get_if<MessageSent>(&event)) {
                    sent->subject.assign(200'000, 'x');
                    ++large;
                }
            }
        }
        audited.world.rewrite(position, outcomes);
    }
    REQUIRE(large > 10);  // two megabytes
    auto question = audited.everything(ProgramId{"nobody"});
    int pieces = 0;
    while (question.after.sequence < question.last) {
        const auto piece = audited.lines(question);
        REQUIRE(piece.has_value());
        CHECK(piece->text.empty());
        REQUIRE(piece->tip.sequence > question.after.sequence);
        question.after = piece->tip;
        ++pieces;
    }
    CHECK(question.after.sequence == question.last);
    CHECK(pieces > 1);
}

TEST_CASE("an auditor that stops ends what it reads, and refuses the others") {
    std::promise<void> reading, may_read;
    int reads = 0;
    Audited audited(2'000, [&] {
        if (++reads > 1) return;
        reading.set_value();
        may_read.get_future().wait();
    });
    auto asked = audited.ask(audited.everything(ProgramId{"nobody"}));
    reading.get_future().wait();
    auto waits = audited.ask(audited.everything());
    std::thread stopping([&] { audited.auditor.stop(); });
    while (true) {  // until it has begun to stop
        auto asked_late = audited.ask(audited.everything());
        if (asked_late.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
            const auto refused = asked_late.get();
            CHECK(is_overloaded(refused));
            if (refused.error().detail.find("stopping") != std::string::npos) break;
        }
        std::this_thread::yield();
    }
    may_read.set_value();
    stopping.join();
    CHECK(is_overloaded(asked.get()));
    CHECK(is_overloaded(waits.get()));
    CHECK(reads == 1);
}

TEST_CASE("a question that waits too long for others is refused") {
    std::promise<void> reading, may_read;
    int reads = 0;
    Audited audited(
        5,
        [&] {
            if (++reads > 1) return;
            reading.set_value();
            may_read.get_future().wait();
        },
        std::chrono::milliseconds(0));
    auto asked = audited.ask(audited.everything());
    reading.get_future().wait();
    auto waits = audited.ask(audited.everything());
    audited.auditor.expire();
    CHECK(is_overloaded(waits.get()));
    may_read.set_value();
    const auto lines = asked.get();
    REQUIRE(lines.has_value());
    CHECK(lines->tip.sequence == audited.last());
}

TEST_CASE("a failure that is thrown while a log is read is an answer") {
    Audited audited(5, [] { throw std::runtime_error("the disk is gone"); });
    const auto lines = audited.lines(audited.everything());
    REQUIRE_FALSE(lines.has_value());
    CHECK(lines.error().code == ErrorCode::io);
}

}  // namespace tidings::apps
