// What partners see: inboxes and conversations; the same on the profile's Messages tab.
#include "tests/simulation/compare_program.h"

namespace tidings::simulation {
namespace {

std::string show(const Post& post) {
    return words(post.number, post.from_owner ? " owner " : " partner ", post.author.sub.plain(),
                 " '", post.author.name.plain(), "' at ", post.posted_at, ": ", post.body.plain());
}

Post as_post(const PostView& view) {
    return {view.number,
            view.from_owner,
            {Role::owner, view.author_id, view.author_name},
            view.body,
            view.posted_at};
}

std::optional<Timestamp> opened_at(const Message& message, PartnerOrdinal partner) {
    const auto found = message.opened.find(partner);
    if (found == message.opened.end()) return std::nullopt;
    return found->second;
}

struct Row {
    EventNumber number;
    bool unread = false, can_reply = false;
    std::size_t posts = 0, unread_replies = 0;
    std::optional<Timestamp> opened, replied;
};

std::string show(const Row& row) {
    return words(row.number, row.unread ? " unread" : "", row.can_reply ? " can reply" : "", ' ',
                 row.posts, " posts, ", row.unread_replies, " unread, opened ", row.opened,
                 ", replied ", row.replied);
}

}  // namespace

void ProgramComparison::inbox(PartnerOrdinal partner) {
    std::uint64_t total = 0, unread = 0;
    for (const auto& [number, message] : program_.messages) {
        if (full_) conversation(number, message, partner);
        if (!message.recipients.contains(partner)) continue;
        ++total;
        if (message.unread(partner)) ++unread;
    }
    const InboxSummary summary = models_.inbox_summary(id_, partner);
    expect(words("received by #", partner), summary.total, total);
    expect(words("unread by #", partner), summary.unread, unread);
    inbox_list(partner, false, true);
    if (!full_) return;
    inbox_list(partner, true, false);
    inbox_list(partner, true, true);
    inbox_list(partner, false, false);
}

void ProgramComparison::inbox_list(PartnerOrdinal partner, bool unread_only, bool times) {
    std::vector<std::string> expected;
    for (auto one = program_.messages.rbegin(); one != program_.messages.rend(); ++one) {
        const auto& [number, message] = *one;
        if (!message.recipients.contains(partner)) continue;
        if (unread_only && !message.unread(partner)) continue;
        const Conversation& talk = message.conversation(partner);
        const std::vector<Post> replies = talk.from(false);
        Row row{number,
                message.unread(partner),
                message.replies_enabled && has_messaging(program_.plan),
                talk.posts.size(),
                talk.unread_replies(),
                {},
                {}};
        if (times) row.opened = opened_at(message, partner);
        if (times && !replies.empty()) row.replied = replies.back().posted_at;
        expected.push_back(simulation::show(row));
    }
    const std::string what =
        words("inbox of #", partner, unread_only ? ", unread" : "", times ? ", with times" : "");
    list(
        what, small(), expected,
        [&](const PageRequest& page) {
            return models_.inbox(id_, partner, unread_only, times, page);
        },
        [this, times](const InboxRow& row) {
            const auto known = program_.messages.find(row.card->number);
            if (known != program_.messages.end()) card(known->first, known->second, *row.card);
            Row got{
                row.card->number, row.unread, row.can_reply, row.posts, row.unread_replies, {}, {}};
            // Without `times` nothing is promised about them.
            if (times) got.opened = row.opened_at;
            if (times) got.replied = row.replied_at;
            return simulation::show(got);
        });
}

void ProgramComparison::conversation(EventNumber number, const Message& message,
                                     PartnerOrdinal partner) {
    const std::string what = words("conversation of #", partner, " about ", number, ' ');
    const bool received = message.recipients.contains(partner);
    expect(what + "receipt", models_.is_recipient(id_, number, partner), received);
    const std::optional<ConversationView> view = models_.conversation(id_, number, partner);
    if (view.has_value() != received) return wrong(what + (received ? "is missing" : "is shown"));
    const std::optional<Timestamp> opened = opened_at(message, partner);
    expect(what + "open", models_.opened_at(id_, number, partner), opened);
    if (!received) return;
    card(number, message, *view->card);
    expect(what + "body", view->body, message.body);
    expect(what + "partner", show(view->partner.state), show(this->partner(partner)));
    expect(what + "opened at", view->opened_at, opened);
    expect(what + "can reply", view->can_reply,
           message.replies_enabled && has_messaging(program_.plan));
    std::vector<std::string> got, expected;
    for (const PostView& post : view->posts) got.push_back(simulation::show(as_post(post)));
    for (const Post& post : message.conversation(partner).posts) {
        expected.push_back(simulation::show(post));
        const std::optional<PostView> alone = models_.post(id_, number, partner, post.number);
        expect(what + "post", alone ? simulation::show(as_post(*alone)) : "unknown",
               simulation::show(post));
    }
    expect(what + "posts", got, expected);
    if (models_.post(id_, number, partner, number)) wrong(what + "has a post that is none");
}

}  // namespace tidings::simulation
