#include "connectors/http/server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <thread>

#include "connectors/http/metrics.h"
#include "connectors/http/worker.h"
#include "connectors/thread_name.h"

namespace tidings::http {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// After the grace is over: time for the connections' coroutines to notice that their sockets are
/// closed.
constexpr std::chrono::milliseconds kCutOffWait{500};

/// SO_REUSEPORT would let two servers of one user share a port without a word. This socket does not
/// share.
Result<void> check_free(const asio::ip::tcp::endpoint& endpoint) {
    asio::io_context context;
    asio::ip::tcp::acceptor probe(context);
    error_code status;
    probe.open(endpoint.protocol(), status);
    if (!status) probe.set_option(asio::socket_base::reuse_address(true), status);
    if (!status) probe.bind(endpoint, status);
    if (!status) return {};
    return Error{ErrorCode::io,
                 "cannot listen on " + endpoint.address().to_string() + ":" +
                     std::to_string(endpoint.port()) + ": " + status.message(),
                 {}};
}

}  // namespace

struct Server::State {
    State(ServerOptions options, const Router& router, Metrics& server_metrics)
        : metrics(server_metrics), shared(std::move(options), router, server_metrics) {}

    void register_gauges() {
        const auto gauge = [this](const char* name, const char* help,
                                  const std::atomic<std::size_t>& value) {
            metrics.callback(this, Metrics::Kind::gauge, name, help, {}, [&value] {
                return static_cast<double>(value.load(std::memory_order_relaxed));
            });
        };
        const auto counter = [this](const char* name, const char* help,
                                    const std::atomic<std::uint64_t>& value) {
            metrics.callback(this, Metrics::Kind::counter, name, help, {}, [&value] {
                return static_cast<double>(value.load(std::memory_order_relaxed));
            });
        };
        gauge("tidings_http_connections", "Open connections", shared.connections);
        gauge("tidings_http_requests_in_flight", "Requests not yet answered", shared.in_flight);
        counter("tidings_http_connections_refused_total", "Connections over the limit",
                shared.refused);
        counter("tidings_http_timeouts_total", "Connections cut off at a deadline",
                shared.timeouts);
    }

    Metrics& metrics;
    Shared shared;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<std::thread> threads;
    bool stopped = false;
};

Server::Server(ServerOptions options, const Router& router, Metrics& metrics)
    : state_(std::make_unique<State>(std::move(options), router, metrics)) {
    state_->register_gauges();
}

Server::~Server() {
    stop(std::chrono::milliseconds(0));
    state_->metrics.remove_callbacks(state_.get());
}

Result<std::uint16_t> Server::start() {
    State& state = *state_;
    const ServerOptions& options = state.shared.options;
    error_code status;
    const auto address = asio::ip::make_address(options.address, status);
    if (status) return Error{ErrorCode::io, "not an IP address: " + options.address, {}};
    asio::ip::tcp::endpoint endpoint(address, options.port);
    if (options.port != 0) {
        if (const auto free = check_free(endpoint); !free) return free.error();
    }
    for (unsigned i = 0; i < std::max(1u, options.io_threads); ++i) {
        auto worker = std::make_unique<Worker>(state.shared);
        const auto port = worker->listen(endpoint);
        if (!port) return port.error();
        endpoint.port(*port);
        state.workers.push_back(std::move(worker));
    }
    for (const auto& worker : state.workers) {
        state.threads.emplace_back([&worker = *worker, number = state.threads.size()] {
            name_thread("io " + std::to_string(number));
            worker.run();
        });
    }
    return endpoint.port();
}

void Server::stop(std::chrono::milliseconds grace) {
    State& state = *state_;
    if (state.stopped) return;
    state.stopped = true;
    if (state.threads.empty()) return;
    for (const auto& worker : state.workers) worker->begin_stop();
    const auto deadline = std::chrono::steady_clock::now() + grace;
    bool drained = true;
    for (const auto& worker : state.workers) drained = worker->wait_drained(deadline) && drained;
    if (!drained) {
        for (const auto& worker : state.workers) worker->cut_off();
        const auto last = std::chrono::steady_clock::now() + kCutOffWait;
        for (const auto& worker : state.workers) worker->wait_drained(last);
    }
    for (const auto& worker : state.workers) worker->finish();
    for (std::thread& thread : state.threads) thread.join();
}

std::vector<asio::any_io_executor> Server::executors() const {
    std::vector<asio::any_io_executor> out;
    for (const auto& worker : state_->workers) out.emplace_back(worker->context().get_executor());
    return out;
}

}  // namespace tidings::http
