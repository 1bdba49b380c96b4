// Substring search over partners' names and emails: posting sets of 1-, 2- and 3-byte grams of the
// folded text (Zobel, Moffat: "Inverted Files for Text Search Engines", 2006, n-gram indexes),
// verified on the rows.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.h"
#include "projections/fold.h"

namespace tidings {

/// NFKC case-folded (Unicode Default Caseless Matching, UAX #15 and section 3.13). Pure.
std::string fold_text(std::string_view text);
/// What is searched of a partner: "name surname" and email, folded, apart by a newline.
std::string search_text(const PartnerTexts& partner);

/// Collects the postings of many partners, then writes each gram's row once.
class GramWriter {
public:
    GramWriter(Run& run, std::uint32_t program) : run_(run), program_(program) {}
    /// `before` is empty for a new partner.
    void change(PartnerOrdinal ordinal, std::string_view before, std::string_view after);
    void write();

private:
    /// Gram and chunk to indexes in the chunk. Its order is nobody's concern: a run is sorted.
    using Postings = boost::unordered_flat_map<std::uint64_t, std::vector<std::uint16_t>>;
    static void add(Postings& postings, std::uint32_t gram, PartnerOrdinal ordinal);
    template <class Encode>
    void write(Postings& postings, Encode encode);

    Run& run_;
    std::uint32_t program_;
    Postings added_, removed_;
    std::vector<std::uint32_t> grams_before_, grams_after_;
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
