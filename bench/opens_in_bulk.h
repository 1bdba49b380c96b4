// Commands that record many first opens of messages to all, by partners in no order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/embedded_program.h"

namespace tidings::bench {

struct BulkOpens {
    std::vector<EventNumber> messages;  ///< to all; opened evenly, in turn
    std::uint64_t opens_per_message = 0;
    bool with_times = true;  ///< each open its own time, within the minute before the command's

    std::uint64_t opens() const { return messages.size() * opens_per_message; }
};

/// Makes commands of at most 50,000 opens and hands over each record.
void make_open_commands(EmbeddedProgram& program, const BulkOpens& bulk,
                        const std::function<void(std::string)>& take);

}  // namespace tidings::bench
