// How one generation is made: folded from the log, compared with the live one, put in its place.
// All of it runs on the rebuilds' thread, but for what the partition's thread is given to do.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "apps/errors.h"
#include "apps/past.h"
#include "apps/progress.h"
#include "apps/rebuilds.h"
#include "apps/snapshots.h"
#include "projections/bytes.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStepsPoll{20};
constexpr std::chrono::seconds kLineEvery{5};
/// Another process' erasure destroys keys before its commit is applied here: meanwhile the live
/// models know what the rebuilt ones could not read.
constexpr std::chrono::seconds kErasureArrives{5};
constexpr std::chrono::seconds kTryAgain{1};  ///< after a log or a disk that failed
/// Commits folded between two looks at the time.
constexpr std::uint64_t kSlice = 256;
/// Commits that the partition's thread folds itself, while nothing else is decided; doubled as long
/// as the log grows faster than that, up to some tenths of a second.
constexpr std::uint64_t kLastCommits = 4, kMostLastCommits = 1'024;

std::vector<ComparedModel> pair_up(const std::vector<ModelDigest>& live,
                                   const std::vector<ModelDigest>& rebuilt) {
    std::vector<ComparedModel> out;
    for (std::size_t i = 0; i < std::min(live.size(), rebuilt.size()); ++i) {
        out.push_back({rebuilt[i].model, live[i].digest, rebuilt[i].digest});
    }
    return out;
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
    fs::path live = {}, directory = {};
    SteadyClock::time_point began = SteadyClock::now();
    Sequence first = {};  ///< where this process began
    SteadyClock::time_point next_line = SteadyClock::now() + kLineEvery;
    bool differed = false;       ///< and that was accepted
    bool compare_again = false;  ///< it differed, which may be over soon
    bool troubled = false;       ///< the last attempt to fold failed
};

Result<void> Rebuilds::build(PartitionId partition, bool accept_difference) {
    PartitionHost* const held = options_.host(partition);
    if (held == nullptr) {
        return Error{ErrorCode::overloaded, "the partition belongs to other processes now", {}};
    }
    PartitionHost& host = *held;
    if (host.stopped()) {
        return Error{ErrorCode::overloaded, "the partition has stopped; /readyz says why", {}};
    }
    Build build{partition, host, Generations(options_.data, partition)};
    if (auto opened = open(build); !opened) return opened;
    update(partition, [](RebuildProgress& progress) { progress.state = RebuildState::building; });
    spdlog::info("partition={} rebuild begins after commit {} in {}", partition.value,
                 build.first.value, build.directory.string());
    if (auto followed = follow(build); !followed) return followed;
    if (auto merged = end_bulk(build); !merged) return merged;
    if (auto compared = compare(build, accept_difference); !compared) return compared;
    if (build.compare_again) {
        if (auto paused = pause(kErasureArrives); !paused) return paused;
        if (auto compared = compare(build, accept_difference); !compared) return compared;
    }
    if (auto taken = take_over(build); !taken) return taken;
    spdlog::info("partition={} rebuilt read models are live seconds={:.3f}", partition.value,
                 std::chrono::duration<double>(SteadyClock::now() - build.began).count());
    return {};
}

/// On what an interrupted rebuild left, if that is sound and of this log and version; otherwise
/// anew.
Result<void> Rebuilds::open(Build& build) {
    const auto live = build.generations.live(), next = build.generations.next();
    if (!live) return live.error();
    if (!next) return next.error();
    build.live = *live;
    build.directory = *next;
    std::error_code error;
    fs::remove_all(build.generations.differing(), error);
    if (error) return io_error("cannot remove " + build.generations.differing().string(), error);
    std::vector<fs::path> read;
    {
        const std::lock_guard lock(mutex_);
        read = read_still(build.partition);
    }
    if (auto removed = build.generations.remove_others(read); !removed) return removed;
    auto log = options_.open_log(build.partition);
    if (!log) return log.error();
    build.log = std::move(*log);
    ModelsOptions options;
    options.directory = build.directory;
    options.resources = options_.resources;
    options.row_memory = options_.row_memory;
    options.keys = options_.keys;
    options.bulk = true;
    options.cancelled = &cancelled_;
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

/// Up to `last`, or as far as the log can be read yet. A log that does not answer and a disk that
/// is full are waited for; the problem shows meanwhile.
Result<void> Rebuilds::fold(Build& build, Sequence last) {
    PastCost cost;
    for (;;) {
        const auto folded =
            replay(*build.log, *codec_, *build.models, PastEnd{last}, cost, &cancelled_);
        if (folded && !build.troubled) return {};
        const std::string problem = folded ? "" : folded.error().detail;
        update(build.partition, [&](RebuildProgress& progress) { progress.problem = problem; });
        if (!folded && (folded.error().code != ErrorCode::io || cancelled_)) return folded.error();
        if (!folded && !build.troubled) {
            spdlog::warn("partition={} the rebuild waits: {}", build.partition.value, problem);
        }
        build.troubled = !folded;
        if (folded) return {};
        if (auto paused = pause(kTryAgain); !paused) return paused;
    }
}

/// A full disk is waited for, as by fold().
Result<void> Rebuilds::end_bulk(Build& build) {
    for (;;) {
        const auto ended = build.models->end_bulk();
        const std::string problem = ended ? "" : ended.error().detail;
        update(build.partition, [&](RebuildProgress& progress) { progress.problem = problem; });
        if (ended) return {};
        if (cancelled_) return stopping();
        if (ended.error().code != ErrorCode::io) return ended.error();
        spdlog::warn("partition={} the rebuild waits: {}", build.partition.value, problem);
        if (auto paused = pause(kTryAgain); !paused) return paused;
    }
}

/// Folds until all but a few of the commits are there that the live ones have.
Result<void> Rebuilds::follow(Build& build) {
    for (;;) {
        if (cancelled_) return stopping();
        const Sequence target = build.host.figures().applied;
        const std::uint64_t before = build.models->tip().sequence.value;
        if (before + kLastCommits >= target.value) return {};
        const Sequence last{std::min(target.value, before + kSlice)};
        if (auto folded = fold(build, last); !folded) return folded;
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
        // what was applied is not readable yet
        if (auto paused = pause(kStepsPoll); !paused) return paused;
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
    Sequence at;
    auto copied = build.host.between_steps(
        [&](Models& models, const Tip& tip) {
            at = tip.sequence;
            return models.snapshot(live);
        },
        cancelled_);
    if (!copied) return copied;
    while (build.models->tip().sequence < at) {
        if (auto folded = fold(build, at); !folded) return folded;
        if (build.models->tip().sequence == at) break;
        if (auto paused = pause(kStepsPoll); !paused) return paused;
    }
    if (auto made = build.models->snapshot(rebuilt); !made) return made;
    const auto new_digests = read_digests(rebuilt);
    const auto old_digests = new_digests ? read_digests(live) : new_digests;
    if (cancelled_) return stopping();
    if (!new_digests) return refuse_rebuilt(build, new_digests.error());
    const std::string unreadable = "the live read models cannot be compared: ";
    if (!old_digests && old_digests.error().code != ErrorCode::corruption) {
        return Error{old_digests.error().code, unreadable + old_digests.error().detail, {}};
    }
    std::vector<ComparedModel> models;
    if (old_digests) models = pair_up(*old_digests, *new_digests);
    update(build.partition, [&](RebuildProgress& progress) {
        progress.position = progress.target = at;
        progress.compared = at;
        progress.models = models;
    });
    build.compare_again = !is_equal(models) && options_.keys_are_shared && !build.compare_again;
    if (is_equal(models) || build.compare_again) return {};
    const std::string what = old_digests
                                 ? "the rebuilt read models differ from the live ones at commit " +
                                       std::to_string(at.value) + ": " + difference(models)
                                 : unreadable + old_digests.error().detail;
    build.differed = true;
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

/// They cannot be read: never live, whatever was accepted. Those that are damaged are of no use to
/// the next attempt.
Result<void> Rebuilds::refuse_rebuilt(Build& build, const Error& why) {
    build.models.reset();
    std::error_code error;
    if (why.code == ErrorCode::corruption) fs::remove_all(build.directory, error);
    if (error) return io_error("cannot remove " + build.directory.string(), error);
    return Error{why.code, "the rebuilt read models cannot be read: " + why.detail, {}};
}

Result<std::vector<ModelDigest>> Rebuilds::read_digests(const fs::path& directory) {
    try {
        // with little memory of their own: what live reads keep cached stays so
        const auto models = Models::open({.directory = directory, .read_only = true});
        if (!models) return models.error();
        return (*models)->digests(&cancelled_);
    } catch (const StorageFailure& failure) {
        return Error{failure.code(), failure.what(), {}};
    }
}

/// The partition's thread folds what is left, and goes on with the new ones. Their name comes
/// afterwards: a process that dies in between starts on the old ones, and finds the new ones nearly
/// done.
Result<void> Rebuilds::take_over(Build& build) {
    update(build.partition,
           [](RebuildProgress& progress) { progress.state = RebuildState::building; });
    std::shared_ptr<Models> old;
    for (std::uint64_t most = kLastCommits; old == nullptr;) {
        if (auto followed = follow(build); !followed) return followed;
        if (auto folded = fold(build, build.host.figures().applied); !folded) return folded;
        bool went_on = false;
        std::string problem;
        auto done = build.host.between_steps(
            [&](Models&, const Tip& tip) -> Result<void> {
                went_on = tip.sequence.value > build.models->tip().sequence.value + most;
                if (went_on) return {};
                auto replaced = replace(build, tip);
                if (replaced) old = std::move(*replaced);
                if (replaced) return {};
                if (replaced.error().code != ErrorCode::io) return replaced.error();
                problem = replaced.error().detail;
                return {};
            },
            cancelled_);
        if (!done) return done;
        if (went_on) most = std::min(most * 2, kMostLastCommits);
        if (old != nullptr) break;
        update(build.partition, [&](RebuildProgress& progress) { progress.problem = problem; });
        if (auto paused = pause(kStepsPoll); !paused) return paused;
    }
    if (build.differed) options_.forget_past(build.partition);
    const Sequence position = build.models->tip().sequence;
    update(build.partition,
           [&](RebuildProgress& progress) { progress.position = progress.target = position; });
    build.models.reset();
    {
        const std::lock_guard lock(mutex_);
        replaced_.push_back({build.partition, build.live, std::move(old)});
    }
    return make_live(build);
}

/// Within a task of the partition's. Errors: io, also where its last commits are not readable yet.
Result<std::shared_ptr<Models>> Rebuilds::replace(Build& build, const Tip& tip) {
    PastCost cost;
    const auto folded = replay(*build.log, *codec_, *build.models, PastEnd{tip.sequence}, cost);
    if (!folded) return folded.error();
    if (build.models->tip().sequence != tip.sequence) {
        return Error{ErrorCode::io, "the last commits are not readable yet", {}};
    }
    if (build.differed) {  // the past would still be that of the damaged rows, and backups, too
        std::error_code error;
        const fs::path snapshots = snapshots_directory(options_.data, build.partition);
        fs::remove_all(snapshots, error);
        if (error) return io_error("cannot remove " + snapshots.string(), error);
    }
    return build.host.replace_models(build.models);
}

Result<void> Rebuilds::make_live(Build& build) {
    for (;;) {
        const auto named = build.generations.make_live(build.directory);
        std::string problem;
        if (!named) {
            problem = "rebuilt read models are in use, and will not be found at the next start: " +
                      named.error().detail;
        }
        update(build.partition, [&](RebuildProgress& progress) { progress.problem = problem; });
        if (named) return {};
        spdlog::error("partition={} {}", build.partition.value, problem);
        std::unique_lock lock(mutex_);  // no erasure interrupts this
        if (wake_.wait_for(lock, kTryAgain, [this] { return stopping_; })) return stopping();
    }
}

}  // namespace tidings::apps
