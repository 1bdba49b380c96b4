#include "apps/audit_redecide.h"

#include <algorithm>

#include "core/decide_record.h"
#include "events/json_output.h"
#include "events/json_value.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kShown = 160;  ///< bytes of a value

std::string short_text(const JsonValue* value) {
    if (value == nullptr) return "(none)";
    std::string out;
    append_json(out, *value);
    if (out.size() <= kShown) return out;
    std::size_t cut = kShown;
    while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xC0) == 0x80) --cut;  // whole UTF-8
    return out.substr(0, cut) + "… (" + std::to_string(out.size()) + " bytes)";
}

/// Below `path`, down to the innermost values that differ.
void compare_values(const std::string& path, const JsonValue* was, const JsonValue* now,
                    std::vector<std::string>& out) {
    if (was != nullptr && now != nullptr) {
        if (*was == *now) return;
        if (was->is_object() && now->is_object()) {
            const std::string prefix = path.empty() ? "" : path + ".";
            for (const JsonMember& member : was->members) {
                compare_values(prefix + member.name, &member.value, now->find(member.name), out);
            }
            for (const JsonMember& member : now->members) {
                if (was->find(member.name) != nullptr) continue;
                compare_values(prefix + member.name, nullptr, &member.value, out);
            }
            return;
        }
        if (was->is_array() && now->is_array()) {
            for (std::size_t i = 0; i < std::max(was->items.size(), now->items.size()); ++i) {
                compare_values(path + "[" + std::to_string(i) + "]",
                               i < was->items.size() ? &was->items[i] : nullptr,
                               i < now->items.size() ? &now->items[i] : nullptr, out);
            }
            return;
        }
    }
    out.push_back(path + ": " + short_text(was) + " -> " + short_text(now));
}

}  // namespace

std::vector<std::string> differences(const Outcome& was, const Outcome& now) {
    if (was == now) return {};
    std::string old_text, new_text;
    append_outcome_json(old_text, was);
    append_outcome_json(new_text, now);
    const Result<JsonValue> old_value = parse_json(old_text), new_value = parse_json(new_text);
    std::vector<std::string> out;
    if (old_value && new_value) compare_values("", &*old_value, &*new_value, out);
    if (out.empty()) out.emplace_back("the outcomes differ in a field that is not shown");
    return out;
}

Result<bool> Redecision::step() {
    try {
        const std::optional<WalkedCommit> commit = walk_.next();
        if (!commit) return false;
        for (std::size_t i = 0; i < commit->commands.size(); ++i) {
            auto now =
                decide_record(codec_, log_.genesis(), models_.facts(), commit->commands[i].bytes);
            if (!now) return now.error();
            compare(*commit, i, std::move(*now));
            models_.fold(commit->outcomes[i]);
        }
        const Result<void> published = models_.publish(audit().tip, {});
        if (!published) return published.error();
        return true;
    } catch (const std::exception& error) {  // of the temporary store
        return Error{ErrorCode::io, error.what(), {}};
    }
}

void Redecision::compare(const WalkedCommit& commit, std::size_t index, Outcome now) {
    const Outcome& was = commit.outcomes[index];
    const CommandRecord& record = commit.commands[index];
    const Result<Command> command = codec_.decode_command(record.bytes);
    // How the decoding library words its complaint is no decision.
    if (!command && was.refusal && now.refusal) now.refusal->detail = was.refusal->detail;
    std::vector<std::string> fields = differences(was, now);
    if (fields.empty()) return;
    ++count_;
    if (kept_.size() >= most_) return;
    kept_.push_back({commit.record.position, record.position,
                     command ? to_hex(command->id.view()) : std::string(),
                     command ? name_of(command->body) : "(malformed command)", std::move(fields)});
}

}  // namespace tidings::apps
