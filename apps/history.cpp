#include "apps/history.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "apps/data_directory.h"
#include "apps/errors.h"
#include "apps/snapshots.h"
#include "connectors/thread_name.h"
#include "events/codec.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

// Of all pasts together.
constexpr std::size_t kPastBlockCacheBytes = 16u << 20;
constexpr std::size_t kPastWriteBufferBytes = 32u << 20;
constexpr std::size_t kPastRowBytes = 16u << 20;
constexpr std::chrono::seconds kForgetPatience{20};
constexpr std::chrono::milliseconds kForgetPause{5};

Error too_many() {
    return {ErrorCode::overloaded,
            "too many questions about the past at once, or this one takes long: ask again",
            {}};
}

/// A log's reader for several threads.
class SharedSource final : public CommitSource {
public:
    explicit SharedSource(std::unique_ptr<CommitSource> inner) : inner_(std::move(inner)) {}
    const Genesis& genesis() const override { return inner_->genesis(); }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        const std::lock_guard lock(mutex_);
        return inner_->read_commits(from, max_bytes, out);
    }

private:
    std::mutex mutex_;
    const std::unique_ptr<CommitSource> inner_;
};

/// Those whose process has ended: nobody holds their lock. Returns the others.
Result<std::set<fs::path>> remove_dead(const fs::path& directory) {
    std::set<fs::path> left;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        const Result<LockFile> lock = LockFile::acquire(entry->path());
        std::error_code failed;
        if (lock || lock.error().code != ErrorCode::overloaded) {
            fs::remove_all(entry->path(), failed);
            if (!failed) continue;
        }
        left.insert(entry->path());
    }
    if (error) return io_error("cannot read " + directory.string(), error);
    return left;
}

/// Makes a directory and locks it. Another process that starts at this moment may take it for a
/// dead one's in between.
Result<LockFile> make_locked(const fs::path& directory) {
    constexpr int kAttempts = 20;
    for (int attempt = 1;; ++attempt) {
        std::error_code error;
        fs::create_directories(directory, error);
        if (error) return io_error("cannot make " + directory.string(), error);
        Result<LockFile> lock = LockFile::acquire(directory);
        if (lock || attempt == kAttempts) return lock;
        std::this_thread::yield();
    }
}

}  // namespace

Result<std::unique_ptr<History>> History::open(HistoryOptions options) {
    const fs::path directory = options.scratch.empty() ? options.data / "history" : options.scratch;
    const fs::path scratch = directory / std::to_string(::getpid());
    if (const Result<void> made = make_data_directory(directory); !made) return made.error();
    if (const auto left = remove_dead(directory); !left) return left.error();
    Result<LockFile> lock = make_locked(scratch);
    if (!lock) return lock.error();
    return std::unique_ptr<History>(new History(std::move(options), scratch, std::move(*lock)));
}

History::History(HistoryOptions options, fs::path scratch, LockFile lock)
    : options_(std::move(options)),
      scratch_(std::move(scratch)),
      lock_(std::move(lock)),
      codec_(std::make_unique<CapnpCodec>()) {}

History::~History() {
    stop();
    kept_.clear();
    std::error_code unseen;  // the next start removes what is left
    fs::remove_all(scratch_, unseen);
}

History::Key History::key_of(PartitionId partition, const PastEnd& end) {
    return {partition, end.program ? Sequence{} : end.last, end.program, end.time, end.event};
}

std::shared_ptr<const Past> History::look_up(PartitionId partition, const PastEnd& end) {
    const Key key = key_of(partition, end);
    for (auto at = kept_.begin(); at != kept_.end(); ++at) {
        if (at->first != key) continue;
        kept_.splice(kept_.begin(), kept_, at);
        ++figures_.found;
        return at->second;
    }
    return nullptr;
}

std::shared_ptr<const Past> History::keep(PartitionId partition, const PastEnd& end,
                                          std::shared_ptr<const Past> past) {
    if (end.program && !past->is_final()) return nullptr;  // later commits may belong to it
    kept_.emplace_front(key_of(partition, end), std::move(past));
    if (kept_.size() <= options_.kept) return nullptr;
    past = std::move(kept_.back().second);
    kept_.pop_back();
    return past;
}

/// For one more: slow readers of long answers keep theirs open.
bool History::has_room() {
    std::erase_if(open_, [](const auto& open) { return open.past.expired(); });
    return open_.size() + builds_.size() < options_.open;
}

void History::ask(PartitionId partition, const PastEnd& end, bool quick, Done done) {
    std::shared_ptr<const Past> found;
    {
        const std::lock_guard lock(mutex_);
        found = look_up(partition, end);
        const Key key = key_of(partition, end);
        const bool fits =
            waiting_ < options_.waiting && (found || builds_.contains(key) || has_room());
        if (!(found && quick) && !stopping_ && fits) {
            const auto [build, is_new] = builds_.try_emplace(key);
            build->second.partition = partition;
            if (is_new) build->second.end = end;
            if (!build->second.begun && build->second.end.last < end.last) {
                build->second.end.last = end.last;
            }
            build->second.found = found;
            build->second.waiters.push_back(
                {std::move(done), Clock::now() + options_.patience, end.last});
            ++waiting_;
            if (is_new) queue_.push_back(key);
            while (threads_.size() < options_.builders) threads_.emplace_back([this] { run(); });
            wake_.notify_one();
            return;
        }
        if (!(found && quick)) ++figures_.refused;
    }
    if (found && quick) return done(std::move(found));
    done(too_many());
}

Result<std::shared_ptr<const Past>> History::find(PartitionId partition, const PastEnd& end) {
    {
        const std::lock_guard lock(mutex_);
        if (auto found = look_up(partition, end)) return found;
    }
    auto built = build(partition, end);
    std::shared_ptr<const Past> gone;
    const std::lock_guard lock(mutex_);
    if (built) gone = keep(partition, end, *built);
    return built;
}

Result<CommitSource*> History::source_of(PartitionId partition) {
    const std::lock_guard lock(sources_mutex_);
    std::unique_ptr<CommitSource>& source = sources_[partition];
    if (!source) {
        auto opened = options_.open_log(partition);
        if (!opened) return opened.error();
        source = std::make_unique<SharedSource>(std::move(*opened));
    }
    return source.get();
}

Result<std::shared_ptr<const Past>> History::build(PartitionId partition, const PastEnd& end) {
    const auto source = source_of(partition);
    if (!source) return source.error();
    PastPlace place;
    place.snapshots = snapshots_directory(options_.data, partition);
    {
        const std::lock_guard lock(mutex_);
        if (!resources_) {
            resources_ = make_store_resources(kPastBlockCacheBytes, kPastWriteBufferBytes);
            row_memory_ = make_row_memory(kPastRowBytes);
        }
        place.resources = resources_;
        place.row_memory = row_memory_;
        place.scratch = scratch_ / std::to_string(++scratch_number_);
    }
    place.keys = options_.keys;
    place.cancelled = &cancelled_;
    try {
        auto past = build_past(**source, *codec_, place, end);
        if (!past) return past.error();
        return std::shared_ptr<const Past>(std::move(*past));
    } catch (const std::exception& error) {  // storage failures of reads are thrown
        return Error{ErrorCode::io, error.what(), {}};
    }
}

/// Who asks through a node knows that the log goes on to there; a reader of its own may trail.
Result<std::shared_ptr<const Past>> History::reach(PartitionId partition, const PastEnd& end) {
    auto past = build(partition, end);
    if (!past || (*past)->is_final()) return past;
    const Sequence reached = (*past)->models().tip().sequence;
    if (reached == end.last) return past;
    return Error{ErrorCode::overloaded,
                 "the log is read up to commit " + std::to_string(reached.value) +
                     " here, and not yet to " + std::to_string(end.last.value) + ": ask again",
                 {}};
}

void History::run() {
    name_thread("history");
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        const Key key = std::move(queue_.front());
        queue_.pop_front();
        Build& build = builds_.at(key);  // stays: only finish() removes one that has begun
        build.begun = true;
        build.forgotten = forgotten_[build.partition];
        const PartitionId partition = build.partition;
        const PastEnd end = build.end;
        const std::shared_ptr<const Past> found = build.found;
        lock.unlock();
        finish(key, found ? found : reach(partition, end), !found);
        lock.lock();
    }
}

/// What was built is not final: who knows of later commits waits on, for what they change.
void History::ask_on(std::pair<const Key, Build>& build, std::vector<Waiter>& waiters) {
    Build& next = build.second;
    const auto later = std::stable_partition(
        waiters.begin(), waiters.end(), [&](const Waiter& w) { return w.last <= next.end.last; });
    if (later == waiters.end()) return;
    for (auto waiter = later; waiter != waiters.end(); ++waiter) {
        next.end.last = std::max(next.end.last, waiter->last);
        next.waiters.push_back(std::move(*waiter));
    }
    waiters.erase(later, waiters.end());
    next.begun = false;
    queue_.push_back(build.first);
    wake_.notify_one();
}

void History::finish(const Key& key, const Result<std::shared_ptr<const Past>>& past, bool is_new) {
    std::vector<Waiter> waiters;
    std::shared_ptr<const Past> gone;
    {
        const std::lock_guard lock(mutex_);
        const auto build = builds_.find(key);
        if (past && is_new) {
            open_.push_back({build->second.partition, build->second.forgotten, *past});
            if (build->second.forgotten == forgotten_[build->second.partition]) {
                gone = keep(build->second.partition, build->second.end, *past);
            }
            ++figures_.built;
            figures_.replayed += (*past)->cost().commits;
            figures_.seconds += (*past)->cost().seconds;
        } else if (!past) {
            ++figures_.failed;
        }
        waiters.swap(build->second.waiters);
        if (past && is_new && !(*past)->is_final()) ask_on(*build, waiters);
        waiting_ -= waiters.size();
        if (build->second.waiters.empty()) builds_.erase(build);
    }
    for (const Waiter& waiter : waiters) waiter.done(past);
}

void History::forget(PartitionId partition) {
    std::list<std::pair<Key, std::shared_ptr<const Past>>> gone;  // destroyed without the lock
    const std::lock_guard lock(mutex_);
    ++forgotten_[partition];
    for (auto at = kept_.begin(); at != kept_.end();) {
        const auto next = std::next(at);
        if (std::get<PartitionId>(at->first) == partition) gone.splice(gone.end(), kept_, at);
        at = next;
    }
    for (auto& [key, build] : builds_) {
        if (build.partition == partition) build.found.reset();
    }
}

Result<void> History::wait_forgotten(PartitionId partition) const {
    const auto until = Clock::now() + kForgetPatience;
    const auto is_held = [&] {
        const std::lock_guard lock(mutex_);
        const auto forgotten = forgotten_.find(partition);
        if (forgotten == forgotten_.end()) return false;
        const std::uint64_t forgets = forgotten->second;
        for (const auto& [key, build] : builds_) {
            const bool old = build.begun && build.forgotten < forgets;
            if (build.partition == partition && old) return true;
        }
        return std::ranges::any_of(open_, [&](const OpenPast& open) {
            return open.partition == partition && open.forgotten < forgets && !open.past.expired();
        });
    };
    while (is_held()) {
        if (Clock::now() > until) {
            return Error{ErrorCode::overloaded, "somebody still reads the past: ask again", {}};
        }
        std::this_thread::sleep_for(kForgetPause);
    }
    return {};
}

Result<void> History::wait_for_others() const {
    const fs::path directory = scratch_.parent_path();
    auto others = remove_dead(directory);
    if (!others) return others.error();
    others->erase(scratch_);
    const auto until = Clock::now() + kForgetPatience;
    while (!others->empty()) {
        if (Clock::now() > until) {
            return Error{ErrorCode::overloaded,
                         "another process still reads the past in " + others->begin()->string() +
                             ": ask again",
                         {}};
        }
        std::this_thread::sleep_for(kForgetPause);
        const auto left = remove_dead(directory);
        if (!left) return left.error();
        std::erase_if(*others, [&](const fs::path& other) { return !left->contains(other); });
    }
    return {};
}

void History::expire() {
    std::vector<Waiter> late;
    {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        for (auto build = builds_.begin(); build != builds_.end();) {
            auto& waiters = build->second.waiters;
            const auto split = std::stable_partition(
                waiters.begin(), waiters.end(), [now](const Waiter& w) { return w.until > now; });
            std::move(split, waiters.end(), std::back_inserter(late));
            waiters.erase(split, waiters.end());
            if (waiters.empty() && !build->second.begun) {
                std::erase(queue_, build->first);
                build = builds_.erase(build);
            } else {
                ++build;
            }
        }
        waiting_ -= late.size();
        figures_.refused += late.size();
    }
    for (const Waiter& waiter : late) waiter.done(too_many());
}

void History::stop() {
    cancelled_ = true;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    std::map<Key, Build> left;
    {
        const std::lock_guard lock(mutex_);
        left.swap(builds_);
        queue_.clear();
        waiting_ = 0;
    }
    for (const auto& [key, build] : left) {
        for (const Waiter& waiter : build.waiters) waiter.done(too_many());
    }
}

History::Figures History::figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
}

}  // namespace tidings::apps
