// One HTTP exchange as handlers see it: no Beast type, no socket. The server (server.h) fills a
// Request and writes the Response; routes (router.h) say what a handler needs before it runs.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/command.h"
#include "core/result.h"

namespace tidings::http {

template <class T>
using Task = boost::asio::awaitable<T>;

/// What a verified token says.
struct Claims {
    Role role = Role::platform;
    std::string sub;
    std::string name;
    std::optional<ProgramId> program;
    std::optional<PartnerId> partner;
    std::int64_t expires_at_s = 0;  ///< Unix time
};

/// A request body read piece by piece with bounded memory.
class BodyStream {
public:
    virtual ~BodyStream() = default;
    /// The next bytes; nothing at the end. Errors: malformed (broken chunking, connection lost).
    virtual Task<Result<std::optional<std::string>>> read() = 0;
};

struct Request {
    std::string method;
    std::string path;  ///< raw, without the query
    std::vector<std::string>
        parameters;  ///< captures of the route's pattern, percent-decoded, valid UTF-8
    std::vector<std::pair<std::string, std::string>>
        query;  ///< percent-decoded, valid UTF-8, in order
    std::vector<std::pair<std::string, std::string>>
        headers;                   ///< names in lower case; duplicates kept
    std::string body;              ///< for routes with Body::json and Body::raw
    BodyStream* stream = nullptr;  ///< for routes with Body::stream
    std::optional<Claims> claims;  ///< for routes that need a token

    /// First header of that (lower-case) name, or nothing.
    std::optional<std::string_view> header(std::string_view name) const;
    std::optional<std::string_view> query_value(std::string_view name) const;
};

struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    /// If set, the body is sent chunked: called until it returns nothing; an error closes the
    /// connection, so that a truncated list can never look complete.
    std::function<Task<Result<std::optional<std::string>>>()> chunks;
};

using Handler = std::function<Task<Response>(Request&)>;

}  // namespace tidings::http
