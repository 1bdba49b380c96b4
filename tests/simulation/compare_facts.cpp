// What deciding reads: also what no question of the API shows (customers, transactions, what is
// held, read marks).
#include "tests/simulation/compare.h"
#include "tests/simulation/words.h"

namespace tidings::simulation {
namespace {

class FactsComparison {
public:
    FactsComparison(const Facts& facts, const ProgramId& id, const Program& program)
        : facts_(facts), id_(id), program_(program) {}

    std::vector<std::string> run() {
        const std::optional<ProgramFacts> got = facts_.program(id_);
        if (!got) return {words(id_, ": unknown to facts")};
        expect("log time", got->log_time, program_.log_time);
        expect("last event", got->last_event, program_.last_event);
        expect("next ordinal", got->next_ordinal.value, program_.partners.size());
        upstream();
        remembered();
        for (const auto& [number, message] : program_.messages) conversations(number, message);
        return found_.found();
    }

private:
    void upstream() {
        for (const auto& [partner, held] : program_.held) {
            if (facts_.held(id_, partner) != held) wrong("held partner", partner.value);
        }
        for (const PartnerState& partner : program_.partners) {
            if (facts_.held(id_, partner.id))
                wrong("a partner seen is still held", partner.id.value);
        }
        for (const auto& [key, customer] : program_.customers) {
            if (facts_.customer(id_, key) != customer) wrong("customer", key);
        }
        std::map<std::pair<PartnerId, std::string>, std::uint64_t> live;
        for (const auto& [key, one] : program_.transactions) {
            if (facts_.transaction(id_, key) != one) wrong("transaction", key);
            live[{one.partner, one.customer}] += one.deleted || one.customer.empty() ? 0 : 1;
        }
        for (const auto& [who, count] : live) {
            expect("live transactions", facts_.payer(id_, who.first, who.second), count);
        }
    }
    void remembered() {
        for (const auto& [id, expected] : program_.remembered) {
            // Past its time it may be forgotten; apply() sees to it that it is not before.
            const std::optional<Remembered> got = facts_.remembered(id_, id);
            if (!got) continue;
            expect("remembered answer", got->answer, expected.answer);
            expect("remembered content", got->digest, expected.digest);
        }
    }
    void conversations(EventNumber number, const Message& message) {
        for (const PartnerOrdinal partner : message.recipients) {
            const ConversationFacts got =
                facts_.conversation(id_, number, partner).value_or(ConversationFacts{});
            const Conversation& talk = message.conversation(partner);
            expect("posts", got.posts, talk.posts.size());
            expect("last owner's post", got.last_owner_post, last(talk.from(true)));
            expect("last partner's post", got.last_partner_post, last(talk.from(false)));
            expect("read by the partner", got.partner_read, talk.partner_read);
            expect("read by an owner", got.owner_read, talk.owner_read);
        }
    }
    static EventNumber last(const std::vector<Post>& posts) {
        return posts.empty() ? EventNumber{} : posts.back().number;
    }
    void wrong(const char* what, const std::string& which) {
        found_.add(words(id_, ": ", what, ' ', which, " is not as it must be in facts"));
    }
    template <class T, class U>
    void expect(const char* what, const T& got, const U& expected) {
        if (!(got == expected)) {
            found_.add(words(id_, ": ", what, " in facts is ", got, ", should be ", expected));
        }
    }

    const Facts& facts_;
    const ProgramId& id_;
    const Program& program_;
    Differences found_;
};

}  // namespace

std::vector<std::string> compare_facts(const Facts& facts, const Oracle& oracle) {
    std::vector<std::string> out;
    for (const auto& [id, program] : oracle.programs()) {
        const std::vector<std::string> found = FactsComparison(facts, id, program).run();
        out.insert(out.end(), found.begin(), found.end());
    }
    return out;
}

}  // namespace tidings::simulation
