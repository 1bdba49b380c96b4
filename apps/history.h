// The past of the partitions: builds read models at older positions (past.h) on threads of its own,
// keeps the latest asked for, and answers whoever waits for them. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

#include "apps/lock_file.h"
#include "apps/past.h"

namespace tidings::apps {

struct HistoryOptions {
    std::filesystem::path data;          ///< snapshots/ are read there
    std::filesystem::path scratch = {};  ///< where directories of its own are made; empty: history/
    /// Opens a partition's log for reading; called once for each that is asked about.
    std::function<Result<std::unique_ptr<CommitSource>>(PartitionId)> open_log;
    std::shared_ptr<const Keys> keys = {};  ///< of sealed texts
    std::size_t builders = 2;               ///< at once
    std::size_t kept = 8;                   ///< pasts, open
    std::size_t open = 48;     ///< pasts, with those that somebody still reads; more are refused
    std::size_t waiting = 64;  ///< questions; more are refused
    std::chrono::milliseconds patience{10'000};  ///< then a question is refused; the work goes on
};

class History {
public:
    /// Removes what dead processes left in history/. Errors: io.
    static Result<std::unique_ptr<History>> open(HistoryOptions options);
    /// Stops if stop() was not called.
    ~History();
    History(const History&) = delete;
    History& operator=(const History&) = delete;

    using Done = std::function<void(Result<std::shared_ptr<const Past>>)>;
    /// The partition's read models at `end`. `done` is called once: at once if they are there and
    /// it is `quick`, otherwise by a thread of the history's. Refusals come at once.
    /// REQUIRES: `end.last` is in the log. Errors: overloaded, those of build_past.
    void ask(PartitionId partition, const PastEnd& end, bool quick, Done done);
    /// The same, on the caller's thread, without bounds.
    Result<std::shared_ptr<const Past>> find(PartitionId partition, const PastEnd& end);

    /// Lets go of what was built of the partition so far; what is asked from now on is built anew.
    void forget(PartitionId partition);
    /// Returns once nobody holds what was forgotten. Errors: overloaded (somebody still does).
    Result<void> wait_forgotten(PartitionId partition) const;
    /// Removes what dead processes left in history/, and returns once those that read the past
    /// there now are done. Errors: io, overloaded (one still reads).
    Result<void> wait_for_others() const;

    /// Tells those who have waited too long. Called now and then.
    void expire();
    /// Refuses whoever still waits, and everybody from now on.
    void stop();

    struct Figures {
        std::uint64_t found = 0;  ///< answered from what was open
        std::uint64_t built = 0, failed = 0, refused = 0;
        std::uint64_t replayed = 0;  ///< commits
        double seconds = 0;          ///< of building, all together
    };
    Figures figures() const;

private:
    using Clock = std::chrono::steady_clock;
    using Key = std::tuple<PartitionId, Sequence, std::optional<ProgramId>,
                           std::optional<Timestamp>, std::optional<EventNumber>>;
    struct Waiter {
        Done done;
        Clock::time_point until;
        Sequence last;  ///< that it knows of
    };
    struct Build {
        PartitionId partition;
        PastEnd end;
        bool begun = false;
        std::uint64_t forgotten = 0;        ///< as of when it began
        std::shared_ptr<const Past> found;  ///< was there already, for waiters that are not quick
        std::vector<Waiter> waiters;
    };
    struct OpenPast {
        PartitionId partition;
        std::uint64_t forgotten;  ///< as of when its building began
        std::weak_ptr<const Past> past;
    };

    History(HistoryOptions options, std::filesystem::path scratch, LockFile lock);
    /// The last commit counts only where nothing else rules: it is the tip, which moves.
    static Key key_of(PartitionId partition, const PastEnd& end);
    // Under mutex_.
    bool has_room();
    std::shared_ptr<const Past> look_up(PartitionId partition, const PastEnd& end);
    /// Returns what had to go for it, to be destroyed without the lock.
    std::shared_ptr<const Past> keep(PartitionId partition, const PastEnd& end,
                                     std::shared_ptr<const Past> past);
    Result<std::shared_ptr<const Past>> build(PartitionId partition, const PastEnd& end);
    Result<std::shared_ptr<const Past>> reach(PartitionId partition, const PastEnd& end);
    Result<CommitSource*> source_of(PartitionId partition);
    void ask_on(std::pair<const Key, Build>& build, std::vector<Waiter>& waiters);
    void finish(const Key& key, const Result<std::shared_ptr<const Past>>& past, bool is_new);
    void run();

    const HistoryOptions options_;
    const std::filesystem::path scratch_;  ///< of this process; locked by it
    const LockFile lock_;
    const std::unique_ptr<Codec> codec_;

    std::mutex sources_mutex_;
    std::map<PartitionId, std::unique_ptr<CommitSource>> sources_;  ///< any thread may read
    std::atomic<bool> cancelled_{false};

    mutable std::mutex mutex_;  ///< guards what follows
    std::condition_variable wake_;
    bool stopping_ = false;
    std::shared_ptr<StoreResources> resources_;  ///< made when first needed
    std::shared_ptr<RowMemory> row_memory_;
    std::uint64_t scratch_number_ = 0;
    std::list<std::pair<Key, std::shared_ptr<const Past>>> kept_;  ///< latest used first
    std::map<Key, Build> builds_;                                  ///< wanted or under way
    std::deque<Key> queue_;                                        ///< those not begun
    std::size_t waiting_ = 0;
    std::map<PartitionId, std::uint64_t> forgotten_;  ///< calls of forget()
    std::vector<OpenPast> open_;
    Figures figures_;
    std::vector<std::thread> threads_;  ///< started with the first question
};

}  // namespace tidings::apps
