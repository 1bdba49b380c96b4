// Facts for deciding, read from rows: of a run in progress (the decider) or of the committed state
// (a preview).
#pragma once

#include "core/facts.h"
#include "projections/row_source.h"

namespace tidings {

class RowFacts final : public Facts {
public:
    explicit RowFacts(const RowSource& rows) : rows_(rows) {}
    /// To be called when a run is dropped: programs that it made are gone.
    void forget() { last_.reset(); }

    std::optional<ProgramFacts> program(const ProgramId&) const override;
    std::shared_ptr<const PartnerState> partner(const ProgramId&, const PartnerId&) const override;
    std::shared_ptr<const PartnerState> partner(const ProgramId&, PartnerOrdinal) const override;
    std::optional<HeldPartner> held(const ProgramId&, const PartnerId&) const override;
    std::optional<CustomerState> customer(const ProgramId&, const std::string&) const override;
    std::optional<TransactionState> transaction(const ProgramId&,
                                                const std::string&) const override;
    std::uint64_t payer(const ProgramId&, const PartnerId&, const std::string&) const override;
    std::optional<Remembered> remembered(const ProgramId&, const CommandId&) const override;
    std::optional<MessageFacts> message(const ProgramId&, EventNumber) const override;
    Bitmap unopened(const ProgramId&, EventNumber, const Bitmap&) const override;
    std::optional<ConversationFacts> conversation(const ProgramId&, EventNumber,
                                                  PartnerOrdinal) const override;
    Bitmap conversing(const ProgramId&, EventNumber, const Bitmap&) const override;
    bool has_post(const ProgramId&, EventNumber, PartnerOrdinal, EventNumber) const override;
    Bitmap active(const ProgramId&) const override;
    Bitmap tagged(const ProgramId&, const std::string&) const override;
    Bitmap by_metric(const ProgramId&, Metric, const std::string&, Comparison,
                     std::int64_t) const override;
    Bitmap joined(const ProgramId&, bool before, Timestamp) const override;
    Bitmap opened(const ProgramId&, EventNumber) const override;
    Bitmap replied(const ProgramId&, EventNumber) const override;

private:
    std::optional<std::uint32_t> find(const ProgramId&) const;
    // Throw if there is no such program.
    std::uint32_t number_of(const ProgramId&) const;
    const ProgramRow& row_of(const ProgramId&) const;
    const RowSource& rows_;
    /// The program asked about last: all facts of a command, and of most runs, are about the same.
    mutable std::optional<std::pair<ProgramId, std::uint32_t>> last_;
};

}  // namespace tidings
