#include "apps/auditor.h"

#include <stdexcept>

#include "connectors/thread_name.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kWaiting = 64;  ///< questions; each is for a few megabytes at most

Error overloaded(const char* why) { return {ErrorCode::overloaded, why, {}}; }

}  // namespace

Auditor::Auditor(CheckpointSigner signer, OpenLog open)
    : signer_(std::move(signer)), open_(std::move(open)), thread_([this] {
          name_thread("auditor");
          run();
      }) {}

Auditor::~Auditor() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
    for (const Question& question : waiting_) question.done(overloaded("the broker is stopping"));
}

void Auditor::read_commits(PartitionId partition, LogPosition from, std::size_t max_bytes,
                           Done done) const {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() < kWaiting) {
            waiting_.push_back({partition, from, max_bytes, std::move(done)});
            done = nullptr;
        }
    }
    wake_.notify_one();
    if (done) done(overloaded("too many audits read the log"));
}

void Auditor::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        const Question question = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        question.done(answer(question));
        lock.lock();
    }
}

Result<std::vector<CommitRecord>> Auditor::answer(const Question& question) {
    std::unique_ptr<CommitSource>& log = logs_[question.partition];
    if (!log) {
        auto opened = open_(question.partition);
        if (!opened) return opened.error();
        log = std::move(*opened);
    }
    std::vector<CommitRecord> records;
    const Result<void> read = log->read_commits(question.from, question.max_bytes, records);
    if (!read) return read.error();
    return records;
}

}  // namespace tidings::apps
