// Rows of programs, partners and upstream facts.
#include "projections/rows.h"

#include <boost/container/small_vector.hpp>

#include "projections/bytes.h"

namespace tidings {

namespace {

constexpr std::uint8_t kErasedBit = 0x80;  ///< beside a partner's status
constexpr std::uint8_t kEpochBit = 0x40;   ///< there, too: a key epoch follows
constexpr std::size_t kUsualPartnerRoom = 512;

template <class Writer>
void write_money(Writer& out, const Money& money) {
    out.varint(money.size());
    for (const auto& [currency, micros] : money) {
        out.string(currency);
        out.zigzag(micros);
    }
}

Money read_money(ByteReader& in) {
    Money money;
    for (std::uint64_t n = in.varint(); n > 0; --n) {
        std::string currency(in.string());
        money[std::move(currency)] = in.zigzag();
    }
    return money;
}

template <class Writer>
void write_stamp(Writer& out, const SourceStamp& stamp) {
    const bool none = stamp == SourceStamp{};
    out.u8(none ? 0 : 1);
    if (none) return;
    out.zigzag(stamp.micros);
    out.raw(stamp.tiebreak.view());
}

SourceStamp read_stamp(ByteReader& in) {
    if (in.u8() == 0) return {};
    SourceStamp stamp;
    stamp.micros = in.zigzag();
    stamp.tiebreak = Hash256::from(in.take(Hash256::kSize));
    return stamp;
}

template <class Writer>
void write_metrics(Writer& out, const Metrics& metrics) {
    out.varint(metrics.clicks);
    out.varint(metrics.signups);
    out.varint(metrics.sales);
    out.varint(metrics.paid_accounts);
    write_money(out, metrics.revenue);
    write_money(out, metrics.commission);
}

Metrics read_metrics(ByteReader& in) {
    Metrics metrics;
    metrics.clicks = in.varint();
    metrics.signups = in.varint();
    metrics.sales = in.varint();
    metrics.paid_accounts = in.varint();
    metrics.revenue = read_money(in);
    metrics.commission = read_money(in);
    return metrics;
}

/// At most what a partner's row takes.
std::size_t room_for(const PartnerState& state) {
    constexpr std::size_t kNumbers = 16 * kVarintBytes, kStamp = 1 + kVarintBytes + Hash256::kSize;
    std::size_t out = kNumbers + 2 * kStamp + state.id.value.size() + state.email.stored().size() +
                      state.name.stored().size() + state.surname.stored().size();
    for (const std::string& tag : state.tags) out += kVarintBytes + tag.size();
    for (const Money* money : {&state.metrics.revenue, &state.metrics.commission})
        for (const auto& amount : *money) out += 2 * kVarintBytes + amount.first.size();
    return out;
}

}  // namespace

NumberRow NumberRow::decode(std::string_view bytes) { return {ByteReader(bytes).varint()}; }
std::string NumberRow::encode() const {
    std::string out;
    ByteWriter(out).varint(value);
    return out;
}

CommandIdRow CommandIdRow::decode(std::string_view bytes) {
    return {CommandId::from(ByteReader(bytes).take(CommandId::kSize))};
}
std::string CommandIdRow::encode() const { return std::string(id.view()); }

TipRow TipRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    TipRow row;
    row.tip.sequence = {in.varint()};
    row.tip.hash = Hash256::from(in.take(Hash256::kSize));
    row.tip.next_command = {in.varint()};
    row.tip.next_record = {in.varint()};
    return row;
}
std::string TipRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(tip.sequence.value);
    out.raw(tip.hash.view());
    out.varint(tip.next_command.value);
    out.varint(tip.next_record.value);
    return bytes;
}

ProgramRow ProgramRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    ProgramRow row;
    row.id.value = in.string();
    row.name = in.string();
    row.plan = static_cast<Plan>(in.u8());
    row.secret = in.string();
    row.log_time = {in.zigzag()};
    row.last_event = {in.varint()};
    row.next_ordinal = static_cast<std::uint32_t>(in.varint());
    row.active = in.varint();
    row.messages = in.varint();
    row.wide = in.varint();
    row.broadcasts = in.varint();
    row.unread_replies = in.varint();
    row.held = in.varint();
    row.remembered_first = in.varint();
    row.remembered_next = in.varint();
    return row;
}
std::string ProgramRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.string(id.value);
    out.string(name);
    out.u8(static_cast<std::uint8_t>(plan));
    out.string(secret);
    out.zigzag(log_time.value);
    out.varint(last_event.value);
    out.varint(next_ordinal);
    out.varint(active);
    out.varint(messages);
    out.varint(wide);
    out.varint(broadcasts);
    out.varint(unread_replies);
    out.varint(held);
    out.varint(remembered_first);
    out.varint(remembered_next);
    return bytes;
}

PartnerRow PartnerRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    PartnerRow row;
    row.ordinal = {static_cast<std::uint32_t>(in.varint())};
    row.id.value = in.string();
    row.email = in.string();
    row.name = in.string();
    row.surname = in.string();
    const std::uint8_t status = in.u8();
    row.status = static_cast<PartnerStatus>(status & ~(kErasedBit | kEpochBit));
    row.erased = (status & kErasedBit) != 0;
    if ((status & kEpochBit) != 0) row.key_epoch = static_cast<std::uint16_t>(in.varint());
    for (std::uint64_t n = in.varint(); n > 0; --n) row.tags.emplace_back(in.string());
    row.joined_at = {in.zigzag()};
    row.metrics = read_metrics(in);
    row.profile_stamp = read_stamp(in);
    row.metrics_stamp = read_stamp(in);
    row.broadcasts_offset = in.zigzag();
    return row;
}
std::string PartnerRow::encode(const PartnerState& state, std::int64_t broadcasts_offset) {
    boost::container::small_vector<char, kUsualPartnerRoom> bytes(room_for(state),
                                                                  boost::container::default_init);
    RoomyWriter out(bytes.data());
    out.varint(state.ordinal.value);
    out.string(state.id.value);
    out.string(state.email.stored());
    out.string(state.name.stored());
    out.string(state.surname.stored());
    out.u8(static_cast<std::uint8_t>(state.status) | (state.erased ? kErasedBit : 0) |
           (state.key_epoch != 0 ? kEpochBit : 0));
    if (state.key_epoch != 0) out.varint(state.key_epoch);
    out.varint(state.tags.size());
    for (const std::string& tag : state.tags) out.string(tag);
    out.zigzag(state.joined_at.value);
    write_metrics(out, state.metrics);
    write_stamp(out, state.profile_stamp);
    write_stamp(out, state.metrics_stamp);
    out.zigzag(broadcasts_offset);
    return std::string(static_cast<const char*>(bytes.data()), out.end());
}
std::size_t PartnerRow::memory() const {
    return sizeof(*this) + id.value.size() + email.stored().size() + name.stored().size() +
           surname.stored().size() + 64 * tags.size() +
           80 * (metrics.revenue.size() + metrics.commission.size());
}

HeldRow HeldRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    HeldRow row;
    row.held.id.value = in.string();
    row.held.metrics = read_metrics(in);
    row.held.deleted_stamp = read_stamp(in);
    row.held.metrics_stamp = read_stamp(in);
    return row;
}
std::string HeldRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.string(held.id.value);
    write_metrics(out, held.metrics);
    write_stamp(out, held.deleted_stamp);
    write_stamp(out, held.metrics_stamp);
    return bytes;
}

CustomerRow CustomerRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    CustomerRow row;
    row.state.key = in.string();
    row.state.partner.value = in.string();
    row.state.deleted = in.u8() != 0;
    row.state.stamp = read_stamp(in);
    return row;
}
std::string CustomerRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.string(state.key);
    out.string(state.partner.value);
    out.u8(state.deleted ? 1 : 0);
    write_stamp(out, state.stamp);
    return bytes;
}

TransactionRow TransactionRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    TransactionRow row;
    row.state.key = in.string();
    row.state.partner.value = in.string();
    row.state.customer = in.string();
    row.state.revenue = read_money(in);
    row.state.commission = read_money(in);
    row.state.deleted = in.u8() != 0;
    row.state.stamp = read_stamp(in);
    return row;
}
std::string TransactionRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.string(state.key);
    out.string(state.partner.value);
    out.string(state.customer);
    write_money(out, state.revenue);
    write_money(out, state.commission);
    out.u8(state.deleted ? 1 : 0);
    write_stamp(out, state.stamp);
    return bytes;
}

}  // namespace tidings
