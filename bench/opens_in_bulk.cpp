#include "bench/opens_in_bulk.h"

#include <algorithm>
#include <numeric>

#include "bench/check.h"
#include "bench/partners.h"
#include "core/limits.h"

namespace tidings::bench {

namespace {

/// Every partner once, in an order that looks random: a full cycle with a stride of its own.
class Order {
public:
    Order(std::uint64_t partners, std::uint64_t seed)
        : partners_(partners), begin_(mix(seed) % partners), stride_(mix(~seed) % partners | 1) {
        while (std::gcd(stride_, partners_) != 1) stride_ += 2;
    }
    std::uint32_t at(std::uint64_t place) const {
        // Swapping within blocks by a mix of the place breaks the regular steps of the cycle.
        const std::uint64_t block = place / kBlock * kBlock;
        if (block + kBlock <= partners_)
            place = block + ((place - block) * 5 + mix(block) % kBlock) % kBlock;
        return static_cast<std::uint32_t>((begin_ + place * stride_) % partners_);
    }

private:
    static constexpr std::uint64_t kBlock = 1 << 10;
    std::uint64_t partners_, begin_, stride_;
};

RecordOpens::Group make_group(EventNumber message, const Order& order, std::uint64_t from,
                              std::uint64_t to) {
    std::vector<std::uint32_t> partners;
    partners.reserve(to - from);
    for (; from < to; ++from) partners.push_back(order.at(from));
    std::sort(partners.begin(), partners.end());
    RecordOpens::Group out;
    out.message = message;
    out.partners.addMany(partners.size(), partners.data());
    return out;
}

}  // namespace

void make_open_commands(EmbeddedProgram& program, const BulkOpens& bulk,
                        const std::function<void(std::string)>& take) {
    constexpr std::int64_t kMinuteMs = 60'000;
    check(bulk.opens_per_message <= program.partners(), "more opens than recipients");
    std::vector<Order> orders;
    for (const EventNumber message : bulk.messages)
        orders.emplace_back(program.partners(), message.value);
    const std::uint64_t each =
        std::max<std::uint64_t>(1, limits::kOpensChunk / bulk.messages.size());
    for (std::uint64_t from = 0; from < bulk.opens_per_message; from += each) {
        const std::uint64_t to = std::min(from + each, bulk.opens_per_message);
        RecordOpens command;
        for (std::size_t i = 0; i < bulk.messages.size(); ++i) {
            command.groups.push_back(make_group(bulk.messages[i], orders[i], from, to));
            if (!bulk.with_times) continue;
            std::vector<Timestamp>& at = command.groups.back().at;
            for (std::uint64_t n = from; n < to; ++n) {
                at.push_back(
                    {program.now().value + static_cast<std::int64_t>(mix(n + i) % kMinuteMs)});
            }
        }
        take(program.encode(std::move(command)));
    }
}

}  // namespace tidings::bench
