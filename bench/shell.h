// Programs that are run to their end for what they print.
#pragma once

#include <filesystem>
#include <string>

namespace tidings::bench {

struct ShellResult {
    bool good = false;  ///< exit status 0
    std::string out;    ///< without line ends at its end
};
/// Waits for it.
ShellResult run_shell(const std::string& command);
/// As one word of a command.
std::string quoted(const std::string& word);
/// The last line that is not empty; "" if there is none.
std::string last_line_of(const std::filesystem::path& file);

}  // namespace tidings::bench
