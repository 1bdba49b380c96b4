#include "apps/rebuilds.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "connectors/thread_name.h"
#include "events/codec.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kPoll{20};
/// The partitions' and io threads go first.
constexpr int kNice = 5;

Error not_held(PartitionId partition) {
    return {ErrorCode::invalid,
            "this process does not hold partition " + std::to_string(partition.value),
            {}};
}

Error stopping() { return {ErrorCode::overloaded, "the process is ending", {}}; }

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

/// One that waits, and not merely for its partition to catch up: that need not hold up others.
std::optional<PartitionId> Rebuilds::next_ready() const {
    for (const auto& [partition, job] : jobs_) {
        if (job.progress.state != RebuildState::waiting) continue;
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
        remove_replaced();
        lock.lock();
        const auto partition = next_ready();
        if (!partition) {
            const bool idle = replaced_.empty() && is_over();
            const auto due = [&] { return stopping_ || (idle && !is_over()); };
            if (idle) {
                wake_.wait(lock, due);
            } else {
                wake_.wait_for(lock, kPoll, due);
            }
            continue;
        }
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
        if (built) ++done_;
        RebuildProgress& progress = jobs_.at(*partition).progress;
        progress.state = built ? RebuildState::done : RebuildState::failed;
        progress.seconds_left.reset();
        if (!built) progress.problem = built.error().detail;
    }
}

std::vector<fs::path> Rebuilds::read_still(PartitionId partition) const {
    std::vector<fs::path> out;
    for (const Replaced& one : replaced_) {
        if (one.partition == partition) out.push_back(one.directory);
    }
    return out;
}

/// Those that nobody reads any more: so no request closes a store, and none that lasts holds up
/// anything but their removal.
void Rebuilds::remove_replaced() {
    for (std::size_t i = 0; i < replaced_.size();) {
        if (replaced_[i].models.use_count() > 1) {
            ++i;
            continue;
        }
        const PartitionId partition = replaced_[i].partition;
        replaced_.erase(replaced_.begin() + static_cast<std::ptrdiff_t>(i));
        const auto removed =
            Generations(options_.data, partition).remove_others(read_still(partition));
        if (!removed) spdlog::warn("partition={} {}", partition.value, removed.error().detail);
    }
}

Result<void> Rebuilds::pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, time, [this] { return stopping_; });
    if (stopping_) return stopping();
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
