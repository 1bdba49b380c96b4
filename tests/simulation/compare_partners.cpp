// Partners: directory, search, tags, previews of audiences.
#include "tests/simulation/compare_program.h"

namespace tidings::simulation {
namespace {

/// The next code point of `text` at `at`, which moves on. REQUIRES: UTF-8.
char32_t next_point(const std::string& text, std::size_t& at) {
    const auto byte = static_cast<unsigned char>(text[at++]);
    const int more = byte < 0x80 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    char32_t point = more == 0 ? byte : byte & (0x3F >> more);
    for (int i = 0; i < more && at < text.size(); ++i) {
        point = (point << 6) | (static_cast<unsigned char>(text[at++]) & 0x3F);
    }
    return point;
}

/// Capitals of ASCII, Latin-1, Latin Extended-A's pairs, Greek and Cyrillic: enough for the names
/// that tests use, and simple enough to be read.
char32_t lower(char32_t point) {
    const auto within = [point](char32_t first, char32_t last) {
        return point >= first && point <= last;
    };
    if (within('A', 'Z')) return point + 0x20;
    if (within(0xC0, 0xDE) && point != 0xD7) return point + 0x20;
    if (within(0x100, 0x137) && point != 0x130 && point != 0x131) return point | 1;
    if (within(0x139, 0x148) || within(0x179, 0x17E)) return point + (point & 1);
    if (within(0x14A, 0x177)) return point | 1;
    if (within(0x391, 0x3A9)) return point + 0x20;
    if (within(0x410, 0x42F)) return point + 0x20;
    if (within(0x400, 0x40F)) return point + 0x50;
    return point;
}

/// Code points in lower case; "ß" as "ss", which it equals in capitals.
std::u32string folded(const std::string& text) {
    std::u32string out;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t point = lower(next_point(text, at));
        if (point == 0xDF) {
            out += U"ss";
        } else {
            out += point;
        }
    }
    return out;
}

std::string in_capitals(std::string text) {
    for (char& letter : text) {
        if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 0x20);
    }
    return text;
}

/// Whole code points only, so that it is UTF-8 again.
std::string without_first(const std::string& text) {
    std::size_t at = 0;
    if (!text.empty()) next_point(text, at);
    return text.substr(at);
}

}  // namespace

bool is_found(const PartnerState& partner, const std::string& query) {
    const std::u32string wanted = folded(query);
    const auto within = [&wanted](const std::string& text) {
        return folded(text).find(wanted) != std::u32string::npos;
    };
    return within(partner.name.plain() + " " + partner.surname.plain()) ||
           within(partner.email.plain());
}

std::vector<std::string> searches(const Program& program) {
    std::vector<std::string> out{"zzz nobody"};
    const std::size_t count = program.partners.size();
    for (const std::size_t index : {std::size_t{0}, count / 2, count - 1}) {
        if (index >= count) continue;
        const PartnerState& one = program.partners[index];
        if (one.email.empty()) continue;
        out.push_back(in_capitals(without_first(one.email.plain())));
        out.push_back(one.email.plain().substr(0, 1));
        if (one.name.empty() || one.surname.empty()) continue;
        const std::string& name = one.name.plain();
        out.push_back(without_first(in_capitals(name)));
        out.push_back(without_first(name) + " " + in_capitals(one.surname.plain()));
        out.push_back(in_capitals(without_first(one.surname.plain())));
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

std::string ProgramComparison::show(const PartnerPtr& row) const {
    if (!row) return "no partner";
    const auto& all = program_.partners;
    const bool as_expected = row->ordinal.value < all.size() && *row == all[row->ordinal.value];
    return as_expected ? show(*row) : to_words(*row);
}

void ProgramComparison::partners() {
    for (const PartnerState& expected : program_.partners) {
        const PartnerPtr got = models_.partner(id_, expected.id);
        if (!got || *got != expected) {
            differs("partner", got ? to_words(*got) : "unknown", to_words(expected));
        }
    }
    partners_by({"", "", std::nullopt});
    partners_by({"", "", PartnerStatus::active});
    if (!full_) return;
    std::set<std::string> tags{"no such tag"};
    for (const PartnerState& one : program_.partners) tags.insert(one.tags.begin(), one.tags.end());
    const auto queries = searches(program_);
    for (int number = 1; number < 4; ++number) {
        const auto status = static_cast<PartnerStatus>(number);
        partners_by({"", "", status});
        partners_by({queries.front(), *tags.begin(), status});
    }
    for (const std::string& tag : tags) partners_by({"", tag, std::nullopt});
    for (const std::string& query : queries) {
        partners_by({query, "", std::nullopt});
        partners_by({query, *tags.rbegin(), PartnerStatus::active});
    }
}

void ProgramComparison::partners_by(const PartnerQuery& ask) {
    std::vector<std::string> expected;
    for (const PartnerState& one : program_.partners) {
        if (ask.status && one.status != *ask.status) continue;
        const auto& tags = one.tags;
        if (!ask.tag.empty() && std::count(tags.begin(), tags.end(), ask.tag) == 0) continue;
        if (is_found(one, ask.query)) expected.push_back(show(one));
    }
    const std::string what = words("partners '", ask.query, "' tag '", ask.tag, "' ",
                                   ask.status ? name_of(*ask.status) : "all");
    list(
        what, ask.query.empty() && ask.tag.empty() ? small() : 9, expected,
        [&](const PageRequest& page) { return models_.partners(id_, ask, page); },
        [this](const PartnerView& row) { return show(row.state); });
}

void ProgramComparison::tags() {
    std::map<std::string, std::uint64_t> counts;
    for (const PartnerState& one : program_.partners) {
        if (one.status != PartnerStatus::active) continue;
        for (const std::string& tag : one.tags) ++counts[tag];
    }
    std::vector<std::string> expected;
    for (const auto& [tag, partners] : counts) expected.push_back(words(tag, ' ', partners));
    list(
        "tags", small(), expected,
        [this](const PageRequest& page) { return models_.tags(id_, page); },
        [](const TagCount& row) { return words(row.tag, ' ', row.partners); });
}

/// The list to review: what each audience used so far would select now, were it used again.
void ProgramComparison::audiences() {
    audience({});
    std::vector<Audience> asked;
    for (const auto& [number, message] : program_.messages) {
        const bool new_one = std::count(asked.begin(), asked.end(), message.audience) == 0;
        if (message.audience == Audience{} || !new_one) continue;
        if (!full_ && asked.size() >= 2) return;
        asked.push_back(message.audience);
        audience(message.audience);
    }
}

void ProgramComparison::audience(const Audience& audience) {
    const Selected selected = select(program_, audience);
    std::vector<std::string> expected;
    for (const PartnerOrdinal one : selected.partners) expected.push_back(show(partner(one)));
    if (selected.refusal) {
        const auto preview = models_.preview(id_, audience, {});
        if (preview) return wrong("a preview should be refused");
        expect("preview's refusal", preview.error().code, selected.refusal->code);
        const auto& fields = preview.error().fields;
        const std::string pointer = fields.empty() ? "" : fields.front().pointer;
        if (selected.refusal->pointer) expect("its pointer", pointer, *selected.refusal->pointer);
        return;
    }
    AudiencePreview last;
    list(
        "preview", small(), expected,
        [&](const PageRequest& page) -> Result<Page<PartnerView>> {
            Result<AudiencePreview> preview = models_.preview(id_, audience, page);
            if (!preview) return preview.error();
            last = *preview;
            return last.page;
        },
        [this](const PartnerView& row) { return show(row.state); });
    expect("preview's count", last.count, selected.partners.size());
    expect("preview's digest", last.digest, digest_of(selected.partners));
}

}  // namespace tidings::simulation
