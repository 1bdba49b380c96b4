#include "projections/opens.h"

#include <map>

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/inboxes.h"
#include "projections/messages.h"

namespace tidings::opens {

namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kMinutesPerDay = 24 * 60;

/// Times are stored since sending and plus one, so that 0 means "not opened".
void fold_times(Fold& fold, const MessagesOpened::Group& group, Timestamp sent_at) {
    std::vector<std::uint32_t> members(group.partners.cardinality());
    group.partners.toUint32Array(members.data());
    const Key prefix = of_message(Table::open_times, fold.number, group.message);
    std::string operations;
    for (std::size_t i = 0; i < members.size();) {
        const std::uint32_t chunk = members[i] / limits::kTimesChunk;
        operations.clear();
        for (; i < members.size() && members[i] / limits::kTimesChunk == chunk; ++i) {
            const Timestamp at = group.at.empty() ? fold.time : group.at[i];
            column_set(operations, static_cast<std::uint16_t>(members[i] % limits::kTimesChunk),
                       at.value - sent_at.value + 1);
        }
        fold.run.change<ColumnChunk>(Key(prefix).u32(chunk), operations);
    }
}

void fold_minutes(Fold& fold, const MessagesOpened::Group& group) {
    std::map<std::int64_t, std::int64_t> minutes;
    if (group.at.empty()) {
        minutes[fold.time.value / kMinuteMs] =
            static_cast<std::int64_t>(group.partners.cardinality());
    } else {
        for (const Timestamp at : group.at) ++minutes[at.value / kMinuteMs];
    }
    for (const auto& [minute, count] : minutes) {
        std::string operation;
        column_add(operation, static_cast<std::uint16_t>(minute % kMinutesPerDay), count);
        fold.run.change<ColumnChunk>(of_message(Table::opens_by_minute, fold.number, group.message)
                                         .u32(static_cast<std::uint32_t>(minute / kMinutesPerDay)),
                                     operation);
    }
}

}  // namespace

void fold(Fold& fold, const MessagesOpened& event) {
    for (const MessagesOpened::Group& group : event.groups) {
        const auto card = messages::card(fold.run, fold.number, group.message);
        if (!card) throw StorageFailure("an open of a message that is not there");
        add_to_set(fold.run, opened_set(fold.number, group.message), group.partners);
        inboxes::increment(fold, inboxes::Counter::opened, group.partners);
        fold_times(fold, group, card->sent_at);
        fold_minutes(fold, group);
        StatsRow& stats =
            fold.run.edit<StatsRow>(of_message(Table::message_stats, fold.number, group.message));
        stats.opens += group.partners.cardinality();
        if (stats.conversations > 0)
            conversations::after_opens(fold, group.message, group.partners);
    }
}

bool contains(const RowSource& rows, std::uint32_t program, EventNumber message,
              PartnerOrdinal partner) {
    return set_contains(rows, opened_set(program, message), partner);
}

std::optional<Timestamp> time(const RowSource& rows, std::uint32_t program, const MessageCard& card,
                              PartnerOrdinal partner) {
    const RowScope scope(rows);
    const auto chunk = rows.peek<ColumnChunk>(of_message(Table::open_times, program, card.number)
                                                  .u32(partner.value / limits::kTimesChunk));
    return time(*chunk, card, partner);
}

std::optional<Timestamp> time(const ColumnChunk& times, const MessageCard& card,
                              PartnerOrdinal partner) {
    const std::int64_t stored = times.get(partner.value % limits::kTimesChunk);
    if (stored == 0) return std::nullopt;
    return Timestamp{card.sent_at.value + stored - 1};
}

std::vector<OpensBucket> by_interval(const CommittedRows& rows, std::uint32_t program,
                                     EventNumber message, OpensInterval interval) {
    const std::int64_t minutes_per_bucket = interval == OpensInterval::minute ? 1
                                            : interval == OpensInterval::hour ? 60
                                                                              : kMinutesPerDay;
    std::vector<OpensBucket> out;
    const Key prefix = of_message(Table::opens_by_minute, program, message);
    rows.store().scan(
        prefix.view(), prefix_end(prefix.view()), false,
        [&](std::string_view key, std::string_view value) {
            const auto day = static_cast<std::int64_t>(key_number(key, kKeyPrefix + 8, 4));
            const ColumnChunk minutes =
                ColumnChunk::decode(column_size(Table::opens_by_minute), value);
            for (std::int64_t minute = 0; minute < kMinutesPerDay; ++minute) {
                const auto count =
                    static_cast<std::uint64_t>(minutes.get(static_cast<std::uint32_t>(minute)));
                if (count == 0) continue;
                const std::int64_t start = (day * kMinutesPerDay + minute) / minutes_per_bucket *
                                           minutes_per_bucket * kMinuteMs;
                if (out.empty() || out.back().at.value != start) out.push_back({{start}, 0});
                out.back().opens += count;
            }
            return true;
        });
    return out;
}

}  // namespace tidings::opens
