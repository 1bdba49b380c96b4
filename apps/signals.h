// SIGINT and SIGTERM as a request to shut down, waited for by one thread, so that nothing runs in a
// signal handler. The second one ends the process at once.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace tidings::apps {

class ShutdownSignals {
public:
    /// Before any other thread is started: all of them inherit the blocked signals. Ignores
    /// SIGPIPE.
    ShutdownSignals();
    ~ShutdownSignals();
    ShutdownSignals(const ShutdownSignals&) = delete;
    ShutdownSignals& operator=(const ShutdownSignals&) = delete;

    bool requested() const;
    /// Returns once the first signal came.
    void wait();
    /// Called on the first signal, by the waiting thread; at once if it came already. Replaces the
    /// one before; none is called after this returned with an empty one.
    void on_request(std::function<void()> action);

private:
    void run();

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool requested_ = false;
    bool ended_ = false;
    std::function<void()> action_;
    std::thread thread_;
};

}  // namespace tidings::apps
