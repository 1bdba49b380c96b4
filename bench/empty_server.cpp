#include "bench/empty_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdio>
#include <memory>
#include <string>

namespace tidings::bench {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

class Session : public std::enable_shared_from_this<Session> {
public:
    Session(tcp::socket socket, const std::string& body)
        : socket_(std::move(socket)), response_(http::status::ok, 11) {
        response_.set(http::field::content_type, "application/json");
        response_.body() = body;
        response_.prepare_payload();
    }

    void read() {
        request_ = {};
        http::async_read(socket_, buffer_, request_,
                         [self = shared_from_this()](const error_code& error, std::size_t) {
                             if (!error) self->write();
                         });
    }

private:
    void write() {
        http::async_write(socket_, response_,
                          [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (!error) self->read();
                          });
    }

    tcp::socket socket_;
    boost::beast::flat_buffer buffer_;
    http::request<http::string_body> request_;
    http::response<http::string_body> response_;
};

void accept_next(tcp::acceptor& acceptor, const std::string& body) {
    acceptor.async_accept([&acceptor, &body](const error_code& error, tcp::socket socket) {
        if (!error) {
            error_code ignored;  // answers would only come later
            (void)socket.set_option(tcp::no_delay(true), ignored);
            std::make_shared<Session>(std::move(socket), body)->read();
        }
        accept_next(acceptor, body);
    });
}

}  // namespace

int serve_empty(std::size_t body_bytes) {
    asio::io_context context(1);
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    const std::string body(body_bytes, 'x');
    std::printf("listening on http://127.0.0.1:%u\n",
                static_cast<unsigned>(acceptor.local_endpoint().port()));
    std::fflush(stdout);
    accept_next(acceptor, body);
    context.run();
    return 0;
}

}  // namespace tidings::bench
