// Reads the log for audits of a running broker, on a thread of its own, so that they hold up
// neither a partition nor the io threads; and knows what checkpoints are signed with.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "apps/log_walk.h"
#include "connectors/audit_source.h"
#include "events/codec.h"

namespace tidings::apps {

class Auditor final : public AuditSource {
public:
    struct OpenedLog {
        std::shared_ptr<CommitSource> commits;
        CommandsAhead commands;
    };
    /// Called on the auditor's thread, once for each partition that is asked about.
    using OpenLog = std::function<Result<OpenedLog>(PartitionId)>;

    /// `keys` open what is sealed; null: none. `patience`: how long a question may wait for those
    /// before it.
    Auditor(CheckpointSigner signer, OpenLog open, std::shared_ptr<const Keys> keys,
            std::chrono::milliseconds patience = std::chrono::seconds(10));
    /// Stops if stop() was not called.
    ~Auditor() override;
    Auditor(const Auditor&) = delete;
    Auditor& operator=(const Auditor&) = delete;

    const CheckpointSigner& signer() const override { return signer_; }
    void read_commits(PartitionId partition, LogPosition from, std::size_t max_bytes,
                      Done done) const override;
    void read_lines(LinesQuestion question, LinesDone done) const override;

    /// Tells those who have waited too long. Called now and then.
    void expire();
    /// Refuses whoever still waits, and everybody from now on.
    void stop();

private:
    using Clock = std::chrono::steady_clock;
    /// Called on the thread with the log; or with why not.
    using Answer = std::function<void(Result<OpenedLog*>)>;
    struct Question {
        PartitionId partition;
        Answer answer;
        Clock::time_point until;
    };
    void ask(PartitionId partition, Answer answer) const;
    void run();
    Result<OpenedLog*> log_of(PartitionId partition);
    Result<LogLines> lines(OpenedLog& log, const LinesQuestion& question) const;

    const CheckpointSigner signer_;
    const OpenLog open_;
    const std::shared_ptr<const Keys> keys_;
    const std::chrono::milliseconds patience_;
    const CapnpCodec codec_;
    std::map<PartitionId, OpenedLog> logs_;  ///< of the thread

    mutable std::mutex mutex_;
    mutable std::condition_variable wake_;
    mutable std::deque<Question> waiting_;
    std::atomic<bool> stopping_{false};  ///< set under mutex_
    std::thread thread_;
};

}  // namespace tidings::apps
