// Substring search over partners' names and emails: posting sets of 1-, 2- and 3-byte grams of the
// folded text (Zobel, Moffat: "Inverted Files for Text Search Engines", 2006, n-gram indexes),
// verified on the rows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/event.h"
#include "projections/fold.h"

namespace tidings {

/// NFKC case-folded (Unicode Default Caseless Matching, UAX #15 and section 3.13). Pure.
std::string fold_text(std::string_view text);
/// What is searched of a partner: "name surname" and email, folded, apart by a newline.
std::string search_text(const PartnerState& partner);

/// Collects the postings of many partners, then writes each gram's row once.
class GramWriter {
public:
    GramWriter(Run& run, std::uint32_t program) : run_(run), program_(program) {}
    /// `before` is empty for a new partner.
    void change(PartnerOrdinal ordinal, std::string_view before, std::string_view after);
    void write();

private:
    void collect(std::string_view text, std::vector<std::uint32_t>& grams) const;
    Run& run_;
    std::uint32_t program_;
    std::vector<std::uint64_t> added_;  ///< gram << 32 | ordinal
    std::vector<std::uint64_t> removed_;
    std::vector<std::uint32_t> scratch_before_, scratch_after_;
};

/// A search, ready to be asked chunk by chunk.
class Search {
public:
    explicit Search(std::string_view query);
    bool matches_all() const { return folded_.empty(); }
    /// Candidates within one set chunk: a superset of the matches.
    Bitmap candidates(const RowSource& rows, std::uint32_t program, std::uint32_t chunk) const;
    /// The candidates need no second look: a gram is the whole query.
    bool exact() const { return folded_.size() <= 3; }
    bool matches(const PartnerState& partner) const;

private:
    std::string folded_;
    std::vector<std::string> grams_;
};

}  // namespace tidings
