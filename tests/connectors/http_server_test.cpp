#include "connectors/http/server.h"

#include "tests/connectors/http_serving.h"
#include "tests/support/property.h"

namespace tidings::http {

using namespace serving_test;

TEST_CASE("a connection serves one request after the other") {
    Serving s;
    RawClient client(s.port);
    for (int i = 0; i < 3; ++i) {
        const RawAnswer answer = client.ask(kHello);
        CHECK(answer.status == 200);
        CHECK(answer.body == R"({"hello":true})");
        CHECK(answer.header("Content-Type") == "application/json");
        CHECK(answer.header("Date").size() == 29);
        CHECK(answer.header("Connection").empty());
    }
    CHECK(client.ask("HEAD /hello HTTP/1.1\r\n" + kHost).header("Content-Length") == "14");
    CHECK(client.ask(post("/json", 5), "[1,2]").body == "[1,2]");
    CHECK(client.ask("GET /fail HTTP/1.1\r\n" + kHost).status == 500);
    CHECK(client.ask("GET http://t/hello HTTP/1.1\r\n" + kHost).status == 200);
    CHECK(client.ask(kHello + "Connection: close\r\n").header("Connection") == "close");
    CHECK(client.closed());
}

TEST_CASE("HTTP/1.0 closes unless it asks to be kept") {
    Serving s;
    RawClient client(s.port);
    CHECK(client.ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n").header("Connection") ==
          "keep-alive");
    const RawAnswer list = client.ask("GET /list HTTP/1.0\r\n");
    CHECK(list.body.size() == 100'006);
    CHECK(client.closed());
    RawClient other(s.port);
    CHECK(other.ask("GET /hello HTTP/1.0\r\n").status == 200);
    CHECK(other.closed());
}

TEST_CASE("pipelined requests are answered in order, however their bytes are cut") {
    Serving s;
    const std::string body = R"({"a":"b"})";
    const std::string all = "\r\n" + kHello + "\r\n" + post("/json", body.size()) + "\r\n" + body +
                            "POST /upload HTTP/1.1\r\n" + kHost +
                            "Transfer-Encoding: chunked\r\n\r\n" +
                            chunked("some text to upload", 7) + "GET /nothing HTTP/1.1\r\n" +
                            kHost + "\r\n" + post("/none", 3) + "\r\nabc" + kHello + "\r\n";
    const auto check = [&s, &all](const std::vector<std::size_t>& cuts) {
        RawClient client(s.port);
        std::size_t at = 0;
        for (const std::size_t cut : cuts) {
            const std::size_t size = std::min(cut, all.size() - at);
            client.send(std::string_view(all).substr(at, size));
            at += size;
        }
        client.send(std::string_view(all).substr(at));
        std::string seen;
        for (int i = 0; i < 6; ++i) {
            const RawAnswer answer = client.receive();
            seen += std::to_string(answer.status) + answer.body.substr(0, 12) + "\n";
        }
        return seen;
    };
    const std::string expected =
        "200{\"hello\":tru\n200{\"a\":\"b\"}\n200" +
        ("19 " + to_hex(sha256("some text to upload").view())).substr(0, 12) +
        "\n404{\"type\":\"urn\n200{\"hello\":tru\n200{\"hello\":tru\n";
    CHECK(check({}) == expected);
    CHECK(check(std::vector<std::size_t>(all.size(), 1)) == expected);
    CHECK_PROPERTY("any cuts", [&check, &expected] {
        RC_ASSERT(check(*rc::gen::container<std::vector<std::size_t>>(
                      rc::gen::inRange<std::size_t>(1, 200))) == expected);
    });
}

TEST_CASE("bodies over the limit are 413, with and without a length") {
    Serving s;
    const std::string limit((1 << 20), '1');
    RawClient client(s.port);
    CHECK(client.ask(post("/json", limit.size()), limit).body.size() == limit.size());
    CHECK(client.ask(post("/json", limit.size() + 1)).status == 413);
    CHECK(client.closed());
    RawClient streaming(s.port);
    streaming.send("POST /json HTTP/1.1\r\n" + kHost +
                   "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    streaming.send(chunked(limit + "1", 100'000));
    CHECK(streaming.receive().status == 413);
    RawClient huge(s.port);
    CHECK(huge.ask(post("/json", 0).substr(0, 0) + "POST /json HTTP/1.1\r\n" + kHost +
                   "Content-Type: application/json\r\nContent-Length: 18446744073709551615\r\n")
              .status == 413);
}

TEST_CASE("malformed HTTP is 400 and ends the connection") {
    Serving s;
    const std::string chunked_head =
        "POST /json HTTP/1.1\r\n" + kHost + "Content-Type: application/json\r\nTransfer-Encoding: ";
    for (const std::string& bytes : std::vector<std::string>{
             "nonsense\r\n\r\n", "GET\r\n\r\n", "GET /hello HTTP/3.0\r\n\r\n",
             "GET /hello HTTP/1.1\r\n\r\n", kHello + kHost + "\r\n", kHello + "bad header\r\n\r\n",
             kHello + "a\x01: b\r\n\r\n",
             post("/json", 3, "Transfer-Encoding: chunked\r\n") + "\r\nabc",
             post("/json", 3, "Content-Length: 4\r\n") + "\r\nabc",
             "POST /json HTTP/1.1\r\n" + kHost + "Content-Length: x\r\n\r\n",
             chunked_head + "gzip, chunked\r\n\r\n0\r\n\r\n", chunked_head + "identity\r\n\r\n",
             chunked_head + "chunked\r\n\r\nzz\r\n",
             chunked_head + "chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
             kHello + "X: " + std::string(20'000, 'x') + "\r\n\r\n",
             "GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\n" + kHost + "\r\n"}) {
        INFO(bytes.substr(0, 200));
        RawClient client(s.port);
        client.send(bytes);
        const RawAnswer answer = client.receive();
        CHECK(answer.status == 400);
        CHECK(answer.body.find("\"malformed\"") != std::string::npos);
        client.finish_sending();
        CHECK(client.closed());
    }
    RawClient client(s.port);
    CHECK(client.ask("GET /%ff HTTP/1.1\r\n" + kHost).status == 400);
    CHECK(client.ask(kHello).status == 200);  // a bad path is no framing error
    CHECK(client.ask(post("/json", 0)).status == 400);
    CHECK(client.ask(kHello + "X: " + std::string(15'000, 'x') + "\r\n").status == 200);
}

TEST_CASE("any bytes get an answer or an end, and the server lives on") {
    Serving s;
    CHECK_PROPERTY("random requests", [&s](const std::string& head, const std::string& body) {
        RawClient client(s.port);
        client.send("POST /upload HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n" + head +
                    "\r\n\r\n" + body);
        client.finish_sending();
        const int status = client.receive().status;
        RC_ASSERT(status == 0 || status == 200 || status == 400);
    });
    CHECK(RawClient(s.port).ask(kHello).status == 200);
}

TEST_CASE("streams arrive whole, in pieces of bounded size") {
    Serving s;
    const std::string body = patterned(3 << 20);
    const std::string expected = std::to_string(body.size()) + " " + to_hex(sha256(body).view());
    RawClient client(s.port);
    CHECK(client.ask(post("/upload", body.size()), body).body == expected);
    for (const std::size_t step : {std::size_t{1'000}, std::size_t{65'536}, std::size_t{300'000}}) {
        CHECK(client
                  .ask("POST /upload HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n",
                       chunked(body, step))
                  .body == expected);
    }
    CHECK(client.ask(post("/upload", 0)).body.rfind("0 ", 0) == 0);
    CHECK(client.ask("POST /upload HTTP/1.1\r\n" + kHost).body.rfind("0 ", 0) == 0);
    RawClient cut(s.port);
    cut.send(post("/upload", 1'000) + "\r\nonly this");
    cut.finish_sending();
    CHECK(cut.receive().body == "the connection ended within the body");
}

TEST_CASE("a body that nobody reads does not spoil the next request") {
    Serving s;
    RawClient client(s.port);
    CHECK(client.ask(post("/ignore", 60'000), std::string(60'000, 'z')).body == "ignored");
    CHECK(client.ask(post("/private", 100), std::string(100, 'z')).status == 401);
    CHECK(client.ask(post("/nothing", 100), std::string(100, 'z')).status == 404);
    CHECK(client.ask(kHello).status == 200);
    // Too much to read for nothing: the answer arrives all the same, then the connection ends.
    const RawAnswer last = client.ask(post("/ignore", 800'000), std::string(800'000, 'z'));
    CHECK(last.body == "ignored");
    CHECK(last.header("Connection") == "close");
    client.finish_sending();
    CHECK(client.closed());
}

TEST_CASE("100-continue comes when the body is wanted, and not when it is refused") {
    Serving s;
    RawClient client(s.port);
    CHECK(client.ask(post("/json", 4, "Expect: 100-continue\r\n")).status == 100);
    client.send("true");
    CHECK(client.receive().body == "true");
    CHECK(client.ask(post("/upload", 4, "Expect: 100-continue\r\n")).status == 100);
    client.send("true");
    CHECK(client.receive().body.rfind("4 ", 0) == 0);
    CHECK(client.ask(post("/private", 4, "Expect: 100-continue\r\n")).status == 401);
    client.finish_sending();
    CHECK(client.closed());
}

TEST_CASE("streamed answers are chunked and end with their source") {
    Serving s;
    RawClient client(s.port);
    const RawAnswer list = client.ask("GET /list HTTP/1.1\r\n" + kHost);
    CHECK(list.complete);
    CHECK(list.header("Content-Type") == "text/csv");
    CHECK(list.body == "first," + std::string(100'000, 'x'));
    CHECK(client.ask("HEAD /list HTTP/1.1\r\n" + kHost).status == 200);
    const RawAnswer broken = client.ask("GET /broken HTTP/1.1\r\n" + kHost);
    CHECK(broken.status == 200);
    CHECK_FALSE(broken.complete);
    CHECK(client.closed());
}

TEST_CASE("a large answer waits for its reader") {
    Serving s;
    RawClient client(s.port);
    client.send("GET /large HTTP/1.1\r\n" + kHost + "\r\n" + kHello + "\r\n");
    CHECK(client.receive().body == std::string(32 << 20, 'y'));
    CHECK(client.receive().status == 200);
}

}  // namespace tidings::http
