#include "tests/simulation/run.h"

#include <algorithm>

namespace tidings::simulation {

RunResult run(const Setting& setting, const std::vector<Action>& actions, bool tell) {
    World world(setting, tell);
    for (const Action& action : actions) {
        world.act(action);
        if (!world.violation().empty()) break;
    }
    world.settle();
    return {world.violation(), world.counts(), world.history()};
}

std::vector<Action> shrink(const Setting& setting, std::vector<Action> actions) {
    const auto fails = [&](const std::vector<Action>& some) {
        return !run(setting, some).violation.empty();
    };
    for (std::size_t size = std::max<std::size_t>(actions.size() / 2, 1);;) {
        bool shorter = false;
        for (std::size_t at = 0; at < actions.size();) {
            std::vector<Action> without(actions.begin(),
                                        actions.begin() + static_cast<std::ptrdiff_t>(at));
            without.insert(
                without.end(),
                actions.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, actions.size())),
                actions.end());
            if (fails(without)) {
                actions = std::move(without);
                shorter = true;
            } else {
                at += size;
            }
        }
        if (size == 1 && !shorter) return actions;
        if (!shorter || size > actions.size()) size = std::max<std::size_t>(size / 2, 1);
    }
}

}  // namespace tidings::simulation
