// The embedded log on a good disk: what was appended is read, now, after a reopen and by others.
#include "events/embedded_log.h"

#include <thread>

#include "core/limits.h"
#include "tests/events/embedded_log_script.h"

namespace tidings {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& directory) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

TEST_CASE("a fresh log has a genesis and nothing else") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path() / "deep" / "2"));
    const Genesis genesis = script.log().genesis();
    CHECK(genesis.log == LogId::from("0123456789abcdef"));
    CHECK(genesis.partition.value == 2);
    CHECK(genesis.partitions == 4);
    CHECK(script.log().end_of_commits()->value == 0);
    CHECK(script.commits_read(0).empty());
    CHECK(script.commits_read(1).empty());
    CHECK(script.commands_read().empty());
    script.open();
    CHECK(script.log().genesis() == genesis);
}

TEST_CASE("a log that is not there is only made on request") {
    const TemporaryDirectory directory;
    auto config = config_in(directory.path() / "2");
    config.create = false;
    CHECK(why_not(config) == ErrorCode::not_found);
    CHECK(!fs::exists(config.directory));
    CHECK(
        EmbeddedLogReader::open(config.directory, EmbeddedLogReader::Mode::offline).error().code ==
        ErrorCode::not_found);
}

TEST_CASE("a log of another place is a log_mismatch") {
    const TemporaryDirectory directory;
    const auto config = config_in(directory.path());
    LogScript(config).close();
    auto other = config;
    SECTION("partition") { other.partition.value = 1; }
    SECTION("count") { other.partitions = 5; }
    SECTION("id") { other.log = LogId::from("another log's id"); }
    CHECK(why_not(other) == ErrorCode::log_mismatch);
    auto any = config;
    any.log = {};
    any.create = false;
    CHECK(EmbeddedLog::open(any).has_value());
}

TEST_CASE("a log is opened once") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    auto again = EmbeddedLog::open(config_in(directory.path()));
    REQUIRE(again.has_error());
    CHECK(again.error().code == ErrorCode::io);
    CHECK_THAT(again.error().detail, Catch::Contains("in use by another process"));
}

TEST_CASE("commands are read in the order of their appends, committed or not") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    REQUIRE(script.commit({"one", "two"}));
    REQUIRE(script.commit({"three"}));
    CHECK(script.log().append_command("four").has_value());
    CHECK(script.commands_read(0) == std::vector<std::string>{"one", "two", "three"});
    CHECK(script.commands_read(1) == std::vector<std::string>{"two", "three"});
    CHECK(script.commands_read(2) == std::vector<std::string>{"three"});
    CHECK(script.commands_read(3) == std::vector<std::string>{"four"});
    CHECK(script.commands_read(4).empty());
    std::vector<CommandRecord> none;
    CHECK(script.log().read_commands({5}, kAll, none).error().code == ErrorCode::log_mismatch);

    script.open();  // a command without a commit was never answered, and is gone
    CHECK(script.commands_read(0) == std::vector<std::string>{"one", "two", "three"});
    CHECK(script.commands_read(3).empty());
    REQUIRE(script.commit({"another four"}));
    CHECK(script.commands_read(2) == std::vector<std::string>{"three", "another four"});
}

TEST_CASE("commits come back after a reopen, without gaps") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    for (int i = 0; i < 40; ++i) {
        REQUIRE(script.commit_some());
        if (i % 10 == 9) script.open();
    }
    CHECK(script.commits_read() == script.records());
    CHECK(script.commits_read(39) ==
          std::vector<std::string>(script.records().end() - 2, script.records().end()));
    CHECK(script.log().end_of_commits()->value == 41);
    CHECK(script.commits_read(41).empty());
    std::vector<CommitRecord> none;
    CHECK(script.log().read_commits({42}, kAll, none).error().code == ErrorCode::log_mismatch);
}

TEST_CASE("reads keep to their bound, and give one record at least") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    REQUIRE(script.commit({std::string(100, 'a'), std::string(100, 'b'), std::string(100, 'c')}));
    REQUIRE(script.commit_some());
    for (const std::string& waiting : {std::string(100, 'd'), std::string(100, 'e')}) {
        REQUIRE(script.log().append_command(waiting).has_value());
    }
    const auto commands = [&](std::uint64_t from, std::size_t bytes) {
        std::vector<CommandRecord> out;
        REQUIRE(script.log().read_commands({from}, bytes, out).has_value());
        return out.size();
    };
    CHECK(commands(0, 1) == 1);
    CHECK(commands(0, 200) == 2);
    CHECK(commands(0, 299) == 2);
    CHECK(commands(5, 1) == 1);
    CHECK(commands(5, 199) == 1);
    CHECK(commands(5, 200) == 2);
    std::vector<CommitRecord> out;
    REQUIRE(script.log().read_commits({0}, 1, out).has_value());
    CHECK(out.size() == 1);
}

TEST_CASE("the queue is bounded, and empties with commits") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    const std::string large(limits::kQueueBytes / 4, 'x');
    const std::string record = script.next_record({large, large, large, large});
    CHECK(script.log().append_command("y").error().code == ErrorCode::overloaded);
    REQUIRE(script.append(record));
    CHECK(script.log().append_command("y").has_value());
    CHECK(script.commands_read(4) == std::vector<std::string>{"y"});
}

TEST_CASE("commands are appended from many threads while commits are written") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    constexpr std::size_t kThreads = 3, kEach = 400;
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&script, t] {
            for (std::size_t i = 0; i < kEach; ++i) {
                if (script.log()
                        .append_command(std::to_string(t) + ":" + std::to_string(i))
                        .has_error())
                    return;
            }
        });
    }
    std::vector<std::string> seen;
    while (seen.size() < kThreads * kEach) {
        const auto waiting = script.commands_read(seen.size());
        if (waiting.empty()) std::this_thread::yield();
        seen.insert(seen.end(), waiting.begin(), waiting.end());
        if (!waiting.empty()) REQUIRE(script.commit_waiting(waiting));
    }
    for (auto& thread : threads) thread.join();
    std::vector<std::size_t> next(kThreads);
    for (const auto& command : seen) {
        const auto t = static_cast<std::size_t>(command[0] - '0');
        CHECK(command == std::to_string(t) + ":" + std::to_string(next[t]++));
    }
    script.open();
    CHECK(script.commands_read(0) == seen);
}

TEST_CASE("only the next commit over queued commands can be appended") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    REQUIRE(script.commit_some());
    Envelope envelope{.log = script.log().genesis().log,
                      .partition = {2},
                      .sequence = {2},
                      .previous = script.tip().hash,
                      .first = {2},
                      .last = {2}};
    const auto append = [&] {
        script.log().append_commit(CapnpCodec().encode_commit(envelope, {}));
    };
    CHECK_THROWS_AS(append(), std::logic_error);  // nothing is queued
    REQUIRE(script.log().append_command("queued").has_value());
    SECTION("a gap") { envelope.sequence.value = 3; }
    SECTION("another chain") { envelope.previous = {}; }
    SECTION("commands left out") { envelope.first.value = envelope.last.value = 3; }
    SECTION("more commands than there are") { envelope.last.value = 3; }
    CHECK_THROWS_AS(append(), std::logic_error);
    CHECK(script.log().end_of_commits()->value == 2);
}

TEST_CASE("a reader sees what was written, and writes nothing") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    for (int i = 0; i < 5; ++i) REQUIRE(script.commit_some());
    script.close();
    const auto before = names_in(directory.path());
    {
        auto reader = EmbeddedLogReader::open(directory.path(), EmbeddedLogReader::Mode::offline);
        REQUIRE(reader.has_value());
        CHECK((*reader)->genesis().partitions == 4);
        CHECK((*reader)->end_of_commits()->value == 6);
        std::vector<CommitRecord> commits;
        REQUIRE((*reader)->read_commits({0}, kAll, commits).has_value());
        REQUIRE(commits.size() == 5);
        CHECK(commits[4].bytes == script.records()[4]);
        std::vector<CommandRecord> commands;
        REQUIRE((*reader)->read_commands({3}, kAll, commands).has_value());
        CHECK(commands.size() == 7);
        CHECK(commands[0].position.value == 3);
    }
    CHECK(names_in(directory.path()) == before);
}

TEST_CASE("a follower sees each commit while the log is written, across flushes") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    REQUIRE(script.commit_some());
    auto follower = EmbeddedLogReader::open(directory.path(), EmbeddedLogReader::Mode::follow);
    REQUIRE(follower.has_value());
    std::vector<CommitRecord> seen;
    std::vector<CommandRecord> commands;
    for (int i = 0; i < 60; ++i) {
        REQUIRE(script.commit_some(100'000));  // a flush every ten or so: the write buffer is 1 MiB
        if (i == 30) script.open();            // a restart of the writer
        REQUIRE((*follower)->refresh().has_value());
        REQUIRE((*follower)->end_of_commits()->value == script.tip().next_record.value);
        REQUIRE((*follower)->read_commits({1 + seen.size()}, kAll, seen).has_value());
        REQUIRE((*follower)->read_commands({commands.size()}, kAll, commands).has_value());
    }
    REQUIRE(seen.size() == script.records().size());
    for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i].bytes == script.records()[i]);
    CHECK(commands.size() == 2 * seen.size());
}

TEST_CASE("an open as one request takes little space in the log") {
    // PartnerOpens of one partner each, a thousand to a commit, every id and digest random: the
    // worst case.
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    constexpr std::size_t kCommits = 20, kOpens = 1'000;
    std::uint64_t state = 88'172'645'463'325'252ULL;
    const auto random = [&state] {  // xorshift64 (Marsaglia, 2003): fixed, so that the size is
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    };
    const auto fill = [&](auto& bytes) {
        for (auto& byte : bytes.bytes) byte = static_cast<std::uint8_t>(random() >> 24);
    };
    for (std::size_t c = 0; c < kCommits; ++c) {
        std::vector<std::string> commands;
        std::vector<Outcome> outcomes;
        for (std::size_t i = 0; i < kOpens; ++i) {
            const auto partner = static_cast<std::uint32_t>(random() % 1'000'000);
            Command command;
            fill(command.id);
            fill(command.digest);
            fill(command.caller);
            command.time.value = 1'767'225'600'000 + static_cast<std::int64_t>(c * 20 + i / 50);
            command.program.value = "acme";
            command.actor = {Role::partner, "partner-" + std::to_string(partner), {}};
            command.body = RecordOpens{{{.message = {1 + random() % 20},
                                         .partners = Bitmap::bitmapOf(1, partner),
                                         .at = {}}},
                                       {}};
            commands.push_back(CapnpCodec().encode_command(command));
            Outcome outcome{.id = command.id,
                            .digest = command.digest,
                            .caller = command.caller,
                            .program = command.program,
                            .time = command.time,
                            .status = OutcomeStatus::applied,
                            .first_event = {c * kOpens + i + 1},
                            .first_opens = 1};
            const auto& group = std::get<RecordOpens>(command.body).groups[0];
            outcome.events.push_back(
                MessagesOpened{{{.message = group.message, .partners = group.partners, .at = {}}}});
            outcomes.push_back(std::move(outcome));
        }
        REQUIRE(script.append(script.next_record(commands, outcomes)));
    }
    script.open();  // recovery flushes what the WAL holds
    std::uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(directory.path())) {
        if (entry.path().extension() == ".sst") bytes += entry.file_size();
    }
    CAPTURE(bytes / (kCommits * kOpens));
    CHECK(bytes > 0);
    CHECK(bytes < 130 * kCommits * kOpens);
}

}  // namespace
}  // namespace tidings
