#include "bench/shell.h"

#include <array>
#include <cstdio>
#include <fstream>

namespace tidings::bench {

ShellResult run_shell(const std::string& command) {
    FILE* const pipe = ::popen(command.c_str(), "re");
    if (pipe == nullptr) return {};
    ShellResult result;
    std::array<char, 256> piece{};
    while (std::fgets(piece.data(), piece.size(), pipe) != nullptr) result.out += piece.data();
    while (result.out.ends_with('\n')) result.out.pop_back();
    result.good = ::pclose(pipe) == 0;
    return result;
}

std::string quoted(const std::string& word) {
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

std::string last_line_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string last;
    for (std::string line; std::getline(in, line);) {
        if (!line.empty()) last = line;
    }
    return last;
}

}  // namespace tidings::bench
