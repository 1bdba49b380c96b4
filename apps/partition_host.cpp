#include "apps/partition_host.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>

#include "apps/progress.h"
#include "connectors/thread_name.h"

namespace tidings::apps {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kIdleSleep{1'000};  // the longest sleep; every append wakes earlier
constexpr milliseconds kAppendPoll{1};     // while an append is under way elsewhere (Kafka)
constexpr milliseconds kStopPoll{20};      // while the last submitters finish
constexpr milliseconds kFirstBackoff{10};  // after an i/o error, doubled up to...
constexpr milliseconds kLongestBackoff{1'000};
constexpr milliseconds kSlowCommit{1'000};  // worth a warning
constexpr milliseconds kProgressEvery{1'000};
constexpr milliseconds kLagEvery{200};

Error not_accepting(const std::string& why) { return {ErrorCode::overloaded, why}; }

Error outcome_unknown() {
    return {ErrorCode::outcome_unknown,
            "the broker stopped before the outcome was known; the command may still take effect"};
}

}  // namespace

PartitionHost::PartitionHost(std::unique_ptr<Log> log, std::shared_ptr<Models> models,
                             const Codec& codec, IngressClock& clock,
                             const PartitionHostOptions& options)
    : partition_(log->genesis().partition),
      log_(std::move(log)),
      models_(std::move(models)),
      clock_(clock),
      patient_(options.patient),
      anew_(options.anew),
      on_caught_up_(options.on_caught_up),
      metrics_(options.metrics),
      loop_(*log_, codec, *models_, *this, options.decides),
      decides_(options.decides) {
    if (!options.snapshots.empty() && options.snapshot_policy.most > 0) {
        snapshots_.emplace(options.snapshots, log_->genesis(), options.snapshot_policy);
    }
    log_->on_activity([this] { wake(); });
    if (metrics_ != nullptr) add_metrics(*metrics_);
}

PartitionHost::~PartitionHost() {
    if (metrics_ != nullptr) metrics_->remove_callbacks(this);
    begin_stop(milliseconds(0));
    stop();
}

void PartitionHost::start() {
    accepting_ = true;
    counters_.all_applied_ms = clock_.steady_ms();
    thread_ = std::thread([this] {
        name_thread("partition " + std::to_string(partition_.value));
        run();
    });
}

Result<void> PartitionHost::wait_started() {
    std::unique_lock lock(state_mutex_);
    started_.wait(lock, [this] { return state_ != State::starting; });
    if (state_ == State::stopped) {
        return problem_.value_or(Error{ErrorCode::io, "stopped while it was starting"});
    }
    return {};
}

void PartitionHost::submit(const CommandId& id, const ContentDigest& digest, std::string record,
                           std::int64_t timeout_ms, Broker::Done done) {
    if (!accepting_.load(std::memory_order_acquire)) {
        return done(not_accepting("the broker is stopping"));
    }
    if (troubled_.load(std::memory_order_relaxed)) return done(not_accepting(trouble()));
    const std::int64_t now_ms = clock_.steady_ms();
    const Result<OutcomeWaiters::Ticket> ticket =
        outcomes_.add(id, digest, done, now_ms, now_ms + timeout_ms);
    if (!ticket) return done(ticket.error());
    const Result<void> appended = log_->append_command(std::move(record));
    if (!appended) {
        const std::optional<Broker::Done> back = outcomes_.withdraw(id, *ticket);
        if (back) (*back)(not_accepting(appended.error().detail));
        return;
    }
    wake();
}

Result<void> PartitionHost::erase_deleted(const std::set<ProgramId>& programs) {
    std::shared_ptr<Models> live;
    {
        const std::lock_guard lock(models_mutex_);
        live = models_;
    }
    for (const ProgramId& program : programs) {
        if (auto erased = live->erase_deleted(program); !erased) return erased;
    }
    // behind that: a snapshot links to the files that were there when it was taken
    return snapshots_ ? snapshots_->remove_all() : Result<void>();
}

void PartitionHost::wait_for(Sequence sequence, std::int64_t timeout_ms,
                             PositionWaiters::Done done) {
    positions_.wait(sequence, clock_.steady_ms() + timeout_ms, std::move(done));
}

void PartitionHost::expire() {
    const std::int64_t now_ms = clock_.steady_ms();
    outcomes_.expire(now_ms);
    positions_.expire(now_ms);
}

void PartitionHost::set_decides(bool decides) {
    if (decides_.exchange(decides) != decides) wake();
}

void PartitionHost::park(bool parked) {
    if (parked_.exchange(parked) != parked) wake();
}

bool PartitionHost::caught_up() const {
    const std::lock_guard lock(state_mutex_);
    return state_ == State::running && !parked_;
}

bool PartitionHost::serves() const {
    const std::lock_guard lock(state_mutex_);
    return (state_ == State::running || state_ == State::retrying) && !parked_;
}

bool PartitionHost::halted() const {
    const std::lock_guard lock(state_mutex_);
    return state_ == State::stopped && had_caught_up_ && !parked_;
}

bool PartitionHost::stopped() const {
    const std::lock_guard lock(state_mutex_);
    return state_ == State::stopped;
}

std::string PartitionHost::trouble() const {
    const std::lock_guard lock(state_mutex_);
    return "partition " + std::to_string(partition_.value) +
           " cannot write its log and keeps trying: " + problem_.value_or(Error{}).detail;
}

void PartitionHost::begin_stop(milliseconds grace) {
    stop_by_ms_ = clock_.steady_ms() + grace.count();
    accepting_ = false;
    stopping_ = true;
    wake();
}

void PartitionHost::stop() {
    if (thread_.joinable()) thread_.join();
}

Result<void> PartitionHost::ready() const {
    const std::lock_guard lock(state_mutex_);
    const std::string name = "partition " + std::to_string(partition_.value);
    switch (state_) {
        case State::running:
            if (stopping_) return Error{ErrorCode::overloaded, name + " is stopping"};
            return {};
        case State::starting:
            return Error{ErrorCode::not_caught_up,
                         name + how_far() + (problem_ ? ": " + problem_->detail : "")};
        case State::retrying:
            return Error{ErrorCode::io, name + " cannot write its log and keeps trying: " +
                                            problem_.value_or(Error{}).detail};
        case State::parked:
            return {};  // others have it
        case State::stopped:
            break;
    }
    return Error{problem_ ? problem_->code : ErrorCode::io,
                 name + " has stopped: " + (problem_ ? problem_->detail : "shut down")};
}

PartitionFigures PartitionHost::figures() const {
    PartitionFigures out;
    out.loop.commits = counters_.commits;
    out.loop.commands = counters_.commands;
    out.loop.own_commits = counters_.own_commits;
    out.loop.lost_races = counters_.lost_races;
    out.loop.skipped = counters_.skipped;
    out.loop.alarms = counters_.alarms;
    out.loop.retries = counters_.retries;
    for (std::size_t i = 0; i < out.outcomes.size(); ++i) out.outcomes[i] = counters_.outcomes[i];
    out.applied = Sequence{counters_.applied};
    const std::int64_t now_ms = clock_.steady_ms();
    out.lag = counters_.lag;
    out.unapplied_ms = out.lag == 0 ? 0 : now_ms - counters_.all_applied_ms;
    out.decides = decides_;
    out.pending = outcomes_.size();
    out.oldest_pending_ms = outcomes_.oldest_ms(now_ms);
    return out;
}

void PartitionHost::run() {
    std::optional<Error> error;
    // Storage failures of reads are thrown, and stop the decider (PROTOCOL.md rule 12).
    try {
        const Result<void> caught_up = catch_up();
        if (!caught_up) {
            error = caught_up.error();
        } else {
            while (turn()) {
            }
            const std::lock_guard lock(state_mutex_);
            if (state_ == State::stopped) error = problem_;
        }
    } catch (const std::exception& thrown) {
        error = Error{ErrorCode::io, thrown.what()};
    }
    end(std::move(error));
}

/// Verifies the log against the read models (rule 7), then applies what they lack.
Result<void> PartitionHost::catch_up() {
    Result<LogPosition> end = LogPosition{};
    for (;;) {
        const Result<void> verified = loop_.verify_start();
        if (verified) end = log_->end_of_commits();
        if (verified && end) break;
        const Error error = verified ? end.error() : verified.error();
        if (!patient_ || error.code != ErrorCode::io) return error;
        retry_later(error);
        if (stopping_) return {};
    }
    if (snapshots_) snapshots_->open(*log_, loop_.tip());
    const Tip start = loop_.tip();
    positions_.reached(start.sequence);
    counters_.applied = start.sequence.value;
    const std::uint64_t first = std::max<std::uint64_t>(start.next_record.value, 1);  // no genesis
    const std::uint64_t total = end->value - std::min(end->value, first);
    counters_.catch_up_began_ms = clock_.steady_ms();
    counters_.catch_up_total = total;

    const auto began = SteadyClock::now();
    auto next_line = began + kProgressEvery;
    const auto show = [&](SteadyClock::time_point now) {
        const std::uint64_t done = counters_.catch_up_done;
        const auto elapsed = std::chrono::duration_cast<milliseconds>(now - began);
        spdlog::info("{}", format_progress({"partition=" + std::to_string(partition_.value) +
                                                " catching up, commits:",
                                            Unit::count, done, total, elapsed},
                                           false));
    };
    while (!loop_.caught_up() && !stopping_) {
        const Result<StepResult> step = this->step();
        if (!step && patient_ && step.error().code == ErrorCode::io) {
            retry_later(step.error());
            continue;
        }
        if (!step) return step.error();
        if (*step == StepResult::waiting) pause(kAppendPoll);
        const std::uint64_t next = loop_.tip().next_record.value;
        counters_.catch_up_done = next - std::min(next, first);
        const auto now = SteadyClock::now();
        if (now < next_line) continue;
        show(now);
        next_line = now + kProgressEvery;
    }
    while (!stopping_) {
        const Result<void> checked = loop_.check_answered_commands();
        if (checked) break;
        if (!patient_ || checked.error().code != ErrorCode::io) return checked.error();
        retry_later(checked.error());
    }
    if (stopping_) return {};
    if (on_caught_up_) {
        if (auto done = on_caught_up_(); !done) return done;
    }
    recovered();
    spdlog::info("partition={} ready sequence={} applied={} seconds={:.3f}", partition_.value,
                 loop_.tip().sequence.value, loop_.tip().sequence.value - start.sequence.value,
                 std::chrono::duration<double>(SteadyClock::now() - began).count());
    return {};
}

/// A failed append is an error here; the loop itself appends the same bytes again at the next step.
Result<StepResult> PartitionHost::step() {
    loop_.set_decides(decides_.load(std::memory_order_relaxed));
    Result<StepResult> done = loop_.step();
    keep_counters();
    measure_lag();
    if (!done) return done;
    if (auto trouble = log_->trouble()) return *trouble;
    if (snapshots_) snapshots_->take_if_due(*models_, loop_.counters().bytes);
    return done;
}

/// One step; false: the thread ends.
bool PartitionHost::turn() {
    if (has_task_.load(std::memory_order_acquire)) run_task();
    // not before everybody who waits here was answered
    if (parked_ && outcomes_.size() == 0 && wait_parked()) return true;
    if (!run_started_) run_started_ = SteadyClock::now();
    const Result<StepResult> step = this->step();
    if (!step && step.error().code == ErrorCode::io) {
        retry_later(step.error());
        return !stopping_ || (outcomes_.size() != 0 && !out_of_grace());
    }
    if (!step) {
        const std::lock_guard lock(state_mutex_);
        state_ = State::stopped;
        problem_ = step.error();
        return false;
    }
    if (resuming_ ? loop_.caught_up() : backoff_.count() != 0) recovered();
    switch (*step) {
        case StepResult::worked:
            return true;
        case StepResult::waiting:
            pause(kAppendPoll);
            return !out_of_grace();
        case StepResult::idle:
            break;
    }
    run_started_.reset();
    if (!stopping_) {
        models_->tidy();
        pause(kIdleSleep);
        return true;
    }
    if (outcomes_.size() == 0 || out_of_grace()) return false;
    pause(kStopPoll);
    return true;
}

/// Sleeps while parked. False: it is to go on.
bool PartitionHost::wait_parked() {
    if (stopping_) return false;
    if (state_ != State::parked) {  // nobody else writes it
        {
            // first of all: whoever is told to go on meanwhile has not caught up
            const std::lock_guard lock(state_mutex_);
            state_ = State::parked;
        }
        log_->rest();
        // what was not flushed is read from the log again
        (void)models_->flush();
    }
    pause(kIdleSleep);
    if (parked_) return true;
    const std::lock_guard lock(state_mutex_);
    state_ = State::starting;
    resuming_ = true;
    return false;
}

bool PartitionHost::out_of_grace() const { return stopping_ && clock_.steady_ms() >= stop_by_ms_; }

void PartitionHost::retry_later(const Error& error) {
    if (backoff_.count() == 0) {
        spdlog::error("partition={} cannot write or read its log, and keeps trying: {}",
                      partition_.value, error.detail);
        const std::lock_guard lock(state_mutex_);
        if (state_ != State::starting) state_ = State::retrying;
        problem_ = error;
        troubled_ = true;
    }
    backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
    const auto until = SteadyClock::now() + backoff_;
    // new commands wake it, and are no reason to try again at once
    while (SteadyClock::now() < until && !stopping_) {
        pause(std::chrono::ceil<milliseconds>(until - SteadyClock::now()));
    }
    if (stopping_) pause(kFirstBackoff);
}

void PartitionHost::recovered() {
    if (backoff_.count() != 0) spdlog::info("partition={} works again", partition_.value);
    backoff_ = milliseconds(0);
    resuming_ = false;
    const std::lock_guard lock(state_mutex_);
    state_ = State::running;
    had_caught_up_ = true;
    problem_.reset();
    troubled_ = false;
    started_.notify_all();
}

void PartitionHost::end(std::optional<Error> error) {
    accepting_ = false;
    end_tasks();
    if (error) {
        spdlog::error("partition={} stopped code={} reason={}", partition_.value,
                      name_of(error->code), error->detail);
    }
    outcomes_.close(outcome_unknown(),
                    not_accepting(error ? "this part of the broker has stopped; /readyz says why"
                                        : "the broker is stopping"));
    positions_.close();
    if (!error) {
        const Result<void> flushed = models_->flush();
        // what was not flushed is replayed from the log at the next start
        if (!flushed) {
            spdlog::warn("partition={} read models not flushed: {}", partition_.value,
                         flushed.error().detail);
        }
    }
    const std::lock_guard lock(state_mutex_);
    state_ = State::stopped;
    problem_ = std::move(error);
    started_.notify_all();
}

void PartitionHost::wake() {
    if (signalled_.exchange(true, std::memory_order_acq_rel)) return;
    // passing through the lock: the thread is either before its check of the flag, or asleep
    { const std::lock_guard lock(sleep_mutex_); }
    sleep_.notify_one();
}

void PartitionHost::pause(milliseconds at_most) {
    std::unique_lock lock(sleep_mutex_);
    sleep_.wait_for(lock, at_most, [this] { return signalled_.load(std::memory_order_acquire); });
    signalled_.exchange(false, std::memory_order_acq_rel);
}

void PartitionHost::keep_counters() {
    const LoopCounters& now = loop_.counters();
    constexpr auto relaxed = std::memory_order_relaxed;
    counters_.commits.store(now.commits, relaxed);
    counters_.commands.store(now.commands, relaxed);
    counters_.own_commits.store(now.own_commits, relaxed);
    counters_.lost_races.store(now.lost_races, relaxed);
    counters_.skipped.store(now.skipped, relaxed);
    if (now.alarms != counters_.alarms.load(relaxed)) {
        spdlog::error("partition={} alarm: records of the log were lost or changed",
                      partition_.value);
    }
    counters_.alarms.store(now.alarms, relaxed);
    counters_.retries.store(now.retries, relaxed);
}

void PartitionHost::measure_lag() {
    const auto now = SteadyClock::now();
    if (now - measured_ < kLagEvery) return;
    measured_ = now;
    const Result<LogPosition> end = log_->end_of_commits();
    if (!end) return;  // the loop meets the same error
    const std::uint64_t next = loop_.tip().next_record.value;
    counters_.lag = loop_.caught_up() ? 0 : end->value - std::min(end->value, next);
    if (counters_.lag == 0) counters_.all_applied_ms = clock_.steady_ms();
}

void PartitionHost::on_applied(std::span<const Outcome> outcomes, const Tip& tip) {
    keep_counters();
    counters_.applied.store(tip.sequence.value, std::memory_order_relaxed);
    for (const Outcome& outcome : outcomes) {
        counters_.outcomes.at(static_cast<std::size_t>(outcome.status))
            .fetch_add(1, std::memory_order_relaxed);
    }
    outcomes_.fire(outcomes, partition_, tip.sequence);
    positions_.reached(tip.sequence);
    if (run_commands_) run_commands_->observe(static_cast<double>(outcomes.size()));
    if (!run_started_) return;  // catching up
    const auto now = SteadyClock::now();
    const auto took = now - *run_started_;
    run_started_ = now;
    if (commit_seconds_) commit_seconds_->observe(std::chrono::duration<double>(took).count());
    if (took < kSlowCommit) return;
    spdlog::warn("partition={} slow commit sequence={} commands={} ms={}", partition_.value,
                 tip.sequence.value, outcomes.size(),
                 std::chrono::duration_cast<milliseconds>(took).count());
}

}  // namespace tidings::apps
