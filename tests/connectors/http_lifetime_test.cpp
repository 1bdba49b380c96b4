// Limits in time and number, and the end of a server. The other half of server.h's tests.
#include "connectors/http/server.h"

#include <thread>

#include "tests/connectors/http_serving.h"
#include "tests/support/catch.h"

namespace tidings::http {

using namespace serving_test;

TEST_CASE("a half-closed connection still gets its answers") {
    Serving s;
    RawClient client(s.port);
    client.send(kHello + "\r\n" + kHello + "\r\n");
    client.finish_sending();
    CHECK(client.receive().status == 200);
    CHECK(client.receive().status == 200);
    CHECK(client.closed());
}

TEST_CASE("slow callers are cut off: headers, body, idle, reading") {
    ServerOptions options;
    SECTION("headers") {
        options.header_timeout_ms = 40;
        Serving s(options);
        RawClient client(s.port);
        client.send("GET /hello HTTP/1.1\r\nHost");
        CHECK(client.closed());
        CHECK(s.metrics.render().find("tidings_http_timeouts_total 1") != std::string::npos);
    }
    SECTION("body") {
        options.body_timeout_ms = 40;
        Serving s(options);
        RawClient json(s.port), stream(s.port);
        json.send(post("/json", 10) + "\r\n12345");
        stream.send(post("/upload", 10) + "\r\n12345");
        CHECK(json.closed());
        CHECK(stream.receive().status == 0);
    }
    SECTION("idle") {
        options.idle_timeout_ms = 40;
        Serving s(options);
        RawClient fresh(s.port), used(s.port);
        CHECK(used.ask(kHello).status == 200);
        CHECK(fresh.closed());
        CHECK(used.closed());
    }
    SECTION("reading") {
        options.write_timeout_ms = 40;
        Serving s(options);
        RawClient client(s.port);
        client.send("GET /large HTTP/1.1\r\n" + kHost + "\r\n");
        while (s.metrics.render().find("tidings_http_timeouts_total 1") == std::string::npos)
            std::this_thread::yield();
        CHECK_FALSE(client.receive().complete);
    }
}

TEST_CASE("connections over the limit are told so") {
    Serving s({.max_connections = 2});
    RawClient first(s.port), second(s.port);
    CHECK(first.ask(kHello).status == 200);
    CHECK(second.ask(kHello).status == 200);
    {
        RawClient third(s.port);
        const RawAnswer answer = third.receive();
        CHECK(answer.status == 503);
        CHECK(answer.header("Retry-After") == "1");
        CHECK(answer.header("Connection") == "close");
        third.finish_sending();
        CHECK(third.closed());
    }
    CHECK(first.ask(kHello).status == 200);
    CHECK(s.metrics.render().find("tidings_http_connections_refused_total 1") != std::string::npos);
}

TEST_CASE("stopping finishes what is in flight and closes what is idle") {
    Serving s({.io_threads = 2});
    RawClient busy(s.port), idle(s.port);
    CHECK(idle.ask(kHello).status == 200);
    busy.send("GET /gate HTTP/1.1\r\n" + kHost + "\r\n");
    s.gate.wait_entered();
    std::thread stopper([&s] { s.server->stop(std::chrono::seconds(60)); });
    CHECK(idle.closed());
    while (RawClient(s.port).connected()) std::this_thread::yield();
    s.gate.open();
    const RawAnswer answer = busy.receive();
    CHECK(answer.body == "finished");
    CHECK(answer.header("Connection") == "close");
    CHECK(busy.closed());
    stopper.join();
}

TEST_CASE("stopping cuts off what does not finish within the grace") {
    Serving s;
    RawClient busy(s.port);
    busy.send("GET /gate HTTP/1.1\r\n" + kHost + "\r\n");
    s.gate.wait_entered();
    s.server->stop(std::chrono::milliseconds(1));
    CHECK(busy.closed());
    s.server.reset();  // destroys the suspended handler
}

TEST_CASE("several io threads share a port; a second server may not") {
    Serving s({.io_threads = 2});
    CHECK(s.server->executors().size() == 2);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 50; ++i) {
        clients.push_back(std::make_unique<RawClient>(s.port));
        CHECK(clients.back()->ask(kHello).status == 200);
    }
    CHECK(s.metrics.render().find("tidings_http_connections 50") != std::string::npos);
    CHECK(
        s.metrics.render().find("tidings_http_requests_total{route=\"hello\",status=\"2xx\"} 50") !=
        std::string::npos);
    Server other({.port = s.port}, s.router, s.metrics);
    CHECK(other.start().error().code == ErrorCode::io);
    Server nowhere({.address = "nowhere"}, s.router, s.metrics);
    CHECK(nowhere.start().error().code == ErrorCode::io);
}

}  // namespace tidings::http
