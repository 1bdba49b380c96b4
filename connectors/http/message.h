// One HTTP exchange as handlers see it: no Beast type, no socket. The server (server.h) fills a
// Request and writes the Response; routes (router.h) say what a handler needs before it runs.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connectors/claims.h"
#include "core/result.h"

namespace tidings {
class ReadModels;
}

namespace tidings::http {

template <class T>
using Task = boost::asio::awaitable<T>;
/// Waiting in a Task for what tells (error, result).
inline constexpr auto kWait = boost::asio::as_tuple(boost::asio::use_awaitable);

using tidings::Claims;

/// A request body read piece by piece with bounded memory.
class BodyStream {
public:
    virtual ~BodyStream() = default;
    /// The next bytes (at most 64 KiB at a time); nothing at the end.
    /// Errors: malformed (broken chunking, connection lost).
    virtual Task<Result<std::optional<std::string>>> read() = 0;
};

struct Request {
    std::string method;
    std::string path;                     ///< raw, without the query
    std::vector<std::string> parameters;  ///< captures of the pattern, percent-decoded, valid UTF-8
    std::vector<std::pair<std::string, std::string>> query;    ///< decoded, valid UTF-8, in order
    std::vector<std::pair<std::string, std::string>> headers;  ///< lower-case names, in order
    std::string body;              ///< for routes with BodyKind::json and BodyKind::raw
    BodyStream* stream = nullptr;  ///< for routes with BodyKind::stream
    std::optional<Claims> claims;  ///< for routes that need a token
    bool own = false;              ///< asked by this process itself: no rate limit counts it
    std::string_view target;  ///< path and query as received; valid until the handler has answered
    int program_parameter = -1;  ///< index of the program among `parameters`; -1: not in the path
    /// Set on a request that another process has passed on: the id of the command that it asks.
    std::optional<CommandId> command_id;

    // Filled by the router before the handler runs.
    std::string_view accepted;  ///< the one of the route's `produces` that Accept prefers
    std::optional<std::string>
        idempotency_key;  ///< routes with `idempotency_header`; 1-255 characters
    /// Bad query parameters or a bad Idempotency-Key, for routes with `checks_parameters`: the
    /// handler returns it when it has come to "fields 422" in API.md's order of checks.
    std::optional<Error> parameter_error;
    /// What `as_of` asks for, found before the handler runs; null: the live read models.
    std::shared_ptr<const ReadModels> past;

    /// First header of that (lower-case) name, or nothing.
    std::optional<std::string_view> header(std::string_view name) const;
    std::optional<std::string_view> query_value(std::string_view name) const;
    /// The program that the path names, or else the token; empty: none.
    std::string_view program() const;
};

struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";  ///< empty: none sent
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    /// If set, the body is sent chunked: called until it returns nothing; an error closes the
    /// connection, so that a truncated list can never look complete. Empty pieces are skipped.
    std::function<Task<Result<std::optional<std::string>>>()> chunks;
};

using Handler = std::function<Task<Response>(Request&)>;

}  // namespace tidings::http
