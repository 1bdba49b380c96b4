// Runs subcommands as the command line runs them, and catches what they print.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps::testing {

/// Sends a standard stream into a file while it lives.
class Captured {
public:
    Captured(std::FILE* stream, std::filesystem::path file)
        : stream_(stream), file_(std::move(file)) {
        std::fflush(stream_);
        saved_ = ::dup(::fileno(stream_));
        const int into = ::open(file_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        REQUIRE(into >= 0);
        ::dup2(into, ::fileno(stream_));
        ::close(into);
    }
    std::string end() {
        std::fflush(stream_);
        ::dup2(saved_, ::fileno(stream_));
        ::close(saved_);
        std::ifstream in(file_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }

private:
    std::FILE* stream_;
    std::filesystem::path file_;
    int saved_ = -1;
};

struct Ran {
    int status;
    std::string out, err;
};

inline Ran run(const std::vector<std::string>& words) {
    const tidings::testing::TemporaryDirectory directory;
    std::vector<const char*> arguments{"tidings"};
    for (const std::string& word : words) arguments.push_back(word.c_str());
    Captured out(stdout, directory.path() / "out"), err(stderr, directory.path() / "err");
    const int status = run_command_line(static_cast<int>(arguments.size()), arguments.data());
    std::string error = err.end();
    return {status, out.end(), std::move(error)};
}

}  // namespace tidings::apps::testing
