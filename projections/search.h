// Substring search over partners' names and emails: posting sets of 1-, 2- and 3-byte grams of the
// folded text (Zobel, Moffat: "Inverted Files for Text Search Engines", 2006, n-gram indexes),
// verified on the rows.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.h"
#include "projections/fold.h"

namespace tidings {

/// NFKC case-folded (Unicode Default Caseless Matching, UAX #15 and section 3.13). Pure.
std::string fold_text(std::string text);
/// What is searched of a partner: "name surname" and email, folded, apart by a newline.
std::string search_text(const PartnerTexts& partner);
std::string search_text(const TextReader& texts, const PartnerState& partner);

class RangeSet;

/// Collects the postings of many partners of a program, then writes each gram's row once.
class GramWriter {
public:
    /// `run` outlives it.
    GramWriter(Run& run, std::uint32_t program) : run_(run), program_(program) {}
    /// `before` is empty for a new partner.
    void change(PartnerOrdinal ordinal, std::string_view before, std::string_view after);
    /// After each event. REQUIRES: a partner changes once in an event.
    void end_event();
    void write();

private:
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    using Posting = std::pair<std::uint32_t, std::span<const std::uint16_t>>;
    /// Gram to indexes in the chunk. Its order is nobody's concern: a run is sorted.
    using Postings = boost::unordered_flat_map<std::uint32_t, std::vector<std::uint16_t>>;
    static void add(Postings& postings, std::uint32_t gram, std::uint16_t index);
    template <class Encode>
    void write_changed(Postings& postings, Encode encode);
    void add_new(std::uint16_t index, std::string_view text);
    void add_occurrence(std::uint32_t gram, std::uint16_t index);
    std::vector<Posting> new_postings();
    void write_new();
    void write_row(std::string_view gram);
    void write_row(std::string_view gram, RangeSet& members);

    Run& run_;
    const std::uint32_t program_;
    std::uint32_t chunk_ = 0;  ///< of everything that is not written yet
    // Of new partners: 3 bytes each, above the index of who has them; and who has what begins with
    // the "@" of their emails, which many share.
    std::vector<std::uint64_t> new_;
    std::vector<std::uint16_t> new_indexes_;  ///< of new_, gram by gram
    boost::unordered_flat_map<std::string, std::vector<std::uint16_t>, TextHash, std::equal_to<>>
        domains_;
    bool any_new_ = false;
    std::uint16_t newest_ = 0;
    Postings added_, removed_;
    std::vector<std::uint32_t> grams_before_, grams_after_;
    std::string operations_;
};

/// Of all programs: what is to be written before a run is. Nobody reads grams of a run in progress.
class GramWriters {
public:
    explicit GramWriters(Run& run) : run_(run) {}
    GramWriter& of(std::uint32_t program) {
        return writers_.try_emplace(program, run_, program).first->second;
    }
    void write() {
        for (auto& [program, writer] : writers_) writer.write();
        writers_.clear();
    }
    void drop() { writers_.clear(); }

private:
    Run& run_;
    std::map<std::uint32_t, GramWriter> writers_;
};

/// Takes the partner out of every gram's set, whatever it was put there by.
void erase_grams(Fold& fold, PartnerOrdinal partner);

/// A search, ready to be asked chunk by chunk.
class Search {
public:
    explicit Search(std::string_view query);
    bool matches_all() const { return folded_.empty(); }
    /// Candidates within one set chunk: a superset of the matches.
    Bitmap candidates(const RowSource& rows, std::uint32_t program, std::uint32_t chunk) const;
    /// The candidates need no second look: a gram is the whole query.
    bool exact() const { return folded_.size() <= 3; }
    bool matches(const PartnerTexts& partner) const;

private:
    std::string folded_;
    std::vector<std::string> grams_;
};

}  // namespace tidings
