// `tidings rebuild`: makes the read models anew from the log, beside the live ones, and compares.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "apps/cluster.h"
#include "apps/commands.h"
#include "apps/data_directory.h"
#include "apps/directory_options.h"
#include "apps/errors.h"
#include "apps/generations.h"
#include "apps/lock_file.h"
#include "apps/past.h"
#include "apps/personal_keys.h"
#include "apps/progress.h"
#include "apps/rebuild_client.h"
#include "core/partition_loop.h"
#include "events/codec.h"
#include "projections/models.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kRebuildBlockCacheBytes = 96u << 20;
constexpr std::size_t kRebuildWriteBufferBytes = 64u << 20;
constexpr std::size_t kRebuildLogCacheBytes = 8u << 20;
constexpr std::size_t kLogBufferBytes = 32u << 20;
constexpr std::chrono::milliseconds kArrival{1};  ///< of what is on its way from Kafka
constexpr std::chrono::seconds kArrivals{2};      ///< until nothing more is

struct RebuildOptions {
    DirectoryOptions directory;
    std::optional<std::string> kafka;
    Config config;     ///< what they name
    std::string data;  ///< of it
    std::string into;
    bool swap = false;
    RebuildRequest running;  ///< with a URL: instead of everything above
};

class NoObserver final : public CommitObserver {
public:
    void on_applied(std::span<const Outcome>, const Tip&) override {}
};

using ModelsSet = std::vector<std::unique_ptr<Models>>;
using LogSet = std::vector<std::unique_ptr<Log>>;

using PathOf = std::function<Result<fs::path>(PartitionId)>;

/// One Models for each of the logs, in the directory that `path_of` says.
Result<ModelsSet> open_models(const PathOf& path_of, const LogSet& logs,
                              const std::shared_ptr<const Keys>& keys, bool bulk) {
    const auto resources = make_store_resources(kRebuildBlockCacheBytes, kRebuildWriteBufferBytes);
    ModelsSet all;
    for (const auto& log : logs) {
        const auto path = path_of(log->genesis().partition);
        if (!path) return path.error();
        ModelsOptions options;
        options.directory = *path;
        options.resources = resources;
        options.keys = keys;
        options.bulk = bulk;
        auto models = Models::open(options);
        if (!models) return models.error();
        all.push_back(std::move(*models));
    }
    return all;
}

/// A log as who only reads it.
class CommitsOf final : public CommitSource {
public:
    explicit CommitsOf(Log& log) : log_(log) {}
    const Genesis& genesis() const override { return log_.genesis(); }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        return log_.read_commits(from, max_bytes, out);
    }

private:
    Log& log_;
};

/// In batches as large as bulk writing likes them. `end`: of the log; what has not arrived in time
/// is left.
Result<void> replay_log(Log& log, Models& models, LogPosition end,
                        const std::function<void()>& on_progress) {
    const CapnpCodec codec;
    CommitsOf commits(log);
    const PastEnd no_end{Sequence{std::numeric_limits<std::uint64_t>::max()}};
    PastCost cost;
    auto deadline = std::chrono::steady_clock::now() + kArrivals;
    for (LogPosition before;; before = cost.read) {
        const auto folded = replay(commits, codec, models, no_end, cost, nullptr, on_progress);
        if (!folded) return folded.error();
        const auto now = std::chrono::steady_clock::now();
        if (cost.read != before) deadline = now + kArrivals;
        if (cost.read >= end || now > deadline) return {};
        std::this_thread::sleep_for(kArrival);
    }
}

/// Applies to each partition's models what its log has beyond them.
Result<void> follow_logs(const LogSet& logs, const ModelsSet& models, const std::string& label) {
    std::uint64_t total = 0;
    std::vector<LogPosition> ends;
    for (std::size_t i = 0; i < logs.size(); ++i) {
        const Result<LogPosition> end = logs[i]->end_of_commits();
        if (!end) return end.error();
        ends.push_back(*end);
        total += end->value - std::min(end->value, std::max<std::uint64_t>(
                                                       models[i]->tip().next_record.value, 1));
    }
    Progress progress(label + " commits", Unit::count, total);
    const CapnpCodec codec;
    NoObserver observer;
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < logs.size(); ++i) {
        if (models[i]->is_bulk()) {
            const auto replayed = replay_log(*logs[i], *models[i], ends[i], [&] {
                progress.update(before + models[i]->tip().sequence.value);
            });
            if (!replayed) return replayed.error();
            before += models[i]->tip().sequence.value;
        }
        PartitionLoop loop(*logs[i], codec, *models[i], observer, false);
        const Result<void> verified = loop.verify_start();
        if (!verified) return verified.error();
        while (!loop.caught_up()) {
            const Result<StepResult> step = loop.step();
            if (!step) return step.error();
            if (*step == StepResult::waiting) std::this_thread::sleep_for(kArrival);
            progress.update(before + loop.counters().commits);
        }
        before += loop.counters().commits;
        const Result<void> flushed = models[i]->flush();
        if (!flushed) return flushed.error();
    }
    progress.finish();
    return {};
}

std::string tips(const ModelsSet& models) {
    std::string out;
    for (std::size_t i = 0; i < models.size(); ++i) {
        if (i > 0) out += ',';
        out += std::to_string(i) + ":" + std::to_string(models[i]->tip().sequence.value);
    }
    return out;
}

Hash256 digest_of(const ModelsSet& models) {
    std::vector<std::pair<ProgramId, Hash256>> programs;
    for (const auto& partition : models) {
        for (auto& program : partition->program_digests()) programs.push_back(std::move(program));
    }
    return combine_digests(std::move(programs));
}

void print_digest(const char* which, const Hash256& digest, const ModelsSet& models) {
    std::printf("%-8s %s  at %s\n", which, to_hex(digest.view()).c_str(), tips(models).c_str());
}

/// The Merkle trees, which are no part of the digests of programs.
bool same_trees(const ModelsSet& live, const ModelsSet& rebuilt) {
    return std::equal(live.begin(), live.end(), rebuilt.begin(), rebuilt.end(),
                      [](const auto& left, const auto& right) {
                          return left->tree_head().root == right->tree_head().root;
                      });
}

/// Which models of which partitions differ.
void print_differences(const ModelsSet& live, const ModelsSet& rebuilt) {
    for (std::size_t i = 0; i < live.size(); ++i) {
        const std::vector<ModelDigest> left = live[i]->digests(), right = rebuilt[i]->digests();
        for (std::size_t k = 0; k < std::min(left.size(), right.size()); ++k) {
            if (left[k].digest == right[k].digest) continue;
            std::printf("differs: partition %zu, %s\n", i, left[k].model.c_str());
        }
    }
}

/// The live models, caught up with the log, and their digest. Errors: they can't be opened or read.
Result<std::pair<ModelsSet, Hash256>> read_live(const fs::path& data, const LogSet& logs,
                                                const std::shared_ptr<const Keys>& keys) {
    Result<ModelsSet> live =
        open_models([&](PartitionId p) { return Generations(data, p).live(); }, logs, keys, false);
    if (!live) return live.error();
    try {
        const Result<void> followed = follow_logs(logs, *live, "live");
        if (!followed) return followed.error();
        for (const auto& partition : *live) {  // also what is in no digest
            const std::vector<std::string> wrong = partition->check();
            if (!wrong.empty()) return Error{ErrorCode::corruption, wrong.front()};
        }
        const Hash256 digest = digest_of(*live);
        return std::pair{std::move(*live), digest};
    } catch (const std::exception& error) {  // a damaged row: storage failures are thrown
        return Error{ErrorCode::corruption, error.what()};
    }
}

struct Compared {
    bool equal = false;
    bool good = false;  ///< equal, or nothing to compare with that anybody wants
};

/// Prints both digests. Live ones that can't be read are no reason not to swap them out.
Result<Compared> compare(const fs::path& data, const LogSet& logs, const ModelsSet& rebuilt,
                         const std::shared_ptr<const Keys>& keys, bool swap) {
    const Hash256 new_digest = digest_of(rebuilt);
    std::error_code ignored;  // "not there" and "can't be seen" are told by the opening below
    if (!fs::exists(models_directory(data), ignored)) {
        print_digest("rebuilt", new_digest, rebuilt);
        std::printf("there are no live read models to compare with\n");
        return Compared{false, true};
    }
    const auto live = read_live(data, logs, keys);
    if (!live) {
        print_digest("rebuilt", new_digest, rebuilt);
        std::printf("the live read models cannot be used: %s\n", live.error().detail.c_str());
        return Compared{false, swap};
    }
    const auto& [live_models, old_digest] = *live;
    print_digest("live", old_digest, live_models);
    print_digest("rebuilt", new_digest, rebuilt);
    if (old_digest == new_digest && same_trees(live_models, rebuilt)) {
        std::printf("equal\n");
        return Compared{true, true};
    }
    print_differences(live_models, rebuilt);
    return Compared{};
}

/// The live models become models.old (an older one is removed), the rebuilt ones become live.
Result<void> swap_in(const fs::path& data, const fs::path& rebuilt) {
    const fs::path live = models_directory(data), old = data / "models.old";
    std::error_code error;
    fs::remove_all(old, error);
    if (error) return io_error("cannot remove " + old.string(), error);
    if (fs::exists(live, error)) fs::rename(live, old, error);
    if (error) return io_error("cannot move " + live.string() + " aside", error);
    fs::rename(rebuilt, live, error);
    if (error) {
        return io_error("cannot move " + rebuilt.string() + " to " + live.string() +
                            " (both must be on one file system); the old ones are in " +
                            old.string(),
                        error);
    }
    return sync_directory(data);
}

/// An empty directory to rebuild into. A left-over of our own is removed; the user's is not.
Result<fs::path> prepare_target(const RebuildOptions& options) {
    std::error_code error;
    const fs::path target =
        options.into.empty() ? fs::path(options.data) / "models.rebuild" : fs::path(options.into);
    if (options.into.empty()) fs::remove_all(target, error);
    if (error) return io_error("cannot remove " + target.string(), error);
    fs::create_directories(target, error);
    if (error) return io_error("cannot make " + target.string(), error);
    if (!fs::is_empty(target, error) || error) {
        return Error{ErrorCode::usage, target.string() + " is not empty"};
    }
    return target;
}

Result<LogSet> open_embedded_logs(const RebuildOptions& options) {
    auto logs =
        open_logs(options.data, 0, make_log_resources(kRebuildLogCacheBytes, kLogBufferBytes));
    if (!logs) return logs.error();
    LogSet all;
    for (auto& log : *logs) all.push_back(std::move(log));
    return all;
}

/// Of the partitions whose read models lie here; of all if there are none.
Result<LogSet> open_kafka_logs(const RebuildOptions& options, std::unique_ptr<Cluster>& cluster) {
    ClusterOptions cluster_options;
    cluster_options.settings = kafka_settings(options.config);
    auto opened = Cluster::open(cluster_options, options.data, "");
    if (!opened) return opened.error();
    cluster = std::move(*opened);
    std::error_code unseen;
    const bool some = fs::exists(models_directory(options.data), unseen);
    LogSet all;
    for (const Genesis& genesis : cluster->genesis()) {
        const auto models = Generations(options.data, genesis.partition).live();
        if (!models) return models.error();
        if (!some || fs::exists(*models, unseen))
            all.push_back(cluster->make_log(genesis.partition));
    }
    return all;
}

Result<bool> rebuild(const RebuildOptions& options) {
    if (options.config.cluster_brokers.empty()) {
        const Result<std::uint32_t> count = count_partitions(options.data);
        if (!count) return count.error();
        if (*count == 0) return Error{ErrorCode::usage, "there is no log in " + options.data};
    }
    const Result<LockFile> lock = LockFile::acquire(options.data);
    if (!lock) return lock.error();
    const Result<fs::path> target = prepare_target(options);
    if (!target) return target.error();

    const auto keys = read_partner_keys(options.config);
    if (!keys) return keys.error();

    Compared compared;
    {
        std::unique_ptr<Cluster> cluster;  // outlives the logs
        const Result<LogSet> logs = options.config.cluster_brokers.empty()
                                        ? open_embedded_logs(options)
                                        : open_kafka_logs(options, cluster);
        if (!logs) return logs.error();
        // as the first generation of each: so models.rebuild can become models
        const Result<ModelsSet> rebuilt = open_models(
            [&](PartitionId p) -> Result<fs::path> {
                return *target / ("p" + std::to_string(p.value));
            },
            *logs, *keys, true);
        if (!rebuilt) return rebuilt.error();
        const Result<void> followed = follow_logs(*logs, *rebuilt, "rebuild");
        if (!followed) return followed.error();
        for (const auto& partition : *rebuilt) {
            if (auto ended = partition->end_bulk(); !ended) return ended.error();
        }
        const auto done = compare(options.data, *logs, *rebuilt, *keys, options.swap);
        if (!done) return done.error();
        compared = *done;
    }  // closed, so that the directories may move
    if (options.swap) {
        // the past would still be that of the rows that go, and backups, too
        std::error_code error;
        const fs::path snapshots = fs::path(options.data) / "snapshots";
        if (!compared.equal) fs::remove_all(snapshots, error);
        if (error) return io_error("cannot remove " + snapshots.string(), error);
        const Result<void> swapped = swap_in(options.data, *target);
        if (!swapped) return swapped.error();
        std::printf("the rebuilt read models are live now\n");
    } else if (options.into.empty()) {
        std::error_code error;
        fs::remove_all(*target, error);
        if (error) return io_error("cannot remove " + target->string(), error);
    } else {
        std::printf("the rebuilt read models are in %s\n", target->c_str());
    }
    return compared.good;
}

}  // namespace

void add_rebuild_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<RebuildOptions>();
    CLI::App* command = app.add_subcommand("rebuild",
                                           "Make the read models anew from the log, and compare "
                                           "them with the live ones: exit status 1 if they "
                                           "differ. With --url in a running broker, which goes on "
                                           "with the new ones; otherwise of a stopped one.");
    CLI::Option* url = command->add_option("--url", options->running.url,
                                           "the running broker, as http://127.0.0.1:8080");
    CLI::Option* token =
        command->add_option("--token", options->running.token, "a token with the role platform");
    url->needs(token);
    token->needs(url);
    command
        ->add_option("--partition", options->running.partition,
                     "this partition alone; left out: all that the running broker holds")
        ->needs(url);
    command
        ->add_flag("--accept-difference", options->running.accept_difference,
                   "let the running broker go on with the new ones even if they differ")
        ->needs(url);
    add_directory_options(*command, options->directory);
    command->add_option("--kafka", options->kafka,
                        "Kafka brokers, where the log is there; instead of the file's "
                        "`cluster.brokers`");
    CLI::Option* into = command->add_option(
        "--into", options->into,
        "empty directory for the new read models; left out: they are thrown away "
        "after the comparison, or swapped in");
    CLI::Option* swap = command->add_flag(
        "--swap", options->swap, "make the new ones live; the old ones are kept in models.old");
    url->excludes(into)->excludes(swap);
    command->callback([options, &chosen] {
        chosen = [options] {
            if (!options->running.url.empty()) return rebuild_running(options->running);
            const Result<Config> config = read_settings(options->directory);
            if (!config) return report(config.error());
            options->config = *config;
            options->data = config->data;
            if (options->kafka) options->config.cluster_brokers = *options->kafka;
            const Result<bool> equal = rebuild(*options);
            if (!equal) return report(equal.error());
            return *equal ? kDone : kRefused;
        };
    });
}

}  // namespace tidings::apps
