// Processes that share a deployment's keys and hold different partitions, each with a server of its
// own; and peers that misbehave.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "connectors/http/forwarder.h"
#include "connectors/http/metrics.h"
#include "connectors/http/server.h"
#include "tests/connectors/api_world.h"
#include "tests/connectors/raw_client.h"

namespace tidings::http::testing {

using tidings::testing::RawAnswer;
using tidings::testing::RawClient;

/// Of two partitions: programs that begin with "a" live in 0, all others in 1.
class Shard final : public Broker {
public:
    Shard(SteppedBroker& inner, std::set<std::uint32_t> held_partitions)
        : held(std::move(held_partitions)), inner_(inner) {}

    std::set<std::uint32_t> held;
    std::vector<std::string> others;  ///< holders of what is not held, best first

    std::uint32_t partitions() const override { return 2; }
    PartitionId partition_of(const ProgramId& program) const override {
        return {program.value.starts_with("a") ? 0U : 1U};
    }
    bool holds(PartitionId partition) const override { return held.contains(partition.value); }
    std::vector<std::string> holders(PartitionId) const override { return others; }
    ReadModelsPtr read(PartitionId partition) const override {
        if (!holds(partition)) throw std::logic_error("a partition that is not held was read");
        return inner_.read(partition);
    }
    using Broker::read;
    void erase(Command, Erased) override { throw std::logic_error("not asked"); }
    void submit(Command command, Done done) override {
        const PartitionId partition = partition_of(command.program);
        if (!holds(partition)) throw std::logic_error("a partition that is not held was written");
        inner_.submit(std::move(command),
                      [partition, done = std::move(done)](Result<Applied> applied) {
                          if (applied) applied->partition = partition;
                          done(std::move(applied));
                      });
    }
    bool pending(const ProgramId& program, const CommandId& id) const override {
        return inner_.pending(program, id);
    }
    void wait_for(PartitionId partition, Sequence sequence, int timeout_ms,
                  std::function<void(Result<void>)> done) override {
        if (!holds(partition)) throw std::logic_error("nobody can wait for what is not held");
        inner_.wait_for(partition, sequence, timeout_ms, std::move(done));
    }
    ContentDigest content_digest(std::string_view canonical) const override {
        return inner_.content_digest(canonical);
    }
    CallerDigest caller_digest(std::string_view canonical) const override {
        return inner_.caller_digest(canonical);
    }
    std::string seal(std::string_view plain, std::string_view context) const override {
        return inner_.seal(plain, context);
    }
    Result<std::string> open(std::string_view sealed, std::string_view context) const override {
        return inner_.open(sealed, context);
    }
    Result<void> ready() const override { return {}; }
    Timestamp now() const override { return inner_.now(); }

private:
    SteppedBroker& inner_;
};

/// What a process consists of, but for its routes.
struct ProcessParts {
    ProcessParts(const KeyRing& keys, std::set<std::uint32_t> held)
        : verifier(std::move(TokenVerifier::create(keys.public_jwks(), {}).value())),
          inner(data.path(), keys),
          broker(inner, std::move(held)) {}

    tidings::testing::TemporaryDirectory data;
    std::unique_ptr<TokenVerifier> verifier;
    SteppedBroker inner;
    Shard broker;
    Metrics metrics;
    std::unique_ptr<Server> server;
    std::uint16_t port = 0;

    /// With the port of the time before, if there was one.
    void serve(const Router& router) {
        server.reset();
        ServerOptions options;
        options.port = port;
        server = std::make_unique<Server>(options, router, metrics);
        port = server->start().value();
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }
};

struct Process : ProcessParts {
    Process(const KeyRing& keys, std::set<std::uint32_t> held, int response_timeout_ms = 60'000)
        : ProcessParts(keys, std::move(held)),
          forwarder(broker, {.peer = {.response_timeout_ms = response_timeout_ms}}) {
        add_api_routes(router, broker, {});
        serve(router);
    }
    ~Process() { server.reset(); }

    Forwarder forwarder;
    Router router{*verifier, {.forwarder = &forwarder}};
};

/// Reads requests up to the end of their headers, keeps them, and then closes the connection or
/// says nothing more.
class FakePeer {
public:
    enum class Then { close, nothing };
    explicit FakePeer(Then then) : then_(then), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
            ::getsockname(listener_, generic, &size) != 0) {
            throw std::runtime_error("no port");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~FakePeer() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
        for (const int fd : open_) ::close(fd);
    }
    FakePeer(const FakePeer&) = delete;
    FakePeer& operator=(const FakePeer&) = delete;

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    std::vector<std::string> heads() const {
        const std::lock_guard lock(mutex_);
        return heads_;
    }

private:
    void run() {
        for (;;) {
            const int fd = ::accept(listener_, nullptr, nullptr);
            if (fd < 0) return;
            std::string head;
            char block[4096];
            while (head.find("\r\n\r\n") == std::string::npos) {
                const ssize_t got = ::recv(fd, block, sizeof block, 0);
                if (got <= 0) break;
                head.append(block, static_cast<std::size_t>(got));
            }
            {
                const std::lock_guard lock(mutex_);
                heads_.push_back(std::move(head));
            }
            if (then_ == Then::close) {
                ::close(fd);
            } else {
                open_.push_back(fd);
            }
        }
    }

    const Then then_;
    const int listener_;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> heads_;
    std::vector<int> open_;  ///< of thread_
    std::thread thread_;
};

/// Nobody listens there.
inline std::string refusing_url() { return FakePeer(FakePeer::Then::close).url(); }

/// The header's value in the text of a request, or "".
inline std::string header_in(const std::string& head, const std::string& name) {
    RawAnswer as_answer;
    as_answer.head = head;
    return as_answer.header(name);
}

/// Says who asks, and asks over a connection of its own.
class Caller {
public:
    explicit Caller(const KeyRing& keys) : keys_(keys) {}

    std::string token(const Who& who) const {
        Claims claims;
        claims.role = who.role;
        claims.sub = who.sub;
        claims.name = std::string("Name of ") + who.sub;
        if (who.program != nullptr) claims.program = ProgramId{who.program};
        if (who.partner != nullptr) claims.partner = PartnerId{who.partner};
        claims.expires_at_s = 4'102'444'800;
        return keys_.issue_token(claims).value();
    }
    /// `headers`: whole lines.
    RawAnswer ask(std::uint16_t port, const Who& who, const std::string& method,
                  const std::string& target, const std::string& body = "",
                  const std::string& headers = "") const {
        RawClient client(port);
        return client.ask(head(who, method, target, body, headers), body);
    }
    std::string head(const Who& who, const std::string& method, const std::string& target,
                     const std::string& body, const std::string& headers) const {
        std::string out = method + " " + target + " HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " +
                          token(who) + "\r\n" + headers;
        if (body.empty()) return out;
        if (headers.find("Content-Type") == std::string::npos) {
            out += "Content-Type: application/json\r\n";
        }
        return out + "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }

private:
    const KeyRing& keys_;
};

}  // namespace tidings::http::testing
