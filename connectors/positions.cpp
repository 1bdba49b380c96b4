#include "connectors/positions.h"

#include <charconv>
#include <optional>

#include "core/time.h"

namespace tidings {

namespace {

/// All digits of `text`, or nothing.
std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Error bad(std::string rule) { return {ErrorCode::invalid, std::move(rule), {}}; }

}  // namespace

std::string format_position(PartitionId partition, Sequence sequence) {
    return std::to_string(partition.value) + ":" + std::to_string(sequence.value);
}

Result<AsOf> parse_as_of(std::string_view text, PartitionId partition, Sequence tip) {
    if (const auto time = parse_time(text)) return AsOf(*time);
    const std::size_t colon = text.find(':');
    std::optional<std::uint64_t> of, sequence;
    if (colon != std::string_view::npos) {
        of = parse_number(text.substr(0, colon));
        sequence = parse_number(text.substr(colon + 1));
    }
    if (!of || !sequence) {
        return bad("must be <partition>:<sequence>, or a time as 2026-01-05T09:00:00Z");
    }
    if (*of != partition.value) {
        return bad("must be of partition " + std::to_string(partition.value) +
                   ", where the program lives");
    }
    if (*sequence > tip.value) {
        return bad("lies beyond the last commit, " + format_position(partition, tip));
    }
    return AsOf(Sequence{*sequence});
}

}  // namespace tidings
