#include "apps/signals.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace tidings::apps {

namespace {

constexpr int kEndOfThread = SIGUSR2;  // ours alone: ends the waiting thread

sigset_t waited_for() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, kEndOfThread);
    return set;
}

}  // namespace

ShutdownSignals::ShutdownSignals() {
    ::signal(SIGPIPE, SIG_IGN);
    const sigset_t set = waited_for();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    thread_ = std::thread([this] { run(); });
}

ShutdownSignals::~ShutdownSignals() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    pthread_kill(thread_.native_handle(), kEndOfThread);
    thread_.join();
}

bool ShutdownSignals::requested() const {
    const std::lock_guard lock(mutex_);
    return requested_;
}

void ShutdownSignals::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return requested_; });
}

void ShutdownSignals::on_request(std::function<void()> action) {
    const std::lock_guard lock(mutex_);
    action_ = std::move(action);
    if (requested_ && action_) action_();
}

void ShutdownSignals::run() {
    const sigset_t set = waited_for();
    while (true) {
        int signal = 0;
        if (sigwait(&set, &signal) != 0) continue;
        const std::lock_guard lock(mutex_);
        if (ended_) return;
        if (signal == kEndOfThread) continue;
        if (requested_) {
            spdlog::warn("second signal={}: ending at once", signal);
            std::_Exit(128 + signal);
        }
        spdlog::info("signal={}: shutting down", signal);
        requested_ = true;
        if (action_) action_();
        changed_.notify_all();
    }
}

}  // namespace tidings::apps
