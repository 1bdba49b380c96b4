#include "apps/past.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "apps/errors.h"
#include "apps/snapshots.h"
#include "core/commits.h"
#include "core/explain.h"
#include "core/limits.h"
#include "core/merkle.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

/// A snapshot may be removed while its files are linked; then another one is taken.
constexpr int kSnapshotAttempts = 5;

/// Links what RocksDB never changes, copies the rest.
Result<void> link_files(const fs::path& from, const fs::path& to) {
    std::error_code error;
    fs::create_directories(to, error);
    if (error) return io_error("cannot make " + to.string(), error);
    for (fs::directory_iterator entry(from, error), end; !error && entry != end;
         entry.increment(error)) {
        const fs::path target = to / entry->path().filename();
        std::error_code linked;
        if (entry->path().extension() == ".sst") {
            fs::create_hard_link(entry->path(), target, linked);
        } else {
            linked = std::make_error_code(std::errc::not_supported);
        }
        if (linked) fs::copy_file(entry->path(), target, error);
        if (error) break;
    }
    if (error) return io_error("cannot link " + from.string(), error);
    return {};
}

bool is_beyond(const Facts& facts, const PastEnd& end) {
    if (!end.program) return false;
    const auto program = facts.program(*end.program);
    if (!program) return false;
    return (end.time && program->log_time > *end.time) ||
           (end.event && program->last_event >= *end.event);
}

/// Whether the read models in the snapshot already are beyond the end.
Result<bool> is_beyond(const fs::path& snapshot, const PastPlace& place, const PastEnd& end) {
    ModelsOptions options;
    options.directory = models_in(snapshot);
    options.resources = place.resources;
    options.row_memory = place.row_memory;
    options.read_only = true;
    const auto models = Models::open(options);
    if (!models) return models.error();
    const auto program = (*models)->program(*end.program);
    if (!program) return false;
    return (end.time && program->log_time > *end.time) ||
           (end.event && program->last_event >= *end.event);
}

/// The newest of `all`, ascending, that is not beyond the end; nothing: begin at the beginning.
/// `looked_at`: the one that an error is about.
Result<std::optional<Sequence>> choose(const std::vector<Sequence>& all, const PastPlace& place,
                                       const PastEnd& end, Sequence& looked_at) {
    auto stop = std::upper_bound(all.begin(), all.end(), end.last);
    auto begin = all.begin();
    while (end.program && begin != stop) {
        const auto middle = begin + (stop - begin) / 2;
        looked_at = *middle;
        const auto beyond = is_beyond(place.snapshots / std::to_string(middle->value), place, end);
        if (!beyond) return beyond.error();
        if (*beyond) {
            stop = middle;
        } else {
            begin = middle + 1;
        }
    }
    if (stop == all.begin()) return std::optional<Sequence>();
    return std::optional<Sequence>(*(stop - 1));
}

Result<std::unique_ptr<Models>> open_scratch(const PastPlace& place) {
    ModelsOptions options;
    options.directory = models_in(place.scratch);
    options.resources = place.resources;
    options.row_memory = place.row_memory;
    options.keys = place.keys;
    options.scratch = true;
    return Models::open(options);
}

Result<std::unique_ptr<Models>> open_on_snapshot(CommitSource& log, const Codec& codec,
                                                 const PastPlace& place, Sequence sequence,
                                                 PastCost& cost) {
    const fs::path snapshot = place.snapshots / std::to_string(sequence.value);
    const auto mark = read_mark(snapshot);
    if (!mark) return mark.error();
    const auto linked = link_files(models_in(snapshot), models_in(place.scratch));
    if (!linked) return linked.error();
    auto models = open_scratch(place);
    if (!models) return models.error();
    if ((*models)->tip() != mark->tip || mark->log != log.genesis().log) {
        return Error{ErrorCode::corruption, snapshot.string() + " is not what its mark says", {}};
    }
    const auto on_chain = check_on_chain(log, codec, mark->tip);
    if (!on_chain) return on_chain.error();
    cost.base = mark->tip.sequence;
    cost.log_bytes = mark->log_bytes;
    return models;
}

/// On the snapshot chosen, or on one before it where that one is refused.
Result<std::unique_ptr<Models>> open_base(CommitSource& log, const Codec& codec,
                                          const PastPlace& place, const PastEnd& end,
                                          PastCost& cost) {
    std::vector<Sequence> refused;
    for (int attempt = 0; attempt < kSnapshotAttempts; ++attempt) {
        auto all = list_snapshots(place.snapshots);
        if (!all) return all.error();
        std::erase_if(*all, [&](Sequence one) {
            return std::find(refused.begin(), refused.end(), one) != refused.end();
        });
        Sequence looked_at;
        const auto chosen = choose(*all, place, end, looked_at);
        if (chosen && !*chosen) break;
        if (chosen) looked_at = **chosen;
        auto models = chosen ? open_on_snapshot(log, codec, place, looked_at, cost)
                             : Result<std::unique_ptr<Models>>(chosen.error());
        if (models) return models;
        refused.push_back(looked_at);
        std::error_code failed;
        const fs::path snapshot = place.snapshots / std::to_string(looked_at.value);
        if (fs::exists(snapshot, failed)) {  // otherwise it was removed meanwhile
            spdlog::error("partition={} a snapshot is refused: {}", log.genesis().partition.value,
                          models.error().detail);
        }
        fs::remove_all(place.scratch, failed);
        if (failed) return io_error("cannot remove " + place.scratch.string(), failed);
    }
    return open_scratch(place);
}

/// Folds commits, and publishes many of them together: a batch for each costs more than its rows.
class Replay {
public:
    Replay(CommitSource& log, const Codec& codec, Models& models, const PastEnd& end,
           PastCost& cost, const std::function<void()>& on_publish)
        : log_(log),
          codec_(codec),
          models_(models),
          end_(end),
          cost_(cost),
          on_publish_(on_publish),
          at_(models.tip()) {
        if (at_ == Tip{}) at_.hash = log.genesis().hash;
    }
    ~Replay() {
        if (folded_bytes_ > 0) models_.drop();
    }
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;

    Result<std::optional<CommitRecord>> run(const std::atomic<bool>* cancelled) {
        LogPosition from = at_.next_record;
        while (at_.sequence < end_.last) {
            std::vector<CommitRecord> records;
            if (auto read = log_.read_commits(from, limits::kRunBytes, records); !read) {
                return read.error();
            }
            if (records.empty()) break;
            for (CommitRecord& record : records) {
                if (at_.sequence == end_.last) break;
                if (cancelled != nullptr && *cancelled) {
                    return Error{ErrorCode::overloaded, "the process is ending", {}};
                }
                cost_.read = from = LogPosition{record.position.value + 1};
                const auto beyond = take(record);
                if (!beyond) return beyond.error();
                if (*beyond) return std::optional<CommitRecord>(std::move(record));
            }
        }
        if (auto published = publish(); !published) return published.error();
        return std::optional<CommitRecord>();
    }

private:
    /// Bytes of records that are published together: a batch costs more than its rows, and in bulk
    /// is a set of files.
    static constexpr std::size_t kTogether = 1 << 20, kTogetherInBulk = 8 << 20;

    /// True: this one lies beyond the end.
    Result<bool> take(const CommitRecord& record) {
        const auto envelope = codec_.decode_envelope(record.bytes);
        if (!envelope) return at_commit(envelope.error(), record, at_);
        const Verdict verdict = judge(log_.genesis(), at_, *envelope);
        if (verdict == Verdict::skip) return false;
        if (verdict == Verdict::alarm) {
            return Error{ErrorCode::log_mismatch,
                         "after " + commit_name(at_.sequence) + " the log goes on with " +
                             commit_name(envelope->sequence) + ", which does not continue it",
                         {}};
        }
        const auto outcomes = decode_answers(codec_, *envelope, record);
        if (!outcomes) return at_commit(outcomes.error(), record, at_);
        folded_bytes_ += record.bytes.size();
        for (const Outcome& outcome : *outcomes) models_.fold(outcome);
        if (is_beyond(models_.facts(), end_)) return true;
        at_ = advance(*envelope, record.position);
        const auto read = codec_.read_leaves(record.bytes, [this](std::string_view leaf) {
            leaves_.push_back(merkle::leaf_hash(leaf));
        });
        if (!read) return at_commit(read.error(), record, at_);
        ++cost_.commits;
        cost_.bytes += record.bytes.size();
        const bool together = !end_.program &&
                              folded_bytes_ < (models_.is_bulk() ? kTogetherInBulk : kTogether) &&
                              at_.sequence.value % limits::kLedgerInterval != 0;
        if (together) return false;
        if (auto published = publish(); !published) return published.error();
        return false;
    }

    Result<void> publish() {
        if (folded_bytes_ == 0) return {};
        if (auto published = models_.publish(at_, leaves_); !published) return published;
        leaves_.clear();
        folded_bytes_ = 0;
        if (on_publish_) on_publish_();
        return {};
    }

    CommitSource& log_;
    const Codec& codec_;
    Models& models_;
    const PastEnd& end_;
    PastCost& cost_;
    const std::function<void()>& on_publish_;
    Tip at_;                        ///< of what is folded
    std::vector<Hash256> leaves_;   ///< of what is not yet published
    std::size_t folded_bytes_ = 0;  ///< and of its records
};

}  // namespace

Result<void> check_on_chain(CommitSource& log, const Codec& codec, const Tip& tip) {
    if (tip.sequence.value == 0) return {};
    std::vector<CommitRecord> records;
    auto read = log.read_commits(LogPosition{tip.next_record.value - 1}, 1, records);
    if (!read && read.error().code != ErrorCode::log_mismatch) return read;
    if (read && !records.empty() && records.front().position.value + 1 == tip.next_record.value) {
        const auto envelope = codec.decode_envelope(records.front().bytes);
        if (envelope && envelope->hash == tip.hash && envelope->sequence == tip.sequence) return {};
    }
    return Error{ErrorCode::log_mismatch,
                 commit_name(tip.sequence) + " of the read models is not in the log",
                 {}};
}

Result<std::optional<CommitRecord>> replay(CommitSource& log, const Codec& codec, Models& models,
                                           const PastEnd& end, PastCost& cost,
                                           const std::atomic<bool>* cancelled,
                                           const std::function<void()>& on_publish) {
    return Replay(log, codec, models, end, cost, on_publish).run(cancelled);
}

Result<std::shared_ptr<Past>> build_past(CommitSource& log, const Codec& codec,
                                         const PastPlace& place, const PastEnd& end) {
    const auto began = std::chrono::steady_clock::now();
    ScratchDirectory scratch(place.scratch);
    PastCost cost;
    auto models = open_base(log, codec, place, end, cost);
    if (!models) return models.error();
    auto next = replay(log, codec, **models, end, cost, place.cancelled);
    if (!next) return next.error();
    cost.log_bytes += cost.bytes;
    cost.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return std::make_shared<Past>(std::move(scratch), std::move(*models), std::move(*next), cost);
}

Result<void> Past::snapshot(const fs::path& directory) const {
    const std::lock_guard lock(writer_mutex_);
    return models_->snapshot(directory);
}

Result<SendReceipt> Past::receipt(const Codec& codec, const ProgramId& program, EventNumber number,
                                  const std::optional<PartnerId>& partner) const {
    const Error missing{ErrorCode::not_found, "no such message", {}};
    if (!next_) return missing;
    const auto envelope = codec.decode_envelope(next_->bytes);
    if (!envelope) return envelope.error();
    const auto outcomes = codec.decode_outcomes(next_->bytes);
    if (!outcomes) return outcomes.error();
    const std::lock_guard lock(writer_mutex_);
    struct Dropping {
        Models& models;
        ~Dropping() { models.drop(); }
    } const dropping{*models_};
    CommandPosition command = envelope->first;
    for (const Outcome& outcome : *outcomes) {
        if (outcome.program == program && outcome.first_event <= number &&
            number.value < outcome.first_event.value + outcome.events.size()) {
            const auto* sent =
                std::get_if<MessageSent>(&outcome.events[number.value - outcome.first_event.value]);
            if (sent == nullptr) return missing;
            SendReceipt receipt;
            receipt.partition = envelope->partition;
            receipt.sequence = envelope->sequence;
            receipt.command_position = command;
            receipt.command = outcome.id;
            receipt.number = number;
            receipt.sent = *sent;
            if (partner) {
                receipt.why = explain(models_->facts(), program, sent->audience, *partner);
                const auto& known = receipt.why->partner;
                if (known) receipt.texts = models_->texts(program).show(*known);
                const bool received = known && sent->recipients.contains(known->ordinal.value);
                if (received != receipt.why->selected) {
                    return Error{ErrorCode::corruption,
                                 "the facts before the send do not select whom it reached",
                                 {}};
                }
            }
            return receipt;
        }
        models_->fold(outcome);
        ++command.value;
    }
    return missing;
}

}  // namespace tidings::apps
