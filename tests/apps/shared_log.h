// A partition's host on a log in memory that fails when a test says so.
#pragma once

#include "apps/partition_host.h"
#include "events/codec.h"
#include "tests/apps/node_world.h"
#include "tests/support/memory_log.h"

namespace tidings::apps::testing {

/// One partition's log, for hosts on threads of their own.
struct SharedLog {
    std::mutex mutex;
    tidings::testing::MemoryLogStore store;
    bool failing = false, troubled = false, truncated = false;
    int rests = 0;

    void set(bool SharedLog::*flag, bool value) {
        const std::lock_guard lock(mutex);
        this->*flag = value;
    }
    int rested() {
        const std::lock_guard lock(mutex);
        return rests;
    }
};

class HandleOnLog final : public Log {
public:
    explicit HandleOnLog(SharedLog& shared) : shared_(shared), log_(shared.store) {}

    const Genesis& genesis() const override { return shared_.store.genesis; }
    Result<void> append_command(std::string record) override {
        const std::lock_guard lock(shared_.mutex);
        return log_.append_command(std::move(record));
    }
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override {
        const std::lock_guard lock(shared_.mutex);
        return log_.read_commands(from, max_bytes, out);
    }
    void append_commit(std::string record) override {
        const std::lock_guard lock(shared_.mutex);
        log_.append_commit(std::move(record));
    }
    AppendState append_state() override {
        const std::lock_guard lock(shared_.mutex);
        return log_.append_state();
    }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        const std::lock_guard lock(shared_.mutex);
        if (shared_.failing) return Error{ErrorCode::io, "no broker answers", {}};
        if (shared_.truncated) return Error{ErrorCode::log_mismatch, "it was truncated", {}};
        return log_.read_commits(from, max_bytes, out);
    }
    Result<LogPosition> end_of_commits() override {
        const std::lock_guard lock(shared_.mutex);
        if (shared_.failing) return Error{ErrorCode::io, "no broker answers", {}};
        if (shared_.truncated) return LogPosition{0};
        return log_.end_of_commits();
    }
    std::optional<Error> trouble() const override {
        const std::lock_guard lock(shared_.mutex);
        if (!shared_.troubled) return std::nullopt;
        return Error{ErrorCode::io, "nothing is acknowledged", {}};
    }
    void rest() override {
        const std::lock_guard lock(shared_.mutex);
        ++shared_.rests;
    }

private:
    SharedLog& shared_;
    tidings::testing::MemoryLog log_;
};

struct Process {
    explicit Process(SharedLog& log, const PartitionHostOptions& options = {.patient = true},
                     const std::filesystem::path& directory_of_models = "models") {
        spdlog::set_level(spdlog::level::off);
        ModelsOptions models;
        models.directory = directory.path() / directory_of_models;
        auto opened = Models::open(models);
        if (!opened) FAIL(opened.error().detail);
        host = std::make_unique<PartitionHost>(std::make_unique<HandleOnLog>(log),
                                               std::move(*opened), codec, clock, options);
        host->start();
    }
    Awaited submit(CommandBody body, std::int64_t timeout_ms = 60'000) {
        Command submitted = command(kAcme, std::move(body));
        submitted.time = Timestamp{1'700'000'000'000};
        Awaited awaited;
        host->submit(submitted.id, submitted.digest, codec.encode_command(submitted), timeout_ms,
                     awaited.done());
        return awaited;
    }
    template <class Predicate>
    void await(const Predicate& predicate) const {
        const auto until = std::chrono::steady_clock::now() + kPatience;
        while (!predicate()) {
            if (std::chrono::steady_clock::now() > until) FAIL("it does not happen");
            std::this_thread::yield();
        }
    }
    std::uint64_t partners() const { return host->models()->summary(kAcme).partners; }

    tidings::testing::TemporaryDirectory directory;
    CapnpCodec codec;
    IngressClock clock;
    std::unique_ptr<PartitionHost> host;
};

}  // namespace tidings::apps::testing
