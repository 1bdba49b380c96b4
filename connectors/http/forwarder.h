// Passes requests for a partition that this process lacks to a process that has it: one hop, with
// the command's id already given (PROTOCOL.md rule 18). Header
//   Tidings-Forwarded: <command id, hex>:<mac, hex>
// where mac is a keyed digest over id, method, target and Authorization: the processes of a
// deployment share the key, so that no client can forge it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "connectors/http/message.h"
#include "connectors/http/peer.h"
#include "core/command.h"

namespace tidings {
class Broker;
}

namespace tidings::http {

struct Route;

struct ForwarderOptions {
    PeerOptions peer = {};
    /// A token that the other processes accept, short-lived, by which this one speaks for `actor`
    /// (of role platform). Needed for post() alone.
    std::function<Result<std::string>(const Actor& actor)> issue_internal_token = {};
};

/// For /metrics; monotonic.
struct ForwarderCounters {
    std::atomic<std::uint64_t> answered{0}, overloaded{0}, outcome_unknown{0};  ///< passed on
    std::atomic<std::uint64_t> retried{0};  ///< holders that failed a request before it was over
    std::atomic<std::uint64_t> not_held{
        0};  ///< came from another process, and are lacking here too
};

/// What a connector asks on its own, without a request of somebody.
struct ForwardedPost {
    PartitionId partition;
    std::string target, content_type, body;
    Actor actor;  ///< role platform
};

/// Thread-safe; its coroutines run on io_contexts of one thread each (peer.h).
class Forwarder {
public:
    /// `broker` outlives the forwarder, which outlives its coroutines.
    Forwarder(Broker& broker, ForwarderOptions options);

    /// The partition that `request`, which was routed to `route`, needs and this process lacks.
    /// Sets request.command_id if another process has passed it on.
    std::optional<PartitionId> elsewhere(const Route& route, Request& request) const;

    /// The answer of a process that holds `partition`. A request that comes from another process is
    /// refused (not_caught_up). Tries the holders one after the other, with the same command id;
    /// without one that answers: overloaded, or outcome_unknown if a write may have happened.
    Task<Response> pass_on(const Route& route, Request& request, PartitionId partition);

    /// The same for a POST of this process itself. `post` outlives the task.
    Task<Response> post(const ForwardedPost& post);

    const ForwarderCounters& counters() const { return counters_; }

private:
    void sign(const CommandId& id, PeerRequest& request) const;
    Task<Response> ask_holders(const PeerRequest& request, PartitionId partition,
                               std::string location);

    Broker& broker_;
    const ForwarderOptions options_;
    ForwarderCounters counters_;
};

}  // namespace tidings::http
