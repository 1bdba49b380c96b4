#include "projections/upstream.h"

namespace tidings::upstream {

namespace {

Key held_key(std::uint32_t program, const PartnerId& id) {
    return Key(Table::held, program).text(id.value);
}
Key customer_key(std::uint32_t program, const std::string& key) {
    return Key(Table::customer, program).text(key);
}
Key transaction_key(std::uint32_t program, const std::string& key) {
    return Key(Table::transaction, program).text(key);
}
Key payer_key(std::uint32_t program, const PartnerId& partner, const std::string& customer) {
    return Key(Table::payer, program).sized_text(partner.value).text(customer);
}

}  // namespace

void fold(Fold& fold, const UpstreamFactsChanged& event) {
    for (const HeldPartner& held : event.held) {
        const Key key = held_key(fold.number, held.id);
        const bool known = fold.run.find<HeldRow>(key) != nullptr;
        const bool kept = held != HeldPartner{.id = held.id};
        if (kept) {
            fold.run.put(key, HeldRow{held});
        } else {
            fold.run.erase(key);
        }
        fold.program.held += (kept ? 1 : 0) - (known ? 1 : 0);
    }
    for (const CustomerState& customer : event.customers)
        fold.run.edit<CustomerRow>(customer_key(fold.number, customer.key)).state = customer;
    for (const TransactionState& transaction : event.transactions)
        fold.run.edit<TransactionRow>(transaction_key(fold.number, transaction.key)).state =
            transaction;
    for (const PayerState& payer : event.payers) {
        const Key key = payer_key(fold.number, payer.partner, payer.customer);
        if (payer.transactions == 0) {
            fold.run.erase(key);
        } else {
            fold.run.edit<NumberRow>(key).value = payer.transactions;
        }
    }
}

std::optional<HeldPartner> held(const RowSource& rows, std::uint32_t program, const PartnerId& id) {
    const auto row = rows.find<HeldRow>(held_key(program, id));
    return row ? std::optional(row->held) : std::nullopt;
}

std::optional<CustomerState> customer(const RowSource& rows, std::uint32_t program,
                                      const std::string& key) {
    const auto row = rows.find<CustomerRow>(customer_key(program, key));
    return row ? std::optional(row->state) : std::nullopt;
}

std::optional<TransactionState> transaction(const RowSource& rows, std::uint32_t program,
                                            const std::string& key) {
    const auto row = rows.find<TransactionRow>(transaction_key(program, key));
    return row ? std::optional(row->state) : std::nullopt;
}

std::uint64_t payer(const RowSource& rows, std::uint32_t program, const PartnerId& partner,
                    const std::string& customer) {
    const auto row = rows.find<NumberRow>(payer_key(program, partner, customer));
    return row ? row->value : 0;
}

}  // namespace tidings::upstream
