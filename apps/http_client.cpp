#include "apps/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <chrono>

#include "events/json_value.h"

namespace tidings::apps {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds kConnectTimeout{10};
constexpr std::chrono::seconds kAnswerTimeout{120};
constexpr std::chrono::seconds kStreamTimeout{600};
constexpr std::size_t kClientPieceBytes = 64 << 10;
constexpr std::size_t kClientAnswerBytes = 256u
                                           << 20;  // an import's list of rejected lines may be long

void set_headers(beast::http::fields& fields, const Headers& headers) {
    for (const auto& [name, value] : headers) fields.set(name, value);
}

}  // namespace

struct HttpClient::State {
    Url url;
    std::string authority;
    asio::io_context context{1};
    std::optional<beast::tcp_stream> stream;
    beast::flat_buffer buffer;

    explicit State(Url from) : url(std::move(from)) {
        const bool v6 = url.host.find(':') != std::string::npos;
        authority = (v6 ? "[" + url.host + "]" : url.host) + ":" + std::to_string(url.port);
    }

    /// Runs one asynchronous operation, which alone can time out, to its end.
    template <class Start>
    error_code run(std::chrono::seconds limit, Start start) {
        error_code result;
        stream->expires_after(limit);
        start([&result](error_code error, auto&&...) { result = error; });
        context.restart();
        context.run();
        return result;
    }

    Result<void> fail(const std::string& what, error_code error) {
        stream.reset();
        buffer.clear();
        return Error{ErrorCode::io, what + " " + authority + ": " + error.message()};
    }

    Result<void> connect() {
        if (stream) return {};
        asio::ip::tcp::resolver resolver(context);
        error_code error;
        const auto addresses = resolver.resolve(url.host, std::to_string(url.port), error);
        if (error) return fail("cannot find", error);
        stream.emplace(context);
        error = run(kConnectTimeout,
                    [&](auto done) { stream->async_connect(addresses, std::move(done)); });
        if (error) return fail("cannot connect to", error);
        error_code ignored;  // small requests go out a little later without it: no failure
        (void)stream->socket().set_option(asio::ip::tcp::no_delay(true), ignored);
        return {};
    }

    Result<HttpResponse> read(std::chrono::seconds limit) {
        beast::http::response_parser<beast::http::string_body> parser;
        parser.body_limit(kClientAnswerBytes);
        const error_code error = run(limit, [&](auto done) {
            beast::http::async_read(*stream, buffer, parser, std::move(done));
        });
        if (error) return fail("no answer from", error).error();
        HttpResponse out;
        out.status = parser.get().result_int();
        for (const auto& field : parser.get()) {
            out.headers.emplace_back(field.name_string(), field.value());
        }
        out.body = std::move(parser.get().body());
        if (!parser.get().keep_alive()) {
            stream.reset();
            buffer.clear();
        }
        return out;
    }
};

Result<Url> parse_url(std::string_view text) {
    const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
    const auto wrong = [text](const std::string& why) {
        return Error{ErrorCode::usage, "\"" + std::string(text) + "\" " + why};
    };
    if (!parsed) return wrong("is not a URL such as http://127.0.0.1:8080");
    const boost::urls::url_view& url = *parsed;
    if (url.scheme() == "https") {
        return wrong(
            "is https, which this command does not speak: use http://, on the machine "
            "that runs the broker or through a tunnel");
    }
    if (url.scheme() != "http") return wrong("must begin with http://");
    if (url.host().empty()) return wrong("names no host");
    if (url.has_userinfo() || url.has_query() || url.has_fragment()) {
        return wrong("must be no more than http://HOST:PORT/PATH");
    }
    Url out;
    out.host = url.host_type() == boost::urls::host_type::ipv6
                   ? std::string(url.host_ipv6_address().to_string())
                   : std::string(url.host());
    if (url.has_port()) {
        const std::string port(url.port());
        const char* const end = port.data() + port.size();
        const auto read = std::from_chars(port.data(), end, out.port);
        if (read.ec != std::errc() || read.ptr != end || out.port == 0) {
            return wrong("has a bad port");
        }
    }
    out.path = std::string(url.encoded_path());
    while (out.path.ends_with('/')) out.path.pop_back();
    return out;
}

HttpClient::HttpClient(Url url) : state_(std::make_unique<State>(std::move(url))) {}
HttpClient::~HttpClient() = default;

Result<HttpResponse> HttpClient::request(std::string_view method, const std::string& target,
                                         const Headers& headers, std::string body) {
    beast::http::request<beast::http::string_body> request;
    request.method_string({method.data(), method.size()});
    request.target(state_->url.path + target);
    request.set(beast::http::field::host, state_->authority);
    if (!body.empty()) request.set(beast::http::field::content_type, "application/json");
    set_headers(request, headers);
    request.body() = std::move(body);
    if (!request.body().empty() || method != "GET") request.prepare_payload();

    const Result<void> connected = state_->connect();
    if (!connected) return connected.error();
    const error_code error = state_->run(kAnswerTimeout, [&](auto done) {
        beast::http::async_write(*state_->stream, request, std::move(done));
    });
    if (error) return state_->fail("cannot write to", error).error();
    return state_->read(kAnswerTimeout);
}

Result<HttpResponse> HttpClient::stream(std::string_view method, const std::string& target,
                                        const Headers& headers, const Source& source) {
    beast::http::request<beast::http::empty_body> request;
    request.method_string({method.data(), method.size()});
    request.target(state_->url.path + target);
    request.set(beast::http::field::host, state_->authority);
    set_headers(request, headers);
    request.chunked(true);

    const Result<void> connected = state_->connect();
    if (!connected) return connected.error();
    beast::http::request_serializer<beast::http::empty_body> serializer{request};
    error_code error = state_->run(kAnswerTimeout, [&](auto done) {
        beast::http::async_write_header(*state_->stream, serializer, std::move(done));
    });
    while (!error) {
        const Result<std::optional<std::string>> piece = source();
        if (!piece) {
            state_->stream.reset();
            return piece.error();
        }
        if (!*piece) break;
        if ((*piece)->empty()) continue;
        error = state_->run(kStreamTimeout, [&](auto done) {
            asio::async_write(*state_->stream, beast::http::make_chunk(asio::buffer(**piece)),
                              std::move(done));
        });
    }
    if (!error) {
        error = state_->run(kStreamTimeout, [&](auto done) {
            asio::async_write(*state_->stream, beast::http::make_chunk_last(), std::move(done));
        });
    }
    // a server that refuses early closes its side; its answer is then still to be read
    Result<HttpResponse> answer = state_->read(kStreamTimeout);
    if (!answer && error) return state_->fail("cut off by", error).error();
    if (error) state_->stream.reset();
    return answer;
}

Result<HttpResponse> HttpClient::download(const std::string& target, const Headers& headers,
                                          const Sink& sink) {
    beast::http::request<beast::http::empty_body> request{beast::http::verb::get,
                                                          state_->url.path + target, 11};
    request.set(beast::http::field::host, state_->authority);
    set_headers(request, headers);
    if (const auto connected = state_->connect(); !connected) return connected.error();
    error_code error = state_->run(kAnswerTimeout, [&](auto done) {
        beast::http::async_write(*state_->stream, request, std::move(done));
    });
    if (error) return state_->fail("cannot write to", error).error();

    beast::http::response_parser<beast::http::buffer_body> parser;
    parser.body_limit(boost::none);
    error = state_->run(kStreamTimeout, [&](auto done) {
        beast::http::async_read_header(*state_->stream, state_->buffer, parser, std::move(done));
    });
    if (error) return state_->fail("no answer from", error).error();
    HttpResponse out;
    out.status = parser.get().result_int();
    for (const auto& field : parser.get()) {
        out.headers.emplace_back(field.name_string(), field.value());
    }
    std::string piece(kClientPieceBytes, '\0');
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = piece.data();
        body.size = piece.size();
        body.more = true;
        error = state_->run(kStreamTimeout, [&](auto done) {
            beast::http::async_read_some(*state_->stream, state_->buffer, parser, std::move(done));
        });
        if (error && error != beast::http::error::need_buffer) {
            return state_->fail("cut off by", error).error();
        }
        const std::string_view got(piece.data(), piece.size() - body.size);
        if (out.status != 200) {
            out.body +=
                got.substr(0, kClientPieceBytes - std::min(kClientPieceBytes, out.body.size()));
        } else if (const Result<void> taken = sink(got); !taken) {
            state_->stream.reset();
            return taken.error();
        }
    }
    return out;
}

Error refusal(const HttpResponse& answer) {
    const auto json = parse_json(answer.body);
    const JsonValue* detail = json ? json->find("detail") : nullptr;
    const JsonValue* code = json ? json->find("code") : nullptr;
    std::string text = "the broker answered " + std::to_string(answer.status);
    if (code != nullptr) text += " " + code->text;
    text += ": " + (detail != nullptr ? detail->text : answer.body);
    return {ErrorCode::invalid, text, {}};
}

std::string encode_segment(std::string_view text) {
    static constexpr std::string_view kUnreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        if (kUnreserved.find(c) != std::string_view::npos) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
    return out;
}

}  // namespace tidings::apps
