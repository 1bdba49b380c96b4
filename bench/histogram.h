// How durations are spread: exact below 128 ns, within 1% above. Fixed size, so that recording
// costs the same at any count.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tidings::bench {

class Histogram {
public:
    void add(std::uint64_t ns) {
        ++counts_[index_of(ns)];
        ++count_;
        if (ns > max_) max_ = ns;
    }
    void merge(const Histogram& other) {
        for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
        count_ += other.count_;
        if (other.max_ > max_) max_ = other.max_;
    }
    std::uint64_t count() const { return count_; }
    std::uint64_t max_ns() const { return max_; }
    /// The smallest duration that `share` (0 to 1) of all do not exceed; 0 when empty.
    std::uint64_t quantile_ns(double share) const {
        const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > rank) return upper_ns(i);
        }
        return max_;
    }
    double p50_us() const { return static_cast<double>(quantile_ns(0.50)) / 1e3; }
    double p99_us() const { return static_cast<double>(quantile_ns(0.99)) / 1e3; }

private:
    static constexpr unsigned kSubBits = 7;  ///< 128 steps to each power of two
    static constexpr std::uint64_t kSteps = 1u << kSubBits;

    static std::size_t index_of(std::uint64_t ns) {
        if (ns < kSteps) return ns;
        const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - kSubBits - 1;
        return (shift + 1) * kSteps + ((ns >> shift) - kSteps);
    }
    static std::uint64_t upper_ns(std::size_t index) {
        if (index < kSteps) return index;
        const std::size_t shift = index / kSteps - 1;
        return ((index % kSteps + kSteps + 1) << shift) - 1;
    }

    std::array<std::uint64_t, (65 - kSubBits) * kSteps> counts_{};
    std::uint64_t count_ = 0, max_ = 0;
};

}  // namespace tidings::bench
