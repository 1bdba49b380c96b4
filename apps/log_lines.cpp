#include "apps/log_lines.h"

#include <algorithm>
#include <charconv>

#include "core/time.h"
#include "events/json_output.h"

namespace tidings::apps {

namespace {

std::string position_of(const WalkedCommit& commit) {
    return std::to_string(commit.envelope.partition.value) + ":" +
           std::to_string(commit.envelope.sequence.value);
}

void append_json_line(std::string& out, const WalkedCommit& commit, std::size_t index,
                      const Result<Command>& command, const Keys* keys) {
    JsonWriter json(out);
    json.open_object().key("position").string(position_of(commit));
    json.key("index").number(index);
    json.key("command_position").number(commit.commands[index].position.value);
    json.key("command");
    if (command) {
        append_command_json(json.raw(), *command, keys);
    } else {
        json.null().key("malformed").string(command.error().detail);
    }
    json.key("outcome");
    append_outcome_json(json.raw(), commit.outcomes[index], keys);
    json.close_object();
    out += '\n';
}

/// Who asked; a partner whose name is not there to be read is one all the same.
std::string actor_of(const Command& command, const Keys* keys) {
    const Actor& actor = command.actor;
    const auto sub = TextReader(keys, command.program).read(PersonalField::author_id, actor.sub);
    if (sub == "") return name_of(actor.role);  // an open: its partner is told by the ordinal
    return std::string(name_of(actor.role)) + " " + sub.value_or("(sealed)");
}

void append_text_line(std::string& out, const WalkedCommit& commit, std::size_t index,
                      const Result<Command>& command, const Keys* keys) {
    const Outcome& outcome = commit.outcomes[index];
    out += position_of(commit) + "  " + format_time(outcome.time) + "  ";
    if (command) {
        out += outcome.program.value + "  " + name_of(command->body) + "  by " +
               actor_of(*command, keys);
    } else {
        out += "(malformed command)";
    }
    out += std::string("  ") + name_of(outcome.status);
    if (outcome.refusal) {
        out += std::string(" ") + name_of(outcome.refusal->code) + ": " + outcome.refusal->detail;
    }
    if (!outcome.rejected.empty()) out += " rejected=" + std::to_string(outcome.rejected.size());
    std::uint64_t number = outcome.first_event.value;
    for (const Event& event : outcome.events) {
        out += std::string("  #") + std::to_string(number) + " " + name_of(event);
        if (std::holds_alternative<MessageSent>(event)) {
            out += " " + message_id(outcome.program, EventNumber{number}) + " to " +
                   std::to_string(std::get<MessageSent>(event).recipients.cardinality());
        }
        if (std::holds_alternative<ReplyPosted>(event)) {
            out += " " + post_id(outcome.program, EventNumber{number});
        }
        ++number;
    }
    out += '\n';
}

}  // namespace

void append_lines(std::string& out, const Codec& codec, const Keys* keys,
                  const WalkedCommit& commit, bool json, const std::optional<ProgramId>& program) {
    for (std::size_t i = 0; i < commit.commands.size(); ++i) {
        if (program && commit.outcomes[i].program != *program) continue;
        const Result<Command> command = codec.decode_command(commit.commands[i].bytes);
        if (json) {
            append_json_line(out, commit, i, command, keys);
        } else {
            append_text_line(out, commit, i, command, keys);
        }
    }
}

std::optional<std::vector<LogStart>> parse_log_starts(std::string_view text) {
    std::vector<LogStart> starts;
    while (true) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const std::string_view part = text.substr(0, comma);
        const char* const end = part.data() + part.size();
        LogStart start;
        const auto partition = std::from_chars(part.data(), end, start.partition.value);
        if (partition.ec != std::errc() || partition.ptr == end || *partition.ptr != ':') {
            return std::nullopt;
        }
        const auto sequence = std::from_chars(partition.ptr + 1, end, start.sequence.value);
        if (sequence.ec != std::errc() || sequence.ptr != end) return std::nullopt;
        for (const LogStart& other : starts) {
            if (other.partition == start.partition) return std::nullopt;
        }
        starts.push_back(start);
        if (comma == text.size()) return starts;
        text.remove_prefix(comma + 1);
    }
}

}  // namespace tidings::apps
