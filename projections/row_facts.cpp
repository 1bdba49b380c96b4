#include "projections/row_facts.h"

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/idempotency.h"
#include "projections/messages.h"
#include "projections/opens.h"
#include "projections/partners.h"
#include "projections/upstream.h"

namespace tidings {

std::optional<std::uint32_t> RowFacts::find(const ProgramId& id) const {
    if (last_ && last_->first == id) return last_->second;
    const auto number = rows_.number_of(id);
    if (number) last_.emplace(id, *number);
    return number;
}

std::uint32_t RowFacts::number_of(const ProgramId& id) const {
    const auto number = find(id);
    if (!number) throw StorageFailure("a fact was asked of a program that does not exist");
    return *number;
}

const ProgramRow& RowFacts::row_of(const ProgramId& id) const {
    return *rows_.peek<ProgramRow>(program_key(number_of(id)));
}

std::optional<ProgramFacts> RowFacts::program(const ProgramId& id) const {
    if (!find(id)) return std::nullopt;
    const RowScope scope(rows_);
    const ProgramRow& row = row_of(id);
    return ProgramFacts{row.name, row.plan, row.log_time, row.last_event, {row.next_ordinal}};
}

std::shared_ptr<const PartnerState> RowFacts::partner(const ProgramId& program,
                                                      const PartnerId& id) const {
    return partners::find(rows_, number_of(program), id);
}

std::shared_ptr<const PartnerState> RowFacts::partner(const ProgramId& program,
                                                      PartnerOrdinal ordinal) const {
    return partners::find(rows_, number_of(program), ordinal);
}

std::optional<HeldPartner> RowFacts::held(const ProgramId& program, const PartnerId& id) const {
    const RowScope scope(rows_);
    if (row_of(program).held == 0)
        return std::nullopt;  // spares a look-up for every new partner of an import
    return upstream::held(rows_, number_of(program), id);
}

std::optional<CustomerState> RowFacts::customer(const ProgramId& program,
                                                const std::string& key) const {
    return upstream::customer(rows_, number_of(program), key);
}

std::optional<TransactionState> RowFacts::transaction(const ProgramId& program,
                                                      const std::string& key) const {
    return upstream::transaction(rows_, number_of(program), key);
}

std::uint64_t RowFacts::payer(const ProgramId& program, const PartnerId& partner,
                              const std::string& customer) const {
    return upstream::payer(rows_, number_of(program), partner, customer);
}

std::optional<Remembered> RowFacts::remembered(const ProgramId& program,
                                               const CommandId& id) const {
    return idempotency::find(rows_, number_of(program), id);
}

std::optional<MessageFacts> RowFacts::message(const ProgramId& program, EventNumber number) const {
    const std::uint32_t in = number_of(program);
    const auto card = messages::card(rows_, in, number);
    if (!card) return std::nullopt;
    return MessageFacts{number, card->replies_enabled, card->sent_at,
                        messages::recipients(rows_, in, number)};
}

Bitmap RowFacts::unopened(const ProgramId& program, EventNumber message,
                          const Bitmap& candidates) const {
    return set_subtract(rows_, opens::opened_set(number_of(program), message), candidates);
}

std::optional<ConversationFacts> RowFacts::conversation(const ProgramId& program,
                                                        EventNumber message,
                                                        PartnerOrdinal partner) const {
    const auto row = conversations::find(rows_, number_of(program), message, partner);
    if (!row) return std::nullopt;
    return ConversationFacts{row->posts, row->last_owner_post, row->last_partner_post,
                             row->partner_read, row->owner_read};
}

Bitmap RowFacts::conversing(const ProgramId& program, EventNumber message,
                            const Bitmap& candidates) const {
    const std::uint32_t in = number_of(program);
    const auto stats = messages::stats(rows_, in, message);
    if (!stats || stats->conversations == 0) return {};
    return set_intersect(rows_, conversations::conversing_set(in, message), candidates);
}

bool RowFacts::has_post(const ProgramId& program, EventNumber message, PartnerOrdinal partner,
                        EventNumber post) const {
    return conversations::has_post(rows_, number_of(program), message, partner, post);
}

Bitmap RowFacts::active(const ProgramId& program) const {
    const RowScope scope(rows_);
    return read_set(rows_, status_set(number_of(program), PartnerStatus::active),
                    row_of(program).next_ordinal);
}

Bitmap RowFacts::tagged(const ProgramId& program, const std::string& tag) const {
    const RowScope scope(rows_);
    return read_set(rows_, tag_set(number_of(program), tag), row_of(program).next_ordinal);
}

Bitmap RowFacts::by_metric(const ProgramId& program, Metric metric, const std::string& currency,
                           Comparison op, std::int64_t value) const {
    const RowScope scope(rows_);
    return select_column(rows_, metric_column(number_of(program), metric, currency),
                         row_of(program).next_ordinal, op, value);
}

Bitmap RowFacts::joined(const ProgramId& program, bool before, Timestamp at) const {
    const RowScope scope(rows_);
    return select_column(rows_, Key(Table::joined_column, number_of(program)),
                         row_of(program).next_ordinal,
                         before ? Comparison::less : Comparison::greater, at.value);
}

Bitmap RowFacts::opened(const ProgramId& program, EventNumber message) const {
    const RowScope scope(rows_);
    return read_set(rows_, opens::opened_set(number_of(program), message),
                    row_of(program).next_ordinal);
}

Bitmap RowFacts::replied(const ProgramId& program, EventNumber message) const {
    const RowScope scope(rows_);
    return read_set(rows_, conversations::replied_set(number_of(program), message),
                    row_of(program).next_ordinal);
}

}  // namespace tidings
