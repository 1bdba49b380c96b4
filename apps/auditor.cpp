#include "apps/auditor.h"

#include "apps/errors.h"
#include "apps/log_lines.h"
#include "connectors/thread_name.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kQuestionsWaiting = 64;   ///< questions; each is for a few megabytes at most
constexpr std::size_t kPiece = 256 << 10;       ///< of lines
constexpr std::size_t kReadAtOnce = 256 << 10;  ///< of commits that lines are made of
constexpr std::size_t kReadForPiece = 1 << 20;  ///< of them; then it is others' turn

Error stopped() { return overloaded("the broker is stopping"); }

/// Storage failures of reads are thrown; nobody catches them on the auditor's thread.
template <class Read>
auto caught(Read read) -> decltype(read()) {
    try {
        return read();
    } catch (const std::exception& error) {
        return Error{ErrorCode::io, error.what(), {}};
    }
}

Error gone(const Tip& tip) {
    return {
        ErrorCode::log_mismatch,
        "the log does not go on after commit " + std::to_string(tip.sequence.value) + " as it did",
        {}};
}

}  // namespace

Auditor::Auditor(CheckpointSigner signer, OpenLog open, std::shared_ptr<const Keys> keys,
                 std::chrono::milliseconds patience)
    : signer_(std::move(signer)),
      open_(std::move(open)),
      keys_(std::move(keys)),
      patience_(patience),
      thread_([this] {
          name_thread("auditor");
          run();
      }) {}

Auditor::~Auditor() { stop(); }

void Auditor::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    std::deque<Question> left;
    {
        const std::lock_guard lock(mutex_);
        left.swap(waiting_);
    }
    for (const Question& question : left) question.answer(stopped());
}

void Auditor::expire() {
    std::vector<Question> late;
    {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        while (!waiting_.empty() && waiting_.front().until <= now) {
            late.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
        }
    }
    for (const Question& question : late) {
        question.answer(overloaded("audits before this one take long: ask again"));
    }
}

void Auditor::ask(PartitionId partition, Answer answer) const {
    {
        const std::lock_guard lock(mutex_);
        if (!stopping_ && waiting_.size() < kQuestionsWaiting) {
            waiting_.push_back({partition, std::move(answer), Clock::now() + patience_});
            wake_.notify_one();
            return;
        }
    }
    answer(stopping_ ? stopped() : overloaded("too many audits read the log"));
}

void Auditor::read_commits(PartitionId partition, LogPosition from, std::size_t max_bytes,
                           Done done) const {
    ask(partition, [from, max_bytes, done = std::move(done)](Result<OpenedLog*> log) {
        using Records = std::vector<CommitRecord>;
        done(caught([&]() -> Result<Records> {
            if (!log) return log.error();
            Records records;
            const auto read = (*log)->commits->read_commits(from, max_bytes, records);
            if (!read) return read.error();
            return records;
        }));
    });
}

void Auditor::read_lines(LinesQuestion question, LinesDone done) const {
    const PartitionId partition = question.partition;
    ask(partition,
        [this, question = std::move(question), done = std::move(done)](Result<OpenedLog*> log) {
            done(caught([&]() -> Result<LogLines> {
                if (!log) return log.error();
                return lines(**log, question);
            }));
        });
}

void Auditor::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        const Question question = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        question.answer(caught([&] { return log_of(question.partition); }));
        lock.lock();
    }
}

Result<Auditor::OpenedLog*> Auditor::log_of(PartitionId partition) {
    auto found = logs_.find(partition);
    if (found == logs_.end()) {
        auto opened = open_(partition);
        if (!opened) return opened.error();
        found = logs_.emplace(partition, std::move(*opened)).first;
    }
    return &found->second;
}

/// By the chain's rules from a tip that is on it.
Result<LogLines> Auditor::lines(OpenedLog& log, const LinesQuestion& question) const {
    const Genesis& genesis = log.commits->genesis();
    LogLines out{{}, question.after};
    if (out.tip.sequence.value == 0) {
        out.tip = Tip{.hash = genesis.hash, .next_record = LogPosition{1}};
    }
    std::size_t bytes = 0;
    while (out.tip.sequence < question.last && out.text.size() < kPiece && bytes < kReadForPiece) {
        if (stopping_) return stopped();
        std::vector<CommitRecord> records;
        const auto read = log.commits->read_commits(out.tip.next_record, kReadAtOnce, records);
        if (!read) return read.error();
        if (records.empty()) return gone(out.tip);
        for (CommitRecord& record : records) {
            bytes += record.bytes.size();
            const auto envelope = codec_.decode_envelope(record.bytes);
            if (!envelope) return envelope.error();
            const Verdict verdict = judge(genesis, out.tip, *envelope);
            if (verdict == Verdict::alarm) return gone(out.tip);
            if (verdict == Verdict::skip) {
                out.tip.next_record = LogPosition{record.position.value + 1};
                continue;
            }
            out.tip = advance(*envelope, record.position);
            if (envelope->sequence >= question.from) {
                WalkedCommit commit{std::move(record), *envelope, {}, {}};
                auto outcomes = codec_.decode_outcomes(commit.record.bytes);
                if (!outcomes) return outcomes.error();
                commit.outcomes = std::move(*outcomes);
                const auto taken = log.commands.take(*envelope, commit.commands);
                if (!taken) return taken.error();
                if (commit.outcomes.size() != commit.commands.size()) return gone(out.tip);
                append_lines(out.text, codec_, keys_.get(), commit, true, question.program);
            }
            if (out.tip.sequence == question.last || out.text.size() >= kPiece) break;
        }
    }
    return out;
}

}  // namespace tidings::apps
