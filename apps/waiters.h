// The callers that wait for one partition's outcomes and positions. Thread-safe; callbacks are
// called without the lock held.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "projections/broker.h"

namespace tidings::apps {

/// Outcomes, by command id and content digest (PROTOCOL.md rule 17). A command stays pending here
/// until its outcome is applied, also after its caller was told outcome_unknown.
class OutcomeWaiters {
public:
    using Done = Broker::Done;
    using Ticket = std::uint64_t;

    /// Before the command is appended, so that its outcome can't be missed. `done` is left as it is
    /// on an error: the one that close() was given.
    Result<Ticket> add(const CommandId& id, const ContentDigest& digest, Done& done,
                       std::int64_t now_ms, std::int64_t deadline_ms);
    /// Its command was not appended. Gives `done` back, unless an outcome (of a duplicate) has
    /// already answered it.
    std::optional<Done> withdraw(const CommandId& id, Ticket ticket);

    /// Answers the oldest waiter of each outcome: a duplicate has an outcome of its own.
    /// One thread calls this.
    void fire(std::span<const Outcome> outcomes, PartitionId partition, Sequence sequence);
    /// Answers outcome_unknown to those whose deadline has passed. They stay pending.
    void expire(std::int64_t now_ms);
    /// Answers all with `waiting`, forgets them, and refuses new ones with `later` from now on.
    void close(const Error& waiting, const Error& later);

    bool pending(const CommandId& id) const;
    std::size_t size() const;
    /// Milliseconds that the oldest pending command has waited; 0 if there is none.
    std::int64_t oldest_ms(std::int64_t now_ms) const;

private:
    struct Waiter {
        CommandId id;
        ContentDigest digest;
        Ticket ticket = 0;
        Done done;  ///< empty: already told outcome_unknown
        std::int64_t since_ms = 0;
        std::int64_t deadline_ms = 0;
    };
    using List = std::list<Waiter>;
    using Index = std::unordered_multimap<CommandId, List::iterator>;

    mutable std::mutex mutex_;
    List waiting_;  ///< by age; the timeout is the same for all, so also by deadline
    List expired_;  ///< by age
    Index index_;
    Ticket next_ticket_ = 1;
    std::optional<Error> closed_;
    std::vector<std::pair<Done, Outcome>> firing_;  ///< used by fire() alone; kept for its memory
};

/// Positions (Tidings-Min-Position).
class PositionWaiters {
public:
    using Done = std::function<void(Result<void>)>;

    /// Answers at once if `sequence` was reached.
    void wait(Sequence sequence, std::int64_t deadline_ms, Done done);
    void reached(Sequence sequence);
    /// Answers not_caught_up to those whose deadline has passed.
    void expire(std::int64_t now_ms);
    /// Answers not_caught_up to all, now and later.
    void close();

private:
    struct Waiter {
        std::int64_t deadline_ms = 0;
        Done done;
    };

    std::mutex mutex_;
    Sequence reached_;
    bool closed_ = false;
    std::multimap<Sequence, Waiter> waiting_;
};

}  // namespace tidings::apps
