#include "connectors/http/rate_limit.h"

#include <algorithm>

namespace tidings::http {

namespace {

constexpr std::int64_t kRequest = 1'000;  ///< thousandths

}  // namespace

std::int64_t steady_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::string caller_key(const Claims& claims) {
    // U+0000 stands in no program id, so two callers never have one key
    std::string key(1, static_cast<char>('0' + static_cast<int>(claims.role)));
    if (claims.program) key += claims.program->value;
    key += '\0';
    key += claims.partner ? claims.partner->value : claims.sub;
    return key;
}

RateLimiter::RateLimiter(RateLimitOptions options)
    : options_(std::move(options)),
      full_((options_.burst > 0 ? options_.burst : options_.requests_per_second) * kRequest) {}

RateLimiter::Bucket& RateLimiter::bucket_of(Shard& shard, std::string_view caller,
                                            std::int64_t now_ms) {
    const auto known = shard.index.find(caller);
    if (known != shard.index.end()) {
        shard.order.splice(shard.order.begin(), shard.order, known->second);
        return shard.order.front();
    }
    const std::size_t most = std::max<std::size_t>(options_.callers / kShards, 1);
    while (shard.order.size() >= most) {
        shard.index.erase(shard.order.back().caller);
        shard.order.pop_back();
    }
    shard.order.push_front({std::string(caller), full_, now_ms});
    shard.index.emplace(shard.order.front().caller, shard.order.begin());
    return shard.order.front();
}

bool RateLimiter::admit(std::string_view caller) {
    const std::int64_t now_ms = options_.clock_ms();
    Shard& shard = shards_[std::hash<std::string_view>()(caller) % kShards];
    {
        const std::lock_guard lock(shard.mutex);
        Bucket& bucket = bucket_of(shard, caller, now_ms);
        // a request a second is a thousandth a millisecond; after full_ of them any bucket is full
        const std::int64_t passed_ms =
            std::clamp<std::int64_t>(now_ms - bucket.filled_ms, 0, full_);
        bucket.thousandths =
            std::min(full_, bucket.thousandths + passed_ms * options_.requests_per_second);
        bucket.filled_ms = std::max(bucket.filled_ms, now_ms);
        if (bucket.thousandths >= kRequest) {
            bucket.thousandths -= kRequest;
            return true;
        }
    }
    refused_.fetch_add(1, std::memory_order_relaxed);
    return false;
}

std::size_t RateLimiter::callers() const {
    std::size_t total = 0;
    for (const Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        total += shard.order.size();
    }
    return total;
}

}  // namespace tidings::http
