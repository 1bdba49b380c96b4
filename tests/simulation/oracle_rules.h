// Inside the oracle only: what must happen with one command.
#pragma once

#include "tests/simulation/oracle.h"

namespace tidings::simulation {

struct Verdict {
    OutcomeStatus status = OutcomeStatus::unchanged;
    std::optional<Refused> refusal;
    bool makes_one = false;  ///< the answer is a new message or post
    EventNumber answer;      ///< otherwise: exactly this
    std::uint32_t created = 0, updated = 0, unchanged = 0, first_opens = 0;
    std::vector<Rejected> rejected;
    std::optional<std::set<PartnerOrdinal>> recipients;  ///< of a send

    static Verdict refuse(ErrorCode code, std::optional<std::string> pointer = "");
    static Verdict changed(bool whether);
};

/// What a rule may see besides the program. `number` is the product's for what is made.
struct Occasion {
    const Command& command;
    Timestamp now;       ///< the program's log time at this decision
    EventNumber number;  ///< of the message or post, if one is made
};

// Each changes `program` as the command must, if it must; plan, keys and existence of the program
// were dealt with before.
Verdict judge(Program& program, const UpsertPartners&, const Occasion&);
Verdict judge(Program& program, const AdjustMetrics&, const Occasion&);
Verdict judge(Program& program, const RecordCustomer&, const Occasion&);
Verdict judge(Program& program, const RecordTransaction&, const Occasion&);
Verdict judge(Program& program, const SendMessage&, const Occasion&);
Verdict judge(Program& program, const RecordOpens&, const Occasion&);
Verdict judge(Program& program, const PostReply&, const Occasion&);
Verdict judge(Program& program, const MarkRead&, const Occasion&);
Verdict judge(Program& program, const ErasePartner&, const Occasion&);

}  // namespace tidings::simulation
