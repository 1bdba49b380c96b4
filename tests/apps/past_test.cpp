// Read models at older positions: from snapshots and the log, equal to those that were live.
#include "apps/past.h"

#include <spdlog/spdlog.h>

#include <fstream>
#include <future>

#include "apps/history.h"
#include "apps/snapshots.h"
#include "tests/apps/audit_world.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {
namespace {

namespace fs = std::filesystem;

using Digests = std::vector<std::pair<ProgramId, Hash256>>;

/// A log, the snapshots that were made as it grew, and what the live models said at each position.
struct Grown {
    explicit Grown(std::uint64_t seed, std::size_t commits = 150) : world(true) {
        spdlog::set_level(spdlog::level::off);
        world.play(seed, commits);
        ModelsOptions options;
        options.directory = directory.path() / "models";
        auto models = std::move(Models::open(options).value());
        tidings::testing::MemoryLog log(world.store);
        Snapshots snapshots(snapshot_directory(), world.genesis(), {.every = 4'000, .most = 8});
        snapshots.open(log, Tip{});
        digests.push_back({});
        views.emplace_back();
        PastCost cost;
        for (std::uint64_t s = 1; s < world.store.commits.size(); ++s) {
            REQUIRE(replay(world, world.codec, *models, {.last = Sequence{s}}, cost).has_value());
            snapshots.take_if_due(*models, cost.bytes);
            digests.push_back(models->program_digests());
            views.emplace_back();
            for (const ProgramId& id : models->program_ids()) {
                views.back()[id] = *models->program(id);
            }
        }
    }
    fs::path snapshot_directory() const {
        return snapshots_directory(directory.path(), PartitionId{0});
    }
    std::uint64_t last() const { return digests.size() - 1; }
    Result<std::shared_ptr<Past>> build(const PastEnd& end) {
        PastPlace place;
        place.snapshots = snapshot_directory();
        place.scratch = directory.path() / "scratch" / std::to_string(++scratch);
        return build_past(world, world.codec, place, end);
    }

    tidings::testing::TemporaryDirectory directory;
    AuditWorld world;
    std::vector<Digests> digests;                         ///< by sequence
    std::vector<std::map<ProgramId, ProgramView>> views;  ///< by sequence
    int scratch = 0;
};

std::uint64_t sequence_of(const Past& past) { return past.models().tip().sequence.value; }

}  // namespace

TEST_CASE("the past at every position equals what was live there") {
    Grown grown(3);
    const auto kept = list_snapshots(grown.snapshot_directory());
    REQUIRE(kept.has_value());
    REQUIRE(kept->size() >= 3);
    REQUIRE(kept->size() <= 8);
    std::uint64_t replayed = 0;
    for (std::uint64_t s = 0; s <= grown.last(); s += s % 3 + 1) {
        const auto past = grown.build({.last = Sequence{s}});
        REQUIRE(past.has_value());
        CHECK(sequence_of(**past) == s);
        CHECK((*past)->models().program_digests() == grown.digests[s]);
        CHECK((*past)->models().check().empty());
        CHECK((*past)->cost().base.value + (*past)->cost().commits == s);
        replayed = std::max(replayed, (*past)->cost().commits);
    }
    CHECK(replayed < grown.last() / 2);
    CHECK(fs::is_empty(grown.directory.path() / "scratch"));
}

TEST_CASE("a time is the last commit whose log time is not beyond it") {
    Grown grown(4);
    for (const auto& [program, last] : grown.views.back()) {
        for (std::uint64_t s = 1; s <= grown.last(); s += 7) {
            if (!grown.views[s].contains(program)) continue;
            const Timestamp time = grown.views[s].at(program).log_time;
            std::uint64_t expected = s;
            while (expected < grown.last() &&
                   grown.views[expected + 1].at(program).log_time <= time) {
                ++expected;
            }
            const auto past =
                grown.build({.last = Sequence{grown.last()}, .program = program, .time = time});
            REQUIRE(past.has_value());
            CHECK(sequence_of(**past) == expected);
            CHECK((*past)->is_final() == (expected < grown.last()));
            CHECK((*past)->models().program_digests() == grown.digests[expected]);
        }
    }
}

TEST_CASE("every send has a receipt, and a reason for every partner") {
    Grown grown(5, 250);
    std::size_t sends = 0, reasons = 0;
    for (std::size_t position = 1; position < grown.world.store.commits.size(); ++position) {
        CommandPosition command = grown.world.envelope(position).first;
        for (const Outcome& outcome : grown.world.outcomes(position)) {
            const CommandPosition here{command.value++};
            if (outcome.events.empty()) continue;
            const auto* sent = std::get_if<MessageSent>(&outcome.events.front());
            if (sent == nullptr) continue;
            const EventNumber number = outcome.first_event;
            const auto past = grown.build(
                {.last = Sequence{grown.last()}, .program = outcome.program, .event = number});
            REQUIRE(past.has_value());
            CHECK(sequence_of(**past) == position - 1);
            ++sends;
            for (std::uint64_t p = 0; p < 13; ++p) {  // the last one is nobody
                const PartnerId partner = tidings::testing::CommandGenerator::partner(p);
                const auto receipt =
                    (*past)->receipt(grown.world.codec, outcome.program, number, partner);
                REQUIRE(receipt.has_value());
                CHECK(receipt->sent == *sent);
                CHECK(receipt->sequence.value == position);
                CHECK(receipt->command == outcome.id);
                CHECK(receipt->command_position == here);
                if (receipt->why->filter) ++reasons;
            }
            CHECK((*past)->models().program_digests() == grown.digests[position - 1]);
            const auto other = (*past)->receipt(grown.world.codec, outcome.program,
                                                EventNumber{number.value + 1'000}, {});
            CHECK(other.error().code == ErrorCode::not_found);
        }
    }
    CHECK(sends > 3);
    CHECK(reasons > 3);
}

TEST_CASE("a snapshot that is damaged, or not of this log, is refused for an older one") {
    Grown grown(6);
    const auto all = list_snapshots(grown.snapshot_directory()).value();
    REQUIRE(all.size() >= 3);
    const auto path = [&](std::size_t index) {
        return grown.snapshot_directory() / std::to_string(all[index].value);
    };
    const Sequence last{grown.last()};
    std::ofstream(models_in(path(all.size() - 1)) / "CURRENT") << "MANIFEST-999999\n";
    auto past = grown.build({.last = last});
    REQUIRE(past.has_value());
    CHECK((*past)->cost().base == all[all.size() - 2]);
    CHECK((*past)->models().program_digests() == grown.digests.back());

    fs::remove_all(models_in(path(all.size() - 2)));
    fs::copy(models_in(path(0)), models_in(path(all.size() - 2)));
    past = grown.build({.last = last});
    REQUIRE(past.has_value());
    CHECK((*past)->cost().base == all[all.size() - 3]);

    // of a log that went another way
    Grown other(7);
    fs::remove_all(grown.snapshot_directory());
    fs::copy(other.snapshot_directory(), grown.snapshot_directory(), fs::copy_options::recursive);
    past = grown.build({.last = last});
    REQUIRE(past.has_value());
    CHECK((*past)->cost().base.value == 0);
    CHECK((*past)->models().program_digests() == grown.digests.back());
}

TEST_CASE("a history keeps what was asked for last, and answers everyone") {
    Grown grown(8);
    HistoryOptions options;
    options.data = grown.directory.path();
    options.kept = 3;
    options.waiting = 4;
    options.open_log = [&](PartitionId) -> Result<std::unique_ptr<CommitSource>> {
        return std::unique_ptr<CommitSource>(std::make_unique<AuditWorld>(grown.world));
    };
    fs::create_directories(grown.directory.path() / "history" / "dead" / "1");
    auto history = std::move(History::open(options).value());
    CHECK_FALSE(fs::exists(grown.directory.path() / "history" / "dead"));

    std::mutex mutex;
    std::condition_variable changed;
    std::size_t answered = 0, refused = 0, wrong = 0;
    constexpr std::size_t kQuestions = 40;
    for (std::size_t i = 0; i < kQuestions; ++i) {
        const std::uint64_t s = i % 5 * 20;
        history->ask(PartitionId{0}, {.last = Sequence{s}}, i % 2 == 0, [&, s](auto past) {
            const std::lock_guard lock(mutex);
            ++answered;
            if (!past) {
                ++refused;
            } else if ((*past)->models().program_digests() != grown.digests[s]) {
                ++wrong;
            }
            changed.notify_one();
        });
    }
    {
        std::unique_lock lock(mutex);
        REQUIRE(changed.wait_for(lock, std::chrono::seconds(60),
                                 [&] { return answered == kQuestions; }));
        CHECK(wrong == 0);
        CHECK(refused > 0);  // more than may wait
    }
    std::promise<ErrorCode> beyond;
    history->ask(PartitionId{0}, {.last = Sequence{grown.last() + 1}}, true, [&](auto past) {
        beyond.set_value(past ? ErrorCode::invalid : past.error().code);
    });
    CHECK(beyond.get_future().get() == ErrorCode::overloaded);  // never less than was asked for
    const auto first = history->find(PartitionId{0}, {.last = Sequence{7}});
    REQUIRE(first.has_value());
    CHECK(history->find(PartitionId{0}, {.last = Sequence{7}}).value() == *first);
    history->stop();
    bool told = false;
    history->ask(PartitionId{0}, {.last = Sequence{33}}, true, [&](auto past) { told = !past; });
    CHECK(told);
    CHECK((*first)->models().program_digests() == grown.digests[7]);  // who holds it keeps it
}

TEST_CASE("more pasts than may be open are refused as long as they are read") {
    Grown grown(8);
    HistoryOptions options;
    options.data = grown.directory.path();
    options.kept = 1;
    options.open = 3;
    options.open_log = [&](PartitionId) -> Result<std::unique_ptr<CommitSource>> {
        return std::unique_ptr<CommitSource>(std::make_unique<AuditWorld>(grown.world));
    };
    const auto history = std::move(History::open(options).value());
    const auto ask = [&](std::uint64_t sequence) {
        std::promise<Result<std::shared_ptr<const Past>>> promise;
        history->ask(PartitionId{0}, {.last = Sequence{sequence}}, false,
                     [&](auto past) { promise.set_value(std::move(past)); });
        return promise.get_future().get();
    };
    std::vector<std::shared_ptr<const Past>> read;
    for (const std::uint64_t sequence : {5, 6, 7}) {
        auto past = ask(sequence);
        REQUIRE(past.has_value());
        read.push_back(std::move(*past));
    }
    const auto refused = ask(8);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::overloaded);
    CHECK(ask(7).value() == read.back());  // that is open anyway
    read.erase(read.begin());
    CHECK(ask(8).has_value());
}

TEST_CASE("equal questions are one, also while the log goes on") {
    Grown grown(9);
    HistoryOptions options;
    options.data = grown.directory.path();
    options.builders = 1;
    std::promise<void> begun, may_build;
    options.open_log = [&](PartitionId) -> Result<std::unique_ptr<CommitSource>> {
        begun.set_value();
        may_build.get_future().wait();
        return std::unique_ptr<CommitSource>(std::make_unique<AuditWorld>(grown.world));
    };
    std::uint64_t position = 20;  // of some event
    Outcome outcome;
    while (outcome.events.empty()) outcome = grown.world.outcomes(++position).front();
    auto history = std::move(History::open(options).value());
    std::vector<std::future<Result<std::shared_ptr<const Past>>>> answers;
    const auto ask = [&](Sequence last) {
        auto promise = std::make_shared<std::promise<Result<std::shared_ptr<const Past>>>>();
        answers.push_back(promise->get_future());
        history->ask(PartitionId{0},
                     {.last = last, .program = outcome.program, .event = outcome.first_event},
                     false, [promise](auto past) { promise->set_value(std::move(past)); });
    };
    ask(Sequence{position - 1});  // before the event is in the log
    begun.get_future().wait();
    for (std::uint64_t last = position; last <= grown.last(); ++last) {
        if (answers.size() < 20) ask(Sequence{last});
    }
    may_build.set_value();
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto past = answers[i].get();
        REQUIRE(past.has_value());
        CHECK((*past)->is_final() == (i > 0));  // nobody is told of less than is known to be there
        CHECK(sequence_of(**past) == position - 1);
    }
    CHECK(history->figures().built == 2);
    history->stop();
}

TEST_CASE("a snapshot whose mark cannot be read is removed, and others are made") {
    Grown grown(10);
    const auto all = list_snapshots(grown.snapshot_directory()).value();
    REQUIRE(all.size() >= 2);
    std::ofstream(grown.snapshot_directory() / std::to_string(all.back().value) / "snapshot.json");
    auto models = Models::open({.directory = grown.directory.path() / "models"}).value();
    tidings::testing::MemoryLog log(grown.world.store);
    Snapshots snapshots(grown.snapshot_directory(), grown.world.genesis(),
                        {.every = 4'000, .most = 8});
    snapshots.open(log, models->tip());
    CHECK(list_snapshots(grown.snapshot_directory()).value().size() == all.size() - 1);
    CHECK(snapshots.figures().failed == 1);
    snapshots.take_if_due(*models, 100'000);
    CHECK(snapshots.figures().taken == 1);
    CHECK(list_snapshots(grown.snapshot_directory()).value().back() == models->tip().sequence);
}

TEST_CASE("snapshots stand evenly in the log, and never too many") {
    for (const std::uint64_t most : {1, 2, 5, 16}) {
        const SnapshotPolicy policy{.every = 100, .most = most};
        std::vector<std::uint64_t> kept;
        std::uint64_t newest = 0, taken = 0;
        tidings::testing::Random random(most);
        for (std::uint64_t bytes = 0; bytes < 200'000; bytes += 1 + random.below(60)) {
            if (!policy.is_due(newest, bytes)) continue;
            newest = bytes;
            kept.push_back(bytes);
            ++taken;
            const auto surplus = policy.surplus(kept);
            for (auto index = surplus.rbegin(); index != surplus.rend(); ++index) {
                REQUIRE(*index + 1 < kept.size());  // never the one just made
                kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(*index));
            }
            REQUIRE(kept.size() <= most);
            const std::uint64_t spacing = policy.spacing(bytes);
            REQUIRE((spacing == 100 || spacing <= 2 * bytes / most));
            std::uint64_t before = 0;
            for (const std::uint64_t one : kept) {
                REQUIRE(one - before <= 2 * spacing);
                before = one;
            }
        }
        CHECK(taken <= most * 12);  // grows with the logarithm of the log
    }
    CHECK_FALSE(SnapshotPolicy{.every = 1, .most = 0}.is_due(0, 1'000'000));
}

TEST_CASE("a mark says what was written, and nothing else is taken for one") {
    const tidings::testing::TemporaryDirectory directory;
    SnapshotMark mark;
    mark.log = LogId::from("sixteen bytes id");
    mark.partition = PartitionId{3};
    mark.partitions = 4;
    mark.tip = {Sequence{17}, sha256("x"), CommandPosition{40}, LogPosition{18}};
    mark.log_bytes = UINT64_MAX;
    mark.files = {{"models/000012.sst", 4096, sha256("a")}, {"log/CURRENT", 16, sha256("b")}};
    CHECK(read_mark(directory.path()).error().code == ErrorCode::not_found);
    REQUIRE(write_mark(directory.path(), mark).has_value());
    CHECK(read_mark(directory.path()).value() == mark);
    std::ifstream in(directory.path() / "snapshot.json");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    for (std::size_t cut = 0; cut + 2 < text.size(); cut += 5) {
        std::ofstream(directory.path() / "snapshot.json") << text.substr(0, cut);
        CHECK_FALSE(read_mark(directory.path()).has_value());
    }
    std::ofstream(directory.path() / "snapshot.json") << R"({"version":2})";
    CHECK(read_mark(directory.path()).error().code == ErrorCode::newer_format);
}

}  // namespace tidings::apps
