#include "apps/waiters.h"

#include <utility>

namespace tidings::apps {

namespace {

const Error& unknown_outcome() {
    static const Error error{ErrorCode::outcome_unknown,
                             "the command was accepted, but its outcome is not known yet; it may "
                             "still take effect"};
    return error;
}

const Error& not_caught_up() {
    static const Error error{ErrorCode::not_caught_up, "the position asked for is not applied yet"};
    return error;
}

/// Events stay behind: they can be megabytes, and no caller needs them.
Outcome without_events(const Outcome& from) {
    Outcome out;
    out.id = from.id;
    out.digest = from.digest;
    out.caller = from.caller;
    out.program = from.program;
    out.time = from.time;
    out.status = from.status;
    out.remember = from.remember;
    out.track = from.track;
    out.first_event = from.first_event;
    out.answer = from.answer;
    out.created = from.created;
    out.updated = from.updated;
    out.unchanged = from.unchanged;
    out.first_opens = from.first_opens;
    out.rejected = from.rejected;
    out.refusal = from.refusal;
    return out;
}

}  // namespace

Result<OutcomeWaiters::Ticket> OutcomeWaiters::add(const CommandId& id, const ContentDigest& digest,
                                                   Done& done, std::int64_t now_ms,
                                                   std::int64_t deadline_ms) {
    const std::lock_guard lock(mutex_);
    if (closed_) return *closed_;
    const Ticket ticket = next_ticket_++;
    waiting_.push_back({id, digest, ticket, std::move(done), now_ms, deadline_ms});
    index_.emplace(id, std::prev(waiting_.end()));
    return ticket;
}

std::optional<OutcomeWaiters::Done> OutcomeWaiters::withdraw(const CommandId& id, Ticket ticket) {
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = index_.equal_range(id);
    for (auto entry = begin; entry != end; ++entry) {
        const List::iterator waiter = entry->second;
        if (waiter->ticket != ticket) continue;
        index_.erase(entry);
        if (!waiter->done) {
            expired_.erase(waiter);
            return std::nullopt;  // it took longer than the timeout, and was told so
        }
        std::optional<Done> done(std::move(waiter->done));
        waiting_.erase(waiter);
        return done;
    }
    return std::nullopt;
}

void OutcomeWaiters::fire(std::span<const Outcome> outcomes, PartitionId partition,
                          Sequence sequence) {
    firing_.clear();
    {
        const std::lock_guard lock(mutex_);
        if (index_.empty()) return;  // catching up
        for (const Outcome& outcome : outcomes) {
            const auto [begin, end] = index_.equal_range(outcome.id);
            auto oldest = end;
            for (auto entry = begin; entry != end; ++entry) {
                if (entry->second->digest != outcome.digest) continue;
                if (oldest == end || entry->second->ticket < oldest->second->ticket) oldest = entry;
            }
            if (oldest == end) continue;  // asked for by another process, or before a restart
            const List::iterator waiter = oldest->second;
            index_.erase(oldest);
            if (!waiter->done) {
                expired_.erase(waiter);
                continue;
            }
            firing_.emplace_back(std::move(waiter->done), without_events(outcome));
            waiting_.erase(waiter);
        }
    }
    for (auto& [done, outcome] : firing_) done(Applied{std::move(outcome), partition, sequence});
    firing_.clear();
}

void OutcomeWaiters::expire(std::int64_t now_ms) {
    std::vector<Done> due;
    {
        const std::lock_guard lock(mutex_);
        while (!waiting_.empty() && waiting_.front().deadline_ms <= now_ms) {
            due.push_back(std::exchange(waiting_.front().done, nullptr));
            expired_.splice(expired_.end(), waiting_, waiting_.begin());
        }
    }
    for (Done& done : due) done(unknown_outcome());
}

void OutcomeWaiters::close(const Error& waiting, const Error& later) {
    List failed;
    {
        const std::lock_guard lock(mutex_);
        closed_ = later;
        failed.swap(waiting_);
        expired_.clear();
        index_.clear();
    }
    for (Waiter& waiter : failed) waiter.done(waiting);
}

bool OutcomeWaiters::pending(const CommandId& id) const {
    const std::lock_guard lock(mutex_);
    return index_.contains(id);
}

std::size_t OutcomeWaiters::size() const {
    const std::lock_guard lock(mutex_);
    return index_.size();
}

std::int64_t OutcomeWaiters::oldest_ms(std::int64_t now_ms) const {
    const std::lock_guard lock(mutex_);
    if (!expired_.empty()) return now_ms - expired_.front().since_ms;
    if (!waiting_.empty()) return now_ms - waiting_.front().since_ms;
    return 0;
}

void PositionWaiters::wait(Sequence sequence, std::int64_t deadline_ms, Done done) {
    bool reached = false;
    {
        const std::lock_guard lock(mutex_);
        reached = sequence <= reached_;
        if (!reached && !closed_) {
            waiting_.emplace(sequence, Waiter{deadline_ms, std::move(done)});
            return;
        }
    }
    done(reached ? Result<void>() : Result<void>(not_caught_up()));
}

void PositionWaiters::reached(Sequence sequence) {
    std::vector<Done> due;
    {
        const std::lock_guard lock(mutex_);
        reached_ = sequence;
        while (!waiting_.empty() && waiting_.begin()->first <= sequence) {
            due.push_back(std::move(waiting_.begin()->second.done));
            waiting_.erase(waiting_.begin());
        }
    }
    for (Done& done : due) done({});
}

void PositionWaiters::expire(std::int64_t now_ms) {
    std::vector<Done> due;
    {
        const std::lock_guard lock(mutex_);
        for (auto waiter = waiting_.begin(); waiter != waiting_.end();) {
            if (waiter->second.deadline_ms > now_ms) {
                ++waiter;
                continue;
            }
            due.push_back(std::move(waiter->second.done));
            waiter = waiting_.erase(waiter);
        }
    }
    for (Done& done : due) done(not_caught_up());
}

void PositionWaiters::close() {
    std::multimap<Sequence, Waiter> failed;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        failed.swap(waiting_);
    }
    for (auto& [sequence, waiter] : failed) waiter.done(not_caught_up());
}

}  // namespace tidings::apps
