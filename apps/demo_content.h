// What the demo program consists of: names, tags, performance, messages, conversations. Pure and
// the same at every start; only dates are relative to now.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidings::apps::demo {

struct Partner {
    std::string id, email, name, surname, status;
    std::vector<std::string> tags;
    int joined_days_ago = 0;
    std::uint64_t clicks = 0, signups = 0, sales = 0, paid_accounts = 0;
    std::string currency;
    std::uint64_t revenue_cents = 0, commission_cents = 0;
    double eagerness = 0;  ///< 0-1: how likely it opens a message
};
/// In the order of their ids, p-1001 on.
std::vector<Partner> partners();

struct Message {
    double hours_ago = 0;
    std::string_view subject, body;
    bool replies = false;
    /// JSON of the audience; "$N" stands for the id of message N of this list.
    std::string_view audience;
    double appeal = 1;  ///< factor on the recipients' eagerness
};
/// Oldest first.
const std::vector<Message>& messages();

struct Post {
    bool from_owner = false;
    double hours_ago = 0;
    std::string_view body;
};
struct Conversation {
    std::size_t message = 0;
    std::string_view partner;    ///< id
    std::vector<Post> posts;     ///< oldest first
    double read_hours_ago = -1;  ///< when the partner read the last one; negative: not yet
};
const std::vector<Conversation>& conversations();

/// Whom the printed commands act as. The first has an unread message and a conversation in which
/// the owner spoke last; the second has read everything.
inline constexpr std::array<std::string_view, 2> kGuides{"p-1063", "p-1007"};

/// Hours after it was sent until `partner` opens `message`; negative: never. The same for the same
/// arguments.
double opening_delay_hours(std::size_t partner, const Partner& who, std::size_t message);

}  // namespace tidings::apps::demo
