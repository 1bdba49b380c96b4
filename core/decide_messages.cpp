// Deciding sends, opens, replies and read marks.
#include <algorithm>

#include "core/decide.h"
#include "core/deciding.h"
#include "core/limits.h"

namespace tidings::deciding {
namespace {

/// M7. True: refused.
bool refuse_plan(const Context& context) {
    if (has_messaging(context.program.plan)) return false;
    context.refuse(ErrorCode::plan_required,
                   "sending and replying need the Partner or Advanced plan");
    return true;
}

/// The message, if it exists and this partner received it; otherwise refuses.
std::optional<MessageFacts> received(const Context& context, EventNumber number,
                                     PartnerOrdinal partner) {
    auto message = context.facts.message(context.id(), number);
    if (!message || !message->recipients->contains(partner.value)) {
        context.refuse(ErrorCode::not_found, "no such message for this partner");
        return std::nullopt;
    }
    return message;
}

Bitmap only(PartnerOrdinal partner) {
    Bitmap set;
    set.add(partner.value);
    return set;
}

/// Times of the first opens among those given for all of a group, within [sent_at, now]. Empty: all
/// are `now`.
std::vector<Timestamp> times_of(const RecordOpens::Group& group, const Bitmap& first,
                                Timestamp sent_at, Timestamp now) {
    std::vector<Timestamp> out;
    if (group.at.empty()) return out;
    out.reserve(first.cardinality());
    bool all_now = true;
    std::size_t index = 0;
    auto wanted = first.begin();
    const auto end = first.end();
    for (const std::uint32_t partner : group.partners) {
        if (wanted == end) break;
        if (partner == *wanted) {
            // A log time before the send cannot be: sent_at is an earlier log time of the same
            // program.
            const Timestamp at = std::min(std::max(group.at[index], sent_at), now);
            all_now = all_now && at == now;
            out.push_back(at);
            ++wanted;
        }
        ++index;
    }
    if (all_now) out.clear();
    return out;
}

class Opens {
public:
    Opens(const Context& context, const RecordOpens& body) : context_(context), body_(body) {}

    void run() {
        if (!well_formed()) return;
        MessagesOpened opened;
        std::vector<ConversationRead> reads;
        for (const RecordOpens::Group& group : body_.groups) {
            const auto message = context_.facts.message(context_.id(), group.message);
            if (!message) {
                reject(group.message, group.partners, ErrorCode::not_found);
                continue;
            }
            Bitmap valid = group.partners & *message->recipients;
            const std::uint64_t asked = group.partners.cardinality();
            if (valid.cardinality() != asked) {
                reject(group.message, group.partners - valid, ErrorCode::not_a_recipient);
            }
            Bitmap first = context_.facts.unopened(context_.id(), group.message, valid);
            if (!first.isEmpty()) {
                auto at = times_of(group, first, message->sent_at, context_.now);
                context_.outcome.first_opens += static_cast<std::uint32_t>(first.cardinality());
                opened.groups.push_back({group.message, std::move(first), std::move(at)});
            }
            if (!mark_read(group.message, valid, reads)) return;
        }
        if (refuse_single()) return;
        if (!opened.groups.empty()) context_.emit(std::move(opened));
        for (const ConversationRead& read : reads) context_.emit(read);
    }

private:
    bool single() const {
        return body_.groups.size() == 1 && body_.groups.front().partners.cardinality() == 1;
    }

    /// What ingress always keeps to; anything else is refused by value (PROTOCOL.md rule 12).
    bool well_formed() const {
        std::uint64_t total = 0;
        EventNumber previous;
        for (const RecordOpens::Group& group : body_.groups) {
            const std::uint64_t count = group.partners.cardinality();
            total += count;
            if (group.message <= previous || count == 0 ||
                (!group.at.empty() && group.at.size() != count)) {
                context_.refuse(ErrorCode::invalid, "opens are not in order");
                return false;
            }
            previous = group.message;
        }
        if (total > limits::kOpensChunk) {
            context_.refuse(ErrorCode::invalid, "too many opens in one command");
            return false;
        }
        if (body_.up_to.value != 0 && !single()) {
            context_.refuse(ErrorCode::invalid, "needs a single open", "/up_to");
            return false;
        }
        return true;
    }

    void reject(EventNumber message, const Bitmap& partners, ErrorCode code) {
        for (const std::uint32_t partner : partners) {
            context_.outcome.rejected.push_back(Rejected{partner, message, code});
        }
    }

    /// Opening also reads the conversation, the first time and later. False: refused.
    bool mark_read(EventNumber message, const Bitmap& valid, std::vector<ConversationRead>& reads) {
        const Facts& facts = context_.facts;
        const Bitmap conversing = facts.conversing(context_.id(), message, valid);
        const EventNumber up_to = body_.up_to;
        if (up_to.value != 0 && !valid.isEmpty()) {
            const PartnerOrdinal partner{valid.minimum()};
            if (!facts.has_post(context_.id(), message, partner, up_to)) {
                context_.refuse(ErrorCode::invalid, "no post of this conversation", "/up_to");
                return false;
            }
        }
        for (const std::uint32_t ordinal : conversing) {
            const PartnerOrdinal partner{ordinal};
            const auto conversation = facts.conversation(context_.id(), message, partner);
            if (!conversation || conversation->last_owner_post <= conversation->partner_read) {
                continue;
            }
            const EventNumber last =
                std::max(conversation->last_owner_post, conversation->last_partner_post);
            const EventNumber read = up_to.value != 0 ? up_to : last;
            if (read > conversation->partner_read) reads.push_back({message, partner, false, read});
        }
        return true;
    }

    /// A single open is answered as such. The portal must not tell whether a message of others
    /// exists.
    bool refuse_single() {
        if (!single() || context_.outcome.rejected.empty()) return false;
        const ErrorCode code = context_.outcome.rejected.front().code;
        if (code == ErrorCode::not_a_recipient && context_.command.actor.role != Role::partner) {
            context_.refuse(code, "the partner did not receive this message");
        } else {
            context_.refuse(ErrorCode::not_found, "no such message for this partner");
        }
        return true;
    }

    const Context& context_;
    const RecordOpens& body_;
};

}  // namespace

void send_message(const Context& context, const SendMessage& body) {
    if (refuse_plan(context)) return;
    ResolvedAudience resolved = resolve_audience(context.facts, context.id(), body.audience);
    if (resolved.refusal) return context.refuse(std::move(*resolved.refusal));
    if (resolved.recipients.isEmpty()) {
        return context.refuse(ErrorCode::audience_empty, "no active partner is selected",
                              "/audience");
    }
    const Hash256 digest = audience_digest(resolved.recipients);
    if (body.expect_digest && *body.expect_digest != digest) {
        return context.refuse(ErrorCode::audience_changed,
                              "the audience is not the one that was reviewed", "/expect_digest");
    }
    context.outcome.answer = context.next_event();
    context.emit(MessageSent{.subject = body.subject,
                             .body = body.body,
                             .replies_enabled = body.replies_enabled,
                             .sender = context.command.actor,
                             .sent_at = context.now,
                             .audience = body.audience,
                             .plan = context.program.plan,
                             .recipients = std::move(resolved.recipients),
                             .digest = digest});
}

void record_opens(const Context& context, const RecordOpens& body) { Opens(context, body).run(); }

void post_reply(const Context& context, const PostReply& body) {
    const auto message = received(context, body.message, body.partner);
    if (!message) return;
    if (const auto partner = context.facts.partner(context.id(), body.partner);
        partner != nullptr && (partner->erased || is_stale(body.body, partner->key_epoch))) {
        return context.refuse(ErrorCode::not_found, "this partner was erased");
    }
    if (refuse_plan(context)) return;
    if (!message->replies_enabled) {
        return context.refuse(ErrorCode::replies_disabled, "this message takes no replies");
    }
    const bool from_owner = context.command.actor.role != Role::partner;
    if (!from_owner) {
        Bitmap first = context.facts.unopened(context.id(), body.message, only(body.partner));
        if (!first.isEmpty()) {
            MessagesOpened opened;
            opened.groups.push_back({body.message, std::move(first), {}});
            context.outcome.first_opens = 1;
            context.emit(std::move(opened));
        }
    }
    context.outcome.answer = context.next_event();
    context.emit(ReplyPosted{.message = body.message,
                             .partner = body.partner,
                             .from_owner = from_owner,
                             .author = context.command.actor,
                             .body = body.body,
                             .posted_at = context.now});
}

void mark_read(const Context& context, const MarkRead& body) {
    if (!received(context, body.message, body.partner)) return;
    const auto conversation = context.facts.conversation(context.id(), body.message, body.partner);
    if (!conversation || conversation->last_partner_post <= conversation->owner_read) return;
    context.emit(
        ConversationRead{body.message, body.partner, true, conversation->last_partner_post});
}

}  // namespace tidings::deciding
