// One io thread: its io_context, its acceptor, its connections and the coarse clock of their
// deadlines. Included only by server.cpp, worker.cpp and connection.cpp.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "connectors/http/metrics.h"
#include "connectors/http/router.h"
#include "connectors/http/server.h"

namespace tidings::http {

class Connection;

/// Sockets know their executor's type: any_io_executor costs a few virtual calls at every
/// operation.
using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;
using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp,
                                                    boost::asio::io_context::executor_type>;

struct RouteMetrics {
    std::array<Counter, 5> requests;  ///< by status class, 1xx first
    Histogram duration;
};

/// What all io threads share. Immutable after start, but for the atomics.
struct Shared {
    Shared(ServerOptions server_options, const Router& server_router, Metrics& metrics);

    void record(const Route* route, unsigned status,
                std::chrono::steady_clock::duration took) const;

    const ServerOptions options;
    const Router& router;
    std::unordered_map<const Route*, RouteMetrics> by_route;  ///< nullptr: no route matched
    std::atomic<std::size_t> connections{0};
    std::atomic<std::size_t> in_flight{0};   ///< requests whose handler has not answered
    std::atomic<std::uint64_t> refused{0};   ///< connections over the limit
    std::atomic<std::uint64_t> timeouts{0};  ///< connections cut off at a deadline
};

class Worker {
public:
    explicit Worker(Shared& shared);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Errors: io.
    Result<std::uint16_t> listen(const boost::asio::ip::tcp::endpoint& endpoint);
    /// The thread's body; returns after finish().
    void run();

    // From any thread:
    void begin_stop();  ///< no new connections; idle ones are closed
    bool wait_drained(std::chrono::steady_clock::time_point deadline);
    void cut_off();  ///< closes every connection
    void finish();   ///< run() returns soon
    boost::asio::io_context& context() { return *context_; }

    // From connections, on this thread:
    using List = std::list<Connection*>;
    List::iterator enlist(Connection* connection);
    void delist(List::iterator place);
    bool stopping() const { return stopping_; }
    std::int64_t now_ms() const { return now_ms_; }    ///< steady, as of the last tick
    std::int64_t now_s() const { return now_s_; }      ///< Unix time, as of the last tick
    const std::string& date() const { return date_; }  ///< "Date: ...\r\n"
    Shared& shared() { return shared_; }

private:
    static Task<void> accept_loop(Worker& worker);
    void start_connection(Socket socket);
    void tick();
    void schedule_tick();
    void update_clock();
    void accept_rest();

    Shared& shared_;
    // Optional only so that ~Worker can destroy it, and the coroutines in it, before the rest.
    std::optional<boost::asio::io_context> context_;
    std::optional<Acceptor> acceptor_;
    std::optional<boost::asio::steady_timer> timer_, accept_pause_;
    List connections_;
    bool stopping_ = false;
    std::int64_t now_ms_ = 0, now_s_ = -1;
    std::string date_;
    std::mutex drained_mutex_;
    std::condition_variable drained_changed_;
    bool drained_ = false;
};

}  // namespace tidings::http
