// The HTTP/1.1 server: one io_context, one thread and one SO_REUSEPORT acceptor per io thread;
// every connection has limits and a deadline in each of its states.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"

namespace tidings::http {

class Router;
class Metrics;

struct ServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;  ///< 0: any free one
    unsigned io_threads = 1;
    std::size_t max_connections = 20'000;  ///< over all threads; more get 503 and are closed
    std::size_t header_bytes = 16 << 10;   ///< request line and headers together; more is 400
    int header_timeout_ms = 10'000;  ///< from a request's first byte to the end of its headers
    int body_timeout_ms =
        30'000;  ///< json and raw: for the whole body; streams: between two pieces
    int write_timeout_ms = 30'000;  ///< between two pieces written
    int idle_timeout_ms = 75'000;   ///< a connection without a request
};

class Server {
public:
    /// `router` and `metrics` outlive the server.
    Server(ServerOptions options, const Router& router, Metrics& metrics);
    /// Stops at once if stop() was not called. Handlers still suspended then are destroyed with
    /// their io_context: whoever holds their completions (the broker) must have called or dropped
    /// them before.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Binds, listens and starts the threads; the port that was bound. Errors: io. Call once.
    Result<std::uint16_t> start();

    /// Stops accepting, closes idle connections, lets requests in flight finish (with Connection:
    /// close) for up to `grace`, cuts off the rest, joins the threads. Completions may still be
    /// posted to the executors until the server is destroyed; they do not run. Idempotent; not from
    /// an io thread.
    void stop(std::chrono::milliseconds grace);

    /// One per io thread; valid while the server lives.
    std::vector<boost::asio::any_io_executor> executors() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tidings::http
