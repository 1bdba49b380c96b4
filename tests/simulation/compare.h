// The read models' answers against the oracle's, question by question.
#pragma once

#include <string>
#include <vector>

#include "projections/models.h"
#include "tests/simulation/oracle.h"

namespace tidings::simulation {

enum class Depth {
    quick,  ///< summaries, statistics, inbox summaries, the first page of each list
    full,   ///< every question: all pages, states, orders, searches; models.check()
};

/// Asks about every program of the oracle, and checks the invariants of PRODUCT.md on the models'
/// own answers. What differs, in words; empty: nothing. REQUIRES: nothing is folded that is not
/// published, and `oracle` stands at the same command.
std::vector<std::string> compare(const Models& models, const Oracle& oracle,
                                 Depth depth = Depth::full);

/// The same of what deciding reads, some of which no question of the API shows. REQUIRES: `oracle`
/// stands at the last outcome folded, published or not.
std::vector<std::string> compare_facts(const Facts& facts, const Oracle& oracle);

}  // namespace tidings::simulation
