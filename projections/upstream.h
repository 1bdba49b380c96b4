// Facts of the upstream platform kept one by one: held partners, customers, transactions, payers.
#pragma once

#include "projections/fold.h"

namespace tidings::upstream {

void fold(Fold& fold, const UpstreamFactsChanged& event);

std::optional<HeldPartner> held(const RowSource& rows, std::uint32_t program, const PartnerId& id);
std::optional<CustomerState> customer(const RowSource& rows, std::uint32_t program,
                                      const std::string& key);
std::optional<TransactionState> transaction(const RowSource& rows, std::uint32_t program,
                                            const std::string& key);
std::uint64_t payer(const RowSource& rows, std::uint32_t program, const PartnerId& partner,
                    const std::string& customer);

}  // namespace tidings::upstream
