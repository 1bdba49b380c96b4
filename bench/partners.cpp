#include "bench/partners.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <random>

namespace tidings::bench {

namespace {

constexpr std::array<const char*, 16> kNames = {
    "Ada",  "Alan",     "Barbara", "Claude",   "Donald",  "Edsger", "Frances", "Grace",
    "John", "Kathleen", "Leslie",  "Margaret", "Niklaus", "Radia",  "Tony",    "Zoë"};
constexpr std::array<const char*, 16> kSurnames = {
    "Lovelace", "Turing", "Liskov",  "Shannon",  "Knuth", "Dijkstra", "Allen", "Hopper",
    "McCarthy", "Booth",  "Lamport", "Hamilton", "Wirth", "Perlman",  "Hoare", "Ząbek"};
constexpr std::int64_t kJoinedMs = 1'600'000'000'000;  // 2020-09-13

struct Profile {
    std::uint64_t bits;
    const char* name() const { return kNames[bits & 15]; }
    const char* surname() const { return kSurnames[(bits >> 4) & 15]; }
    std::uint64_t clicks() const { return (bits >> 8) % 5'000; }
    std::uint64_t signups() const { return clicks() / 10; }
    std::uint64_t sales() const { return clicks() / 50; }
    std::int64_t revenue_cents() const {
        return static_cast<std::int64_t>((bits >> 24) % 1'000'000);
    }
    std::int64_t joined_day() const { return static_cast<std::int64_t>((bits >> 44) % 1'000); }
};

Profile profile(std::uint64_t index) { return {mix(index)}; }

std::string email(std::uint64_t index, const Profile& is) {
    std::string out = is.name()[0] == 'Z' ? "zoe" : is.name();
    out += '.' + std::to_string(index) + "@partners.example";
    return out;
}

}  // namespace

std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

PartnerId partner_id(std::uint64_t index) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "p%08llu", static_cast<unsigned long long>(index));
    return {text.data()};
}

bool has_tag(std::uint64_t index, unsigned tag) {
    return ((mix(index ^ 0x7461675f62697473) >> (8 * tag)) & 7) < 3;
}

std::string tag_name(unsigned tag) { return "group" + std::to_string(tag); }

PartnerPatch partner_patch(std::uint64_t index) {
    const Profile is = profile(index);
    PartnerPatch out;
    out.id = partner_id(index);
    out.email = email(index, is);
    out.name = is.name();
    out.surname = is.surname();
    std::vector<std::string> tags;
    for (unsigned tag = 0; tag < kTags; ++tag) {
        if (has_tag(index, tag)) tags.push_back(tag_name(tag));
    }
    out.tags = std::move(tags);
    out.joined_at = Timestamp{kJoinedMs + is.joined_day() * 86'400'000};
    out.metrics.clicks = is.clicks();
    out.metrics.signups = is.signups();
    out.metrics.sales = is.sales();
    out.metrics.revenue["USD"] = is.revenue_cents() * 10'000;
    return out;
}

void append_partner_line(std::uint64_t index, std::string& out) {
    const Profile is = profile(index);
    out += R"({"id":")" + partner_id(index).value + R"(","email":")" + email(index, is) +
           R"(","name":")" + is.name() + R"(","surname":")" + is.surname() + R"(","tags":[)";
    bool first = true;
    for (unsigned tag = 0; tag < kTags; ++tag) {
        if (!has_tag(index, tag)) continue;
        if (!first) out += ',';
        out += '"' + tag_name(tag) + '"';
        first = false;
    }
    out += R"(],"metrics":{"clicks":)" + std::to_string(is.clicks()) + R"(,"signups":)" +
           std::to_string(is.signups()) + R"(,"sales":)" + std::to_string(is.sales());
    const std::int64_t cents = is.revenue_cents();
    std::string money = std::to_string(cents / 100);
    if (cents % 100 != 0) {
        money += '.' + std::to_string(cents % 100 / 10);
        if (cents % 10 != 0) money += std::to_string(cents % 10);
    }
    out += R"(,"revenue":{"USD":")" + money + "\"}}}\n";
}

std::vector<std::uint32_t> sample_partners(std::uint64_t partners, std::size_t count,
                                           std::uint64_t seed) {
    std::vector<std::uint32_t> out(partners);
    std::iota(out.begin(), out.end(), 0);
    std::mt19937_64 random(seed);
    if (count > out.size()) count = out.size();
    for (std::size_t i = 0; i < count; ++i) {
        std::swap(out[i], out[i + random() % (out.size() - i)]);
    }
    out.resize(count);
    return out;
}

}  // namespace tidings::bench
