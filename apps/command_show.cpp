// `tidings show` and `tidings why`: what the API answers, now or at an older position, from the
// data directory alone.
#include <cstdio>
#include <functional>

#include "apps/command_history.h"
#include "apps/commands.h"
#include "connectors/http/render.h"
#include "connectors/http/render_receipt.h"
#include "connectors/positions.h"
#include "core/limits.h"
#include "core/time.h"
#include "events/codec.h"
#include "events/json_output.h"

namespace tidings::apps {

namespace {

struct ShowOptions {
    PlaceOptions place;
    std::string message, partner;
    std::string state = "all";
    bool json = false;
};

/// What a subcommand looks at.
struct ShownPlace {
    ProgramId program;
    PartitionId partition;
    std::shared_ptr<const Past> past;
    const Models& models() const { return past->models(); }
};

Error missing(const char* what) {
    return {ErrorCode::not_found, std::string("no such ") + what + " at that position", {}};
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void print_line(const std::string& text) { print(text + "\n"); }

std::string time_text(const std::optional<Timestamp>& time) {
    return time ? format_time(*time) : std::string("-");
}

std::string name_of(const PartnerView& partner) {
    const PartnerTexts& texts = partner.texts;
    if (partner->erased) return partner->id.value + "  (erased)";
    return partner->id.value + "  " + texts.email + "  " + texts.name +
           (texts.surname.empty() ? "" : " " + texts.surname);
}

std::string name_of(const Actor& actor) {
    return actor.name.plain() + " (" + actor.sub.plain() + ")";
}

Result<PartnerPtr> find_partner(const ShownPlace& place, const std::string& id) {
    auto partner = place.models().partner(place.program, PartnerId{id});
    if (!partner) return missing("partner");
    return partner;
}

Result<MessageView> find_message(const ShownPlace& place, const std::string& id) {
    const auto number = parse_message_id(place.program, id);
    if (!number) return missing("message");
    auto message = place.models().message(place.program, *number);
    if (!message) return missing("message");
    return std::move(*message);
}

Result<void> show_message(const ShownPlace& place, const ShowOptions& options) {
    const auto message = find_message(place, options.message);
    if (!message) return message.error();
    if (options.json) {
        print_line(http::render_message(place.program, *message));
        return {};
    }
    const MessageCard& card = *message->card;
    std::string audience;
    append_audience(audience, place.program, message->audience);
    print_line(card.id + "  " + card.subject);
    print_line("sent        " + format_time(card.sent_at) + " by " + name_of(card.sender) +
               ", plan " + name_of(card.plan));
    print_line("audience    " + audience);
    print_line("digest      " + to_hex(card.digest.view()));
    print_line(std::string("replies     ") + (card.replies_enabled ? "enabled" : "disabled"));
    const MessageStats& stats = message->stats;
    std::printf("recipients  %llu, %llu opened (%.1f%%), %llu replied, %llu unread replies\n\n",
                static_cast<unsigned long long>(stats.recipients),
                static_cast<unsigned long long>(stats.opens), stats.open_rate() * 100,
                static_cast<unsigned long long>(stats.replied),
                static_cast<unsigned long long>(stats.unread_replies));
    print_line(message->body);
    return {};
}

/// All pages of a list: as one JSON document of the API's shape, or a line a row.
template <class Row, class Ask, class Render, class Line>
Result<void> show_list(bool json, Ask ask, Render render, Line line) {
    constexpr std::string_view kTail = "],\"next_cursor\":null}";
    PageRequest request{limits::kPageMax, {}};
    bool first = true;
    do {
        Result<Page<Row>> page = ask(request);
        if (!page) return page.error();
        request.cursor = std::exchange(page->next_cursor, std::string());
        if (json) {
            std::string piece = render(*page);
            if (!first) piece.replace(0, std::string_view("{\"data\":[").size(), ",");
            if (!request.cursor.empty()) piece.resize(piece.size() - kTail.size());
            print(request.cursor.empty() ? piece + "\n" : piece);
        } else {
            for (const Row& row : page->rows) print_line(line(row));
        }
        first = false;
    } while (!request.cursor.empty());
    return {};
}

Result<void> show_recipients(const ShownPlace& place, const ShowOptions& options) {
    const auto message = find_message(place, options.message);
    if (!message) return message.error();
    RecipientState state = RecipientState::all;
    if (options.state == "opened") state = RecipientState::opened;
    if (options.state == "unopened") state = RecipientState::unopened;
    if (options.state == "replied") state = RecipientState::replied;
    const auto ask = [&](const PageRequest& page) {
        return place.models().recipients(place.program, message->card->number, state, "", page);
    };
    const auto line = [](const RecipientRow& row) {
        return name_of(row.partner) + "  opened " + time_text(row.opened_at) + "  replied " +
               time_text(row.last_replied_at) + "  unread " + std::to_string(row.unread_replies);
    };
    return show_list<RecipientRow>(options.json, ask, http::render_recipients, line);
}

Result<void> show_inbox(const ShownPlace& place, const ShowOptions& options) {
    const auto partner = find_partner(place, options.partner);
    if (!partner) return partner.error();
    const auto ask = [&](const PageRequest& page) {
        return place.models().inbox(place.program, (*partner)->ordinal, false, true, page);
    };
    const auto line = [](const InboxRow& row) {
        return row.card->id + "  " + format_time(row.card->sent_at) +
               (row.unread ? "  unread" : "  read  ") + "  opened " + time_text(row.opened_at) +
               "  replied " + time_text(row.replied_at) + "  " + row.card->subject;
    };
    return show_list<InboxRow>(options.json, ask, http::render_profile_messages, line);
}

Result<void> show_conversation(const ShownPlace& place, const ShowOptions& options) {
    const auto partner = find_partner(place, options.partner);
    if (!partner) return partner.error();
    const auto number = parse_message_id(place.program, options.message);
    if (!number) return missing("message");
    const auto found = place.models().conversation(place.program, *number, (*partner)->ordinal);
    if (!found) return missing("message");
    if (options.json) {
        print_line(http::render_conversation(place.program, *found, http::Viewer::owner));
        return {};
    }
    print_line(found->card->id + "  " + found->card->subject);
    print_line("with        " + name_of(found->partner));
    print_line("opened      " + time_text(found->opened_at));
    for (const PostView& post : found->posts) {
        print_line("\n" + format_time(post.posted_at) + "  " + post.author_name + " (" +
                   post.author_id + "):\n" + post.body);
    }
    return {};
}

Result<void> show_partner(const ShownPlace& place, const ShowOptions& options) {
    const auto partner = find_partner(place, options.partner);
    if (!partner) return partner.error();
    const PartnerView view{*partner, place.models().texts(place.program).show(**partner)};
    const std::string json = http::render_partner(*view.state, view.texts);
    if (options.json) {
        print_line(json);
        return {};
    }
    std::string tags, metrics;
    for (const std::string& tag : (*partner)->tags) tags += (tags.empty() ? "" : ", ") + tag;
    append_metrics(metrics, (*partner)->metrics);
    print_line(name_of(view));
    print_line(std::string("status      ") + name_of((*partner)->status));
    print_line("joined      " + format_time((*partner)->joined_at));
    print_line("tags        " + tags);
    print_line("metrics     " + metrics);
    return {};
}

using Show = Result<void> (*)(const ShownPlace&, const ShowOptions&);

Result<void> run_show(const ShowOptions& options, Show show) {
    auto history = CommandHistory::open(options.place);
    if (!history) return history.error();
    const auto program = history->find_program(options.place.program, options.message);
    if (!program) return program.error();
    auto past = history->at(*program, options.place.as_of);
    if (!past) return past.error();
    const ShownPlace place{*program, history->partition_of(*program), std::move(*past)};
    Result<void> shown = show(place, options);
    if (shown) tell_cost(place.partition, *place.past);
    return shown;
}

std::string indented(const std::string& text, std::size_t depth) {
    return std::string(2 * depth, ' ') + text;
}

/// The tree, a line a node: what it asks, what there was, and whether it holds.
void print_verdict(const ProgramId& program, const Filter& filter, const FilterVerdict& verdict,
                   const PartnerState& partner, std::size_t depth) {
    const char* const mark = verdict.holds ? "yes  " : "no   ";
    if (filter.children.empty() && filter.kind != Filter::Kind::all &&
        filter.kind != Filter::Kind::any) {
        print_line(mark + indented(http::render_verdict(program, filter, verdict, partner), depth));
        return;
    }
    const char* word = filter.kind == Filter::Kind::all   ? "all of"
                       : filter.kind == Filter::Kind::any ? "any of"
                                                          : "not";
    print_line(mark + indented(word, depth));
    for (std::size_t i = 0; i < filter.children.size(); ++i) {
        print_verdict(program, filter.children[i], verdict.children[i], partner, depth + 1);
    }
}

void print_why(const ProgramId& program, const ShowOptions& options, const SendReceipt& receipt) {
    const Selection& why = *receipt.why;
    print_line(options.partner + (why.selected ? " received " : " did not receive ") +
               options.message + ": " + name_of(why.reason));
    print_line("decided at " + format_position(receipt.partition, receipt.sequence) +
               ", on the facts just before");
    if (why.partner) print_line("status " + std::string(name_of(why.partner->status)));
    if (why.filter) {
        print_verdict(program, receipt.sent.audience.filter, *why.filter, *why.partner, 0);
    }
}

/// The receipt of the send; with a partner, why it was selected or not.
Result<void> run_receipt(const ShowOptions& options) {
    auto history = CommandHistory::open(options.place);
    if (!history) return history.error();
    const auto program = history->find_program(options.place.program, options.message);
    if (!program) return program.error();
    const auto number = parse_message_id(*program, options.message);
    if (!number) return missing("message");
    std::optional<PartnerId> partner;
    if (!options.partner.empty()) partner = PartnerId{options.partner};
    const auto past = history->history().find(
        history->partition_of(*program), {.last = kLogEnd, .program = *program, .event = *number});
    if (!past) return past.error();
    const auto receipt = (*past)->receipt(CapnpCodec(), *program, *number, partner);
    if (!receipt) return receipt.error();
    if (!partner) {
        print_line(http::render_receipt(*program, *receipt));
    } else if (options.json) {
        print_line(http::render_why(*program, *partner, *receipt));
    } else {
        print_why(*program, options, *receipt);
    }
    tell_cost(history->partition_of(*program), **past);
    return {};
}

struct Subcommand {
    const char* name;
    const char* help;
    bool message, partner;
    Show show;
};

constexpr Subcommand kSubcommands[] = {
    {"message", "A message with its statistics.", true, false, show_message},
    {"recipients", "Who received a message, opened it and replied.", true, false, show_recipients},
    {"inbox", "The messages that a partner received.", false, true, show_inbox},
    {"conversation", "What a partner and the owner wrote about a message.", true, true,
     show_conversation},
    {"partner", "A partner's profile.", false, true, show_partner},
};

CLI::App* add(CLI::App& parent, const char* name, const char* help, ShowOptions& options,
              bool message, bool partner) {
    CLI::App* command = parent.add_subcommand(name, help);
    add_place_options(*command, options.place);
    command->add_flag("--json", options.json, "the document that the API answers with");
    if (message) command->add_option("message", options.message, "its id")->required();
    if (partner) command->add_option("partner", options.partner, "its id")->required();
    return command;
}

}  // namespace

void add_show_command(CLI::App& app, Chosen& chosen) {
    CLI::App* parent = app.add_subcommand(
        "show",
        "Print what the API answers, now or --as-of an older time or position; also "
        "beside a running broker.");
    parent->require_subcommand(1);
    for (const Subcommand& one : kSubcommands) {
        auto options = std::make_shared<ShowOptions>();
        CLI::App* command = add(*parent, one.name, one.help, *options, one.message, one.partner);
        add_as_of_option(*command, options->place.as_of);
        if (one.show == show_recipients) {
            command->add_option("--state", options->state, "which of them")
                ->check(CLI::IsMember({"all", "opened", "unopened", "replied"}));
        }
        command->callback([options, show = one.show, &chosen] {
            chosen = [options, show] { return report_end(run_show(*options, show)); };
        });
    }
    auto options = std::make_shared<ShowOptions>();
    add(*parent, "receipt", "How a message was sent: by whom, to whom, under which plan.", *options,
        true, false)
        ->callback([options, &chosen] {
            chosen = [options] { return report_end(run_receipt(*options)); };
        });
}

void add_why_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<ShowOptions>();
    add(app, "why",
        "Why a message reached a partner or not: its audience's filter, node by node, on the facts "
        "just before the send.",
        *options, true, true)
        ->callback([options, &chosen] {
            chosen = [options] { return report_end(run_receipt(*options)); };
        });
}

}  // namespace tidings::apps
