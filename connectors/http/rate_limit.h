// How many requests a caller may make: one token bucket per caller, in tables of bounded size.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "connectors/claims.h"

namespace tidings::http {

/// Milliseconds of a clock that never steps.
std::int64_t steady_ms();

struct RateLimitOptions {
    std::int64_t requests_per_second = 0;  ///< 0: no limit
    std::int64_t burst = 0;                ///< saved up while idle; 0: requests_per_second
    std::size_t callers = 65'536;          ///< kept, over all shards; at about 200 bytes each
    std::function<std::int64_t()> clock_ms = steady_ms;
};

/// Who a request counts for: role and program, and the partner or else `sub`. Not the token:
/// another one of the same caller shares its bucket.
std::string caller_key(const Claims& claims);

/// Thread-safe.
class RateLimiter {
public:
    /// REQUIRES: options.requests_per_second > 0.
    explicit RateLimiter(RateLimitOptions options);

    /// Takes one request from the caller's bucket; false: it is empty, and has one again within a
    /// second. A caller that is not known, or was forgotten for others that came later, has a full
    /// bucket.
    bool admit(std::string_view caller);

    std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
    /// Callers kept now; never more than options.callers.
    std::size_t callers() const;

private:
    static constexpr std::size_t kShards = 16;
    struct Bucket {
        std::string caller;
        std::int64_t thousandths = 0;  ///< of requests
        std::int64_t filled_ms = 0;    ///< when that was so
    };
    struct Shard {
        mutable std::mutex mutex;
        std::list<Bucket> order;  ///< last seen first
        std::unordered_map<std::string_view, std::list<Bucket>::iterator>
            index;  ///< keys lie in order
    };

    Bucket& bucket_of(Shard& shard, std::string_view caller, std::int64_t now_ms);

    const RateLimitOptions options_;
    const std::int64_t full_;
    std::array<Shard, kShards> shards_;
    std::atomic<std::uint64_t> refused_{0};
};

}  // namespace tidings::http
