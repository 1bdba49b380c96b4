#include "apps/rebuilds.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "apps/errors.h"
#include "connectors/thread_name.h"
#include "events/codec.h"
#include "projections/bytes.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kRebuildsPoll{20};
constexpr std::chrono::seconds kErasurePatience{20};  ///< with what an erasure waits for
/// The partitions' and io threads go first.
constexpr int kNice = 5;

Error not_held(PartitionId partition) {
    return {ErrorCode::invalid,
            "this process does not hold partition " + std::to_string(partition.value),
            {}};
}

}  // namespace

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
            // of this thread; otherwise it is as fast
            (void)::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + kNice);
            run();
        });
    }
    wake_.notify_all();
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
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

bool Rebuilds::is_over() const {
    return std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
        const RebuildState state = entry.second.progress.state;
        return state == RebuildState::done || state == RebuildState::failed;
    });
}

/// One that waits, and not merely for its partition to catch up: that need not hold up others.
std::optional<PartitionId> Rebuilds::next_ready() const {
    for (const auto& [partition, job] : jobs_) {
        if (job.progress.state != RebuildState::waiting || partition == paused_) continue;
        const PartitionHost* const host = options_.host(partition);
        if (host == nullptr || host->caught_up() || host->stopped()) return partition;
    }
    return std::nullopt;
}

void Rebuilds::update(PartitionId partition, const std::function<void(RebuildProgress&)>& change) {
    const std::lock_guard lock(mutex_);
    change(jobs_.at(partition).progress);
}

void Rebuilds::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        lock.unlock();
        remove_replaced({});
        lock.lock();
        const auto partition = next_ready();
        if (!partition) {
            const bool idle = replaced_.empty() && is_over();
            const auto due = [&] { return stopping_ || (idle && !is_over()); };
            if (idle) {
                wake_.wait(lock, due);
            } else {
                wake_.wait_for(lock, kRebuildsPoll, due);
            }
            continue;
        }
        const bool accept_difference = jobs_.at(*partition).accept_difference;
        building_ = partition;
        lock.unlock();
        Result<void> built;
        try {
            built = build(*partition, accept_difference);
        } catch (const std::exception& error) {  // storage failures of reads
            built = Error{ErrorCode::io, error.what(), {}};
        }
        lock.lock();
        building_.reset();
        RebuildProgress& progress = jobs_.at(*partition).progress;
        const bool paused = !built && cancelled_;
        cancelled_ = stopping_;
        if (paused && !stopping_) {
            progress.state = RebuildState::waiting;
        } else if (built) {
            ++done_;
            progress.state = RebuildState::done;
        } else {
            progress.state = RebuildState::failed;
            progress.problem = built.error().detail;
        }
        progress.seconds_left.reset();
        if (!built && !paused) {
            ++failed_;
            spdlog::error("partition={} rebuild failed: {}", partition->value,
                          built.error().detail);
        }
        wake_.notify_all();
    }
}

/// Under mutex_: those that must not be removed yet.
std::vector<fs::path> Rebuilds::read_still(PartitionId partition) const {
    std::vector<fs::path> out;
    for (const Replaced& one : replaced_) {
        if (one.partition == partition && one.models) out.push_back(one.directory);
    }
    return out;
}

/// Those that nobody reads any more: so no request closes a store, and none that lasts holds up
/// anything but their removal.
void Rebuilds::remove_replaced(std::optional<PartitionId> only) {
    std::unique_lock lock(mutex_);
    for (;;) {
        const auto unread = std::find_if(replaced_.begin(), replaced_.end(), [&](const auto& one) {
            return one.models.use_count() == 1 && (!only || one.partition == only);
        });
        if (unread == replaced_.end()) return;
        const PartitionId partition = unread->partition;
        const fs::path directory = unread->directory;
        std::shared_ptr<Models> models = std::move(unread->models);
        const std::vector<fs::path> open = read_still(partition);
        lock.unlock();
        models.reset();
        const auto removed = Generations(options_.data, partition).remove_others(open);
        if (!removed) spdlog::warn("partition={} {}", partition.value, removed.error().detail);
        lock.lock();
        std::erase_if(replaced_, [&](const auto& one) {
            return !one.models && one.partition == partition && one.directory == directory;
        });
    }
}

Result<void> Rebuilds::run_alone(PartitionId partition, const std::function<Result<void>()>& task) {
    std::unique_lock lock(mutex_);
    paused_ = partition;
    if (building_ == partition) cancelled_ = true;
    wake_.notify_all();
    const bool alone =
        wake_.wait_for(lock, kErasurePatience, [&] { return building_ != partition; });
    lock.unlock();
    Result<void> done = Error{ErrorCode::overloaded, "a rebuild does not pause: ask again", {}};
    try {
        if (alone) done = task();
    } catch (const StorageFailure& failure) {
        done = Error{failure.code(), failure.what(), {}};
    } catch (const std::exception& failure) {
        done = Error{ErrorCode::io, failure.what(), {}};
    }
    lock.lock();
    paused_.reset();
    wake_.notify_all();
    return done;
}

namespace {

/// Whether texts may be in these models that are erased in commits still to come.
bool has_read(const Models& models, const ErasedRows& erased) {
    if (erased.partners.empty()) return models.tip().sequence < erased.at;
    return std::ranges::any_of(erased.partners, [&](const KeyOwner& owner) {
        const PartnerPtr partner = models.partner(owner.program, owner.partner);
        return partner != nullptr && !partner->erased;
    });
}

}  // namespace

Result<void> Rebuilds::erase_deleted(PartitionId partition, const ErasedRows& erased) {
    if (auto done = erase_unfinished(partition, erased); !done) return done;
    const auto until = std::chrono::steady_clock::now() + kErasurePatience;
    for (;;) {
        remove_replaced(partition);
        std::unique_lock lock(mutex_);
        const bool read = std::any_of(replaced_.begin(), replaced_.end(),
                                      [&](const auto& one) { return one.partition == partition; });
        if (!read) return {};
        if (std::chrono::steady_clock::now() > until) {
            return Error{ErrorCode::overloaded,
                         "somebody still reads what a rebuild has replaced: ask again",
                         {}};
        }
        wake_.wait_for(lock, kRebuildsPoll);
    }
}

Result<void> Rebuilds::erase_unfinished(PartitionId partition, const ErasedRows& erased) {
    const Generations generations(options_.data, partition);
    const auto next = generations.next();
    if (!next) return next.error();
    std::error_code error;
    fs::remove_all(generations.differing(), error);
    if (error) return io_error("cannot remove " + generations.differing().string(), error);
    if (!fs::exists(*next, error)) return {};
    {
        const auto models = Models::open({.directory = *next, .keys = options_.keys});
        if (!models && models.error().code == ErrorCode::io) return models.error();
        const bool begins_anew = !models || has_read(**models, erased);
        if (!begins_anew) {
            for (const ProgramId& program : erased.programs) {
                if (auto done = (*models)->erase_deleted(program); !done) return done;
            }
            return {};
        }
    }
    spdlog::info("partition={} the rebuild begins anew: it had read what is erased",
                 partition.value);
    fs::remove_all(*next, error);
    if (error) return io_error("cannot remove " + next->string(), error);
    return {};
}

Result<void> Rebuilds::pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, time, [this] { return cancelled_.load(); });
    if (cancelled_) return stopping();
    return {};
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
