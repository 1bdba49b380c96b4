// Facts over the oracle's plain maps, by counting.
#pragma once

#include <stdexcept>

#include "tests/support/memory_state.h"

namespace tidings::testing {

class MemoryFacts : public Facts {
public:
    /// `state` outlives this.
    explicit MemoryFacts(const MemoryState& state) : state_(state) {}

    /// The next so many questions about a program fail as a disk would.
    mutable int failing_reads = 0;

    std::optional<ProgramFacts> program(const ProgramId& id) const override {
        if (failing_reads > 0) {
            --failing_reads;
            throw std::runtime_error("injected read failure");
        }
        const auto found = state_.programs.find(id);
        if (found == state_.programs.end()) return std::nullopt;
        const MemoryProgram& program = found->second;
        return ProgramFacts{program.name, program.plan, program.log_time, program.last_event,
                            PartnerOrdinal{static_cast<std::uint32_t>(program.partners.size())}};
    }
    std::shared_ptr<const PartnerState> partner(const ProgramId& program,
                                                const PartnerId& id) const override {
        return unowned(of(program).partner(id));
    }
    std::shared_ptr<const PartnerState> partner(const ProgramId& program,
                                                PartnerOrdinal ordinal) const override {
        return unowned(find(of(program).partners, ordinal.value));
    }
    std::optional<HeldPartner> held(const ProgramId& program, const PartnerId& id) const override {
        return copy(find(of(program).held, id));
    }
    std::optional<CustomerState> customer(const ProgramId& program,
                                          const std::string& key) const override {
        return copy(find(of(program).customers, key));
    }
    std::optional<TransactionState> transaction(const ProgramId& program,
                                                const std::string& key) const override {
        return copy(find(of(program).transactions, key));
    }
    std::uint64_t payer(const ProgramId& program, const PartnerId& partner,
                        const std::string& customer) const override {
        const auto* count = find(of(program).payers, std::make_pair(partner, customer));
        return count == nullptr ? 0 : *count;
    }
    std::optional<Remembered> remembered(const ProgramId& program,
                                         const CommandId& id) const override {
        const MemoryRemembered* found = find(of(program).remembered, id);
        if (found == nullptr) return std::nullopt;
        return Remembered{found->digest, found->answer};
    }

    std::optional<MessageFacts> message(const ProgramId& program,
                                        EventNumber number) const override {
        const MemoryMessage* message = find(of(program).messages, number);
        if (message == nullptr) return std::nullopt;
        return MessageFacts{number, message->sent.replies_enabled, message->sent.sent_at,
                            unowned(&message->sent.recipients)};
    }
    Bitmap unopened(const ProgramId& program, EventNumber message,
                    const Bitmap& candidates) const override {
        return candidates - opened(program, message);
    }
    std::optional<ConversationFacts> conversation(const ProgramId& program, EventNumber number,
                                                  PartnerOrdinal partner) const override {
        const MemoryMessage* message = find(of(program).messages, number);
        if (message == nullptr || !message->sent.recipients.contains(partner.value)) {
            return std::nullopt;
        }
        const MemoryConversation* found = find(message->conversations, partner.value);
        if (found == nullptr) return ConversationFacts{};
        return ConversationFacts{static_cast<std::uint32_t>(found->posts.size()),
                                 found->last_post(true), found->last_post(false),
                                 found->partner_read, found->owner_read};
    }
    Bitmap conversing(const ProgramId& program, EventNumber message,
                      const Bitmap& candidates) const override {
        return candidates & conversations(program, message, [](const MemoryConversation& one) {
                   return !one.posts.empty();
               });
    }
    bool has_post(const ProgramId& program, EventNumber number, PartnerOrdinal partner,
                  EventNumber post) const override {
        const MemoryMessage* message = find(of(program).messages, number);
        if (message == nullptr) return false;
        const MemoryConversation* found = find(message->conversations, partner.value);
        if (found == nullptr) return false;
        for (const MemoryPost& one : found->posts) {
            if (one.number == post) return true;
        }
        return false;
    }

    Bitmap active(const ProgramId& program) const override {
        return partners(program, [](const PartnerState& partner) {
            return partner.status == PartnerStatus::active;
        });
    }
    Bitmap tagged(const ProgramId& program, const std::string& tag) const override {
        return partners(program, [&tag](const PartnerState& partner) {
            for (const std::string& one : partner.tags) {
                if (one == tag) return true;
            }
            return false;
        });
    }
    Bitmap by_metric(const ProgramId& program, Metric metric, const std::string& currency,
                     Comparison op, std::int64_t value) const override {
        return partners(program, [&](const PartnerState& partner) {
            return compare(metric_of(partner.metrics, metric, currency), op, value);
        });
    }
    Bitmap joined(const ProgramId& program, bool before, Timestamp at) const override {
        return partners(program, [&](const PartnerState& partner) {
            return before ? partner.joined_at < at : partner.joined_at > at;
        });
    }
    Bitmap opened(const ProgramId& program, EventNumber number) const override {
        Bitmap out;
        if (const MemoryMessage* message = find(of(program).messages, number)) {
            for (const auto& [partner, at] : message->opened) out.add(partner);
        }
        return out;
    }
    Bitmap replied(const ProgramId& program, EventNumber message) const override {
        return conversations(program, message,
                             [](const MemoryConversation& one) { return one.replied(); });
    }

    static std::int64_t metric_of(const Metrics& metrics, Metric metric,
                                  const std::string& currency) {
        switch (metric) {
            case Metric::clicks:
                return static_cast<std::int64_t>(metrics.clicks);
            case Metric::signups:
                return static_cast<std::int64_t>(metrics.signups);
            case Metric::sales:
                return static_cast<std::int64_t>(metrics.sales);
            case Metric::paid_accounts:
                return static_cast<std::int64_t>(metrics.paid_accounts);
            case Metric::revenue:
            case Metric::commission:
                break;
        }
        const Money& money = metric == Metric::revenue ? metrics.revenue : metrics.commission;
        const auto found = money.find(currency);
        return found == money.end() ? 0 : found->second;
    }

private:
    const MemoryProgram& of(const ProgramId& id) const { return state_.programs.at(id); }

    template <class Map>
    static const typename Map::mapped_type* find(const Map& map,
                                                 const typename Map::key_type& key) {
        const auto found = map.find(key);
        return found == map.end() ? nullptr : &found->second;
    }
    template <class T>
    static std::optional<T> copy(const T* value) {
        return value == nullptr ? std::nullopt : std::optional<T>(*value);
    }
    /// Valid until the next fold, as Facts promises.
    template <class T>
    static std::shared_ptr<const T> unowned(const T* value) {
        return std::shared_ptr<const T>(std::shared_ptr<void>(), value);
    }
    template <class Predicate>
    Bitmap partners(const ProgramId& program, const Predicate& wanted) const {
        Bitmap out;
        for (const auto& [ordinal, partner] : of(program).partners) {
            if (wanted(partner)) out.add(ordinal);
        }
        return out;
    }
    template <class Predicate>
    Bitmap conversations(const ProgramId& program, EventNumber number,
                         const Predicate& wanted) const {
        Bitmap out;
        if (const MemoryMessage* message = find(of(program).messages, number)) {
            for (const auto& [partner, conversation] : message->conversations) {
                if (wanted(conversation)) out.add(partner);
            }
        }
        return out;
    }

    const MemoryState& state_;
};

}  // namespace tidings::testing
