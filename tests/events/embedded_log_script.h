// Small words for tests of the embedded log: open it, append commands and commits that continue the
// chain.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "events/codec.h"
#include "events/embedded_log.h"
#include "events/embedded_log_resources.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/temporary_directory.h"

namespace tidings::testing {

constexpr std::size_t kAll = ~std::size_t{0};

inline EmbeddedLogConfig config_in(const std::filesystem::path& directory) {
    return {.directory = directory,
            .log = LogId::from("0123456789abcdef"),
            .partition = {2},
            .partitions = 4,
            .create = true,
            .resources = make_log_resources(1 << 20, 1 << 20)};
}
inline EmbeddedLogConfig config_on(const std::filesystem::path& directory,
                                   const std::shared_ptr<FaultyDisk>& disk) {
    auto config = config_in(directory);
    config.resources->env = FaultyDisk::env(disk);
    return config;
}

/// A log and the tip of what was appended to it, as the partition's thread would hold them.
class LogScript {
public:
    explicit LogScript(EmbeddedLogConfig config) : config_(std::move(config)) { open(); }

    void open() {
        log_.reset();
        auto opened = EmbeddedLog::open(config_);
        if (opened.has_error()) FAIL(opened.error().detail);
        log_ = std::move(*opened);
        if (tip_ == Tip{})
            tip_ = {.sequence = {},
                    .hash = log().genesis().hash,
                    .next_command = {},
                    .next_record = {1}};
    }
    void close() { log_.reset(); }
    EmbeddedLog& log() { return *log_; }
    const Tip& tip() const { return tip_; }

    /// The record of a commit that answers `commands`, which become queued.
    std::string next_record(const std::vector<std::string>& commands,
                            std::vector<Outcome> outcomes = {}) {
        for (const auto& command : commands) {
            if (auto appended = log().append_command(command); appended.has_error())
                FAIL(appended.error().detail);
        }
        return record_over(commands, std::move(outcomes));
    }
    /// The same for commands that are queued already.
    std::string record_over(const std::vector<std::string>& commands,
                            std::vector<Outcome> outcomes = {}) {
        Sha256 hash;
        for (const auto& command : commands) hash.update(command);
        envelope_ = {.log = log().genesis().log,
                     .partition = log().genesis().partition,
                     .sequence = {tip_.sequence.value + 1},
                     .previous = tip_.hash,
                     .first = tip_.next_command,
                     .last = {tip_.next_command.value + commands.size() - 1},
                     .commands = hash.finish()};
        Outcome outcome;
        outcome.program.value = "acme";
        outcomes.resize(commands.size(), outcome);
        return CapnpCodec().encode_commit(envelope_, outcomes);
    }
    /// Appends what next_record made; whether it is durable now.
    bool append(const std::string& record) {
        log().append_commit(record);
        if (log().append_state() != AppendState::idle) return false;
        tip_ = advance(envelope_, {envelope_.sequence.value});
        records_.push_back(record);
        return true;
    }
    bool commit(const std::vector<std::string>& commands) { return append(next_record(commands)); }
    bool commit_waiting(const std::vector<std::string>& commands) {
        return append(record_over(commands));
    }
    /// Some bytes, so that files grow.
    bool commit_some(std::size_t bytes = 300) {
        const auto n = std::to_string(tip_.sequence.value + 1);
        return commit(
            {"a" + n, std::string(bytes, static_cast<char>('a' + tip_.sequence.value % 26)) + n});
    }

    const std::vector<std::string>& records() const { return records_; }
    std::vector<std::string> commits_read(std::uint64_t from = 0) {
        std::vector<CommitRecord> read;
        auto done = log().read_commits({from}, kAll, read);
        if (done.has_error()) FAIL(done.error().detail);
        std::vector<std::string> out;
        for (auto& record : read) {
            CHECK(record.position.value == std::max<std::uint64_t>(from, 1) + out.size());
            out.push_back(std::move(record.bytes));
        }
        return out;
    }
    std::vector<std::string> commands_read(std::uint64_t from = 0) {
        std::vector<CommandRecord> read;
        auto done = log().read_commands({from}, kAll, read);
        if (done.has_error()) FAIL(done.error().detail);
        std::vector<std::string> out;
        for (auto& record : read) {
            CHECK(record.position.value == from + out.size());
            out.push_back(std::move(record.bytes));
        }
        return out;
    }

private:
    EmbeddedLogConfig config_;
    std::unique_ptr<EmbeddedLog> log_;
    Tip tip_;
    Envelope envelope_;
    std::vector<std::string> records_;  ///< those that are durable
};

inline ErrorCode why_not(const EmbeddedLogConfig& config) {
    auto opened = EmbeddedLog::open(config);
    REQUIRE(opened.has_error());
    return opened.error().code;
}

}  // namespace tidings::testing
