// One generation of read models takes another's place while the partition runs; and how far one is
// that is made at a start.
#include "apps/partition_host.h"

namespace tidings::apps {

namespace {

constexpr std::chrono::milliseconds kCancelledPoll{20};

Error gone() { return {ErrorCode::overloaded, "the partition does not take it", {}}; }

}  // namespace

std::shared_ptr<const Models> PartitionHost::models() const {
    const std::lock_guard lock(models_mutex_);
    return models_;
}

Result<void> PartitionHost::between_steps(const Task& task, const std::atomic<bool>& cancelled) {
    Waiting waiting{task, false, {}};
    std::unique_lock lock(task_mutex_);
    if (!takes_tasks_) return gone();
    task_ = &waiting;
    has_task_.store(true, std::memory_order_release);
    wake();
    while (!waiting.result) {
        task_done_.wait_for(lock, kCancelledPoll);
        if (waiting.begun || waiting.result || !cancelled) continue;
        task_ = nullptr;
        has_task_ = false;
        return gone();
    }
    return *waiting.result;
}

void PartitionHost::run_task() {
    Waiting* waiting = nullptr;
    {
        const std::lock_guard lock(task_mutex_);
        waiting = std::exchange(task_, nullptr);
        has_task_ = false;
        if (waiting == nullptr) return;
        waiting->begun = true;
    }
    Result<void> result;
    try {
        result = waiting->task(*models_, loop_.tip());
    } catch (const std::exception& error) {  // storage failures of reads
        result = Error{ErrorCode::io, error.what(), {}};
    }
    const std::lock_guard lock(task_mutex_);
    waiting->result = std::move(result);
    task_done_.notify_one();
}

void PartitionHost::end_tasks() {
    const std::lock_guard lock(task_mutex_);
    takes_tasks_ = false;
    if (task_ == nullptr) return;
    task_->result = Result<void>(gone());
    task_ = nullptr;
    task_done_.notify_one();
}

Result<std::shared_ptr<Models>> PartitionHost::replace_models(std::shared_ptr<Models> models) {
    if (auto taken = loop_.continue_on(*models); !taken) return taken.error();
    const std::lock_guard lock(models_mutex_);
    models_.swap(models);
    return models;
}

std::string PartitionHost::how_far() const {
    std::string out = anew_ ? " makes its read models anew" : " is catching up";
    const std::uint64_t total = counters_.catch_up_total, done = counters_.catch_up_done;
    if (total == 0) return out;
    out += ", commit " + std::to_string(done) + " of " + std::to_string(total);
    if (done == 0 || done > total) return out;
    const std::int64_t ms = clock_.steady_ms() - counters_.catch_up_began_ms;
    const auto left = static_cast<std::uint64_t>(ms) * (total - done) / done / 1'000;
    return out + ", about " + std::to_string(left) + " s left";
}

}  // namespace tidings::apps
