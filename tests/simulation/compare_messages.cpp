// Sent messages: what was sent, statistics, recipients by state, opens by time.
#include "tests/simulation/compare_program.h"

namespace tidings::simulation {
namespace {

/// "msg_", the program's 16 digits (not checked here), and the event number as 16 hex digits.
std::string id_end(EventNumber number) {
    std::string out;
    for (int shift = 60; shift >= 0; shift -= 4) {
        out += "0123456789abcdef"[(number.value >> shift) & 15];
    }
    return out;
}

/// The body on one line, at most 140 code points; white space at the ends does not count.
std::string one_line(const std::string& body) {
    std::string out;
    for (const char byte : body) {
        const bool space = byte == ' ' || (byte >= '\t' && byte <= '\r');
        if (!space) {
            out += byte;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    std::size_t points = 0, end = 0;
    for (; end < out.size(); ++end) {
        const bool starts = (static_cast<unsigned char>(out[end]) & 0xC0) != 0x80;
        if (starts && ++points > 140) break;
    }
    out.resize(end);
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

std::string show(const MessageStats& stats) {
    return words(stats.recipients, " recipients, ", stats.opens, " opens, ", stats.replied,
                 " replied, ", stats.unread_replies, " unread");
}

MessageStats stats_of(const Message& message) {
    MessageStats out;
    out.recipients = message.recipients.size();
    out.opens = message.opened.size();
    for (const PartnerOrdinal partner : message.recipients) {
        if (message.replied(partner)) ++out.replied;
        out.unread_replies += message.conversation(partner).unread_replies();
    }
    return out;
}

const char* state_words(RecipientState state) {
    switch (state) {
        case RecipientState::all:
            return "all";
        case RecipientState::opened:
            return "opened";
        case RecipientState::unopened:
            return "unopened";
        case RecipientState::replied:
            return "replied";
    }
    return "";
}

std::int64_t milliseconds(OpensInterval interval) {
    switch (interval) {
        case OpensInterval::minute:
            return 60'000;
        case OpensInterval::hour:
            return 60 * 60'000;
        case OpensInterval::day:
            return 24 * 60 * 60'000;
    }
    return 1;
}

std::vector<PartnerOrdinal> in_state(const Message& message, RecipientState state) {
    std::vector<PartnerOrdinal> out;
    for (const PartnerOrdinal one : message.recipients) {
        const bool opened = message.opened.contains(one);
        if (state == RecipientState::opened && !opened) continue;
        if (state == RecipientState::unopened && opened) continue;
        if (state == RecipientState::replied && !message.replied(one)) continue;
        out.push_back(one);
    }
    if (state == RecipientState::replied) {
        std::sort(out.begin(), out.end(), [&message](PartnerOrdinal left, PartnerOrdinal right) {
            return message.conversation(left).from(false).back().number >
                   message.conversation(right).from(false).back().number;
        });
    }
    return out;
}

std::string row_words(const std::string& partner, std::optional<Timestamp> opened,
                      std::optional<Timestamp> first, std::optional<Timestamp> last,
                      std::uint64_t unread) {
    return words(partner, " opened ", opened, " replied ", first, " to ", last, ", ", unread,
                 " unread");
}

std::string row_words(const std::string& partner, const Message& message, PartnerOrdinal ordinal) {
    const Conversation& talk = message.conversation(ordinal);
    const std::vector<Post> replies = talk.from(false);
    std::optional<Timestamp> opened, first, last;
    if (message.opened.contains(ordinal)) opened = message.opened.at(ordinal);
    if (!replies.empty()) first = replies.front().posted_at;
    if (!replies.empty()) last = replies.back().posted_at;
    return row_words(partner, opened, first, last, talk.unread_replies());
}

}  // namespace

void ProgramComparison::messages() {
    std::vector<std::string> expected;
    for (auto one = program_.messages.rbegin(); one != program_.messages.rend(); ++one) {
        expected.push_back(words(one->first));
    }
    list(
        "messages", small(), expected,
        [this](const PageRequest& page) { return models_.messages(id_, page); },
        [this](const MessageView& row) {
            const auto known = program_.messages.find(row.card->number);
            if (known != program_.messages.end()) message(known->first, known->second, row);
            return words(row.card->number);
        });
    for (const auto& [number, sent] : program_.messages) {
        const std::optional<MessageView> view = models_.message(id_, number);
        if (!view) {
            wrong(words("message ", number, " is unknown"));
            continue;
        }
        message(number, sent, *view);
        expect(words("statistics of ", number), simulation::show(models_.stats(id_, number)),
               simulation::show(stats_of(sent)));
        recipients(number, sent, RecipientState::all, "");
        recipients(number, sent, RecipientState::replied, "");
        if (!full_) continue;
        recipients(number, sent, RecipientState::opened, "");
        recipients(number, sent, RecipientState::unopened, "");
        for (const std::string& query : searches(program_)) {
            recipients(number, sent, static_cast<RecipientState>(query.size() % 4), query);
        }
        opens(number, sent, OpensInterval::minute);
        opens(number, sent, OpensInterval::hour);
        opens(number, sent, OpensInterval::day);
    }
    if (full_) exports();
}

void ProgramComparison::message(EventNumber number, const Message& message,
                                const MessageView& view) {
    const std::string what = words("message ", number, ' ');
    card(number, message, *view.card);
    expect(what + "body", view.body, message.body);
    if (view.audience != message.audience) wrong(what + "audience is not as sent");
    expect(what + "statistics", simulation::show(view.stats), simulation::show(stats_of(message)));
}

void ProgramComparison::card(EventNumber number, const Message& message, const MessageCard& card) {
    const std::string what = words("message ", number, ' ');
    expect(what + "number", card.number, number);
    const bool long_enough = card.id.size() == 36 && card.id.compare(0, 4, "msg_") == 0;
    expect(what + "id", long_enough ? card.id.substr(20) : card.id, id_end(number));
    expect(what + "subject", card.subject, message.subject);
    std::string preview = card.preview;
    while (!preview.empty() && preview.back() == ' ') preview.pop_back();
    expect(what + "preview", preview, one_line(message.body));
    expect(what + "replies enabled", card.replies_enabled, message.replies_enabled);
    expect(what + "sender", card.sender, message.sender);
    expect(what + "sent at", card.sent_at, message.sent_at);
    expect(what + "plan", card.plan, message.plan);
    expect(what + "digest", card.digest, digest_of(message.recipients));
    expect(what + "recipients", card.recipients, message.recipients.size());
}

void ProgramComparison::recipients(EventNumber number, const Message& message, RecipientState state,
                                   const std::string& query) {
    std::vector<std::string> expected;
    for (const PartnerOrdinal one : in_state(message, state)) {
        if (!is_found(partner(one), query)) continue;
        expected.push_back(row_words(show(partner(one)), message, one));
    }
    const std::string what =
        words("recipients of ", number, ' ', state_words(state), " '", query, '\'');
    list(
        what, query.empty() ? small() : 9, expected,
        [&](const PageRequest& page) {
            return models_.recipients(id_, number, state, query, page);
        },
        [this](const RecipientRow& row) {
            return row_words(show(row.partner.state), row.opened_at, row.first_replied_at,
                             row.last_replied_at, row.unread_replies);
        });
}

void ProgramComparison::opens(EventNumber number, const Message& message, OpensInterval interval) {
    const std::int64_t size = milliseconds(interval);
    std::map<std::int64_t, std::uint64_t> counts;
    for (const auto& [partner, at] : message.opened) ++counts[at.value / size * size];
    std::vector<std::string> expected, got;
    for (const auto& [at, opens] : counts) expected.push_back(words(at, ": ", opens));
    for (const OpensBucket& bucket : models_.opens(id_, number, interval)) {
        got.push_back(words(bucket.at, ": ", bucket.opens));
    }
    expect(words("opens of ", number, " by ", size, " ms"), got, expected);
}

/// Whole tables.
void ProgramComparison::exports() {
    std::vector<std::string> sent, received, opened, said;
    for (const auto& [number, message] : program_.messages) {
        sent.push_back(words(number, ' ', message.body));
        for (const PartnerOrdinal one : in_state(message, RecipientState::all)) {
            const std::string who = words(number, ' ', show(partner(one)), ' ');
            received.push_back(words(number, ' ', row_words(show(partner(one)), message, one)));
            if (message.opened.contains(one)) opened.push_back(who + words(message.opened.at(one)));
            for (const Post& post : message.conversation(one).posts) {
                said.push_back(who + words(post.number, ' ', post.body.plain()));
            }
        }
    }
    expect("exported messages", exported(ExportTable::messages), sent);
    expect("exported recipients", exported(ExportTable::recipients), received);
    expect("exported opens", exported(ExportTable::opens), opened);
    expect("exported conversations", exported(ExportTable::conversations), said);
}

std::vector<std::string> ProgramComparison::exported(ExportTable table) const {
    std::vector<std::string> out;
    const auto rows = models_.export_rows({id_, table, std::nullopt});
    while (const auto slice = rows->next()) {
        if (slice->sent) out.push_back(words(slice->message->number, ' ', slice->sent->body));
        for (const RecipientRow& row : slice->recipients) {
            const std::string who = show(row.partner.state);
            out.push_back(words(slice->message->number, ' ') +
                          (table == ExportTable::opens
                               ? words(who, ' ', row.opened_at)
                               : row_words(who, row.opened_at, row.first_replied_at,
                                           row.last_replied_at, row.unread_replies)));
        }
        for (const ExportedPost& said : slice->posts) {
            out.push_back(words(slice->message->number, ' ', show(said.partner), ' ',
                                said.post.number, ' ', said.post.body));
        }
    }
    return out;
}

}  // namespace tidings::simulation
