// Keys of rows: table, program number, then the table's own parts, big endian so that scans run in
// their order.
#pragma once

#include <boost/container/small_vector.hpp>
#include <boost/endian/conversion.hpp>
#include <cstdint>
#include <functional>
#include <string_view>

namespace tidings {

/// First byte of every key. The letters are part of the stored format (docs/formats.md): never
/// reuse one.
enum class Table : char {
    meta = 'M',             ///< layout version, tip, ledger, program count
    program_number = 'P',   ///< program id -> number
    program = 'p',          ///< number -> ProgramRow
    partner = 'a',          ///< ordinal -> PartnerRow
    partner_id = 'i',       ///< partner id -> ordinal
    status_set = 's',       ///< status, chunk -> SetChunk
    tag_set = 't',          ///< tag, chunk -> SetChunk
    tag_count = 'T',        ///< tag -> active partners
    gram_set = 'g',         ///< 1-3 bytes of folded text, chunk -> SetChunk
    metric_column = 'c',    ///< metric, currency, chunk -> ColumnChunk
    joined_column = 'j',    ///< chunk -> ColumnChunk (milliseconds)
    held = 'h',             ///< partner id -> HeldRow
    customer = 'u',         ///< key -> CustomerRow
    transaction = 'x',      ///< key -> TransactionRow
    payer = 'y',            ///< partner id, customer -> PayerRow
    message = 'm',          ///< message -> MessageRow (card)
    message_text = 'b',     ///< message -> body, audience as sent
    recipients = 'r',       ///< message -> RecipientsRow (frozen)
    message_stats = 'S',    ///< message -> StatsRow
    opened_set = 'o',       ///< message, chunk -> SetChunk
    open_times = 'O',       ///< message, chunk -> ColumnChunk (ms since sent + 1)
    opens_by_minute = 'd',  ///< message, day -> ColumnChunk (minute of the day -> opens)
    replied_set = 'e',      ///< message, chunk -> SetChunk
    reply_order = 'E',      ///< message, latest reply descending -> ordinal
    conversation = 'v',     ///< message, ordinal -> ConversationRow
    conversing_set =
        'w',           ///< message, chunk -> SetChunk: partners with a post in their conversation
    post = 'q',        ///< message, ordinal, post -> PostRow
    timeline = 'l',    ///< block -> EventList: sends to all and wide targeted ones
    inbox_list = 'n',  ///< ordinal, block -> EventList: small targeted sends
    inbox_counter = 'k',     ///< InboxCounter, chunk -> ColumnChunk
    remembered = 'K',        ///< command id -> RememberedRow
    remembered_order = 'R',  ///< number -> command id
    tree = 'H',              ///< layer, tile -> hashes of the Merkle tree; of no program
    event_command = 'C',     ///< event / 256 -> commands in whose outcomes the events lie
    // not in the digest: what callers asked, refusals included
    outcome = 'Y',         ///< command id -> OutcomeRow
    outcome_order = 'Z',   ///< number -> command id
    outcome_window = 'W',  ///< -> OutcomeWindowRow
};

class Key {
public:
    explicit Key(Table table) { bytes_.push_back(static_cast<char>(table)); }
    Key(Table table, std::uint32_t program) : Key(table) { u32(program); }
    /// One that is stored.
    static Key of(std::string_view stored) {
        return Key(static_cast<Table>(stored.at(0))).text(stored.substr(1));
    }

    Key& u8(std::uint8_t value) { return big_endian(value, 1); }
    Key& u32(std::uint32_t value) { return big_endian(value, 4); }
    Key& u64(std::uint64_t value) { return big_endian(value, 8); }
    /// Last part only, or a part of fixed length.
    Key& text(std::string_view text) {
        bytes_.insert(bytes_.end(), text.begin(), text.end());
        return *this;
    }
    /// With its length before it, so that parts may follow.
    Key& sized_text(std::string_view text) { return big_endian(text.size(), 2).text_append(text); }

    std::string_view view() const { return {bytes_.data(), bytes_.size()}; }
    Table table() const { return static_cast<Table>(bytes_[0]); }
    bool operator==(const Key& other) const { return view() == other.view(); }
    bool operator<(const Key& other) const { return view() < other.view(); }

private:
    Key& text_append(std::string_view text) { return this->text(text); }
    Key& big_endian(std::uint64_t value, int size) {
        char bytes[sizeof value];
        boost::endian::store_big_u64(reinterpret_cast<unsigned char*>(bytes), value);
        bytes_.insert(bytes_.end(), bytes + sizeof value - size, bytes + sizeof value);
        return *this;
    }
    boost::container::small_vector<char, 40> bytes_;
};

/// Big-endian number at `offset` of a stored key.
inline std::uint64_t key_number(std::string_view key, std::size_t offset, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
        value = value << 8 | static_cast<std::uint8_t>(key.at(offset + i));
    return value;
}
inline constexpr std::size_t kKeyPrefix = 5;  ///< table and program

}  // namespace tidings

template <>
struct std::hash<tidings::Key> {
    std::size_t operator()(const tidings::Key& key) const {
        return std::hash<std::string_view>{}(key.view());
    }
};
