#include "connectors/http/peer.h"

#include <algorithm>
#include <array>
#include <boost/algorithm/string/case_conv.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "connectors/http/problem.h"

namespace tidings::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using beast::error_code;
using End = PeerAnswer::End;

namespace {

constexpr std::size_t kPeerPieceBytes = 64 << 10;  ///< of a streamed answer at most
constexpr std::size_t kCollectedBytes = 64 << 10;  ///< answers that are longer are streamed
constexpr std::uint32_t kAnswerHeaderBytes = 64 << 10;
/// Shorter than the idle timeout of servers, so that a kept connection is seldom a dead one.
constexpr std::chrono::seconds kKept{30};

/// A connection to another process.
struct Link {
    Link(const asio::any_io_executor& executor, std::string to, const PeerOptions& peer_options)
        : stream(executor), authority(std::move(to)), options(peer_options) {}

    void start_timer() {
        stream.expires_after(std::chrono::milliseconds(options.response_timeout_ms));
    }
    bool is_answering() {
        error_code status;
        return stream.socket().available(status) > 0;
    }
    /// Nothing to read: neither an end nor bytes that nobody asked for.
    bool is_alive() {
        char byte = 0;
        error_code status;
        stream.socket().non_blocking(true, status);
        if (status || buffer.size() > 0) return false;
        stream.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, status);
        return status == asio::error::would_block;
    }

    beast::tcp_stream stream;
    beast::flat_buffer buffer;
    const std::string authority;
    const PeerOptions options;
    std::optional<beast_http::response_parser<beast_http::buffer_body>> parser;
    bool reusable = true;
    std::chrono::steady_clock::time_point idle_since;
};

/// The idle connections of one io_context; ends with it.
class Links final : public asio::execution_context::service {
public:
    using key_type = Links;
    static inline asio::execution_context::id id;

    explicit Links(asio::execution_context& context) : service(context) {}

    static Links& of(const asio::any_io_executor& executor) {
        return asio::use_service<Links>(asio::query(executor, asio::execution::context));
    }

    /// Null: none is left.
    std::shared_ptr<Link> take(const std::string& authority) {
        for (std::size_t i = idle_.size(); i-- > 0;) {
            if (idle_[i]->authority != authority) continue;
            std::shared_ptr<Link> link = std::move(idle_[i]);
            idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
            if (link->is_alive()) return link;
        }
        return nullptr;
    }

    void keep(std::shared_ptr<Link> link) {
        const auto now = std::chrono::steady_clock::now();
        std::erase_if(idle_, [now](const auto& one) { return now - one->idle_since > kKept; });
        const auto same = [&link](const auto& one) { return one->authority == link->authority; };
        const auto kept = std::count_if(idle_.begin(), idle_.end(), same);
        if (static_cast<std::size_t>(kept) >= link->options.idle_per_host) return;
        link->stream.expires_never();
        link->idle_since = now;
        idle_.push_back(std::move(link));
    }

private:
    void shutdown() override { idle_.clear(); }
    std::vector<std::shared_ptr<Link>> idle_;  ///< oldest first; few
};

struct PeerPlace {
    std::string host;
    std::uint16_t port = 80;
    std::string authority;
};

std::optional<PeerPlace> parse_url(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    if (!url || url->scheme() != "http" || url->host_address().empty()) return std::nullopt;
    const std::uint16_t port = url->has_port() ? url->port_number() : 80;
    return PeerPlace{url->host_address(), port, std::string(url->encoded_host_and_port())};
}

/// Null: not reached.
Task<std::shared_ptr<Link>> connect(const PeerPlace& place, PeerOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    std::vector<tcp::endpoint> endpoints;
    error_code not_numeric;
    const auto address = asio::ip::make_address(place.host, not_numeric);
    if (!not_numeric) {
        endpoints.emplace_back(address, place.port);
    } else {
        tcp::resolver resolver(executor);
        const std::string port = std::to_string(place.port);
        const auto [failure, found] = co_await resolver.async_resolve(place.host, port, kWait);
        if (failure) co_return nullptr;
        for (const auto& one : found) endpoints.push_back(one.endpoint());
    }
    auto link = std::make_shared<Link>(executor, place.authority, options);
    link->stream.expires_after(std::chrono::milliseconds(options.connect_timeout_ms));
    const auto [failure, endpoint] = co_await link->stream.async_connect(endpoints, kWait);
    if (failure) co_return nullptr;
    error_code ignored;  // without it small requests go out a little later: no failure
    link->stream.socket().set_option(tcp::no_delay(true), ignored);
    co_return link;
}

template <class Body>
void set_head(beast_http::request<Body>& message, const PeerRequest& request, const Link& link) {
    message.method_string({request.method.data(), request.method.size()});
    message.target({request.target.data(), request.target.size()});
    message.set(beast_http::field::host, link.authority);
    for (const auto& [name, value] : request.headers) message.insert(name, value);
}

/// Nothing: sent, and the answer can be read.
Task<std::optional<End>> send_whole(const PeerRequest& request, Link& link) {
    beast_http::request<beast_http::span_body<const char>> message;
    set_head(message, request, link);
    message.body() = {request.body.data(), request.body.size()};
    if (!request.body.empty() || request.method != "GET") {
        message.content_length(request.body.size());
    }
    link.start_timer();
    const auto [status, sent] = co_await beast_http::async_write(link.stream, message, kWait);
    if (!status) co_return std::nullopt;
    co_return sent > 0 ? End::broken : End::unsent;
}

/// Nothing: as much is sent as the peer wants, and its answer can be read. A body that the caller
/// does not bring to its end sets `refusal`.
Task<std::optional<End>> send_stream(const PeerRequest& request, Link& link,
                                     std::optional<Response>& refusal) {
    beast_http::request<beast_http::empty_body> message;
    set_head(message, request, link);
    message.chunked(true);
    beast_http::request_serializer<beast_http::empty_body> head{message};
    link.start_timer();
    const auto [failure, sent] = co_await beast_http::async_write_header(link.stream, head, kWait);
    if (failure) co_return End::unsent;
    for (;;) {
        const auto piece = co_await request.stream->read();
        if (!piece) {
            refusal = problem(piece.error());
            co_return End::answered;
        }
        link.start_timer();
        if (!*piece) {
            const auto last = beast_http::make_chunk_last();
            co_await asio::async_write(link.stream, last,
                                       kWait);  // read_answer() sees a failure
            co_return std::nullopt;
        }
        if ((*piece)->empty()) continue;
        const auto chunk = beast_http::make_chunk(asio::buffer(**piece));
        const auto [status, written] = co_await asio::async_write(link.stream, chunk, kWait);
        if (status || link.is_answering()) {  // a peer that refuses answers before the end
            link.reusable = false;
            co_return std::nullopt;
        }
    }
}

/// A parameter of Response::chunks. At the end the connection can be used again.
Task<Result<std::optional<std::string>>> read_piece(std::shared_ptr<Link> link) {
    auto& parser = *link->parser;
    if (parser.is_done()) {
        if (link->reusable && parser.get().keep_alive()) {
            Links::of(link->stream.get_executor()).keep(link);
        }
        co_return std::optional<std::string>();
    }
    std::string piece(kPeerPieceBytes, '\0');
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    body.more = true;
    link->start_timer();
    const auto [status, got] =
        co_await beast_http::async_read_some(link->stream, link->buffer, parser, kWait);
    if (status && status != beast_http::error::need_buffer) {
        co_return error(ErrorCode::io, link->authority + ": " + status.message());
    }
    piece.resize(piece.size() - body.size);
    co_return std::optional<std::string>(std::move(piece));
}

Response head_of(const beast_http::response_parser<beast_http::buffer_body>& parser) {
    // The answer gets its own framing and date here, and the headers that its caller's origin asks.
    static constexpr std::array<std::string_view, 3> kMadeAnew = {"content-length", "date", "vary"};
    Response response;
    response.status = parser.get().result_int();
    response.content_type.clear();
    for (const auto& field : parser.get()) {
        std::string name(field.name_string());
        std::string value(field.value());
        const std::string lower = boost::algorithm::to_lower_copy(name);
        if (lower == "content-type") {
            response.content_type = std::move(value);
        } else if (!is_hop_by_hop(lower) && !lower.starts_with("access-control-") &&
                   std::find(kMadeAnew.begin(), kMadeAnew.end(), lower) == kMadeAnew.end()) {
            response.headers.emplace_back(std::move(name), std::move(value));
        }
    }
    return response;
}

Task<End> read_answer(std::shared_ptr<Link> link, Response& response) {
    auto& parser = link->parser.emplace();
    parser.header_limit(kAnswerHeaderBytes);
    parser.body_limit(boost::none);
    link->start_timer();
    const auto [status, got] =
        co_await beast_http::async_read_header(link->stream, link->buffer, parser, kWait);
    if (status) co_return status == beast::error::timeout ? End::timed_out : End::broken;
    response = head_of(parser);
    const auto length = parser.content_length();
    const bool is_short = !parser.chunked() && length && *length <= kCollectedBytes;
    if (!is_short && !parser.is_done()) {
        response.chunks = [link] { return read_piece(link); };
        co_return End::answered;
    }
    for (;;) {
        const auto piece = co_await read_piece(link);
        if (!piece) co_return End::broken;
        if (!*piece) co_return End::answered;
        response.body += **piece;
    }
}

Task<PeerAnswer> exchange(const PeerRequest& request, std::shared_ptr<Link> link) {
    PeerAnswer answer;
    std::optional<Response> refusal;
    std::optional<End> failed;
    if (request.stream != nullptr) {
        failed = co_await send_stream(request, *link, refusal);
    } else {
        failed = co_await send_whole(request, *link);
    }
    if (failed) {
        answer.end = *failed;
        if (refusal) answer.response = std::move(*refusal);
        co_return answer;
    }
    answer.end = co_await read_answer(link, answer.response);
    co_return answer;
}

}  // namespace

bool is_hop_by_hop(std::string_view name) {
    static constexpr std::array<std::string_view, 9> kNames = {"connection",
                                                               "keep-alive",
                                                               "proxy-authenticate",
                                                               "proxy-authorization",
                                                               "proxy-connection",
                                                               "te",
                                                               "trailer",
                                                               "transfer-encoding",
                                                               "upgrade"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Task<PeerAnswer> ask_peer(const PeerRequest& request, std::string url, PeerOptions options) {
    PeerAnswer answer;
    const auto place = parse_url(url);
    if (!place) co_return answer;
    const auto executor = co_await asio::this_coro::executor;
    bool sent = false;
    std::shared_ptr<Link> link;
    if (request.stream == nullptr) link = Links::of(executor).take(place->authority);
    if (link) {
        answer = co_await exchange(request, link);
        if (answer.end == End::answered || answer.end == End::timed_out) co_return answer;
        sent = answer.end == End::broken;
    }
    link = co_await connect(*place, options);
    answer = PeerAnswer();
    if (link) answer = co_await exchange(request, link);
    if (sent && answer.end == End::unsent) answer.end = End::broken;
    co_return answer;
}

}  // namespace tidings::http
