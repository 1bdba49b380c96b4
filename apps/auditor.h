// Reads the log for audits of a running broker, on a thread of its own, so that they hold up
// neither a partition nor the io threads; and knows what checkpoints are signed with.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "connectors/audit_source.h"

namespace tidings::apps {

class Auditor final : public AuditSource {
public:
    /// Called on the auditor's thread, once for each partition that is asked about.
    using OpenLog = std::function<Result<std::unique_ptr<CommitSource>>(PartitionId)>;

    Auditor(CheckpointSigner signer, OpenLog open);
    /// Tells those who still wait that it stops.
    ~Auditor() override;
    Auditor(const Auditor&) = delete;
    Auditor& operator=(const Auditor&) = delete;

    const CheckpointSigner& signer() const override { return signer_; }
    void read_commits(PartitionId partition, LogPosition from, std::size_t max_bytes,
                      Done done) const override;

private:
    struct Question {
        PartitionId partition;
        LogPosition from;
        std::size_t max_bytes = 0;
        Done done;
    };
    void run();
    Result<std::vector<CommitRecord>> answer(const Question& question);

    const CheckpointSigner signer_;
    const OpenLog open_;
    std::map<PartitionId, std::unique_ptr<CommitSource>> logs_;  ///< of the thread

    mutable std::mutex mutex_;
    mutable std::condition_variable wake_;
    mutable std::deque<Question> waiting_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace tidings::apps
