// One connection: reads requests, has them answered one after the other, writes the answers. Lives
// on its worker's thread and belongs to its coroutine. Included only by worker.cpp and
// connection.cpp.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "connectors/http/message.h"
#include "connectors/http/read_buffer.h"
#include "connectors/http/request_parser.h"
#include "connectors/http/worker.h"

namespace tidings::http {

class Connection final : public BodyStream {
public:
    /// `worker` outlives the connection.
    Connection(Worker& worker, Socket socket);
    ~Connection() override;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// The coroutines that own a connection, from its first byte to its end.
    static Task<void> serve(std::shared_ptr<Connection> self);
    static Task<void> refuse(std::shared_ptr<Connection> self);

    bool overdue(std::int64_t now_ms) const { return now_ms > deadline_ms_; }
    /// Ends whatever operation is under way; the coroutine then ends by itself.
    void close();
    void close_if_idle();

    /// BodyStream, for the handler that runs now.
    Task<Result<std::optional<std::string>>> read() override;

private:
    enum class Progress { done, more, bad };
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

    void begin_exchange();
    void expire_in(int timeout_ms) { deadline_ms_ = worker_.now_ms() + timeout_ms; }
    Progress parse_head();
    std::optional<Response> check_head(const Route*& route);
    std::optional<Response> check_framing();
    Progress feed(std::size_t limit);
    void compose(const Response& response, bool keep);
    bool can_drain() const;
    Task<bool> fill(std::size_t capacity);
    Task<bool> continue_and_fill();
    Task<bool> read_body(const Route& route, std::optional<Response>& refusal);
    std::optional<std::size_t> send_now(Response& response);
    Task<bool> write_answer(Response& response);
    Task<bool> write_rest(const std::string& body, std::size_t sent);
    Task<bool> write_chunks(Response& response);
    Task<bool> drain();
    Task<void> linger();
    Task<void> answer_and_close(const Response& response);

    Worker& worker_;
    Socket socket_;
    Worker::List::iterator place_;
    std::int64_t deadline_ms_ = kNever;
    bool idle_ = true;               ///< between requests: may be closed without loss
    bool keep_ = true;               ///< the request allows another one
    bool expects_continue_ = false;  ///< the caller waits for 100 before it sends the body
    bool broken_ = false;            ///< the body cannot be read to its end
    ReadBuffer buffer_;
    Request request_;
    HeaderPool pool_;
    std::string target_;
    std::size_t head_bytes_ = 0;
    std::string piece_;
    std::string* sink_ = nullptr;  ///< where the parser puts body bytes
    std::optional<RequestParser> parser_;
    std::string failure_;  ///< why parsing failed
    std::string out_;
};

}  // namespace tidings::http
