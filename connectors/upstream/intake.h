// What happens to upstream facts once they are read: authenticate a webhook, submit commands in
// order, and say what became of each. Knows the broker, but no transport.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "connectors/upstream/cloudevents.h"
#include "connectors/upstream/partnero.h"
#include "projections/broker.h"

namespace tidings {
class Pipeline;
}

namespace tidings::upstream {

/// For /metrics; monotonic.
struct UpstreamCounters {
    std::atomic<std::uint64_t> webhooks_accepted{0}, webhooks_ignored{0}, webhooks_unauthorized{0},
        webhooks_refused{0};
    std::atomic<std::uint64_t> webhooks_unknown_event{0};  ///< part of the ignored ones
    std::atomic<std::uint64_t> events_accepted{0}, events_duplicate{0}, events_ignored{0},
        events_rejected{0};
};

/// The newest commit that holds something of the request, per partition: Tidings-Position.
using Positions = std::map<PartitionId, Sequence>;

struct DeliveryResult {
    enum class Status {
        accepted,
        ignored,
        unauthorized,  ///< unknown program, no secret, or a wrong signature: not told apart
        refused,       ///< `error`: malformed, invalid, or an error of the broker
    };
    Status status = Status::unauthorized;
    Error error;
    Positions positions;
};

struct CloudEventsResult {
    struct RejectedEvent {
        std::size_t index = 0;
        ErrorCode code = ErrorCode::invalid;
        std::string detail;
    };
    std::uint64_t accepted = 0, duplicates = 0, ignored = 0;
    std::vector<RejectedEvent> rejected;  ///< by index
    Positions positions;
};

/// Delivers events (each in the JSON format) of one partition, in order, to a process that holds
/// it. Indexes in the result are those of `events`. Errors: as deliver_cloudevents().
using DeliverElsewhere = std::function<boost::asio::awaitable<Result<CloudEventsResult>>(
    PartitionId partition, std::vector<std::string> events, Actor actor)>;

/// Thread-safe. The broker outlives it, and it outlives its coroutines.
class UpstreamIntake {
public:
    /// `elsewhere`: for events whose partition this process does not hold; empty: it holds all.
    explicit UpstreamIntake(Broker& broker, DeliverElsewhere elsewhere = {})
        : broker_(broker), elsewhere_(std::move(elsewhere)) {}

    /// One Partnero delivery; header names in lower case.
    boost::asio::awaitable<DeliveryResult> deliver_partnero(ProgramId program, std::string raw_body,
                                                            Headers headers);

    /// Events take effect independently, in order within a program, each once per (program, source,
    /// id). Errors: those of Broker::submit; then some may have taken effect, and sending all of
    /// them again is harmless. `may_pass_on`: false for events that come from another process; what
    /// is not held is then not_caught_up. REQUIRES: with `elsewhere`, the events' JSON was kept,
    /// and one thread runs the coroutine's executor.
    boost::asio::awaitable<Result<CloudEventsResult>> deliver_cloudevents(
        std::vector<CloudEvent> events, Actor actor, bool may_pass_on = true);

    const UpstreamCounters& counters() const { return counters_; }

private:
    struct Submitted {
        std::size_t event = 0;    ///< index in the batch
        std::size_t command = 0;  ///< index in the pipeline
    };

    bool authentic(const ProgramId& program, std::string_view raw_body,
                   const Headers& headers) const;
    Command command_of(const CloudEvent& event, const Actor& actor, CommandBody body) const;
    Result<CommandBody> resolve(const CloudEvent& event, const UnresolvedOpen& open) const;
    void count(const CloudEventsResult& result);

    /// Events of one partition that are delivered elsewhere.
    struct Group {
        PartitionId partition;
        std::vector<std::size_t> indexes;  ///< in the batch
        std::vector<std::string> events;
    };
    std::vector<Group> take_lacking(std::vector<CloudEvent>& events) const;
    boost::asio::awaitable<Result<void>> pass_on(std::vector<Group> groups, Actor actor,
                                                 CloudEventsResult& result);

    Broker& broker_;
    const DeliverElsewhere elsewhere_;
    UpstreamCounters counters_;
};

}  // namespace tidings::upstream
