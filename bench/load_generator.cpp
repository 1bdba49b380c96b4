#include "bench/load_generator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "bench/check.h"

namespace tidings::bench {

namespace {

constexpr int kSilenceMs = 60'000;                // then the server counts as dead
constexpr std::size_t kLoadGeneratorShown = 300;  // bytes of a wrong answer in the error
constexpr std::size_t kReadBytes = 64 << 10;

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

double thread_cpu_seconds() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

std::string system_error(const char* doing) {
    return std::string("load generator: ") + doing + ": " + std::strerror(errno);
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

private:
    const int fd_;
};

struct Head {
    std::size_t size = 0;  ///< with the empty line
    unsigned status = 0;
    std::size_t body = 0;
};

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != lower[i]) return false;
    }
    return true;
}

/// The head at the front of `bytes`, size 0 while it is not complete.
Head parse_head(std::string_view bytes) {
    Head out;
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return out;
    check(bytes.starts_with("HTTP/1.1 ") && end > 12, "load generator: not an HTTP/1.1 answer");
    std::from_chars(bytes.data() + 9, bytes.data() + 12, out.status);
    bool has_length = out.status == 204;
    for (std::size_t line = bytes.find("\r\n") + 2; line < end;) {
        const std::size_t next = bytes.find("\r\n", line);
        const std::size_t colon = bytes.find(':', line);
        if (colon < next &&
            equals_ignoring_case(bytes.substr(line, colon - line), "content-length")) {
            const char* digits = bytes.data() + colon + 1;
            while (*digits == ' ') ++digits;
            std::from_chars(digits, bytes.data() + next, out.body);
            has_length = true;
        }
        line = next + 2;
    }
    check(has_length, "load generator: an answer without Content-Length");
    out.size = end + 4;
    return out;
}

class Generator {
public:
    explicit Generator(const Load& load) : load_(load), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        check(epoll_.get() >= 0, system_error("epoll_create1"));
    }

    LoadResult run() {
        connect_all();
        const std::uint64_t start = now_ns();
        const double cpu_before = thread_cpu_seconds();
        for (auto& connection : connections_) send_next(*connection);
        std::array<epoll_event, 256> events{};
        while (under_way_ > 0) {
            const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), kSilenceMs);
            if (count < 0 && errno == EINTR) continue;
            check(count > 0, count == 0 ? "load generator: no answer for a minute"
                                        : system_error("epoll_wait"));
            for (int i = 0; i < count; ++i) {
                receive(*connections_[events[static_cast<std::size_t>(i)].data.u64]);
            }
        }
        result_.seconds = static_cast<double>(now_ns() - start) / 1e9;
        result_.cpu_seconds = thread_cpu_seconds() - cpu_before;
        return std::move(result_);
    }

private:
    struct Connection {
        explicit Connection(int fd) : socket(fd) {}
        Descriptor socket;
        std::string out, in;
        std::size_t sent = 0;
        std::uint64_t number = 0, sent_ns = 0;
        bool busy = false;
    };

    void connect_all() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(load_.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (std::size_t i = 0; i < load_.connections; ++i) {
            auto connection =
                std::make_unique<Connection>(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            const int fd = connection->socket.get();
            check(fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address),
                                       sizeof address) == 0,
                  system_error("connect"));
            const int on = 1;
            check(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0,
                  system_error("TCP_NODELAY"));
            epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
            check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0,
                  system_error("epoll_ctl"));
            connections_.push_back(std::move(connection));
        }
    }

    /// Requests are small against a socket's buffer, so that a blocking send does not wait.
    void send_next(Connection& connection) {
        connection.out.clear();
        if (done_ || !load_.next(next_, connection.out)) {
            done_ = true;
            return;
        }
        connection.number = next_++;
        connection.busy = true;
        ++under_way_;
        connection.sent_ns = now_ns();
        for (std::size_t sent = 0; sent < connection.out.size();) {
            const ssize_t count = ::send(connection.socket.get(), connection.out.data() + sent,
                                         connection.out.size() - sent, MSG_NOSIGNAL);
            if (count < 0 && errno == EINTR) continue;
            check(count > 0, system_error("send"));
            sent += static_cast<std::size_t>(count);
        }
    }

    void receive(Connection& connection) {
        const ssize_t count =
            ::recv(connection.socket.get(), piece_.data(), piece_.size(), MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        check(count >= 0, system_error("recv"));
        check(count > 0, "load generator: the server closed a connection");
        check(connection.busy, "load generator: an answer that nobody asked for");
        std::string_view bytes(piece_.data(), static_cast<std::size_t>(count));
        if (!connection.in.empty()) {
            connection.in.append(bytes);
            bytes = connection.in;
        }
        const Head head = parse_head(bytes);
        if (head.size == 0 || bytes.size() < head.size + head.body) {
            if (connection.in.empty()) connection.in = bytes;
            return;
        }
        check(bytes.size() == head.size + head.body, "load generator: more than one answer");
        result_.latency.add(now_ns() - connection.sent_ns);
        ++result_.requests;
        result_.body_bytes += head.body;
        const std::string_view body = bytes.substr(head.size);
        if (!load_.check(connection.number, head.status, body)) {
            throw WrongAnswer("request " + std::to_string(connection.number) + ": " +
                              connection.out.substr(0, connection.out.find('\r')) +
                              " was answered " + std::to_string(head.status) + " " +
                              std::string(body.substr(0, kLoadGeneratorShown)));
        }
        connection.in.clear();
        connection.busy = false;
        --under_way_;
        send_next(connection);
    }

    const Load& load_;
    Descriptor epoll_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::array<char, kReadBytes> piece_;
    std::uint64_t next_ = 0;
    std::size_t under_way_ = 0;
    bool done_ = false;
    LoadResult result_;
};

}  // namespace

LoadResult run_load(const Load& load) { return std::make_unique<Generator>(load)->run(); }

}  // namespace tidings::bench
