// What must hold after any sequence of commands.
#include <algorithm>

#include "core/decide.h"
#include "tests/core/scenario.h"
#include "tests/support/memory_commands.h"
#include "tests/support/property.h"

using namespace tidings;
using namespace tidings::testing;

namespace {

template <class T>
void shuffle(std::vector<T>& items, Random& random) {
    for (std::size_t i = items.size(); i > 1; --i) {
        std::swap(items[i - 1], items[random.below(i)]);
    }
}

/// Upstream facts as the Partnero fixture has them: whole partners, customers, transactions; each
/// with its own stamp.
std::vector<CommandBody> upstream_facts(Random& random) {
    std::vector<CommandBody> out;
    std::int64_t time = 0;
    const auto stamp = [&time, &random] {
        // Equal times happen; the body's hash then decides, which no two different facts share.
        time += static_cast<std::int64_t>(random.below(2));
        SourceStamp out = at_stamp(time);
        out.tiebreak = sha256(std::to_string(random.below(1u << 30)));
        return out;
    };
    const auto partner = [&random] { return PartnerId{"p" + std::to_string(random.below(3))}; };
    for (std::uint64_t n = random.below(14); n > 0; --n) {
        switch (random.below(3)) {
            case 0: {
                UpsertPartners upsert;
                upsert.hold_unknown = true;
                PartnerPatch one = patch(partner().value);
                one.name = "Name " + std::to_string(random.below(100));
                one.surname = "Surname";
                one.status = static_cast<PartnerStatus>(random.below(4));
                one.tags = std::vector<std::string>{"tag" + std::to_string(random.below(3))};
                one.joined_at = Timestamp{5};
                one.metrics.clicks = random.below(10);
                one.stamp = stamp();
                upsert.partners.push_back(std::move(one));
                out.push_back(std::move(upsert));
                break;
            }
            case 1:
                out.push_back(RecordCustomer{"c" + std::to_string(random.below(2)),
                                             random.one_in(4) ? PartnerId{} : partner(),
                                             random.one_in(3), stamp()});
                break;
            default: {
                const auto amount = [&random] {
                    Money money;
                    if (!random.one_in(4)) {
                        money[random.one_in(2) ? "USD" : "EUR"] = random.between(1, 9);
                    }
                    return money;
                };
                out.push_back(
                    RecordTransaction{"t" + std::to_string(random.below(3)), partner(),
                                      random.one_in(4) ? "" : "c" + std::to_string(random.below(2)),
                                      amount(), amount(), random.one_in(3), stamp()});
            }
        }
    }
    return out;
}

/// What the order of arrival may not change: all but ordinals and event numbers.
struct UpstreamState {
    std::map<PartnerId, PartnerState> partners;
    std::map<PartnerId, HeldPartner> held;
    std::map<std::string, CustomerState> customers;
    std::map<std::string, TransactionState> transactions;
    std::map<std::pair<PartnerId, std::string>, std::uint64_t> payers;
    bool operator==(const UpstreamState&) const = default;
};

UpstreamState after(const std::vector<CommandBody>& bodies) {
    Scenario scenario(Plan::starter);
    for (const CommandBody& body : bodies) {
        const Outcome outcome = scenario.when(body);
        RC_ASSERT(outcome.status != OutcomeStatus::refused);
    }
    const MemoryProgram& program = scenario.program();
    UpstreamState out{{}, program.held, program.customers, program.transactions, program.payers};
    for (const auto& [ordinal, partner] : program.partners) {
        out.partners[partner.id] = partner;
        out.partners[partner.id].ordinal = {};
    }
    return out;
}

void check_conservation(const MemoryProgram& program) {
    for (const auto& [number, message] : program.messages) {
        const Bitmap& recipients = message.sent.recipients;
        RC_ASSERT(!recipients.isEmpty());
        RC_ASSERT(message.sent.digest == audience_digest(recipients));
        for (const auto& [partner, at] : message.opened) {
            RC_ASSERT(recipients.contains(partner));
            RC_ASSERT(at >= message.sent.sent_at);
            RC_ASSERT(at <= program.log_time);
        }
        for (const auto& [partner, conversation] : message.conversations) {
            RC_ASSERT(recipients.contains(partner));
            if (conversation.replied()) RC_ASSERT(message.opened.contains(partner));
            const EventNumber last =
                std::max(conversation.last_post(true), conversation.last_post(false));
            RC_ASSERT(conversation.partner_read <= last);
            RC_ASSERT(conversation.owner_read <= last);
        }
    }
    for (const auto& [id, ordinal] : program.ordinals) {
        RC_ASSERT(program.partners.at(ordinal).id == id);
        RC_ASSERT(!program.held.contains(id));
    }
    RC_ASSERT(program.ordinals.size() == program.partners.size());
    for (const auto& [key, count] : program.payers) RC_ASSERT(count > 0);
}

}  // namespace

TEST_CASE("upstream facts give the same state in any order, duplicates included") {
    CHECK_PROPERTY([](std::uint64_t seed) {
        Random random(seed);
        std::vector<CommandBody> facts = upstream_facts(random);
        const UpstreamState expected = after(facts);
        for (int round = 0; round < 3; ++round) {
            for (std::uint64_t n = random.below(4); n > 0 && !facts.empty(); --n) {
                facts.push_back(facts[random.below(facts.size())]);
            }
            shuffle(facts, random);
            RC_ASSERT(after(facts) == expected);
        }
    });
}

TEST_CASE("conservation holds after every command, and decisions are pure") {
    CHECK_PROPERTY([](std::uint64_t seed) {
        CommandGenerator generator(seed);
        MemoryState state;
        const MemoryFacts facts(state);
        for (int i = 0; i < 150; ++i) {
            const Command command = generator.next(state);
            const Outcome outcome = decide(facts, command);
            RC_ASSERT(outcome == decide(facts, command));
            std::map<ProgramId, MemoryProgram> before = state.programs;
            fold(state, outcome);
            if (!leaves_trace(outcome)) RC_ASSERT(state.programs == before);
            if (outcome.status != OutcomeStatus::applied) continue;
            const MemoryProgram& program = state.programs.at(command.program);
            RC_ASSERT(program.last_event.value ==
                      outcome.first_event.value + outcome.events.size() - 1);
            RC_ASSERT(program.log_time >= before[command.program].log_time);
            for (const auto& [number, message] : before[command.program].messages) {
                RC_ASSERT(program.messages.at(number).sent == message.sent);
            }
            check_conservation(program);
        }
    });
}

TEST_CASE("random commands meet every event and refusal") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CommandGenerator generator(seed);
        MemoryState state;
        const MemoryFacts facts(state);
        for (int i = 0; i < 200; ++i) {
            const Outcome outcome = decide(facts, generator.next(state));
            for (const Event& event : outcome.events) seen.insert(name_of(event));
            if (outcome.refusal) seen.insert(name_of(outcome.refusal->code));
            for (const Rejected& rejected : outcome.rejected) seen.insert(name_of(rejected.code));
            if (outcome.status == OutcomeStatus::replayed) seen.insert("replayed");
            fold(state, outcome);
        }
    }
    const std::set<std::string> expected{"ProgramChanged",
                                         "WebhookSecretSet",
                                         "PartnersChanged",
                                         "UpstreamFactsChanged",
                                         "MessageSent",
                                         "MessagesOpened",
                                         "ReplyPosted",
                                         "ConversationRead",
                                         "PartnerErased",
                                         "not_found",
                                         "plan_required",
                                         "replies_disabled",
                                         "idempotency_key_reused",
                                         "audience_empty",
                                         "unknown_partner",
                                         "invalid",
                                         "not_a_recipient",
                                         "replayed"};
    CHECK(seen == expected);
}
