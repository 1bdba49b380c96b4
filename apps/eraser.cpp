#include "apps/eraser.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <map>

#include "apps/errors.h"
#include "connectors/thread_name.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kErasuresWaiting = 1'024;
constexpr std::chrono::seconds kErasureAgain{30};  ///< what failed on the way
constexpr std::chrono::milliseconds kDue{200};
/// What another process has begun is finished by it, unless it is gone by then.
constexpr std::chrono::seconds kLeftBehind{60};

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
        if (!stopping_ && queue_.size() < kErasuresWaiting) {
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
        if (!unfinished_ && !steps_.clean_due) {
            wake_.wait(lock, due);
        } else if (!wake_.wait_for(lock, kDue, due)) {
            lock.unlock();
            do_due();
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
        if (steps_.clean_due) do_due();
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
        steps_.decide(job.command, [waiting, &job](std::uint16_t epoch, Result<Applied> applied) {
            const std::lock_guard lock(waiting->mutex);
            job.key_epoch = epoch;
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
    const PartnerPtr partner = steps_.find(job.owner());
    if (!partner || partner->key_epoch < job.key_epoch) {
        job.failed = overloaded("the erasure is not decided: ask again");
        return;
    }
    const Result<std::size_t> destroyed = keys_->destroy_retired(job.owner(), job.key_epoch);
    Result<void> done = destroyed ? Result<void>() : Result<void>(destroyed.error());
    if (destroyed) job.erasure.keys = *destroyed;
    // the others can begin, and whatever happens here, this process knows what it has to clean
    if (done && keys_->is_shared()) {
        done = keys_->end_erasure(job.owner(), job.key_epoch, job.erasure.applied.sequence);
    }
    if (!done) {
        unfinished_ = true;
        job.failed = done.error();
    }
}

/// Where there is no such partner, the keys have sealed nothing but what was refused: the command
/// was decided behind all of it. Shared keys may be in use elsewhere at this moment.
Result<void> Eraser::end_refused(const Job& job) {
    if (!keys_->is_shared() && job.erasure.applied.outcome.refusal->code == ErrorCode::not_found) {
        const auto destroyed = keys_->destroy_retired(job.owner(), job.key_epoch);
        if (!destroyed) return destroyed.error();
    }
    return keys_->end_erasure(job.owner(), job.key_epoch, {});
}

void Eraser::work(std::vector<Job>& jobs) {
    decide(jobs);
    std::map<PartitionId, std::vector<Job*>> erased;
    for (Job& job : jobs) {
        destroy(job);
        const bool refused = !job.failed && job.erasure.applied.outcome.refusal;
        if (refused) {
            if (auto ended = end_refused(job); !ended) job.failed = ended.error();
        } else if (!job.failed) {
            erased[steps_.partition_of(job.command.program)].push_back(&job);
        }
    }
    for (auto& [partition, done] : erased) {
        ErasedRows rows;
        std::vector<PlainRecords> plain;
        for (const Job* job : done) {
            rows.programs.insert(job->command.program);
            rows.at = std::max(rows.at, job->erasure.applied.sequence);
            rows.partners.push_back(job->owner());
            const PartnerPtr partner = steps_.find(job->owner());
            plain.push_back({job->owner().program, job->owner().partner,
                             partner ? partner->ordinal : PartnerOrdinal{}});
        }
        Result<void> cleaned = steps_.clean(partition, rows);
        if (cleaned) cleaned = steps_.count_plain(partition, plain);
        for (std::size_t i = 0; i < done.size(); ++i) {
            Job& job = *done[i];
            Result<void> ended = cleaned;
            if (ended && !keys_->is_shared()) {
                ended = keys_->end_erasure(job.owner(), job.key_epoch, rows.at);
            }
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

void Eraser::do_due() {
    try {  // storage failures of reads are thrown
        if (auto erased = keys_->erase_destroyed(); !erased) {
            spdlog::warn("destroyed keys are still on this disk: {}", erased.error().detail);
        }
        if (steps_.clean_due) steps_.clean_due();
    } catch (const std::exception& thrown) {
        spdlog::warn("what was erased is not cleaned up yet: {}", thrown.what());
    }
    if (std::chrono::steady_clock::now() < finish_at_) return;
    finish_again();
    finish_at_ = std::chrono::steady_clock::now() + kErasureAgain;
}

/// What was decided, and failed afterwards: whoever asked was told so, and need not ask again.
void Eraser::finish_again() {
    Result<void> finished;
    try {
        finished = finish_begun(steps_.clean_due ? kLeftBehind : std::chrono::seconds(0));
    } catch (const std::exception& thrown) {
        finished = Error{ErrorCode::io, thrown.what(), {}};
    }
    unfinished_ = !finished;
    if (!finished) spdlog::warn("an erasure is not finished: {}", finished.error().detail);
}

Result<void> Eraser::finish_begun(std::chrono::milliseconds age) {
    const auto begun = keys_->begun(age);
    if (!begun) return begun.error();
    Result<void> all;
    for (const BegunErasure& erasure : *begun) {
        if (auto finished = finish(erasure); !finished) all = finished;
    }
    return all;
}

Result<void> Eraser::finish(const BegunErasure& erasure) {
    const KeyOwner& owner = erasure.owner;
    const PartitionId partition = steps_.partition_of(owner.program);
    const Sequence at = steps_.applied(partition);
    const PartnerPtr partner = steps_.find(owner);
    // One that was not decided has erased nothing: its keys go on opening, until it is asked for
    // again.
    if (!partner || partner->key_epoch < erasure.key_epoch) return {};
    if (erasure.key_epoch == 0 && !partner->erased) return {};
    const auto destroyed = keys_->destroy_retired(owner, erasure.key_epoch);
    if (!destroyed) return destroyed.error();
    const ErasedRows rows{{owner.program}, at, {owner}};
    Result<void> done;
    if (keys_->is_shared()) done = keys_->end_erasure(owner, erasure.key_epoch, at);
    if (done) done = steps_.clean(partition, rows);
    if (done && !keys_->is_shared()) done = keys_->end_erasure(owner, erasure.key_epoch, at);
    if (!done) return done;
    spdlog::info("program={} an erasure that was cut off is finished: keys={}", owner.program.value,
                 *destroyed);
    return {};
}

}  // namespace tidings::apps
