// A blocking HTTP client that sends exactly the bytes it is told to, and reads answers one by one.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tidings::testing {

struct RawAnswer {
    int status = 0;  ///< 0: the connection ended before a complete answer
    std::string head, body;
    bool complete = false;  ///< the body's announced end was seen

    /// Value of a header given as "Content-Type", or "".
    std::string header(const std::string& name) const {
        const std::size_t at = head.find("\r\n" + name + ": ");
        if (at == std::string::npos) return "";
        const std::size_t begin = at + name.size() + 4;
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
};

class RawClient {
public:
    explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        const int on = 1;
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    ~RawClient() { ::close(fd_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool connected() const { return connected_; }

    /// False if the server closed meanwhile.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    void finish_sending() { ::shutdown(fd_, SHUT_WR); }

    /// The next answer; `head_only` for HEAD.
    RawAnswer receive(bool head_only = false) {
        RawAnswer answer;
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (!more()) return answer;
        }
        answer.head = buffer_.substr(0, end + 2);
        buffer_.erase(0, end + 4);
        answer.status = std::atoi(answer.head.substr(9, 3).c_str());
        if (head_only || answer.status == 204 || answer.status < 200) {
            answer.complete = true;
        } else if (answer.header("Transfer-Encoding") == "chunked") {
            receive_chunks(answer);
        } else if (const std::string length = answer.header("Content-Length"); !length.empty()) {
            answer.complete = take(std::strtoull(length.c_str(), nullptr, 10), answer.body);
        } else {
            while (more()) {
            }
            answer.body.swap(buffer_);
            answer.complete = true;
        }
        return answer;
    }

    RawAnswer ask(const std::string& head, const std::string& body = "") {
        send(head + "\r\n" + body);
        return receive(head.rfind("HEAD", 0) == 0);
    }

    /// True once the server has closed; false if it sends something or does nothing for the
    /// patience.
    bool closed() {
        if (!buffer_.empty()) return false;
        char byte;
        return wait() && ::recv(fd_, &byte, 1, 0) <= 0;
    }

private:
    static constexpr int kPatienceMs = 20'000;  ///< only a failing test waits for it

    bool wait() {
        pollfd poll{fd_, POLLIN, 0};
        return ::poll(&poll, 1, kPatienceMs) == 1;
    }
    bool more() {
        char block[16384];
        if (!wait()) return false;
        const ssize_t n = ::recv(fd_, block, sizeof block, 0);
        if (n <= 0) return false;
        buffer_.append(block, static_cast<std::size_t>(n));
        return true;
    }
    bool take(std::size_t count, std::string& out) {
        while (buffer_.size() < count) {
            if (!more()) return false;
        }
        out.append(buffer_, 0, count);
        buffer_.erase(0, count);
        return true;
    }
    void receive_chunks(RawAnswer& answer) {
        for (;;) {
            std::size_t end = 0;
            while ((end = buffer_.find("\r\n")) == std::string::npos) {
                if (!more()) return;
            }
            const std::size_t size = std::strtoull(buffer_.c_str(), nullptr, 16);
            buffer_.erase(0, end + 2);
            std::string crlf;
            if (!take(size, answer.body) || !take(2, crlf)) return;
            if (size == 0) {
                answer.complete = true;
                return;
            }
        }
    }

    int fd_;
    bool connected_ = false;
    std::string buffer_;
};

}  // namespace tidings::testing
