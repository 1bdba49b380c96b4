// Port: what deciding may read. Facts are exactly at the chain's tip plus the run so far (DESIGN.md
// decision 2).
#pragma once

#include <memory>
#include <optional>

#include "core/event.h"

namespace tidings {

struct ProgramFacts {
    std::string name;
    Plan plan = Plan::starter;
    Timestamp log_time;      ///< never goes back
    EventNumber last_event;  ///< 0: none yet
    PartnerOrdinal next_ordinal;
};

struct MessageFacts {
    EventNumber number;
    bool replies_enabled = false;
    Timestamp sent_at;
    std::shared_ptr<const Bitmap> recipients;  ///< never null
};

/// All zero while a conversation has no post and no read mark.
struct ConversationFacts {
    std::uint32_t posts = 0;
    EventNumber last_owner_post, last_partner_post;
    EventNumber partner_read, owner_read;  ///< posts up to here are read by them
};

/// A success that a repeated id is answered from (PROTOCOL.md rule 14).
struct Remembered {
    ContentDigest digest;
    EventNumber answer;
};

/// Single-threaded: used by one partition's thread at a time. References and pointers returned stay
/// valid until the next fold. A storage failure is thrown as an exception and stops the decider
/// (rule 12); it is never a "no".
class Facts {
public:
    virtual ~Facts() = default;
    virtual std::optional<ProgramFacts> program(const ProgramId&) const = 0;
    /// Null while not yet seen. Everything below REQUIRES that the program exists.
    virtual std::shared_ptr<const PartnerState> partner(const ProgramId&,
                                                        const PartnerId&) const = 0;
    virtual std::shared_ptr<const PartnerState> partner(const ProgramId&, PartnerOrdinal) const = 0;
    virtual std::optional<HeldPartner> held(const ProgramId&, const PartnerId&) const = 0;
    virtual std::optional<CustomerState> customer(const ProgramId&,
                                                  const std::string& key) const = 0;
    virtual std::optional<TransactionState> transaction(const ProgramId&,
                                                        const std::string& key) const = 0;
    /// Live transactions of this customer with this partner.
    virtual std::uint64_t payer(const ProgramId&, const PartnerId&,
                                const std::string& customer) const = 0;
    virtual std::optional<Remembered> remembered(const ProgramId&, const CommandId&) const = 0;

    virtual std::optional<MessageFacts> message(const ProgramId&, EventNumber) const = 0;
    /// The members of `candidates` that have not opened the message.
    virtual Bitmap unopened(const ProgramId&, EventNumber message,
                            const Bitmap& candidates) const = 0;
    virtual std::optional<ConversationFacts> conversation(const ProgramId&, EventNumber message,
                                                          PartnerOrdinal) const = 0;
    /// The members of `candidates` whose conversation about the message has at least one post.
    virtual Bitmap conversing(const ProgramId&, EventNumber message,
                              const Bitmap& candidates) const = 0;
    virtual bool has_post(const ProgramId&, EventNumber message, PartnerOrdinal,
                          EventNumber post) const = 0;

    // Sets of partners, of any status unless said.
    virtual Bitmap active(const ProgramId&) const = 0;
    virtual Bitmap tagged(const ProgramId&, const std::string& tag) const = 0;
    /// Over every partner seen; a missing metric or currency is 0.
    virtual Bitmap by_metric(const ProgramId&, Metric, const std::string& currency, Comparison,
                             std::int64_t value) const = 0;
    /// joined strictly before / after `at`.
    virtual Bitmap joined(const ProgramId&, bool before, Timestamp at) const = 0;
    virtual Bitmap opened(const ProgramId&, EventNumber message) const = 0;
    virtual Bitmap replied(const ProgramId&, EventNumber message) const = 0;
};

}  // namespace tidings
