#include "apps/rebuilds.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "apps/past.h"
#include "apps/progress.h"
#include "connectors/thread_name.h"
#include "events/codec.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{20};
constexpr std::chrono::seconds kLineEvery{5};
constexpr std::chrono::seconds kNameAgain{1};  ///< after a disk that failed
/// Commits folded between two looks at the time.
constexpr std::uint64_t kSlice = 256;
/// Commits that the partition's thread folds itself, while nothing else is decided; doubled as long
/// as the log grows faster than that.
constexpr std::uint64_t kLastCommits = 4;
/// The partitions' and io threads go first.
constexpr int kNice = 5;

Error not_held(PartitionId partition) {
    return {ErrorCode::invalid,
            "this process does not hold partition " + std::to_string(partition.value),
            {}};
}

Error stopping() { return {ErrorCode::overloaded, "the process is ending", {}}; }

Error io_error(const std::string& what, const std::error_code& error) {
    return {ErrorCode::io, what + ": " + error.message(), {}};
}

bool is_equal(const std::vector<ComparedModel>& models) {
    return !models.empty() && std::all_of(models.begin(), models.end(), [](const auto& model) {
        return model.live == model.rebuilt;
    });
}

std::string difference(const std::vector<ComparedModel>& models) {
    std::string out;
    for (const ComparedModel& model : models) {
        if (model.live == model.rebuilt) continue;
        out += (out.empty() ? "" : "; ") + model.model + " is " + to_hex(model.live.view()) +
               ", rebuilt " + to_hex(model.rebuilt.view());
    }
    return out;
}

}  // namespace

/// One generation under construction.
struct Rebuilds::Build {
    PartitionId partition;
    PartitionHost& host;
    Generations generations;
    std::unique_ptr<CommitSource> log = nullptr;
    std::shared_ptr<Models> models = nullptr;
    fs::path directory = {};
    SteadyClock::time_point began = SteadyClock::now();
    Sequence first = {};  ///< where this process began
    SteadyClock::time_point next_line = SteadyClock::now() + kLineEvery;
};

Rebuilds::Rebuilds(RebuildsOptions options)
    : options_(std::move(options)), codec_(std::make_unique<CapnpCodec>()) {
    if (options_.metrics != nullptr) add_metrics();
}

Rebuilds::~Rebuilds() {
    if (options_.metrics != nullptr) options_.metrics->remove_callbacks(this);
    stop();
}

Result<void> Rebuilds::rebuild(const std::vector<PartitionId>& partitions, bool accept_difference) {
    for (const PartitionId partition : partitions) {
        if (partition.value < options_.partitions && options_.host(partition) != nullptr) continue;
        return not_held(partition);
    }
    const std::lock_guard lock(mutex_);
    if (stopping_) return stopping();
    if (is_over()) jobs_.clear();
    for (const PartitionId partition : partitions) {
        const auto found = jobs_.find(partition);
        if (found != jobs_.end() && found->second.progress.state != RebuildState::done &&
            found->second.progress.state != RebuildState::failed) {
            continue;
        }
        jobs_[partition] = Job{RebuildProgress{.partition = partition}, accept_difference};
    }
    if (!thread_.joinable()) {
        thread_ = std::thread([this] {
            name_thread("rebuild");
            (void)::setpriority(PRIO_PROCESS, 0, kNice);  // of this thread; otherwise it is as fast
            run();
        });
    }
    wake_.notify_one();
    return {};
}

std::vector<RebuildProgress> Rebuilds::rebuilds() const {
    const std::lock_guard lock(mutex_);
    std::vector<RebuildProgress> out;
    out.reserve(jobs_.size());
    for (const auto& [partition, job] : jobs_) out.push_back(job.progress);
    return out;
}

void Rebuilds::resume(PartitionId partition) {
    const auto next = Generations(options_.data, partition).next();
    std::error_code error;
    if (!next || !fs::exists(*next, error)) return;
    spdlog::info("partition={} goes on with the rebuild in {}", partition.value, next->string());
    (void)rebuild({partition}, false);  // refused only when the process ends
}

void Rebuilds::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        cancelled_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

bool Rebuilds::is_over() const {
    return std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
        const RebuildState state = entry.second.progress.state;
        return state == RebuildState::done || state == RebuildState::failed;
    });
}

std::optional<PartitionId> Rebuilds::next_waiting() const {
    for (const auto& [partition, job] : jobs_) {
        if (job.progress.state == RebuildState::waiting) return partition;
    }
    return std::nullopt;
}

template <class Change>
void Rebuilds::update(PartitionId partition, Change change) {
    const std::lock_guard lock(mutex_);
    change(jobs_.at(partition).progress);
}

void Rebuilds::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        std::optional<PartitionId> partition;
        wake_.wait(lock, [&] {
            partition = next_waiting();
            return stopping_ || partition;
        });
        if (stopping_) return;
        const bool accept_difference = jobs_.at(*partition).accept_difference;
        lock.unlock();
        Result<void> built;
        try {
            built = build(*partition, accept_difference);
        } catch (const std::exception& error) {  // storage failures of reads
            built = Error{ErrorCode::io, error.what(), {}};
        }
        if (!built && !cancelled_) {
            ++failed_;
            spdlog::error("partition={} rebuild failed: {}", partition->value,
                          built.error().detail);
        }
        lock.lock();
        RebuildProgress& progress = jobs_.at(*partition).progress;
        progress.state = built ? RebuildState::done : RebuildState::failed;
        progress.seconds_left.reset();
        if (!built) progress.problem = built.error().detail;
    }
}

Result<void> Rebuilds::pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, time, [this] { return stopping_; });
    if (stopping_) return stopping();
    return {};
}

Result<void> Rebuilds::build(PartitionId partition, bool accept_difference) {
    PartitionHost* const held = options_.host(partition);
    if (held == nullptr) return not_held(partition);
    PartitionHost& host = *held;
    while (!host.caught_up()) {
        if (host.halted()) {
            return Error{ErrorCode::overloaded, "the partition has stopped; /readyz says why", {}};
        }
        if (host.parked()) {
            return Error{ErrorCode::overloaded, "the partition belongs to other processes now", {}};
        }
        if (auto paused = pause(kPoll); !paused) return paused;
    }
    Build build{partition, host, Generations(options_.data, partition)};
    if (auto opened = open(build); !opened) return opened;
    update(partition, [](RebuildProgress& progress) { progress.state = RebuildState::building; });
    spdlog::info("partition={} rebuild begins after commit {} in {}", partition.value,
                 build.first.value, build.directory.string());
    if (auto followed = follow(build); !followed) return followed;
    if (auto compared = compare(build, accept_difference); !compared) return compared;
    if (auto taken = take_over(build); !taken) return taken;
    ++done_;
    spdlog::info("partition={} rebuilt read models are live seconds={:.3f}", partition.value,
                 std::chrono::duration<double>(SteadyClock::now() - build.began).count());
    return {};
}

/// On what an interrupted rebuild left, if that is sound and of this log and version; otherwise
/// anew.
Result<void> Rebuilds::open(Build& build) {
    const auto directory = build.generations.next();
    if (!directory) return directory.error();
    build.directory = *directory;
    std::error_code error;
    fs::remove_all(build.generations.differing(), error);
    if (error) return io_error("cannot remove " + build.generations.differing().string(), error);
    if (auto removed = build.generations.remove_others(); !removed) return removed;
    auto log = options_.open_log(build.partition);
    if (!log) return log.error();
    build.log = std::move(*log);
    ModelsOptions options;
    options.directory = build.directory;
    options.resources = options_.resources;
    options.row_memory = options_.row_memory;
    auto models = Models::open(options);
    Result<void> usable;
    if (!models) {
        usable = models.error();
    } else {
        usable = check_on_chain(*build.log, *codec_, (*models)->tip());
    }
    if (!usable && usable.error().code == ErrorCode::io) return usable;
    if (!usable) {
        spdlog::warn("partition={} an interrupted rebuild begins anew: {}", build.partition.value,
                     usable.error().detail);
        if (models) models->reset();
        fs::remove_all(build.directory, error);
        if (error) return io_error("cannot remove " + build.directory.string(), error);
        models = Models::open(options);
        if (!models) return models.error();
    }
    build.models = std::move(*models);
    build.first = build.models->tip().sequence;
    return {};
}

/// Folds until all but a few of the commits are there that the live ones have.
Result<void> Rebuilds::follow(Build& build) {
    PastCost cost;
    for (;;) {
        const Sequence target = build.host.figures().applied;
        const std::uint64_t before = build.models->tip().sequence.value;
        if (before + kLastCommits >= target.value) return {};
        PastEnd end;
        end.last = Sequence{std::min(target.value, before + kSlice)};
        auto replayed = replay(*build.log, *codec_, *build.models, end, cost, &cancelled_);
        if (!replayed) return replayed.error();
        const Sequence position = build.models->tip().sequence;
        commits_ += position.value - before;
        const auto now = SteadyClock::now();
        const auto elapsed =
            std::chrono::duration_cast<std::chrono::milliseconds>(now - build.began);
        const std::uint64_t done = position.value - build.first.value;
        const double rate = static_cast<double>(done) / std::max(1e-3, elapsed.count() / 1e3);
        const std::uint64_t left = target.value - std::min(position.value, target.value);
        update(build.partition, [&](RebuildProgress& progress) {
            progress.position = position;
            progress.target = target;
            progress.commits_per_second = rate;
            if (rate > 0) {
                progress.seconds_left =
                    static_cast<std::uint64_t>(static_cast<double>(left) / rate);
            }
        });
        if (now >= build.next_line) {
            build.next_line = now + kLineEvery;
            spdlog::info("{}",
                         format_progress({"partition=" + std::to_string(build.partition.value) +
                                              " rebuild, commits:",
                                          Unit::count, done, done + left, elapsed},
                                         false));
        }
        if (position.value != before) continue;
        if (auto paused = pause(kPoll); !paused)
            return paused;  // what was applied is not readable yet
    }
}

/// Both are read from copies that share their files, so that neither holds up anything.
Result<void> Rebuilds::compare(Build& build, bool accept_difference) {
    const ScratchDirectory scratch(build.generations.scratch());
    std::error_code error;
    fs::create_directories(scratch.path(), error);
    if (error) return io_error("cannot make " + scratch.path().string(), error);
    const fs::path live = scratch.path() / "live", rebuilt = scratch.path() / "rebuilt";
    update(build.partition, [](RebuildProgress& progress) {
        progress.state = RebuildState::comparing;
        progress.seconds_left.reset();
    });
    PastEnd end;
    auto copied = build.host.between_steps(
        [&](Models& models, const Tip& tip) {
            end.last = tip.sequence;
            return models.snapshot(live);
        },
        cancelled_);
    if (!copied) return copied;
    PastCost cost;
    while (build.models->tip().sequence < end.last) {
        auto replayed = replay(*build.log, *codec_, *build.models, end, cost, &cancelled_);
        if (!replayed) return replayed.error();
        if (build.models->tip().sequence == end.last) break;
        if (auto paused = pause(kPoll); !paused) return paused;
    }
    if (auto made = build.models->snapshot(rebuilt); !made) return made;
    const auto models = read_digests(live, rebuilt);
    if (cancelled_) return stopping();
    update(build.partition, [&](RebuildProgress& progress) {
        progress.position = progress.target = end.last;
        progress.compared = end.last;
        if (models) progress.models = *models;
    });
    if (models && is_equal(*models)) return {};
    const std::string what =
        models ? "the rebuilt read models differ from the live ones at commit " +
                     std::to_string(end.last.value) + ": " + difference(*models)
               : "the live read models cannot be compared: " + models.error().detail;
    if (accept_difference) {
        spdlog::warn("partition={} {}", build.partition.value, what);
        return {};
    }
    build.models.reset();
    fs::rename(build.directory, build.generations.differing(), error);
    if (error) return io_error("cannot move " + build.directory.string(), error);
    return Error{ErrorCode::corruption,
                 what + ". The live ones stay; those rebuilt are kept in " +
                     build.generations.differing().string(),
                 {}};
}

Result<std::vector<ComparedModel>> Rebuilds::read_digests(const fs::path& live,
                                                          const fs::path& rebuilt) {
    std::vector<std::vector<ModelDigest>> both;
    for (const fs::path& directory : {rebuilt, live}) {
        try {
            // with little memory of their own: what live reads keep cached stays so
            const auto models = Models::open({.directory = directory, .read_only = true});
            if (!models) return models.error();
            both.push_back((*models)->digests(&cancelled_));
        } catch (const std::exception& error) {
            return Error{ErrorCode::corruption, error.what(), {}};
        }
    }
    std::vector<ComparedModel> out;
    for (std::size_t i = 0; i < std::min(both[0].size(), both[1].size()); ++i) {
        out.push_back({both[0][i].model, both[1][i].digest, both[0][i].digest});
    }
    return out;
}

/// The partition's thread folds what is left, and goes on with the new ones. Their name comes
/// afterwards: a process that dies in between starts on the old ones, and finds the new ones nearly
/// done.
Result<void> Rebuilds::take_over(Build& build) {
    update(build.partition,
           [](RebuildProgress& progress) { progress.state = RebuildState::building; });
    std::shared_ptr<Models> old;
    PastCost cost;
    for (std::uint64_t most = kLastCommits; old == nullptr; most *= 2) {
        if (auto followed = follow(build); !followed) return followed;
        auto done = build.host.between_steps(
            [&](Models&, const Tip& tip) -> Result<void> {
                const std::uint64_t position = build.models->tip().sequence.value;
                if (tip.sequence.value > position + most) return {};  // the log went on meanwhile
                auto replayed =
                    replay(*build.log, *codec_, *build.models, PastEnd{tip.sequence}, cost);
                if (!replayed) return replayed.error();
                if (build.models->tip().sequence != tip.sequence) return {};  // not readable yet
                auto replaced = build.host.replace_models(build.models);
                if (!replaced) return replaced.error();
                old = std::move(*replaced);
                return {};
            },
            cancelled_);
        if (!done) return done;
        if (old == nullptr) {
            if (auto paused = pause(kPoll); !paused) return paused;
        }
    }
    const Sequence position = build.models->tip().sequence;
    update(build.partition,
           [&](RebuildProgress& progress) { progress.position = progress.target = position; });
    while (true) {
        const auto named = build.generations.make_live(build.directory);
        if (named) break;
        spdlog::error(
            "partition={} rebuilt read models are in use, and will not be found at the "
            "next start: {}",
            build.partition.value, named.error().detail);
        if (auto paused = pause(kNameAgain); !paused) return paused;
    }
    build.models.reset();
    let_go(old);
    old.reset();
    if (cancelled_) return {};  // the next start removes what is left
    const auto removed = build.generations.remove_others();
    if (!removed) spdlog::warn("partition={} {}", build.partition.value, removed.error().detail);
    return {};
}

/// Waits for the last reader, so that no request closes a store.
void Rebuilds::let_go(const std::shared_ptr<Models>& old) {
    while (old.use_count() > 1 && pause(kPoll)) {
    }
}

void Rebuilds::add_metrics() {
    using http::Metrics;
    const auto add = [this](Metrics::Kind kind, const char* name, const char* help, auto value) {
        options_.metrics->callback(this, kind, name, help, {},
                                   [value] { return static_cast<double>(value()); });
    };
    add(Metrics::Kind::gauge, "tidings_rebuilds_running",
        "Partitions whose read models are being made anew, or wait for it.", [this] {
            const std::lock_guard lock(mutex_);
            return std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) {
                return entry.second.progress.state < RebuildState::done;
            });
        });
    add(Metrics::Kind::gauge, "tidings_rebuild_left_seconds",
        "About how long the partition that is being rebuilt will take.", [this] {
            const std::lock_guard lock(mutex_);
            std::uint64_t left = 0;
            for (const auto& [partition, job] : jobs_) {
                left = std::max(left, job.progress.seconds_left.value_or(0));
            }
            return left;
        });
    add(Metrics::Kind::counter, "tidings_rebuild_commits_total", "Commits folded by rebuilds.",
        [this] { return commits_.load(); });
    add(Metrics::Kind::counter, "tidings_rebuilds_total", "Rebuilt read models made live.",
        [this] { return done_.load(); });
    add(Metrics::Kind::counter, "tidings_rebuilds_failed_total",
        "Rebuilds that failed, or were not made live since they differed.",
        [this] { return failed_.load(); });
}

}  // namespace tidings::apps
