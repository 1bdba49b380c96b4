#include "projections/row_facts.h"

#include "projections/bytes.h"
#include "projections/conversations.h"
#include "projections/idempotency.h"
#include "projections/messages.h"
#include "projections/opens.h"
#include "projections/partners.h"
#include "projections/upstream.h"

namespace tidings {

RowFacts::Program RowFacts::need(const ProgramId& id) const {
    const auto number = rows_.number_of(id);
    if (!number) throw StorageFailure("a fact was asked of a program that does not exist");
    return {*number, rows_.find<ProgramRow>(program_key(*number))};
}

std::optional<ProgramFacts> RowFacts::program(const ProgramId& id) const {
    const auto number = rows_.number_of(id);
    if (!number) return std::nullopt;
    const auto row = rows_.find<ProgramRow>(program_key(*number));
    return ProgramFacts{row->name, row->plan, row->log_time, row->last_event, {row->next_ordinal}};
}

std::shared_ptr<const PartnerState> RowFacts::partner(const ProgramId& program,
                                                      const PartnerId& id) const {
    return partners::find(rows_, need(program).number, id);
}

std::shared_ptr<const PartnerState> RowFacts::partner(const ProgramId& program,
                                                      PartnerOrdinal ordinal) const {
    return partners::find(rows_, need(program).number, ordinal);
}

std::optional<HeldPartner> RowFacts::held(const ProgramId& program, const PartnerId& id) const {
    const Program in = need(program);
    if (in.row->held == 0)
        return std::nullopt;  // spares a look-up for every new partner of an import
    return upstream::held(rows_, in.number, id);
}

std::optional<CustomerState> RowFacts::customer(const ProgramId& program,
                                                const std::string& key) const {
    return upstream::customer(rows_, need(program).number, key);
}

std::optional<TransactionState> RowFacts::transaction(const ProgramId& program,
                                                      const std::string& key) const {
    return upstream::transaction(rows_, need(program).number, key);
}

std::uint64_t RowFacts::payer(const ProgramId& program, const PartnerId& partner,
                              const std::string& customer) const {
    return upstream::payer(rows_, need(program).number, partner, customer);
}

std::optional<Remembered> RowFacts::remembered(const ProgramId& program,
                                               const CommandId& id) const {
    return idempotency::find(rows_, need(program).number, id);
}

std::optional<MessageFacts> RowFacts::message(const ProgramId& program, EventNumber number) const {
    const std::uint32_t in = need(program).number;
    const auto card = messages::card(rows_, in, number);
    if (!card) return std::nullopt;
    return MessageFacts{number, card->replies_enabled, card->sent_at,
                        messages::recipients(rows_, in, number)};
}

Bitmap RowFacts::unopened(const ProgramId& program, EventNumber message,
                          const Bitmap& candidates) const {
    return set_subtract(rows_, opens::opened_set(need(program).number, message), candidates);
}

std::optional<ConversationFacts> RowFacts::conversation(const ProgramId& program,
                                                        EventNumber message,
                                                        PartnerOrdinal partner) const {
    const auto row = conversations::find(rows_, need(program).number, message, partner);
    if (!row) return std::nullopt;
    return ConversationFacts{row->posts, row->last_owner_post, row->last_partner_post,
                             row->partner_read, row->owner_read};
}

Bitmap RowFacts::conversing(const ProgramId& program, EventNumber message,
                            const Bitmap& candidates) const {
    const std::uint32_t in = need(program).number;
    const auto stats = messages::stats(rows_, in, message);
    if (!stats || stats->conversations == 0) return {};
    return set_intersect(rows_, conversations::conversing_set(in, message), candidates);
}

bool RowFacts::has_post(const ProgramId& program, EventNumber message, PartnerOrdinal partner,
                        EventNumber post) const {
    return conversations::post(rows_, need(program).number, message, partner, post).has_value();
}

Bitmap RowFacts::active(const ProgramId& program) const {
    const Program in = need(program);
    return read_set(rows_, status_set(in.number, PartnerStatus::active), in.row->next_ordinal);
}

Bitmap RowFacts::tagged(const ProgramId& program, const std::string& tag) const {
    const Program in = need(program);
    return read_set(rows_, tag_set(in.number, tag), in.row->next_ordinal);
}

Bitmap RowFacts::by_metric(const ProgramId& program, Metric metric, const std::string& currency,
                           Comparison op, std::int64_t value) const {
    const Program in = need(program);
    return select_column(rows_, metric_column(in.number, metric, currency), in.row->next_ordinal,
                         op, value);
}

Bitmap RowFacts::joined(const ProgramId& program, bool before, Timestamp at) const {
    const Program in = need(program);
    return select_column(rows_, Key(Table::joined_column, in.number), in.row->next_ordinal,
                         before ? Comparison::less : Comparison::greater, at.value);
}

Bitmap RowFacts::opened(const ProgramId& program, EventNumber message) const {
    const Program in = need(program);
    return read_set(rows_, opens::opened_set(in.number, message), in.row->next_ordinal);
}

Bitmap RowFacts::replied(const ProgramId& program, EventNumber message) const {
    const Program in = need(program);
    return read_set(rows_, conversations::replied_set(in.number, message), in.row->next_ordinal);
}

}  // namespace tidings
