#include "bench/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>

#include "bench/check.h"

namespace tidings::bench {

namespace {

constexpr int kStartMs = 600'000;  // a start may have to replay a large log
constexpr std::size_t kServerProcessShown = 2'000;

std::string tail_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    std::string all = text.str();
    return all.size() > kServerProcessShown ? all.substr(all.size() - kServerProcessShown) : all;
}

}  // namespace

ServerProcess::ServerProcess(const std::vector<std::string>& command, std::filesystem::path log)
    : log_(std::move(log)) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC) == 0, "pipe failed");
    const int errors = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    check(errors >= 0, "cannot write " + log_.string());
    const auto start = std::chrono::steady_clock::now();
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    check(pid_ >= 0, "fork failed");
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(127);
        ::dup2(ends[1], STDOUT_FILENO);
        ::dup2(errors, STDERR_FILENO);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    ::close(ends[1]);
    ::close(errors);
    out_ = ends[0];
    wait_listening(out_);
    start_seconds_ =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

ServerProcess::~ServerProcess() {
    kill();
    ::close(out_);
}

void ServerProcess::wait_listening(int out) {
    static constexpr std::string_view kSaid = "listening on http://";
    std::string said;
    for (;;) {
        pollfd ready{.fd = out, .events = POLLIN, .revents = 0};
        if (::poll(&ready, 1, kStartMs) <= 0) fail("did not listen in time");
        std::array<char, 4096> piece{};
        const ssize_t count = ::read(out, piece.data(), piece.size());
        if (count <= 0) fail("ended before it listened");
        said.append(piece.data(), static_cast<std::size_t>(count));
        const std::size_t at = said.find(kSaid);
        if (at == std::string::npos) continue;
        const std::size_t end = said.find('\n', at);
        if (end == std::string::npos) continue;
        const std::size_t colon = said.rfind(':', end);
        std::from_chars(said.data() + colon + 1, said.data() + end, port_);
        if (port_ == 0) fail("said no port");
        return;
    }
}

void ServerProcess::fail(const std::string& what) {
    kill();
    throw WrongAnswer("the server " + what + ":\n" + tail_of(log_));
}

void ServerProcess::stop() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "the server did not end well:\n" + tail_of(log_));
}

void ServerProcess::kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

ServerProcess::Memory ServerProcess::memory() const {
    Memory out;
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);) {
        const auto kib = [&line] { return std::stoull(line.substr(line.find(':') + 1)) << 10; };
        if (line.starts_with("VmRSS:")) out.resident_bytes = kib();
        if (line.starts_with("VmHWM:")) out.peak_bytes = kib();
    }
    check(out.peak_bytes > 0, "the server is gone:\n" + tail_of(log_));
    return out;
}

double ServerProcess::cpu_seconds() const {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/stat");
    std::string text;
    std::getline(in, text);
    // Behind the name in parentheses: state, 10 numbers, then utime and stime (proc(5)).
    std::istringstream rest(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int i = 0; i < 11; ++i) rest >> skipped;
    std::uint64_t user = 0, system = 0;
    rest >> user >> system;
    check(!rest.fail(), "the server is gone");
    return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::filesystem::path own_executable() { return std::filesystem::read_symlink("/proc/self/exe"); }

}  // namespace tidings::bench
