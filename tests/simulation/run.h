// One seed from beginning to end, and the shortest history of a seed that fails.
#pragma once

#include "tests/simulation/world.h"

namespace tidings::simulation {

struct RunResult {
    std::string violation;  ///< empty: none
    Counts counts;
    std::vector<std::string> history;
};

/// The actions, then faults off and everything must agree. `tell`: keeps the history.
RunResult run(const Setting& setting, const std::vector<Action>& actions, bool tell = false);

/// Leaves out whatever the violation does not need: delta debugging (Zeller, Hildebrandt:
/// "Simplifying and Isolating Failure-Inducing Input", 2002). REQUIRES: `actions` violate.
std::vector<Action> shrink(const Setting& setting, std::vector<Action> actions);

}  // namespace tidings::simulation
