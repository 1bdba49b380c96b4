// Bridges Broker::submit, whose callback comes on a thread of the broker, to coroutines: results
// arrive on the coroutine's own executor. Shared by the connectors; knows no transport.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "projections/broker.h"

namespace tidings {

/// Runs `start(done)`, where `done` takes one T from any thread, once; resumes the coroutine with
/// it on its executor, which is kept from running out of work until then. The execution context
/// outlives the threads that call `done`: one may still be inside its post when the coroutine is
/// already through.
template <class T, class Start>
boost::asio::awaitable<T> await_callback(Start start) {
    namespace asio = boost::asio;
    return asio::async_initiate<const asio::use_awaitable_t<>, void(T)>(
        [](auto handler, Start begin) {
            using Handler = decltype(handler);
            struct Waiter {
                explicit Waiter(Handler&& h)
                    : handler(std::move(h)), work(asio::get_associated_executor(handler)) {}
                Handler handler;
                asio::executor_work_guard<asio::associated_executor_t<Handler>> work;
            };
            auto waiter = std::make_shared<Waiter>(std::move(handler));  // callbacks are copyable
            begin([waiter](T value) {
                asio::post(waiter->work.get_executor(),
                           [waiter, value = std::move(value)]() mutable {
                               // moved out first: resuming may destroy what the waiter refers to
                               auto resume = std::move(waiter->handler);
                               waiter->work.reset();
                               waiter.reset();
                               std::move(resume)(std::move(value));
                           });
            });
        },
        asio::use_awaitable, std::move(start));
}

/// `broker` outlives the wait. Errors: those of Broker::submit.
inline boost::asio::awaitable<Result<Applied>> submit(Broker& broker, Command command) {
    return await_callback<Result<Applied>>(
        [&broker, command = std::move(command)](auto done) mutable {
            broker.submit(std::move(command), std::move(done));
        });
}

/// Waits until the partition has applied `sequence`. Errors: not_caught_up.
inline boost::asio::awaitable<Result<void>> wait_for(Broker& broker, PartitionId partition,
                                                     Sequence sequence, int timeout_ms) {
    return await_callback<Result<void>>([&broker, partition, sequence, timeout_ms](auto done) {
        broker.wait_for(partition, sequence, timeout_ms, std::move(done));
    });
}

/// Many commands under way at once, submitted in order, so that one commit can answer many of them.
/// Used by one coroutine at a time; the broker must outlive it. Destroying it abandons the answers,
/// not the commands.
class Pipeline {
public:
    explicit Pipeline(Broker& broker) : broker_(broker), state_(std::make_shared<State>()) {}

    /// Returns the command's index, from 0.
    std::size_t submit(Command command) {
        std::size_t index = 0;
        {
            const std::lock_guard lock(state_->mutex);
            index = state_->answers.size();
            state_->answers.emplace_back();
            ++state_->under_way;
        }
        broker_.submit(std::move(command), [state = state_, index](Result<Applied> answer) {
            state->answered(index, std::move(answer));
        });
        return index;
    }

    /// How many are not yet answered.
    std::size_t under_way() const {
        const std::lock_guard lock(state_->mutex);
        return state_->under_way;
    }

    /// Whether take(index) may be called.
    bool is_answered(std::size_t index) const {
        const std::lock_guard lock(state_->mutex);
        return state_->answers[index].has_value();
    }

    /// Resumes once at most `count` are under way.
    boost::asio::awaitable<void> wait_until_at_most(std::size_t count) {
        if (under_way() <= count) co_return;
        // Named, since GCC 12 destroys the captures of a closure twice that is a temporary of a
        // co_await.
        auto start = [state = state_, count](auto done) {
            {
                const std::lock_guard lock(state->mutex);
                if (state->under_way > count) {
                    state->wake_at = count;
                    state->wake = [done] { done(true); };
                    return;
                }
            }
            done(true);
        };
        co_await await_callback<bool>(std::move(start));
    }

    /// The answer with that index, once. REQUIRES: it was answered (none is under way, for
    /// instance).
    Result<Applied> take(std::size_t index) {
        const std::lock_guard lock(state_->mutex);
        Result<Applied> answer = std::move(*state_->answers[index]);
        state_->answers[index].reset();
        return answer;
    }

private:
    struct State {
        mutable std::mutex mutex;
        std::vector<std::optional<Result<Applied>>> answers;
        std::size_t under_way = 0;
        std::size_t wake_at = 0;
        std::function<void()> wake;  ///< empty: no one waits

        void answered(std::size_t index, Result<Applied> answer) {
            std::function<void()> waiting;
            {
                const std::lock_guard lock(mutex);
                answers[index] = std::move(answer);
                --under_way;
                if (wake && under_way <= wake_at) waiting.swap(wake);
            }
            if (waiting) waiting();
        }
    };

    Broker& broker_;
    std::shared_ptr<State> state_;
};

}  // namespace tidings
