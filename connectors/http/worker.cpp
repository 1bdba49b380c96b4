#include "connectors/http/worker.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ctime>

#include "connectors/http/connection.h"

namespace tidings::http {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr int kMinTickMs = 5;
constexpr int kMaxTickMs = 100;
constexpr std::chrono::milliseconds kAcceptPause{
    100};  ///< after accept() failed, e.g. out of descriptors
/// Connections over the limit that are told so; beyond these they are closed unanswered.
constexpr std::size_t kRefusedAtOnce = 256;

const std::vector<double> kDurationBounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                             0.025,  0.05,    0.1,    0.25,  1,      5};

RouteMetrics metrics_of(Metrics& metrics, const std::string& name) {
    const auto requests = [&metrics, &name](const char* status) {
        return metrics.counter("tidings_http_requests_total",
                               "Requests answered, by route and status class",
                               {{"route", name}, {"status", status}});
    };
    return {{requests("1xx"), requests("2xx"), requests("3xx"), requests("4xx"), requests("5xx")},
            metrics.histogram("tidings_http_request_duration_seconds",
                              "From the end of a request's headers to its answer",
                              {{"route", name}}, kDurationBounds)};
}

Error io_error(const std::string& doing, const error_code& status) {
    return {ErrorCode::io, doing + ": " + status.message(), {}};
}

}  // namespace

Shared::Shared(ServerOptions server_options, const Router& server_router, Metrics& metrics)
    : options(std::move(server_options)), router(server_router) {
    by_route.emplace(nullptr, metrics_of(metrics, "unmatched"));
    for (const auto& route : router.routes())
        by_route.emplace(route.get(), metrics_of(metrics, route->name));
}

void Shared::record(const Route* route, unsigned status,
                    std::chrono::steady_clock::duration took) const {
    RouteMetrics metrics = by_route.at(route);
    metrics.requests[std::clamp(status / 100, 1u, 5u) - 1].add();
    metrics.duration.observe(std::chrono::duration<double>(took).count());
}

Worker::Worker(Shared& shared) : shared_(shared), context_(std::in_place, 1) {
    timer_.emplace(*context_);
    accept_pause_.emplace(*context_);
    update_clock();
}

Worker::~Worker() {
    accept_pause_.reset();
    timer_.reset();
    acceptor_.reset();
    context_.reset();
}

Result<std::uint16_t> Worker::listen(const asio::ip::tcp::endpoint& endpoint) {
    acceptor_.emplace(context_->get_executor());
    error_code status;
    acceptor_->open(endpoint.protocol(), status);
    if (status) return io_error("cannot open a socket", status);
    acceptor_->set_option(asio::socket_base::reuse_address(true), status);
    const int on = 1;
    if (::setsockopt(acceptor_->native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
        return io_error("cannot share a port", error_code(errno, boost::system::system_category()));
    }
    acceptor_->bind(endpoint, status);
    if (!status) acceptor_->listen(asio::socket_base::max_listen_connections, status);
    if (!status) acceptor_->non_blocking(true, status);
    if (status) {
        return io_error("cannot listen on " + endpoint.address().to_string() + ":" +
                            std::to_string(endpoint.port()),
                        status);
    }
    return acceptor_->local_endpoint().port();
}

void Worker::run() {
    asio::co_spawn(*context_, accept_loop(*this), asio::detached);
    schedule_tick();
    for (;;) {
        try {
            context_->run();
            return;
        } catch (const std::exception& exception) {
            // A connection's coroutine failed outside its handler (no memory): it is gone, the
            // others go on.
            spdlog::error("http: a connection failed: {}", exception.what());
        }
    }
}

Task<void> Worker::accept_loop(Worker& worker) {
    for (;;) {
        auto [status, socket] = co_await worker.acceptor_->async_accept(kWait);
        if (worker.stopping_) co_return;
        if (!status) {
            worker.start_connection(std::move(socket));
            continue;
        }
        if (status == asio::error::operation_aborted) co_return;
        spdlog::warn("http: cannot accept: {}", status.message());
        worker.accept_pause_->expires_after(kAcceptPause);
        co_await worker.accept_pause_->async_wait(kWait);
    }
}

void Worker::start_connection(Socket socket) {
    const std::size_t open = shared_.connections.load(std::memory_order_relaxed);
    const bool refused = open >= shared_.options.max_connections;
    if (refused) {
        shared_.refused.fetch_add(1, std::memory_order_relaxed);
        if (open >= shared_.options.max_connections + kRefusedAtOnce) return;
    }
    error_code status;
    socket.set_option(asio::ip::tcp::no_delay(true), status);
    socket.non_blocking(true, status);
    if (status) return;
    auto connection = std::make_shared<Connection>(*this, std::move(socket));
    asio::co_spawn(*context_,
                   refused ? Connection::refuse(connection) : Connection::serve(connection),
                   [](const std::exception_ptr& failure) {
                       if (failure) std::rethrow_exception(failure);
                   });
}

Worker::List::iterator Worker::enlist(Connection* connection) {
    shared_.connections.fetch_add(1, std::memory_order_relaxed);
    return connections_.insert(connections_.end(), connection);
}

void Worker::delist(List::iterator place) {
    shared_.connections.fetch_sub(1, std::memory_order_relaxed);
    connections_.erase(place);
    if (!stopping_ || !connections_.empty()) return;
    const std::lock_guard lock(drained_mutex_);
    drained_ = true;
    drained_changed_.notify_all();
}

void Worker::update_clock() {
    const auto steady = std::chrono::steady_clock::now().time_since_epoch();
    now_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(steady).count();
    const std::time_t unix_s = std::time(nullptr);
    if (unix_s == now_s_) return;
    now_s_ = unix_s;
    std::tm utc{};
    ::gmtime_r(&unix_s, &utc);
    std::array<char, 64>
        text;  // the C locale's names, as RFC 9110 wants them: nothing here calls setlocale
    const std::size_t size =
        std::strftime(text.data(), text.size(), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    date_.assign(text.data(), size);
}

void Worker::schedule_tick() {
    const ServerOptions& options = shared_.options;
    const int shortest = std::min({options.header_timeout_ms, options.body_timeout_ms,
                                   options.write_timeout_ms, options.idle_timeout_ms});
    timer_->expires_after(
        std::chrono::milliseconds(std::clamp(shortest / 4, kMinTickMs, kMaxTickMs)));
    timer_->async_wait([this](const error_code& status) {
        if (status) return;
        tick();
        schedule_tick();
    });
}

void Worker::tick() {
    update_clock();
    for (Connection* connection : connections_) {
        if (!connection->overdue(now_ms_)) continue;
        shared_.timeouts.fetch_add(1, std::memory_order_relaxed);
        connection->close();
    }
}

void Worker::accept_rest() {
    for (;;) {
        error_code status;
        Socket socket = acceptor_->accept(*context_, status);
        if (status) return;
        start_connection(std::move(socket));
    }
}

void Worker::begin_stop() {
    asio::post(*context_, [this] {
        accept_rest();  // they are connected: refusing them now would look like a crash
        stopping_ = true;
        error_code ignored;  // the acceptor is of no more use whatever close() says
        acceptor_->close(ignored);
        accept_pause_->cancel();
        for (Connection* connection : connections_) connection->close_if_idle();
        const std::lock_guard lock(drained_mutex_);
        drained_ = connections_.empty();
        drained_changed_.notify_all();
    });
}

bool Worker::wait_drained(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(drained_mutex_);
    return drained_changed_.wait_until(lock, deadline, [this] { return drained_; });
}

void Worker::cut_off() {
    asio::post(*context_, [this] {
        for (Connection* connection : connections_) connection->close();
    });
}

void Worker::finish() { context_->stop(); }

}  // namespace tidings::http
