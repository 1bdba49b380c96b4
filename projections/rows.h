// Record rows: what is stored under which key, and in which form in memory. Bytes: docs/formats.md.
#pragma once

#include <string>
#include <string_view>

#include "core/event.h"
#include "projections/read_models.h"

namespace tidings {

/// Each has decode/encode/memory; decode throws StorageFailure on malformed bytes.
struct NumberRow {  ///< program number, ordinal, count
    std::uint64_t value = 0;
    static NumberRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this); }
};

/// Bytes that are only ever appended to, by merging.
struct AppendedRow {
    std::string bytes;
    static AppendedRow decode(std::string_view bytes) { return {std::string(bytes)}; }
    const std::string& encode() const { return bytes; }
    void apply(std::string_view operand) { bytes.append(operand); }
    std::size_t memory() const { return sizeof(*this) + bytes.capacity(); }
};

struct CommandIdRow {
    CommandId id;
    static CommandIdRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this); }
};

struct TipRow {
    Tip tip;
    static TipRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this); }
};

struct ProgramRow {
    ProgramId id;
    std::string name;
    Plan plan = Plan::starter;
    std::string secret;  ///< sealed; empty: none
    Timestamp log_time;
    EventNumber last_event;
    std::uint32_t next_ordinal = 0;
    std::uint64_t active = 0;      ///< partners
    std::uint64_t messages = 0;    ///< sent
    std::uint64_t wide = 0;        ///< of them in the timeline
    std::uint64_t broadcasts = 0;  ///< of them to all
    std::uint64_t unread_replies = 0;
    std::uint64_t held = 0;  ///< partners not yet seen about whom facts are held
    std::uint64_t remembered_first = 0, remembered_next = 0;  ///< window of remembered_order
    static ProgramRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this) + name.size() + secret.size(); }
};

struct PartnerRow : PartnerState {
    /// Broadcasts received = active ? program.broadcasts - offset : offset. Flips with the status,
    /// so that a send to all writes nothing per partner.
    std::int64_t broadcasts_offset = 0;
    std::uint64_t broadcasts(const ProgramRow& program) const {
        const auto offset = static_cast<std::uint64_t>(broadcasts_offset);
        return status == PartnerStatus::active ? program.broadcasts - offset : offset;
    }
    static PartnerRow decode(std::string_view bytes);
    static std::string encode(const PartnerState& state, std::int64_t broadcasts_offset);
    std::string encode() const { return encode(*this, broadcasts_offset); }
    std::size_t memory() const;
};

struct HeldRow {
    HeldPartner held;
    static HeldRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this) + 256; }
};

struct CustomerRow {
    CustomerState state;
    static CustomerRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this) + 128; }
};

struct TransactionRow {
    TransactionState state;
    static TransactionRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this) + 384; }
};

/// The card, without what is derived from it.
struct MessageRow : MessageCard {
    static MessageRow decode(std::string_view bytes);
    std::string encode() const;
    /// Fills sender_json and inbox_json.
    void derive();
    std::size_t memory() const {
        return sizeof(*this) + id.size() + subject.size() + preview.size() + 2 * inbox_json.size();
    }
};

struct MessageTextRow {
    std::string body;
    Audience audience;
    static MessageTextRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const {
        return sizeof(*this) + body.size() + 64 * audience.partners.size();
    }
};

struct RecipientsRow {
    Bitmap set;
    static RecipientsRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this) + 96 + set.getSizeInBytes(); }
};

struct StatsRow {
    std::uint64_t recipients = 0, opens = 0, replied = 0, unread_replies = 0;
    std::uint64_t conversations = 0;  ///< with at least one post; 0 spares looking for them
    static StatsRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this); }
};

struct ConversationRow {
    std::uint32_t posts = 0, partner_posts = 0, unread_replies = 0;
    EventNumber last_owner_post, last_partner_post;
    EventNumber partner_read, owner_read;
    Timestamp first_replied_at, last_replied_at;  ///< meaningful when partner_posts > 0
    /// The owner posted after the partner's last read.
    bool unread_for_partner() const { return last_owner_post > partner_read; }
    static ConversationRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this); }
};

struct PostRow {
    bool from_owner = false;
    Actor author;
    Timestamp posted_at;
    PersonalText body;
    static PostRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this) + body.stored().size(); }
};

struct RememberedRow {
    ContentDigest digest;
    EventNumber answer;
    Timestamp time;
    static RememberedRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this); }
};

struct OutcomeRow {
    TrackedOutcome outcome;
    Timestamp time;
    static OutcomeRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this) + 128; }
};

struct OutcomeWindowRow {
    std::uint64_t first = 0, next = 0;
    static OutcomeWindowRow decode(std::string_view bytes);
    std::string encode() const;
    std::size_t memory() const { return sizeof(*this); }
};

/// The beginning of a body on one line, at most 140 code points.
std::string make_preview(std::string_view body);

}  // namespace tidings
