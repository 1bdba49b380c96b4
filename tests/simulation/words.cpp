#include "tests/simulation/words.h"

namespace tidings::simulation {

std::string to_words(const Money& money) {
    std::string out = "{";
    for (const auto& [currency, amount] : money) {
        if (out.size() > 1) out += ' ';
        out += currency + ' ' + std::to_string(amount);
    }
    return out + "}";
}

std::string to_words(const Metrics& metrics) {
    return words("clicks ", metrics.clicks, " signups ", metrics.signups, " sales ", metrics.sales,
                 " paid ", metrics.paid_accounts, " revenue ", metrics.revenue, " commission ",
                 metrics.commission);
}

std::string to_words(const SourceStamp& stamp) { return words(stamp.micros, '/', stamp.tiebreak); }

std::string to_words(const PartnerState& partner) {
    return words('#', partner.ordinal, ' ', partner.id, " <", partner.email.stored(), "> '",
                 partner.name.stored(), "' '", partner.surname.stored(), "' ",
                 partner.erased ? "erased " : "", partner.status, ' ', partner.tags, " joined ",
                 partner.joined_at, ' ', partner.metrics, " stamps ", partner.profile_stamp, ' ',
                 partner.metrics_stamp);
}

std::string to_words(const Rejected& rejected) {
    return words(rejected.index, '@', rejected.message, ' ', rejected.code);
}

std::string to_words(const Actor& actor) {
    return words(actor.role, ' ', actor.sub.stored(), " '", actor.name.stored(), '\'');
}

std::string Differences::joined() const {
    std::string out;
    for (const std::string& one : found_) out += (out.empty() ? "" : "; ") + one;
    return out;
}

}  // namespace tidings::simulation
