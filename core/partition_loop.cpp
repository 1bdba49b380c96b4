// Following the chain, deciding runs, and what to do when the log is not what it was.
#include "core/partition_loop.h"

#include <cassert>
#include <exception>
#include <utility>

#include "core/commits.h"
#include "core/decide_record.h"
#include "core/limits.h"
#include "core/merkle.h"

namespace tidings {
namespace {

Error mismatch(std::string detail) { return Error{ErrorCode::log_mismatch, std::move(detail), {}}; }

Error other_commands(const Envelope& envelope) {
    return mismatch(commit_name(envelope.sequence) +
                    " answers other commands than the command log holds at positions " +
                    std::to_string(envelope.first.value) + " to " +
                    std::to_string(envelope.last.value));
}

/// Rough encoded size of what may be large in an outcome; the rest is small change against
/// limits::kCommitBytes.
std::size_t weight(const Outcome& outcome) {
    constexpr std::size_t kFixed = 512;
    constexpr std::size_t kPartner = 320;
    constexpr std::size_t kItem = 64;
    struct Weigher {
        std::size_t operator()(const PartnersChanged& event) const {
            std::size_t size = 0;
            for (const PartnerState& partner : event.partners) {
                size += kPartner + partner.id.value.size() + partner.email.stored().size() +
                        partner.name.stored().size() + partner.surname.stored().size();
                for (const std::string& tag : partner.tags) size += kItem + tag.size();
                const Metrics& metrics = partner.metrics;
                size += kItem * (metrics.revenue.size() + metrics.commission.size());
            }
            return size;
        }
        std::size_t operator()(const MessageSent& event) const {
            std::size_t size = event.subject.size() + event.body.size() + kItem +
                               event.recipients.getSizeInBytes() +
                               event.audience.filter.children.size() * kItem;
            for (const PartnerId& id : event.audience.partners) size += kItem + id.value.size();
            for (const PartnerId& id : event.audience.exclude) size += kItem + id.value.size();
            return size;
        }
        std::size_t operator()(const MessagesOpened& event) const {
            std::size_t size = 0;
            for (const MessagesOpened::Group& group : event.groups) {
                size +=
                    kItem + group.partners.getSizeInBytes() + group.at.size() * sizeof(Timestamp);
            }
            return size;
        }
        std::size_t operator()(const ReplyPosted& event) const {
            return event.body.stored().size();
        }
        std::size_t operator()(const WebhookSecretSet& event) const { return event.sealed.size(); }
        std::size_t operator()(const ProgramChanged& event) const { return event.name.size(); }
        std::size_t operator()(const UpstreamFactsChanged&) const { return kItem * kItem; }
        std::size_t operator()(const ConversationRead&) const { return 0; }
        std::size_t operator()(const PartnerErased&) const { return 0; }
    };
    std::size_t size = kFixed + outcome.rejected.size() * sizeof(Rejected);
    for (const Event& event : outcome.events) size += kItem + std::visit(Weigher{}, event);
    return size;
}

}  // namespace

PartitionLoop::PartitionLoop(Log& log, const Codec& codec, Projection& projection,
                             CommitObserver& observer, bool decides)
    : log_(log),
      codec_(codec),
      projection_(&projection),
      observer_(observer),
      decides_(decides),
      tip_(projection.tip()),
      generation_(log.generation()) {
    if (tip_ == Tip{}) tip_ = genesis_tip();
    read_from_ = tip_.next_record;
}

Tip PartitionLoop::genesis_tip() const { return Tip{.hash = log_.genesis().hash}; }

void PartitionLoop::set_decides(bool decides) {
    if (decides == decides_) return;
    decides_ = decides;
    queue_.clear();
    queue_bytes_ = 0;
    if (!decides_) log_.rest_commands();
}

Result<void> PartitionLoop::continue_on(Projection& projection) {
    Tip tip = projection.tip();
    if (tip == Tip{}) tip = genesis_tip();
    if (tip != tip_) {
        return mismatch("read models at " + commit_name(tip.sequence) +
                        " cannot take the place of others at " + commit_name(tip_.sequence));
    }
    forget_unpublished();
    projection_ = &projection;
    return {};
}

Result<void> PartitionLoop::verify_start() {
    try {
        auto reached = rescan();
        if (reached.has_error() && reached.error().code != ErrorCode::io) {
            stopped_ = reached.error();
        }
        return reached;
    } catch (const std::exception& error) {
        return Error{ErrorCode::io, error.what(), {}};
    }
}

Result<StepResult> PartitionLoop::step() {
    if (stopped_) return *stopped_;
    try {
        auto done = advance_once();
        if (done.has_error() && done.error().code != ErrorCode::io) stopped_ = done.error();
        return done;
    } catch (const std::exception& error) {
        // Storage failed under decide, fold or the like: none of it may become a fact (rule 12).
        forget_unpublished();
        return Error{ErrorCode::io, error.what(), {}};
    }
}

/// Back to what is published; what was accepted or appended will be folded again when its turn
/// comes.
void PartitionLoop::forget_unpublished() {
    projection_->drop();
    if (accepted_) accepted_->batch.folded = false;
    if (run_) run_->batch.folded = false;
}

Result<StepResult> PartitionLoop::advance_once() {
    if (accepted_) {
        auto published = publish();
        if (published.has_error()) return published.error();
        return StepResult::worked;
    }
    if (const std::uint64_t now = log_.generation(); now != generation_) {
        auto reached = rescan();
        if (reached.has_error()) return reached.error();
        generation_ = now;
        records_.clear();  // others may lie where what was skipped lay
        read_from_ = tip_.next_record;
    }
    // Asked before reading: an append that was over by now must be among the records read next.
    const AppendState append = log_.append_state();
    if (records_.empty()) {
        auto read = read_commits();
        if (read.has_error()) return read.error();
    }
    if (!records_.empty()) {
        // Taken off only when done with: after a storage failure it is looked at again.
        auto taken = take(records_.front());
        if (taken.has_error()) return taken.error();
        // Not known before a read gives nothing: one read need not have shown all there is.
        caught_up_ = false;
        return StepResult::worked;
    }
    // An empty answer may also mean that what lies there is still under way.
    auto end = log_.end_of_commits();
    if (end.has_error()) return end.error();
    caught_up_ = read_from_ >= *end;
    if (!caught_up_) return StepResult::waiting;
    if (run_) return append_again(append);
    if (!decides_) return StepResult::idle;
    // A lost run's append may still be under way; the log takes one at a time.
    if (append == AppendState::pending) return StepResult::waiting;
    return decide_run();
}

Result<bool> PartitionLoop::read_commits() {
    std::vector<CommitRecord> records;
    auto read = log_.read_commits(read_from_, limits::kRunBytes, records);
    if (read.has_error()) {
        if (read.error().code != ErrorCode::log_mismatch) return read.error();
        // The log ends before what was read from it: name what is gone.
        auto reached = rescan();
        return reached.has_error() ? reached.error() : read.error();
    }
    for (CommitRecord& record : records) {
        read_from_ = LogPosition{record.position.value + 1};
        records_.push_back(std::move(record));
    }
    return !records_.empty();
}

Result<void> PartitionLoop::take(const CommitRecord& record) {
    Envelope envelope;
    if (run_ && record.bytes == run_->record) {
        envelope = run_->envelope;  // byte for byte our own: no need to hash it again
    } else {
        auto decoded = codec_.decode_envelope(record.bytes);
        if (decoded.has_error()) {
            if (decoded.error().code == ErrorCode::corruption) {
                return alarm(record, decoded.error());
            }
            return decoded.error();
        }
        envelope = *decoded;
    }
    switch (judge(log_.genesis(), tip_, envelope)) {
        case Verdict::accept:
            return accept(record, envelope);
        case Verdict::skip:
            ++counters_.skipped;
            records_.pop_front();
            return {};
        case Verdict::alarm:
            break;
    }
    return alarm(record,
                 mismatch(commit_name(Sequence{tip_.sequence.value + 1}) + " is gone: after " +
                          commit_name(tip_.sequence) + " the log goes on at position " +
                          std::to_string(record.position.value) + " with " +
                          commit_name(envelope.sequence) + ", which does not continue it"));
}

Result<void> PartitionLoop::accept(const CommitRecord& record, const Envelope& envelope) {
    Accepted next;
    next.tip = advance(envelope, record.position);
    newest_ = envelope;
    if (run_ && run_->envelope.hash == envelope.hash) {
        next.own = true;
        newest_.reset();  // they were just read
        next.batch = std::move(run_->batch);
        run_.reset();
    } else {
        auto commands = check_commands(envelope);
        if (commands.has_error()) return commands.error();
        auto outcomes = decode_answers(codec_, envelope, record);
        if (outcomes.has_error()) return outcomes.error();
        if (run_) {
            ++counters_.lost_races;
            run_.reset();
            projection_->drop();
        }
        next.batch.outcomes = std::move(*outcomes);
    }
    next.leaves.reserve(next.batch.outcomes.size());
    auto leaves = codec_.read_leaves(record.bytes, [&next](std::string_view leaf) {
        next.leaves.push_back(merkle::leaf_hash(leaf));
    });
    if (leaves.has_error()) return leaves.error();
    accepted_ = std::move(next);
    alarmed_ = false;
    counters_.bytes += record.bytes.size();
    records_.pop_front();
    return publish();
}

/// Where the commands are at hand, a commit must have answered these very bytes.
Result<void> PartitionLoop::check_commands(const Envelope& envelope) {
    const std::uint64_t count = envelope.last.value - envelope.first.value + 1;
    if (queue_.size() < count) return {};
    assert(queue_.front().position == envelope.first);
    Sha256 hash;
    for (std::uint64_t i = 0; i < count; ++i) hash.update(queue_[i].bytes);
    if (hash.finish() == envelope.commands) {
        newest_.reset();
        return {};
    }
    return other_commands(envelope);
}

Result<void> PartitionLoop::publish() {
    Batch& batch = accepted_->batch;
    if (!batch.folded) {
        for (const Outcome& outcome : batch.outcomes) projection_->fold(outcome);
        batch.folded = true;
    }
    auto published = projection_->publish(accepted_->tip, accepted_->leaves);
    if (published.has_error()) return published;
    const Accepted done = std::move(*accepted_);
    accepted_.reset();
    tip_ = done.tip;
    while (!queue_.empty() && queue_.front().position < tip_.next_command) {
        queue_bytes_ -= queue_.front().bytes.size();
        queue_.pop_front();
    }
    ++counters_.commits;
    counters_.commands += done.batch.outcomes.size();
    if (done.own) ++counters_.own_commits;
    observer_.on_applied(done.batch.outcomes, tip_);
    return {};
}

/// Rule 6. A second alarm before anything was accepted is no reading error: the log itself is
/// damaged.
Result<void> PartitionLoop::alarm(const CommitRecord& record, Error reason) {
    ++counters_.alarms;
    if (alarmed_) return at_commit(std::move(reason), record, tip_);
    auto reached = rescan();
    if (reached.has_error()) return reached;
    alarmed_ = true;
    records_.clear();
    read_from_ = tip_.next_record;
    return {};
}

Tip PartitionLoop::rescan_start() const {
    const auto entry = projection_->ledger();
    return entry && entry->tip.sequence < tip_.sequence ? entry->tip : genesis_tip();
}

/// Rule 7: forward from a commit verified before, by rule 4, to exactly our tip.
Result<void> PartitionLoop::rescan() {
    Tip at = rescan_start();
    LogPosition from = at.next_record;
    while (at.sequence < tip_.sequence) {
        std::vector<CommitRecord> records;
        auto read = log_.read_commits(from, limits::kRunBytes, records);
        if (read.has_error() && read.error().code != ErrorCode::log_mismatch) return read;
        if (records.empty()) {
            auto end = log_.end_of_commits();
            if (end.has_error()) return end.error();
            if (from < *end) return Error{ErrorCode::io, "the log's end is not readable yet", {}};
            return mismatch(commit_name(Sequence{at.sequence.value + 1}) +
                            " is gone: the log ends before it, but " + commit_name(tip_.sequence) +
                            " was already applied here");
        }
        for (const CommitRecord& record : records) {
            if (at.sequence == tip_.sequence) break;
            from = LogPosition{record.position.value + 1};
            auto envelope = codec_.decode_envelope(record.bytes);
            const bool broken = envelope.has_error();
            if (broken && envelope.error().code != ErrorCode::corruption) return envelope.error();
            const Verdict verdict = broken ? Verdict::alarm : judge(log_.genesis(), at, *envelope);
            if (verdict == Verdict::skip) continue;
            if (verdict == Verdict::alarm) {
                return mismatch(commit_name(Sequence{at.sequence.value + 1}) +
                                " is gone: the record at position " +
                                std::to_string(record.position.value) +
                                (broken ? " is damaged" : " does not continue the chain"));
            }
            at = advance(*envelope, record.position);
            newest_ = *envelope;
        }
    }
    if (at == tip_) return {};
    return mismatch(commit_name(tip_.sequence) +
                    " is gone: the log holds another one in its place");
}

/// Our run is not among the records read. `state` is from before that reading.
Result<StepResult> PartitionLoop::append_again(AppendState state) {
    if (state == AppendState::pending) return StepResult::waiting;
    auto reached = rescan();
    if (reached.has_error()) return reached.error();
    ++counters_.retries;
    log_.append_commit(run_->record);  // the same bytes, never a different commit (rule 10)
    return StepResult::waiting;
}

Result<StepResult> PartitionLoop::decide_run() {
    auto checked = check_answered_commands();
    if (checked.has_error()) return checked.error();
    auto read = read_commands();
    if (read.has_error()) return read.error();
    if (queue_.empty()) return StepResult::idle;
    Batch batch;
    std::size_t run_bytes = 0;
    for (const CommandRecord& record : queue_) {
        auto decided = decide_next(record, run_bytes, batch);
        if (decided.has_error()) {
            // What was decided before it stands; the next run meets it first.
            if (batch.outcomes.empty()) return decided.error();
            break;
        }
        if (!*decided) break;
    }
    batch.folded = true;
    auto appended = append_run(std::move(batch));
    if (appended.has_error()) return appended.error();
    return log_.append_state() == AppendState::pending ? StepResult::waiting : StepResult::worked;
}

Result<void> PartitionLoop::check_answered_commands() {
    if (!newest_) return {};
    const Envelope& envelope = *newest_;
    log_.expect_commands(CommandPosition{envelope.last.value + 1});
    Sha256 hash;
    for (std::uint64_t next = envelope.first.value; next <= envelope.last.value;) {
        std::vector<CommandRecord> records;
        auto read = log_.read_commands(CommandPosition{next}, limits::kRunBytes, records);
        if (read.has_error()) return read;
        if (records.empty() || records.front().position.value != next) {
            return mismatch("command " + std::to_string(next) + " is gone, but " +
                            commit_name(envelope.sequence) + " has answered it");
        }
        for (const CommandRecord& record : records) {
            if (record.position.value != next || next > envelope.last.value) break;
            hash.update(record.bytes);
            ++next;
        }
    }
    if (!decides_) log_.rest_commands();
    if (hash.finish() != envelope.commands) return other_commands(envelope);
    newest_.reset();
    return {};
}

/// Rule 11: positions without gaps, from the first command that is not yet answered.
Result<void> PartitionLoop::read_commands() {
    if (queue_bytes_ >= limits::kRunBytes || queue_.size() >= limits::kRunCommands) return {};
    std::uint64_t next =
        queue_.empty() ? tip_.next_command.value : queue_.back().position.value + 1;
    std::vector<CommandRecord> records;
    auto read = log_.read_commands(CommandPosition{next}, limits::kRunBytes, records);
    if (read.has_error()) return read;
    for (CommandRecord& record : records) {
        if (record.position.value != next) {
            return mismatch("command " + std::to_string(next) +
                            " is gone: the command log goes on with " +
                            std::to_string(record.position.value));
        }
        ++next;
        queue_bytes_ += record.bytes.size();
        queue_.push_back(std::move(record));
    }
    return {};
}

/// Decides and folds one command into the run. False: the run is full without it.
/// Errors: newer_format, and whatever else is no verdict on the command.
Result<bool> PartitionLoop::decide_next(const CommandRecord& record, std::size_t& run_bytes,
                                        Batch& batch) {
    if (batch.outcomes.size() >= limits::kRunCommands) return false;
    auto decided = decide_record(codec_, log_.genesis(), projection_->facts(), record.bytes);
    if (decided.has_error()) return decided.error();
    Outcome& outcome = *decided;
    const std::size_t size = weight(outcome) + record.bytes.size();
    // decide() changes nothing, so a command that no longer fits is simply decided again in the
    // next run.
    if (!batch.outcomes.empty() && run_bytes + size > limits::kRunBytes) return false;
    run_bytes += size;
    projection_->fold(outcome);
    batch.outcomes.push_back(std::move(outcome));
    return true;
}

Result<void> PartitionLoop::append_run(Batch batch) {
    Run run;
    Envelope& envelope = run.envelope;
    envelope.log = log_.genesis().log;
    envelope.partition = log_.genesis().partition;
    envelope.sequence = Sequence{tip_.sequence.value + 1};
    envelope.previous = tip_.hash;
    envelope.first = queue_.front().position;
    envelope.last = queue_[batch.outcomes.size() - 1].position;
    assert(envelope.first == tip_.next_command);
    Sha256 commands;
    for (std::size_t i = 0; i < batch.outcomes.size(); ++i) commands.update(queue_[i].bytes);
    envelope.commands = commands.finish();
    run.record = codec_.encode_commit(envelope, batch.outcomes);
    if (run.record.size() > limits::kCommitBytes) {
        projection_->drop();
        return Error{ErrorCode::payload_too_large,
                     "a commit of " + std::to_string(run.record.size()) + " bytes was made for " +
                         std::to_string(batch.outcomes.size()) + " commands from position " +
                         std::to_string(envelope.first.value) + " on",
                     {}};
    }
    run.batch = std::move(batch);
    run_ = std::move(run);
    log_.append_commit(run_->record);
    return {};
}

}  // namespace tidings
