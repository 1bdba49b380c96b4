// Inside compare only: the questions about one program, and how lists are asked.
#pragma once

#include <algorithm>

#include "projections/exports.h"
#include "tests/simulation/compare.h"
#include "tests/simulation/words.h"

namespace tidings::simulation {

class ProgramComparison {
public:
    ProgramComparison(const Models& models, const ProgramId& id, const Program& program,
                      Depth depth)
        : models_(models), id_(id), program_(program), full_(depth == Depth::full) {}

    void run();
    const std::vector<std::string>& found() const { return found_.found(); }

private:
    // compare.cpp
    void program_itself();
    void strangers();
    void tracked();
    void conservation();
    // compare_partners.cpp
    void partners();
    void partners_by(const PartnerQuery& ask);
    void tags();
    void audiences();
    void audience(const Audience& audience);
    // compare_messages.cpp
    void messages();
    void message(EventNumber number, const Message& message, const MessageView& view);
    void card(EventNumber number, const Message& message, const MessageCard& card);
    void recipients(EventNumber number, const Message& message, RecipientState state,
                    const std::string& query);
    void opens(EventNumber number, const Message& message, OpensInterval interval);
    void exports();
    std::vector<std::string> exported(ExportTable table) const;
    // compare_inboxes.cpp
    void inbox(PartnerOrdinal partner);
    void inbox_list(PartnerOrdinal partner, bool unread_only, bool times);
    void conversation(EventNumber number, const Message& message, PartnerOrdinal partner);

    template <class T, class U>
    void expect(const std::string& what, const T& got, const U& expected) {
        if (!(got == expected)) differs(what, to_words(got), to_words(expected));
    }
    void differs(const std::string& what, const std::string& got, const std::string& expected) {
        found_.add(words(id_, ": ", what, " is ", got, ", should be ", expected));
    }
    void wrong(const std::string& what) { found_.add(words(id_, ": ", what)); }

    /// All pages (quick: the first) taken `limit` at a time, each row in words, against `expected`.
    /// Pages may be short, but never empty after a cursor was given.
    template <class Ask, class Show>
    void list(const std::string& what, std::size_t limit, const std::vector<std::string>& expected,
              Ask ask, Show show) {
        PageRequest request{limit, ""};
        std::size_t seen = 0;
        do {
            const auto page = ask(request);
            if (!page) return wrong(what + " is refused: " + page.error().detail);
            const bool more = !page->next_cursor.empty();
            if (page->rows.size() > limit) wrong(what + ": more rows than asked for");
            if (page->rows.empty() && (more || seen > 0)) return wrong(what + ": an empty page");
            for (const auto& row : page->rows) {
                const std::string got = show(row);
                const std::string should = seen < expected.size() ? expected[seen] : "no row";
                if (got != should) return differs(words(what, " row ", seen), got, should);
                ++seen;
            }
            if (!more && seen != expected.size()) {
                return differs(what + " number of rows", to_words(seen), to_words(expected.size()));
            }
            if (more && seen >= expected.size()) return wrong(what + ": a cursor at the end");
            request.cursor = page->next_cursor;
        } while (full_ && !request.cursor.empty());
    }
    /// Like list(), with the page size that makes many pages of a short list.
    std::size_t small() const { return full_ ? 4 : 3; }

    const PartnerState& partner(PartnerOrdinal ordinal) const {
        return program_.partners.at(ordinal.value);
    }
    /// Its number alone if it is as the oracle has it, everything about it otherwise.
    std::string show(const PartnerPtr& row) const;
    static std::string show(const PartnerState& expected) { return words('#', expected.ordinal); }

    const Models& models_;
    const ProgramId& id_;
    const Program& program_;
    const bool full_;
    Differences found_;
};

/// Whether a search for `query` finds this partner: a case-insensitive substring of name, surname,
/// both, or email (M3).
bool is_found(const PartnerState& partner, const std::string& query);
/// Texts to search for in this program: parts of names and emails in other case, and a miss.
std::vector<std::string> searches(const Program& program);

}  // namespace tidings::simulation
