// The embedded log on bad disks: crashes that lose what was not synced, full disks, failing syncs,
// damaged files.
#include <fstream>

#include "tests/events/embedded_log_script.h"

namespace tidings {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::string content(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void set_content(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// The newest WAL file that is not empty.
fs::path wal_in(const fs::path& directory) {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(directory)) {
        if (entry.path().extension() == ".log" && entry.file_size() > 0 && entry.path() > newest)
            newest = entry.path();
    }
    REQUIRE(!newest.empty());
    return newest;
}

/// Commits until the power fails, after `commits` of them.
void crash_after(LogScript& script, const std::shared_ptr<FaultyDisk>& disk, int commits,
                 std::size_t bytes) {
    for (int i = 0; i < commits; ++i) REQUIRE(script.commit_some(bytes));
    disk->power_off();
    CHECK(!script.commit_some(bytes));
    script.close();
    disk->lose_unsynced();
}

TEST_CASE("what was acknowledged survives a crash that loses every unsynced byte") {
    // Small commits lie in the WAL alone; large ones are flushed, so that files and manifests are
    // at stake too.
    for (const std::size_t bytes : {300U, 120'000U}) {
        const TemporaryDirectory directory;
        auto disk = std::make_shared<FaultyDisk>();
        LogScript script(config_on(directory.path() / "2", disk));
        crash_after(script, disk, 30, bytes);
        LogScript after(config_in(directory.path() / "2"));
        CHECK(after.commits_read() == script.records());
        CHECK(after.commands_read().size() == 60);
        CHECK(after.log().end_of_commits()->value == 31);
    }
}

TEST_CASE("the crash is real: without syncs that keep their word commits are lost") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    LogScript script(config_on(directory.path(), disk));
    REQUIRE(script.commit_some());
    disk->set_lying_syncs(true);
    crash_after(script, disk, 30, 300);
    REQUIRE(script.records().size() == 31);
    LogScript after(config_in(directory.path()));
    CHECK(after.commits_read() == std::vector<std::string>{script.records()[0]});
}

TEST_CASE("a commit is one sync") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    LogScript script(config_on(directory.path(), disk));
    REQUIRE(script.commit_some());
    const auto before = disk->syncs();
    for (int i = 0; i < 10; ++i) REQUIRE(script.commit_some());
    CHECK(disk->syncs() - before == 10);
}

TEST_CASE("a crash at the birth of a log leaves none or all of it") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    { LogScript script(config_on(directory.path() / "2", disk)); }
    disk->power_off();
    disk->lose_unsynced();
    auto config = config_in(directory.path() / "2");
    config.create = false;
    CHECK(EmbeddedLog::open(config).has_value());
}

TEST_CASE("a full disk: the same bytes are appended again, once there is room") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    LogScript script(config_on(directory.path(), disk));
    const int before = GENERATE(0, 3);  // 0: the memtable holds genesis alone
    if (before == 0) script.open();     // ... or nothing at all
    for (int i = 0; i < before; ++i) REQUIRE(script.commit_some());
    disk->set_full(true);
    const std::string record = script.next_record({"first", "second"});
    for (int attempt = 0; attempt < 3; ++attempt) {
        CHECK(!script.append(record));
        CHECK(script.log().append_state() == AppendState::unknown);
        CHECK(script.log().trouble()->code == ErrorCode::io);
    }
    CHECK(script.log().append_command("third").has_value());  // queueing goes on
    disk->set_full(false);
    CHECK(script.commits_read() == script.records());  // so does reading
    REQUIRE(script.append(record));
    CHECK(script.commits_read() == script.records());
    REQUIRE(script.commit_waiting({"third"}));
    REQUIRE(script.commit_some());
    script.open();
    CHECK(script.commits_read() == script.records());
    CHECK(script.commands_read(2 * before).size() == 5);
}

TEST_CASE("a full disk, recovery, and a crash: everything acknowledged is there once") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    LogScript script(config_on(directory.path(), disk));
    for (int round = 0; round < 4; ++round) {
        REQUIRE(script.commit_some(80'000));
        disk->set_full(true);
        const std::string record = script.next_record({"x", std::string(70'000, 'y')});
        CHECK(!script.append(record));
        disk->set_full(false);
        REQUIRE(script.append(record));
    }
    crash_after(script, disk, 2, 300);
    LogScript after(config_in(directory.path()));
    CHECK(after.commits_read() == script.records());
}

TEST_CASE("a failed sync leaves the outcome unknown; appending again settles it") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    LogScript script(config_on(directory.path(), disk));
    REQUIRE(script.commit_some());
    disk->set_failing_syncs(true);
    const std::string record = script.next_record({"first", "second"});
    CHECK(!script.append(record));
    CHECK(script.commits_read() == script.records());  // nothing that is not durable is read
    disk->set_failing_syncs(false);
    REQUIRE(
        script.append(record));  // it had reached the file: recovery finds it and makes it durable
    CHECK(script.commits_read() == script.records());
    crash_after(script, disk, 1, 300);
    LogScript after(config_in(directory.path()));
    CHECK(after.commits_read() == script.records());
    const auto commands = after.commands_read(2);
    REQUIRE(commands.size() == 4);
    CHECK(commands[0] == "first");
    CHECK(commands[1] == "second");
}

TEST_CASE("a failed sync and a crash: the commit is there whole or not at all") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    LogScript script(config_on(directory.path(), disk));
    REQUIRE(script.commit_some());
    disk->set_failing_syncs(true);
    CHECK(!script.commit_some());
    disk->power_off();
    script.close();
    disk->lose_unsynced();
    LogScript after(config_in(directory.path()));
    CHECK(after.commits_read() == script.records());
    CHECK(after.commands_read().size() == 2);
}

TEST_CASE("a directory that cannot be written is a clear error") {
    const TemporaryDirectory directory;
    auto disk = std::make_shared<FaultyDisk>();
    const auto config = config_on(directory.path() / "2", disk);
    SECTION("a log is there") { LogScript(config_in(directory.path() / "2")).close(); }
    SECTION("none is there yet") {}
    disk->set_read_only(true);
    auto opened = EmbeddedLog::open(config);
    REQUIRE(opened.has_error());
    CHECK(opened.error().code == ErrorCode::io);
    CHECK_THAT(opened.error().detail, Catch::Contains((directory.path() / "2").string()));
    CHECK_THAT(opened.error().detail, Catch::Contains("Read-only file system"));
}

TEST_CASE("a cut-off WAL loses its tail visibly, and whoever was ahead is told") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    for (int i = 0; i < 10; ++i) REQUIRE(script.commit_some());
    script.close();
    const fs::path wal = wal_in(directory.path());
    const auto size = fs::file_size(wal);
    const auto cut = GENERATE(1U, 100U, 700U);
    fs::resize_file(wal, size - cut);
    script.open();
    CHECK(script.log().tail_was_cut());
    const auto left = script.commits_read();
    CHECK(left.size() < 10);
    CHECK(left == std::vector<std::string>(script.records().begin(),
                                           script.records().begin() + left.size()));
    CHECK(script.commands_read(0).size() == 2 * left.size());
    std::vector<CommitRecord> none;
    const auto ahead = script.log().read_commits(script.tip().next_record, kAll, none);
    REQUIRE(ahead.has_error());
    CHECK(ahead.error().code == ErrorCode::log_mismatch);
}

TEST_CASE("a log that was closed or killed in order has no cut-off tail") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    for (int i = 0; i < 5; ++i) {
        REQUIRE(script.commit_some());
        script.open();
        CHECK(!script.log().tail_was_cut());
    }
}

TEST_CASE("a flipped bit anywhere in the WAL is never read as something else") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    for (int i = 0; i < 30; ++i) REQUIRE(script.commit_some());
    script.close();
    const fs::path saved = directory.path().string() + ".saved";
    fs::copy(directory.path(), saved, fs::copy_options::recursive);
    const std::string bytes = content(wal_in(directory.path()));
    std::size_t refused = 0, silent = 0;
    for (std::size_t at = 3; at < bytes.size(); at += bytes.size() / 150) {
        fs::remove_all(directory.path());
        fs::copy(saved, directory.path(), fs::copy_options::recursive);
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
        set_content(wal_in(directory.path()), damaged);
        auto opened = EmbeddedLog::open(config_in(directory.path()));
        if (opened.has_error()) {
            CHECK(opened.error().code == ErrorCode::corruption);
            ++refused;
            continue;
        }
        std::vector<CommitRecord> read;
        REQUIRE((*opened)->read_commits({0}, kAll, read).has_value());
        for (std::size_t i = 0; i < read.size(); ++i) CHECK(read[i].bytes == script.records()[i]);
        if (read.size() < script.records().size() && !(*opened)->tail_was_cut()) ++silent;
    }
    fs::remove_all(saved);
    CHECK(refused > 100);
    CHECK(silent == 0);
}

TEST_CASE("a flipped bit in a table file is an error, not an answer") {
    const TemporaryDirectory directory;
    LogScript script(config_in(directory.path()));
    for (int i = 0; i < 12; ++i) REQUIRE(script.commit_some(200'000));
    script.open();
    script.close();
    std::size_t damaged = 0;
    for (const auto& entry : fs::directory_iterator(directory.path())) {
        if (entry.path().extension() != ".sst") continue;
        std::string bytes = content(entry.path());
        bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 4);
        set_content(entry.path(), bytes);
        ++damaged;
    }
    REQUIRE(damaged > 0);
    auto opened = EmbeddedLog::open(config_in(directory.path()));
    if (opened.has_error()) {
        CHECK(opened.error().code == ErrorCode::corruption);
        return;
    }
    std::vector<CommitRecord> commits;
    std::vector<CommandRecord> commands;
    const auto read = (*opened)->read_commits({0}, kAll, commits);
    const auto read_too = (*opened)->read_commands({0}, kAll, commands);
    REQUIRE((read.has_error() || read_too.has_error()));
    CHECK((read.has_error() ? read.error() : read_too.error()).code == ErrorCode::corruption);
}

}  // namespace
}  // namespace tidings
