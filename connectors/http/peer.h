// One exchange with another process of the deployment, over kept HTTP/1.1 connections. They belong
// to the io_context of whoever asks, so that nothing is locked. REQUIRES of that io_context: one
// thread runs it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connectors/http/message.h"

namespace tidings::http {

struct PeerOptions {
    int connect_timeout_ms = 1'000;
    /// For a piece to be written, from the last one to the answer, and for each piece of that.
    /// Longer than the broker waits for an outcome, so that the holder is the one to give up.
    int response_timeout_ms = 20'000;
    std::size_t idle_per_host = 8;  ///< connections kept, per io thread
};

struct PeerRequest {
    std::string method;  ///< not HEAD
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers;  ///< without framing and Host
    std::string_view body;
    BodyStream* stream = nullptr;  ///< sent instead of `body`, chunked as it comes
};

struct PeerAnswer {
    enum class End {
        unsent,    ///< the peer has nothing of the request, and nothing of `stream` was read
        answered,  ///< `response`
        broken,    ///< the connection ended before an answer: the request may have been carried out
        timed_out,  ///< the same, and all the time is used up
    };
    End end = End::unsent;
    /// Without hop-by-hop headers. One that is long or of unknown length comes in `chunks`, from a
    /// connection that it keeps; bodies of up to 64 KiB are complete.
    Response response;
};

/// `url`: "http://HOST:PORT". A kept connection that turns out to be dead is replaced by a new one
/// at once, so that a request may reach the same peer twice. `request` outlives the task.
Task<PeerAnswer> ask_peer(const PeerRequest& request, std::string url, PeerOptions options);

/// Of headers that concern one connection alone (RFC 9110, 7.6.1), by its lower-case name.
bool is_hop_by_hop(std::string_view name);

}  // namespace tidings::http
