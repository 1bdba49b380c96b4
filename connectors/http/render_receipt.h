// The documents about how a message was sent: its receipt, and why one partner was selected. Owns
// no state and reads no read model.
#pragma once

#include <string>

#include "projections/broker.h"

namespace tidings::http {

/// {"message","program","position","event","command","sender","sent_at","plan","replies_enabled",
/// "audience","digest","recipients"}
std::string render_receipt(const ProgramId& program, const SendReceipt& receipt);

/// {"message","program","position","event","partner_id","received","reason","partner","filter"}:
/// the partner as it was then (null: not known yet), the filter with what each node says of it.
/// REQUIRES: receipt.why.
std::string render_why(const ProgramId& program, const PartnerId& partner,
                       const SendReceipt& receipt);

/// A node of the filter as written, with what the partner has and whether it holds.
std::string render_verdict(const ProgramId& program, const Filter& filter,
                           const FilterVerdict& verdict, const PartnerState& partner);

}  // namespace tidings::http
