#include "apps/auditor.h"

#include "apps/log_lines.h"
#include "connectors/thread_name.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kWaiting = 64;            ///< questions; each is for a few megabytes at most
constexpr std::size_t kPiece = 256 << 10;       ///< of lines
constexpr std::size_t kReadAtOnce = 256 << 10;  ///< of commits that lines are made of

Error overloaded(const char* why) { return {ErrorCode::overloaded, why, {}}; }

Error gone(const Tip& tip) {
    return {
        ErrorCode::log_mismatch,
        "the log does not go on after commit " + std::to_string(tip.sequence.value) + " as it did",
        {}};
}

}  // namespace

Auditor::Auditor(CheckpointSigner signer, OpenLog open, std::shared_ptr<const Keys> keys)
    : signer_(std::move(signer)), open_(std::move(open)), keys_(std::move(keys)), thread_([this] {
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
    for (const Question& question : waiting_) {
        question.answer(overloaded("the broker is stopping"));
    }
}

void Auditor::ask(Question question) const {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() < kWaiting) {
            waiting_.push_back(std::move(question));
            wake_.notify_one();
            return;
        }
    }
    question.answer(overloaded("too many audits read the log"));
}

void Auditor::read_commits(PartitionId partition, LogPosition from, std::size_t max_bytes,
                           Done done) const {
    ask({partition, [from, max_bytes, done = std::move(done)](Result<OpenedLog*> log) {
             if (!log) return done(log.error());
             std::vector<CommitRecord> records;
             const Result<void> read = (*log)->commits->read_commits(from, max_bytes, records);
             if (!read) return done(read.error());
             done(std::move(records));
         }});
}

void Auditor::read_lines(LinesQuestion question, LinesDone done) const {
    const PartitionId partition = question.partition;
    ask({partition,
         [this, question = std::move(question), done = std::move(done)](Result<OpenedLog*> log) {
             if (!log) return done(log.error());
             done(lines(**log, question));
         }});
}

void Auditor::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        const Question question = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        question.answer(log_of(question.partition));
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
    while (out.tip.sequence < question.last && out.text.size() < kPiece) {
        std::vector<CommitRecord> records;
        const auto read = log.commits->read_commits(out.tip.next_record, kReadAtOnce, records);
        if (!read) return read.error();
        if (records.empty()) return gone(out.tip);
        for (CommitRecord& record : records) {
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
