// A closed loop of HTTP/1.1 requests over keep-alive connections, on the calling thread (epoll):
// each connection has one request under way, and sends the next as soon as its answer is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "bench/histogram.h"

namespace tidings::bench {

struct Load {
    std::uint16_t port = 0;  ///< on 127.0.0.1
    std::size_t connections = 1;
    /// Appends the bytes of request `number` (0, 1, ...) to `out`; false: there are no more.
    std::function<bool(std::uint64_t number, std::string& out)> next;
    /// Looks at the answer to request `number`; false: it is wrong, which ends the run. Answers
    /// come with Content-Length.
    std::function<bool(std::uint64_t number, unsigned status, std::string_view body)> check;
};

struct LoadResult {
    std::uint64_t requests = 0;
    double seconds = 0;            ///< from the first byte sent to the last answer
    double cpu_seconds = 0;        ///< of the generator itself
    std::uint64_t body_bytes = 0;  ///< of all answers
    Histogram latency;             ///< from sending a request to the end of its answer
    double per_second() const { return static_cast<double>(requests) / seconds; }
};

/// Throws WrongAnswer when an answer is wrong, malformed, or does not come within a minute.
LoadResult run_load(const Load& load);

}  // namespace tidings::bench
