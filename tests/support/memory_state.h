// The read models' oracle: everything that events say, in plain maps. Simple and slow on purpose:
// no counter is kept, nothing is cached, every answer is counted from the facts. tests/core uses it
// as facts, tests/projections compares the real read models with it.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "core/facts.h"

namespace tidings::testing {

struct MemoryPost {
    EventNumber number;
    bool from_owner = false;
    Actor author;
    PersonalText body;
    Timestamp posted_at;
    bool operator==(const MemoryPost&) const = default;
};

struct MemoryConversation {
    std::vector<MemoryPost> posts;  ///< oldest first
    EventNumber partner_read, owner_read;
    bool operator==(const MemoryConversation&) const = default;

    EventNumber last_post(bool from_owner) const {
        EventNumber last;
        for (const MemoryPost& post : posts) {
            if (post.from_owner == from_owner) last = post.number;
        }
        return last;
    }
    /// Partner's posts that no owner has read.
    std::uint64_t unread_replies() const {
        std::uint64_t count = 0;
        for (const MemoryPost& post : posts) {
            if (!post.from_owner && post.number > owner_read) ++count;
        }
        return count;
    }
    bool unread_by_partner() const { return last_post(true) > partner_read; }
    bool replied() const { return last_post(false).value != 0; }
};

struct MemoryMessage {
    MessageSent sent;
    std::map<std::uint32_t, Timestamp> opened;                  ///< ordinal -> first open
    std::map<std::uint32_t, MemoryConversation> conversations;  ///< with a post or a read mark
    bool operator==(const MemoryMessage&) const = default;
};

struct MemoryRemembered {
    ContentDigest digest;
    EventNumber answer;
    bool operator==(const MemoryRemembered&) const = default;
};

struct MemoryProgram {
    std::string name;
    Plan plan = Plan::starter;
    Timestamp log_time;
    EventNumber last_event;
    std::optional<std::string> webhook_secret;
    std::map<std::uint32_t, PartnerState> partners;  ///< by ordinal
    std::map<PartnerId, std::uint32_t> ordinals;
    std::map<PartnerId, HeldPartner> held;
    std::map<std::string, CustomerState> customers;
    std::map<std::string, TransactionState> transactions;
    std::map<std::pair<PartnerId, std::string>, std::uint64_t> payers;
    std::map<CommandId, MemoryRemembered> remembered;
    std::map<EventNumber, MemoryMessage> messages;
    bool operator==(const MemoryProgram&) const = default;

    const PartnerState* partner(const PartnerId& id) const {
        const auto found = ordinals.find(id);
        return found == ordinals.end() ? nullptr : &partners.at(found->second);
    }
};

struct MemoryState {
    std::map<ProgramId, MemoryProgram> programs;
    bool operator==(const MemoryState&) const = default;
};

/// Applies the outcome's events to its program.
class MemoryFold {
public:
    MemoryFold(MemoryProgram& program, EventNumber number, Timestamp time)
        : program_(program), number_(number), time_(time) {}

    void operator()(const ProgramChanged& event) const {
        program_.name = event.name;
        program_.plan = event.plan;
    }
    void operator()(const WebhookSecretSet& event) const { program_.webhook_secret = event.sealed; }
    void operator()(const PartnersChanged& event) const {
        for (const PartnerState& partner : event.partners) {
            program_.partners[partner.ordinal.value] = partner;
            program_.ordinals[partner.id] = partner.ordinal.value;
        }
    }
    void operator()(const UpstreamFactsChanged& event) const {
        for (const HeldPartner& held : event.held) {
            if (held == HeldPartner{.id = held.id}) {
                program_.held.erase(held.id);
            } else {
                program_.held[held.id] = held;
            }
        }
        for (const CustomerState& customer : event.customers) {
            program_.customers[customer.key] = customer;
        }
        for (const TransactionState& transaction : event.transactions) {
            program_.transactions[transaction.key] = transaction;
        }
        for (const PayerState& payer : event.payers) {
            const auto key = std::make_pair(payer.partner, payer.customer);
            if (payer.transactions == 0) {
                program_.payers.erase(key);
            } else {
                program_.payers[key] = payer.transactions;
            }
        }
    }
    void operator()(const MessageSent& event) const {
        program_.messages[number_] = MemoryMessage{event, {}, {}};
    }
    void operator()(const MessagesOpened& event) const {
        for (const MessagesOpened::Group& group : event.groups) {
            MemoryMessage& message = program_.messages.at(group.message);
            std::size_t index = 0;
            for (const std::uint32_t partner : group.partners) {
                message.opened.emplace(partner, group.at.empty() ? time_ : group.at.at(index));
                ++index;
            }
        }
    }
    void operator()(const ReplyPosted& event) const {
        MemoryConversation& conversation =
            program_.messages.at(event.message).conversations[event.partner.value];
        conversation.posts.push_back(
            {number_, event.from_owner, event.author, event.body, event.posted_at});
        (event.from_owner ? conversation.owner_read : conversation.partner_read) = number_;
    }
    void operator()(const PartnerErased& event) const {
        for (auto& [number, message] : program_.messages) {
            const auto found = message.conversations.find(event.partner.value);
            if (found == message.conversations.end()) continue;
            for (MemoryPost& post : found->second.posts) {
                post.body = PersonalText();
                if (!post.from_owner) post.author.sub = post.author.name = PersonalText();
            }
        }
    }
    void operator()(const ConversationRead& event) const {
        MemoryConversation& conversation =
            program_.messages.at(event.message).conversations[event.partner.value];
        (event.by_owner ? conversation.owner_read : conversation.partner_read) = event.up_to;
    }

private:
    MemoryProgram& program_;
    EventNumber number_;
    Timestamp time_;
};

/// Only an applied outcome leaves a trace; of an unchanged one, its key is remembered.
inline void fold(MemoryState& state, const Outcome& outcome) {
    const bool unchanged = outcome.status == OutcomeStatus::unchanged;
    if (outcome.status != OutcomeStatus::applied && !(unchanged && outcome.remember)) return;
    MemoryProgram& program = state.programs[outcome.program];
    EventNumber number = outcome.first_event;
    for (const Event& event : outcome.events) {
        std::visit(MemoryFold(program, number, outcome.time), event);
        program.last_event = number;
        ++number.value;
    }
    program.log_time = outcome.time;
    if (outcome.remember) {
        program.remembered[outcome.id] = MemoryRemembered{outcome.digest, outcome.answer};
    }
}

}  // namespace tidings::testing
