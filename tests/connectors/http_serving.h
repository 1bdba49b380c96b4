// A server on a free port with one route of every kind, for the tests that talk to it byte by byte.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>

#include "connectors/http/auth.h"
#include "connectors/http/metrics.h"
#include "connectors/http/router.h"
#include "connectors/http/server.h"
#include "connectors/keys.h"
#include "tests/connectors/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace tidings::http::serving_test {

using tidings::testing::RawAnswer;
using tidings::testing::RawClient;

inline Task<Response> hello(Request&) {
    Response response;
    response.body = R"({"hello":true})";
    co_return response;
}

inline Task<Response> echo(Request& request) {
    Response response;
    response.content_type = "application/octet-stream";
    response.body = request.body;
    co_return response;
}

inline Task<Response> fail(Request&) {
    throw std::runtime_error("on purpose");
    co_return Response{};
}

/// Counts and hashes what arrives, so that lost, doubled or swapped bytes are seen.
inline Task<Response> upload(Request& request) {
    Response response;
    std::size_t largest = 0, total = 0;
    std::string all;
    for (;;) {
        const auto piece = co_await request.stream->read();
        if (!piece) {
            response.status = 400;
            response.body = piece.error().detail;
            co_return response;
        }
        if (!*piece) break;
        largest = std::max(largest, (*piece)->size());
        total += (*piece)->size();
        all += **piece;
    }
    response.body = std::to_string(total) + " " + to_hex(sha256(all).view()) +
                    (largest <= 65536 ? "" : " too large");
    co_return response;
}

inline Task<Response> ignore_upload(Request&) {
    Response response;
    response.body = "ignored";
    co_return response;
}

/// Three pieces, the second empty; then the end or an error.
struct Pieces {
    int next = 0;
    bool breaks = false;
    static Task<Result<std::optional<std::string>>> give(std::shared_ptr<Pieces> self) {
        switch (self->next++) {
            case 0:
                co_return std::optional<std::string>("first,");
            case 1:
                co_return std::optional<std::string>("");
            case 2:
                co_return std::optional<std::string>(std::string(100'000, 'x'));
            default:
                break;
        }
        if (self->breaks) co_return Error{ErrorCode::io, "the disk is gone", {}};
        co_return std::optional<std::string>();
    }
};

inline Task<Response> pieces(bool breaks) {
    Response response;
    auto source = std::make_shared<Pieces>();
    source->breaks = breaks;
    response.content_type = "text/csv";
    response.chunks = [source] { return Pieces::give(source); };
    co_return response;
}

/// Holds a handler until the test opens it.
class Gate {
public:
    static Task<Response> pass(Gate& gate) {
        auto executor = co_await boost::asio::this_coro::executor;
        boost::asio::steady_timer timer(executor, boost::asio::steady_timer::time_point::max());
        gate.open_ = [&timer, executor] {
            boost::asio::post(executor, [&timer] { timer.cancel(); });
        };
        gate.entered_.set_value();
        co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        Response response;
        response.body = "finished";
        co_return response;
    }
    void wait_entered() { entered_.get_future().wait(); }
    void open() { open_(); }

private:
    std::promise<void> entered_;
    std::function<void()> open_;
};

struct Serving {
    tidings::testing::TemporaryDirectory data;
    std::unique_ptr<KeyRing> keys = std::move(KeyRing::open(data.path()).value());
    std::unique_ptr<TokenVerifier> verifier =
        std::move(TokenVerifier::create(keys->public_jwks(), {}).value());
    Gate gate;
    Metrics metrics;
    Router router{*verifier, {}};
    std::unique_ptr<Server> server;
    std::uint16_t port = 0;

    explicit Serving(ServerOptions options = {}) {
        router.add({.method = "GET", .pattern = "/hello", .name = "hello", .handler = hello});
        router.add({.method = "GET", .pattern = "/fail", .name = "fail", .handler = fail});
        router.add({.method = "POST",
                    .pattern = "/json",
                    .name = "json",
                    .body = BodyKind::json,
                    .produces = {},
                    .handler = echo});
        router.add({.method = "POST",
                    .pattern = "/upload",
                    .name = "upload",
                    .body = BodyKind::stream,
                    .consumes = {"*/*"},
                    .handler = upload});
        router.add({.method = "POST",
                    .pattern = "/ignore",
                    .name = "ignore",
                    .body = BodyKind::stream,
                    .consumes = {"*/*"},
                    .handler = ignore_upload});
        router.add({.method = "POST", .pattern = "/none", .name = "none", .handler = hello});
        router.add({.method = "POST",
                    .pattern = "/private",
                    .name = "private",
                    .body = BodyKind::json,
                    .roles = {Role::owner},
                    .handler = echo});
        router.add({.method = "GET",
                    .pattern = "/list",
                    .name = "list",
                    .produces = {},
                    .handler = [](Request&) { return pieces(false); }});
        router.add({.method = "GET",
                    .pattern = "/broken",
                    .name = "broken",
                    .produces = {},
                    .handler = [](Request&) { return pieces(true); }});
        router.add(
            {.method = "GET", .pattern = "/gate", .name = "gate", .handler = [this](Request&) {
                 return Gate::pass(gate);
             }});
        router.add({.method = "GET",
                    .pattern = "/large",
                    .name = "large",
                    .handler = [](Request& request) { return large(request); }});
        options.port = 0;
        server = std::make_unique<Server>(options, router, metrics);
        port = server->start().value();
    }
    static Task<Response> large(Request&) {
        Response response;
        response.body.assign(32 << 20, 'y');
        co_return response;
    }
};

inline const std::string kHost = "Host: t\r\n";
inline const std::string kHello = "GET /hello HTTP/1.1\r\n" + kHost;

inline std::string post(const std::string& path, std::size_t length, const std::string& more = "") {
    return "POST " + path + " HTTP/1.1\r\n" + kHost +
           "Content-Type: application/json\r\nContent-Length: " + std::to_string(length) + "\r\n" +
           more;
}

inline std::string chunked(const std::string& body, std::size_t step) {
    std::string out;
    char size[32];
    for (std::size_t i = 0; i < body.size(); i += step) {
        const std::string piece = body.substr(i, step);
        std::snprintf(size, sizeof size, "%zx;ext=1\r\n", piece.size());
        out += size + piece + "\r\n";
    }
    return out + "0\r\nTrailer: x\r\n\r\n";
}

inline std::string patterned(std::size_t size) {
    std::string out(size, '\0');
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>((i * 2654435761u) >> 13);
    return out;
}

}  // namespace tidings::http::serving_test
