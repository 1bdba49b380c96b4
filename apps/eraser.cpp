#include "apps/eraser.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <map>

#include "connectors/thread_name.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kWaiting = 1'024;
constexpr std::chrono::seconds kAgain{30};  ///< what failed on the way

Error overloaded(const char* why) { return {ErrorCode::overloaded, why, {}}; }

}  // namespace

Eraser::Eraser(std::shared_ptr<PartnerKeys> keys, EraserSteps steps)
    : keys_(std::move(keys)), steps_(std::move(steps)), thread_([this] {
          name_thread("eraser");
          run();
      }) {}

Eraser::~Eraser() { stop(); }

void Eraser::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
    for (const Job& job : queue_) job.done(overloaded("the broker is stopping"));
    queue_.clear();
}

void Eraser::erase(Command command, Broker::Erased done) {
    {
        const std::lock_guard lock(mutex_);
        if (!stopping_ && queue_.size() < kWaiting) {
            queue_.push_back({.command = std::move(command), .done = std::move(done)});
            wake_.notify_one();
            return;
        }
    }
    done(overloaded("too many erasures wait, or the broker is stopping"));
}

void Eraser::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        const auto due = [this] { return stopping_ || !queue_.empty(); };
        if (!unfinished_) {
            wake_.wait(lock, due);
        } else if (!wake_.wait_for(lock, kAgain, due)) {
            lock.unlock();
            finish_again();
            lock.lock();
            continue;
        }
        if (stopping_) return;
        std::vector<Job> jobs = std::exchange(queue_, {});
        lock.unlock();
        try {  // storage failures of reads are thrown
            work(jobs);
        } catch (const std::exception& thrown) {
            unfinished_ = true;
            for (Job& job : jobs) job.failed = Error{ErrorCode::io, thrown.what(), {}};
        }
        for (Job& job : jobs) {
            if (job.failed) {
                job.done(*job.failed);
            } else {
                job.done(std::move(job.erasure));
            }
        }
        lock.lock();
    }
}

/// All at once, so that one commit can answer many.
void Eraser::decide(std::vector<Job>& jobs) {
    struct Waiting {
        std::mutex mutex;
        std::condition_variable done;
        std::size_t left;
    };
    const auto waiting = std::make_shared<Waiting>();
    waiting->left = jobs.size();
    for (Job& job : jobs) {
        steps_.decide(job.command, [waiting, &job](Result<Applied> applied) {
            const std::lock_guard lock(waiting->mutex);
            job.applied = std::move(applied);
            if (--waiting->left == 0) waiting->done.notify_one();
        });
    }
    std::unique_lock lock(waiting->mutex);
    waiting->done.wait(lock, [&] { return waiting->left == 0; });
}

void Eraser::destroy(Job& job) {
    if (!job.applied) {
        job.failed = job.applied.error();
        return;
    }
    job.erasure.applied = std::move(*job.applied);
    if (job.erasure.applied.outcome.refusal) return;
    const Result<std::size_t> destroyed = keys_->destroy_retired(job.owner());
    if (destroyed) {
        job.erasure.keys = *destroyed;
    } else {
        unfinished_ = true;
        job.failed = destroyed.error();
    }
}

void Eraser::work(std::vector<Job>& jobs) {
    decide(jobs);
    std::map<PartitionId, std::vector<Job*>> erased;
    for (Job& job : jobs) {
        destroy(job);
        const bool refused = !job.failed && job.erasure.applied.outcome.refusal;
        if (refused) {
            if (auto kept = keys_->forget_retired(job.owner()); !kept) job.failed = kept.error();
        } else if (!job.failed) {
            erased[steps_.partition_of(job.command.program)].push_back(&job);
        }
    }
    for (auto& [partition, done] : erased) {
        std::vector<KeyOwner> partners;
        std::vector<PlainRecords> plain;
        for (const Job* job : done) {
            partners.push_back(job->owner());
            const PartnerPtr partner = steps_.find(job->owner());
            plain.push_back({job->owner().program, job->owner().partner,
                             partner ? partner->ordinal : PartnerOrdinal{}});
        }
        Result<void> cleaned = steps_.clean(partition, partners);
        if (cleaned) cleaned = steps_.count_plain(partition, plain);
        for (std::size_t i = 0; i < done.size(); ++i) {
            Job& job = *done[i];
            Result<void> ended = cleaned ? keys_->forget_retired(job.owner()) : cleaned;
            if (!ended) {
                unfinished_ = true;
                job.failed = ended.error();
                continue;
            }
            job.erasure.plain_records = plain[i].records;
            job.erasure.first_plain = plain[i].first;
            job.erasure.last_plain = plain[i].last;
            spdlog::info("program={} a partner was erased: keys={} plain_records={}",
                         job.command.program.value, job.erasure.keys, plain[i].records);
        }
    }
}

/// What was decided, and failed afterwards: whoever asked was told so, and need not ask again.
void Eraser::finish_again() {
    Result<void> finished;
    try {
        finished = finish_begun();
    } catch (const std::exception& thrown) {
        finished = Error{ErrorCode::io, thrown.what(), {}};
    }
    unfinished_ = !finished;
    if (!finished) spdlog::warn("an erasure is not finished: {}", finished.error().detail);
}

Result<void> Eraser::finish_begun() {
    const auto begun = keys_->retired();
    if (!begun) return begun.error();
    for (const KeyOwner& owner : *begun) {
        const PartnerPtr partner = steps_.find(owner);
        // One that was not decided has erased nothing: its keys go on opening, until it is asked
        // for again.
        if (!partner || !partner->erased) continue;
        const auto destroyed = keys_->destroy_retired(owner);
        if (!destroyed) return destroyed.error();
        const auto cleaned = steps_.clean(steps_.partition_of(owner.program), {owner});
        if (!cleaned) return cleaned.error();
        const auto ended = keys_->forget_retired(owner);
        if (!ended) return ended.error();
        spdlog::info("program={} an erasure that was cut off is finished: keys={}",
                     owner.program.value, *destroyed);
    }
    return {};
}

}  // namespace tidings::apps
