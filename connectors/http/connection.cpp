#include "connectors/http/connection.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>

#include "connectors/http/problem.h"
#include "connectors/http/text.h"

namespace tidings::http {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::size_t kBodyBuffer = 64 << 10;  ///< a piece of a streamed body at most
constexpr std::size_t kJoinBytes =
    16 << 10;  ///< smaller bodies are copied behind the head, larger ones gathered
constexpr std::size_t kKeptBytes =
    64 << 10;  ///< strings larger than this are given back after an exchange
constexpr std::size_t kPooledHeaders = 32;
/// An unread body up to this size is read and thrown away to keep the connection; above it is
/// closed.
constexpr std::size_t kDrainBytes = 64 << 10;
/// After the last answer, how long and how much more is read so that the caller sees the answer and
/// not a reset.
constexpr int kLingerMs = 2'000;
constexpr std::size_t kLingerBytes = 1 << 20;

void append_digits(std::string& out, std::size_t number, int base = 10) {
    std::array<char, 24> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number, base).ptr;
    out.append(text.data(), end);
}

/// Control characters would end the header early.
void append_header(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ");
    for (const char c : value)
        out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
    out.append("\r\n");
}

void append_status_line(std::string& out, unsigned status) {
    if (status == 200) {
        out.append("HTTP/1.1 200 OK\r\n");
        return;
    }
    const auto reason = beast_http::obsolete_reason(static_cast<beast_http::status>(status));
    out.append("HTTP/1.1 ");
    append_digits(out, status);
    out.append(" ").append(reason.data(), reason.size()).append("\r\n");
}

bool has_no_body(unsigned status) { return status == 204 || status == 304 || status < 200; }

/// The path and query of "http://host/path?query" (RFC 9112, 3.2.2); other forms as they are.
std::string_view origin_form(std::string_view target) {
    const std::size_t scheme = target.find("://");
    if (target.empty() || target.front() == '/' || scheme == std::string_view::npos) return target;
    const std::size_t path = target.find_first_of("/?", scheme + 3);
    return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

Response malformed(std::string detail) {
    return problem(error(ErrorCode::malformed, std::move(detail)));
}

Response too_large(std::size_t limit) {
    return problem(error(ErrorCode::payload_too_large,
                         "the body is larger than " + std::to_string(limit) + " bytes"));
}

}  // namespace

Connection::Connection(Worker& worker, Socket socket)
    : worker_(worker), socket_(std::move(socket)), place_(worker.enlist(this)) {}

Connection::~Connection() { worker_.delist(place_); }

void Connection::close() {
    deadline_ms_ = kNever;
    error_code ignored;  // nothing is left to do with the socket whatever close() says
    socket_.close(ignored);
}

void Connection::close_if_idle() {
    error_code status;
    if (idle_ && buffer_.empty() && socket_.available(status) == 0) close();
}

void Connection::begin_exchange() {
    for (auto& header : request_.headers) {
        if (pool_.size() < kPooledHeaders) pool_.push_back(std::move(header));
    }
    request_.headers.clear();
    request_.body.clear();
    if (request_.body.capacity() > kKeptBytes) request_.body.shrink_to_fit();
    if (out_.capacity() > kKeptBytes) std::string().swap(out_);
    request_.stream = nullptr;
    buffer_.shrink();
    head_bytes_ = 0;
    keep_ = true;
    expects_continue_ = false;
    broken_ = false;
    sink_ = &request_.body;
    parser_.emplace(request_, target_, pool_, sink_);
    parser_->header_limit(static_cast<std::uint32_t>(worker_.shared().options.header_bytes));
    parser_->body_limit(boost::none);
    idle_ = true;
    expire_in(worker_.shared().options.idle_timeout_ms);
}

Connection::Progress Connection::parse_head() {
    const std::size_t limit = worker_.shared().options.header_bytes;
    while (head_bytes_ == 0 && !buffer_.empty() &&
           (buffer_.data().front() == '\r' || buffer_.data().front() == '\n')) {
        buffer_.consume(1);  // RFC 9112, 2.2: empty lines before a request are skipped
    }
    if (buffer_.empty()) return Progress::more;
    if (idle_) {
        idle_ = false;
        expire_in(worker_.shared().options.header_timeout_ms);
    }
    error_code status;
    const std::string_view data = buffer_.data();
    const std::size_t used = parser_->put(asio::const_buffer(data.data(), data.size()), status);
    buffer_.consume(used);
    head_bytes_ += used;
    if (parser_->is_header_done()) return Progress::done;
    if (status && status != beast_http::error::need_more &&
        status != beast_http::error::header_limit) {
        failure_ = status.message();
        return Progress::bad;
    }
    if (status == beast_http::error::header_limit || head_bytes_ + buffer_.size() >= limit) {
        failure_ = "the headers are larger than " + std::to_string(limit) + " bytes";
        return Progress::bad;
    }
    return Progress::more;
}

std::optional<Response> Connection::check_framing() {
    const auto count = [this](std::string_view name) {
        return std::count_if(request_.headers.begin(), request_.headers.end(),
                             [name](const auto& header) { return header.first == name; });
    };
    const bool http11 = parser_->version() >= 11;
    if (const auto hosts = count("host"); hosts > 1 || (http11 && hosts == 0)) {
        return malformed("exactly one Host header is needed");
    }
    if (const auto coding = request_.header("transfer-encoding")) {
        // Anything but the one coding that we decode could be framed differently by someone before
        // us.
        if (!http11 || count("transfer-encoding") != 1 ||
            !equals_ignoring_case(*coding, "chunked")) {
            return malformed("the only transfer coding is chunked");
        }
    }
    return std::nullopt;
}

std::optional<Response> Connection::check_head(const Route*& route) {
    if (auto bad = check_framing()) {
        broken_ = true;
        return bad;
    }
    keep_ = parser_->keep_alive();
    const bool has_body = !parser_->is_done();
    if (has_body) {
        const auto expect = request_.header("expect");
        expects_continue_ =
            expect && parser_->version() >= 11 && equals_ignoring_case(*expect, "100-continue");
    }
    const Router& router = worker_.shared().router;
    if (auto refusal =
            router.prepare(request_, origin_form(target_), has_body, worker_.now_s(), route))
        return refusal;
    if (route->body == BodyKind::stream) {
        request_.stream = this;
    } else if (route->body != BodyKind::none && has_body) {
        const auto length = parser_->content_length();
        if (length && *length > route->body_limit) return too_large(route->body_limit);
        if (length) request_.body.reserve(static_cast<std::size_t>(*length));
    }
    return std::nullopt;
}

/// Parses what is in the buffer, until the body ends or the sink holds more than `limit` bytes.
Connection::Progress Connection::feed(std::size_t limit) {
    while (!parser_->is_done()) {
        if (broken_) return Progress::bad;
        if (buffer_.empty() || sink_->size() > limit) return Progress::more;
        error_code status;
        const std::string_view data = buffer_.data();
        const std::size_t used = parser_->put(asio::const_buffer(data.data(), data.size()), status);
        buffer_.consume(used);
        if (status == beast_http::error::need_more) {
            if (buffer_.size() < kBodyBuffer) return Progress::more;
            failure_ = "a chunk header or trailer is too long";
        } else if (status) {
            failure_ = status.message();
        } else {
            continue;
        }
        broken_ = true;
        return Progress::bad;
    }
    return Progress::done;
}

Task<bool> Connection::fill(std::size_t capacity) {
    const auto [space, size] = buffer_.prepare(capacity);
    const auto [status, got] = co_await socket_.async_read_some(asio::buffer(space, size), kWait);
    buffer_.commit(got);
    // Closed meanwhile: a request that can no longer be answered must not be carried out.
    co_return !status && socket_.is_open();
}

/// Body bytes; first tells a caller who waits for it that the body is wanted.
Task<bool> Connection::continue_and_fill() {
    if (expects_continue_) {
        expects_continue_ = false;
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        const auto [status, sent] =
            co_await asio::async_write(socket_, asio::buffer(kContinue), kWait);
        if (status) co_return false;
    }
    buffer_.reserve(std::min<std::uint64_t>(
        kBodyBuffer, parser_->content_length_remaining().value_or(kBodyBuffer)));
    co_return co_await fill(kBodyBuffer);
}

Task<Result<std::optional<std::string>>> Connection::read() {
    piece_.clear();
    sink_ = &piece_;
    while (!broken_) {
        const Progress progress = feed(0);
        if (!piece_.empty()) co_return std::optional<std::string>(std::move(piece_));
        if (progress == Progress::done) co_return std::optional<std::string>();
        if (progress == Progress::bad) break;
        expire_in(worker_.shared().options.body_timeout_ms);
        const bool good = co_await continue_and_fill();
        deadline_ms_ = kNever;
        if (good) continue;
        broken_ = true;
        failure_ = "the connection ended within the body";
    }
    co_return error(ErrorCode::malformed, failure_);
}

void Connection::compose(const Response& response, bool keep) {
    out_.clear();
    append_status_line(out_, response.status);
    out_.append(worker_.date());
    if (!has_no_body(response.status)) {
        if (!response.content_type.empty())
            append_header(out_, "Content-Type", response.content_type);
        if (!response.chunks) {
            out_.append("Content-Length: ");
            append_digits(out_, response.body.size());
            out_.append("\r\n");
        } else if (parser_->version() >= 11) {
            out_.append("Transfer-Encoding: chunked\r\n");
        }
    }
    for (const auto& [name, value] : response.headers) append_header(out_, name, value);
    if (!keep) {
        out_.append("Connection: close\r\n");
    } else if (parser_->version() < 11) {
        out_.append("Connection: keep-alive\r\n");
    }
    out_.append("\r\n");
}

/// What the kernel did not take at once of out_ and `body`.
Task<bool> Connection::write_rest(const std::string& body, std::size_t sent) {
    while (sent < out_.size() + body.size()) {
        expire_in(worker_.shared().options.write_timeout_ms);
        const std::size_t in_body = sent < out_.size() ? 0 : sent - out_.size();
        const std::array<asio::const_buffer, 2> rest = {asio::buffer(out_) + sent,
                                                        asio::buffer(body) + in_body};
        const auto [status, count] = co_await socket_.async_write_some(rest, kWait);
        if (status) co_return false;
        sent += count;
    }
    co_return true;
}

/// True: the body is complete. An error of the producer ends the connection without the last chunk.
Task<bool> Connection::write_chunks(Response& response) {
    static const std::string kNothing;
    const bool chunked = parser_->version() >= 11;
    for (;;) {
        deadline_ms_ = kNever;
        const auto piece = co_await response.chunks();
        if (!piece) {
            spdlog::error("http: a streamed answer ended early: {}", piece.error().detail);
            co_return false;
        }
        if (*piece && (*piece)->empty()) continue;
        if (*piece && chunked) {
            append_digits(out_, (*piece)->size(), 16);
            out_.append("\r\n");
        }
        if (*piece) out_.append(**piece);
        if (chunked) out_.append(*piece ? "\r\n" : "0\r\n\r\n");
        if (!co_await write_rest(kNothing, 0)) co_return false;
        out_.clear();
        if (!*piece) co_return true;
    }
}

bool Connection::can_drain() const {
    if (broken_) return false;
    if (parser_->is_done()) return true;
    const auto left = parser_->content_length_remaining();
    return !expects_continue_ && left && *left <= kDrainBytes;
}

/// Reads what the handler left of the body.
Task<bool> Connection::drain() {
    piece_.clear();
    sink_ = &piece_;
    expire_in(worker_.shared().options.body_timeout_ms);
    for (;;) {
        const Progress progress = feed(kDrainBytes);
        if (progress != Progress::more) co_return progress == Progress::done;
        if (!co_await fill(kBodyBuffer)) co_return false;
    }
}

/// Closes so that an answer is not lost to a reset because the caller is still sending.
Task<void> Connection::linger() {
    error_code status;
    socket_.shutdown(asio::socket_base::shutdown_send, status);
    if (status) co_return;
    expire_in(kLingerMs);
    buffer_.reserve(kBodyBuffer);
    for (std::size_t total = 0; total < kLingerBytes;) {
        buffer_.consume(buffer_.size());
        const std::size_t before = buffer_.size();
        if (!co_await fill(kBodyBuffer)) co_return;
        total += buffer_.size() - before;
    }
}

Task<void> Connection::answer_and_close(const Response& response) {
    worker_.shared().record(nullptr, response.status, {});
    compose(response, false);
    const bool written = co_await write_rest(response.body, 0);
    if (written) co_await linger();
}

Task<void> Connection::refuse(std::shared_ptr<Connection> self) {
    self->begin_exchange();
    self->idle_ = false;
    const Response answer = problem(error(ErrorCode::overloaded, "too many connections"));
    co_await self->answer_and_close(answer);
}

/// The rest of a json or raw body. False: the connection is gone. A bad body sets `refusal`.
Task<bool> Connection::read_body(const Route& route, std::optional<Response>& refusal) {
    expire_in(worker_.shared().options.body_timeout_ms);
    for (;;) {
        const Progress progress = feed(route.body_limit);
        if (request_.body.size() > route.body_limit) {
            refusal = too_large(route.body_limit);
            break;
        }
        if (progress == Progress::done) break;
        if (progress == Progress::bad) {
            refusal = malformed(failure_);
            break;
        }
        if (!co_await continue_and_fill()) co_return false;
    }
    deadline_ms_ = kNever;
    co_return true;
}

/// Sends what the kernel takes at once; nothing if the connection is gone.
std::optional<std::size_t> Connection::send_now(Response& response) {
    if (response.body.size() <= kJoinBytes) {
        out_.append(response.body);
        response.body.clear();
    }
    error_code status;
    const std::array<asio::const_buffer, 2> all = {asio::buffer(out_), asio::buffer(response.body)};
    const std::size_t sent = socket_.send(all, 0, status);
    if (status && status != asio::error::would_block) return std::nullopt;
    return sent;
}

/// True: the connection may be used again.
Task<bool> Connection::write_answer(Response& response) {
    const bool head_only = request_.method == "HEAD" || has_no_body(response.status);
    const bool streamed = response.chunks && !head_only;
    const bool ends_by_close = streamed && parser_->version() < 11;
    const bool keep = keep_ && can_drain() && !worker_.stopping() && !ends_by_close;
    compose(response, keep);
    if (streamed) {
        const bool complete = co_await write_chunks(response);
        if (!complete) co_return false;
    } else {
        if (head_only) response.body.clear();
        const auto sent = send_now(response);
        if (!sent) co_return false;
        if (*sent < out_.size() + response.body.size()) {
            const bool written = co_await write_rest(response.body, *sent);
            if (!written) co_return false;
        }
    }
    if (!keep) {
        if (!parser_->is_done() || !buffer_.empty()) co_await linger();
        co_return false;
    }
    if (parser_->is_done()) co_return true;
    co_return co_await drain();
}

Task<void> Connection::serve(std::shared_ptr<Connection> self) {
    Connection& c = *self;
    Shared& shared = c.worker_.shared();
    for (;;) {
        c.begin_exchange();
        for (Progress head; (head = c.parse_head()) != Progress::done;) {
            if (head == Progress::bad) {
                const Response answer = malformed(c.failure_);
                co_await c.answer_and_close(answer);
                co_return;
            }
            if (!co_await c.fill(shared.options.header_bytes)) co_return;
        }

        c.deadline_ms_ = kNever;
        const auto start = std::chrono::steady_clock::now();
        const Route* route = nullptr;
        std::optional<Response> refusal = c.check_head(route);
        const bool whole =
            !refusal && (route->body == BodyKind::json || route->body == BodyKind::raw);
        // Most bodies came with their headers: only the others cost a coroutine of their own.
        if (whole && !c.parser_->is_done()) {
            const bool connected = co_await c.read_body(*route, refusal);
            if (!connected) co_return;
        }

        shared.in_flight.fetch_add(1, std::memory_order_relaxed);
        Response response;  // no "?:" around co_await: GCC 12 destroys its temporaries twice
        if (refusal) {
            response = std::move(*refusal);
        } else {
            response = co_await shared.router.run(*route, c.request_);
        }
        shared.in_flight.fetch_sub(1, std::memory_order_relaxed);
        shared.router.finish(c.request_, response);
        shared.record(route, response.status, std::chrono::steady_clock::now() - start);
        const bool again = co_await c.write_answer(response);
        if (!again) co_return;
    }
}

}  // namespace tidings::http
