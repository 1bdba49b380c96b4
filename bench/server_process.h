// A server in a child process of its own: started, watched, stopped or killed. It dies with us.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tidings::bench {

class ServerProcess {
public:
    /// Starts it and waits until it says "listening on http://...:PORT". Its stderr goes to
    /// `log`. Throws WrongAnswer with the end of that file if it does not come to that.
    ServerProcess(const std::vector<std::string>& command, std::filesystem::path log);
    /// Kills it if it still runs.
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    std::uint16_t port() const { return port_; }
    pid_t pid() const { return pid_; }
    double start_seconds() const { return start_seconds_; }  ///< from exec to listening

    /// SIGTERM, and waits; it must end with status 0.
    void stop();
    /// SIGKILL, and waits.
    void kill();

    struct Memory {
        std::uint64_t resident_bytes = 0;  ///< VmRSS
        std::uint64_t peak_bytes = 0;      ///< VmHWM
    };
    Memory memory() const;
    /// User and system time of all its threads, to 10 ms.
    double cpu_seconds() const;

private:
    void wait_listening(int out);
    [[noreturn]] void fail(const std::string& what);

    const std::filesystem::path log_;
    pid_t pid_ = -1;
    int out_ = -1;
    std::uint16_t port_ = 0;
    double start_seconds_ = 0;
};

/// The file that this program runs from.
std::filesystem::path own_executable();

}  // namespace tidings::bench
