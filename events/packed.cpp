// Packed lists inside records.
#include "events/packed.h"

#include <algorithm>

namespace tidings {
namespace {

constexpr unsigned kLastShift = 63;

std::uint64_t zigzag(std::int64_t value) {
    return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
}

void put_string(std::string& out, std::string_view text) {
    put_varint(out, text.size());
    out += text;
}

std::optional<std::string_view> take_string(std::string_view& in) {
    const auto size = take_varint(in);
    if (!size || *size > in.size()) return std::nullopt;
    const std::string_view text = in.substr(0, *size);
    in.remove_prefix(*size);
    return text;
}

template <class T, class Make>
std::optional<std::vector<T>> take_strings(std::string_view packed, Make make) {
    std::vector<T> out;
    while (!packed.empty()) {
        const auto text = take_string(packed);
        if (!text) return std::nullopt;
        out.push_back(make(*text));
    }
    return out;
}

}  // namespace

void put_varint(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out += static_cast<char>(static_cast<unsigned char>(value | 0x80));
        value >>= 7;
    }
    out += static_cast<char>(static_cast<unsigned char>(value));
}

std::optional<std::uint64_t> take_varint(std::string_view& in) {
    std::uint64_t value = 0;
    std::size_t at = 0;
    for (unsigned shift = 0; shift <= kLastShift; shift += 7) {
        if (at == in.size()) return std::nullopt;
        const auto byte = static_cast<unsigned char>(in[at++]);
        if (shift == kLastShift && byte > 1) return std::nullopt;
        value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
        if (byte < 0x80) {
            in.remove_prefix(at);
            return value;
        }
    }
    return std::nullopt;
}

std::string pack_strings(const std::vector<std::string>& strings) {
    std::string out;
    for (const auto& text : strings) put_string(out, text);
    return out;
}

std::optional<std::vector<std::string>> unpack_strings(std::string_view packed) {
    return take_strings<std::string>(packed, [](std::string_view s) { return std::string(s); });
}

std::string pack_ids(const std::vector<PartnerId>& ids) {
    std::string out;
    for (const auto& id : ids) put_string(out, id.value);
    return out;
}

std::optional<std::vector<PartnerId>> unpack_ids(std::string_view packed) {
    return take_strings<PartnerId>(packed,
                                   [](std::string_view s) { return PartnerId{std::string(s)}; });
}

std::string pack_texts(std::span<const std::optional<PersonalText>> texts) {
    std::string out;
    for (const auto& text : texts) {
        put_varint(out, text ? text->stored().size() + 1 : 0);
        if (text) out += text->stored();
    }
    return out;
}

std::optional<std::vector<std::optional<PersonalText>>> unpack_texts(std::string_view packed,
                                                                     std::size_t count) {
    std::vector<std::optional<PersonalText>> out(count);
    for (auto& text : out) {
        const auto size = take_varint(packed);
        if (!size || (*size > 0 && *size - 1 > packed.size())) return std::nullopt;
        if (*size == 0) continue;
        text = PersonalText(packed.substr(0, *size - 1));
        packed.remove_prefix(*size - 1);
    }
    if (!packed.empty()) return std::nullopt;
    return out;
}

std::string pack_money(const Money& money) {
    std::string out;
    for (const auto& [currency, micros] : money) {
        put_string(out, currency);
        put_varint(out, zigzag(micros));
    }
    return out;
}

std::optional<Money> unpack_money(std::string_view packed) {
    Money money;
    while (!packed.empty()) {
        const auto currency = take_string(packed);
        if (!currency || (!money.empty() && *currency <= money.rbegin()->first))
            return std::nullopt;
        const auto micros = take_varint(packed);
        if (!micros) return std::nullopt;
        money.emplace_hint(money.end(), *currency, unzigzag(*micros));
    }
    return money;
}

std::string pack_times(const std::vector<Timestamp>& times) {
    const auto least = static_cast<std::uint64_t>(std::ranges::min(times).value);
    std::string out;
    out.reserve(10 + 3 * times.size());
    put_varint(out, zigzag(static_cast<std::int64_t>(least)));
    for (const Timestamp time : times) {
        put_varint(out, static_cast<std::uint64_t>(time.value) - least);
    }
    return out;
}

std::optional<std::vector<Timestamp>> unpack_times(std::string_view packed, std::uint64_t count) {
    const auto first = take_varint(packed);
    if (!first || count > packed.size()) return std::nullopt;  // each takes a byte at least
    const auto least = static_cast<std::uint64_t>(unzigzag(*first));
    std::vector<Timestamp> times;
    times.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto offset = take_varint(packed);
        if (!offset) return std::nullopt;
        times.push_back(Timestamp{static_cast<std::int64_t>(least + *offset)});
    }
    if (!packed.empty()) return std::nullopt;
    return times;
}

}  // namespace tidings
