// Sends, opens, replies and read marks.
#include <algorithm>

#include "core/limits.h"
#include "tests/simulation/oracle_rules.h"

namespace tidings::simulation {
namespace {

/// Nothing if there is no such message or the partner did not receive it: to callers the same.
Message* received(Program& program, EventNumber number, PartnerOrdinal partner) {
    const auto found = program.messages.find(number);
    if (found == program.messages.end() || !found->second.recipients.contains(partner)) {
        return nullptr;
    }
    return &found->second;
}

/// Shapes that ingress makes: the only ones that PRODUCT.md gives a meaning.
bool well_formed(const RecordOpens& opens) {
    std::uint64_t total = 0;
    EventNumber last;
    for (const RecordOpens::Group& group : opens.groups) {
        const std::uint64_t count = group.partners.cardinality();
        if (&group != &opens.groups.front() && group.message <= last) return false;
        if (count == 0 || (!group.at.empty() && group.at.size() != count)) return false;
        last = group.message;
        total += count;
    }
    const bool one = opens.groups.size() == 1 && total == 1;
    return total <= limits::kOpensChunk && (opens.up_to.value == 0 || one);
}

bool has_post(const Conversation& conversation, EventNumber number) {
    return std::any_of(conversation.posts.begin(), conversation.posts.end(),
                       [number](const Post& post) { return post.number == number; });
}

class Opening {
public:
    Opening(Program& program, const RecordOpens& opens, const Occasion& occasion)
        : program_(program), opens_(opens), occasion_(occasion) {}

    Verdict run() {
        if (!well_formed(opens_)) return Verdict::refuse(ErrorCode::invalid, std::nullopt);
        const bool alone =
            opens_.groups.size() == 1 && opens_.groups.front().partners.cardinality() == 1;
        for (const RecordOpens::Group& group : opens_.groups) {
            std::size_t index = 0;
            for (const std::uint32_t ordinal : group.partners) {
                const Timestamp at = group.at.empty() ? occasion_.now : group.at[index];
                ++index;
                if (!open(group.message, {ordinal}, at)) {
                    return Verdict::refuse(ErrorCode::invalid, "/up_to");
                }
            }
        }
        if (alone && !out_.rejected.empty()) return refuse_one();
        if (changed_) out_.status = OutcomeStatus::applied;
        return std::move(out_);
    }

private:
    /// To a partner, a message that it did not receive does not exist.
    Verdict refuse_one() const {
        const bool partner = occasion_.command.actor.role == Role::partner;
        Verdict out = Verdict::refuse(partner ? ErrorCode::not_found : out_.rejected.front().code);
        out.rejected = out_.rejected;  // no document says so, but it is true of a part alone too
        return out;
    }

    /// False if `up_to` names no post of this conversation; then nothing has changed.
    bool open(EventNumber number, PartnerOrdinal partner, Timestamp at) {
        Message* message = received(program_, number, partner);
        if (message == nullptr) {
            const bool exists = program_.messages.contains(number);
            out_.rejected.push_back({partner.value, number,
                                     exists ? ErrorCode::not_a_recipient : ErrorCode::not_found});
            return true;
        }
        const auto conversation = message->conversations.find(partner);
        const bool talks = conversation != message->conversations.end();
        if (opens_.up_to.value != 0 && !(talks && has_post(conversation->second, opens_.up_to))) {
            return false;
        }
        // Nobody can have read it before it was sent, nor later than now.
        const Timestamp kept = std::clamp(at, message->sent_at, occasion_.now);
        if (message->opened.emplace(partner, kept).second) {
            ++out_.first_opens;
            changed_ = true;
        }
        if (talks) read(conversation->second);
        return true;
    }

    void read(Conversation& conversation) {
        const EventNumber up_to =
            opens_.up_to.value != 0 ? opens_.up_to : conversation.posts.back().number;
        if (up_to <= conversation.partner_read) return;
        conversation.partner_read = up_to;
        changed_ = true;
    }

    Program& program_;
    const RecordOpens& opens_;
    const Occasion& occasion_;
    Verdict out_;
    bool changed_ = false;
};

}  // namespace

std::vector<Post> Conversation::from(bool owner) const {
    std::vector<Post> out;
    for (const Post& post : posts) {
        if (post.from_owner == owner) out.push_back(post);
    }
    return out;
}

bool Conversation::unread_by_partner() const {
    const std::vector<Post> written = from(true);
    return !written.empty() && written.back().number > partner_read;
}

std::size_t Conversation::unread_replies() const {
    const std::vector<Post> replies = from(false);
    return static_cast<std::size_t>(
        std::count_if(replies.begin(), replies.end(),
                      [this](const Post& post) { return post.number > owner_read; }));
}

const Conversation& Message::conversation(PartnerOrdinal partner) const {
    static const Conversation kNone;
    const auto found = conversations.find(partner);
    return found == conversations.end() ? kNone : found->second;
}

bool Message::replied(PartnerOrdinal partner) const {
    return !conversation(partner).from(false).empty();
}

bool Message::unread(PartnerOrdinal partner) const {
    return !opened.contains(partner) || conversation(partner).unread_by_partner();
}

Verdict judge(Program& program, const SendMessage& send, const Occasion& occasion) {
    if (!has_messaging(program.plan)) return Verdict::refuse(ErrorCode::plan_required);
    Selected selected = select(program, send.audience);
    if (selected.refusal) return Verdict::refuse(selected.refusal->code, selected.refusal->pointer);
    if (selected.partners.empty()) return Verdict::refuse(ErrorCode::audience_empty, "/audience");
    if (send.expect_digest && *send.expect_digest != digest_of(selected.partners)) {
        return Verdict::refuse(ErrorCode::audience_changed, "/expect_digest");
    }
    Message message;
    message.subject = send.subject;
    message.body = send.body;
    message.replies_enabled = send.replies_enabled;
    message.sender = occasion.command.actor;
    message.sent_at = occasion.now;
    message.plan = program.plan;
    message.audience = send.audience;
    message.recipients = selected.partners;
    program.messages[occasion.number] = std::move(message);
    Verdict out = Verdict::changed(true);
    out.makes_one = true;
    out.recipients = std::move(selected.partners);
    return out;
}

Verdict judge(Program& program, const RecordOpens& opens, const Occasion& occasion) {
    return Opening(program, opens, occasion).run();
}

Verdict judge(Program& program, const PostReply& reply, const Occasion& occasion) {
    // Objects before the plan (API.md, order of checks).
    Message* message = received(program, reply.message, reply.partner);
    const bool gone = message == nullptr || program.partners.at(reply.partner.value).erased;
    if (gone) return Verdict::refuse(ErrorCode::not_found);
    if (!has_messaging(program.plan)) return Verdict::refuse(ErrorCode::plan_required);
    if (!message->replies_enabled) return Verdict::refuse(ErrorCode::replies_disabled);
    Verdict out = Verdict::changed(true);
    out.makes_one = true;
    const Command& command = occasion.command;
    const bool from_owner = command.actor.role != Role::partner;
    Conversation& conversation = message->conversations[reply.partner];
    conversation.posts.push_back(
        {occasion.number, from_owner, command.actor, reply.body, occasion.now});
    // Who writes has read what was written before.
    (from_owner ? conversation.owner_read : conversation.partner_read) = occasion.number;
    if (!from_owner && message->opened.emplace(reply.partner, occasion.now).second) {
        out.first_opens = 1;
    }
    return out;
}

Verdict judge(Program& program, const MarkRead& mark, const Occasion&) {
    Message* message = received(program, mark.message, mark.partner);
    if (message == nullptr) return Verdict::refuse(ErrorCode::not_found);
    const auto conversation = message->conversations.find(mark.partner);
    if (conversation == message->conversations.end() ||
        conversation->second.unread_replies() == 0) {
        return Verdict::changed(false);
    }
    conversation->second.owner_read = conversation->second.posts.back().number;
    return Verdict::changed(true);
}

}  // namespace tidings::simulation
