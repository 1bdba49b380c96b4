// Which handler answers a request, and everything checked before it runs: path, method, token,
// role, program, media types, query parameters, CORS. Touches no socket; server.h drives it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/http/message.h"
#include "connectors/http/rate_limit.h"
#include "core/limits.h"

namespace tidings {
class Broker;
}

namespace tidings::http {

class Forwarder;
class TokenVerifier;

enum class BodyKind : std::uint8_t {
    none,    ///< what a caller sends is read and thrown away
    json,    ///< complete in Request::body; none at all is 400 unless `body_optional`
    raw,     ///< the same, and may be empty
    stream,  ///< Request::stream; no limit on the total
};

struct Route {
    std::string method;   ///< "GET" answers HEAD too
    std::string pattern;  ///< "/v1/programs/{p}/partners/{id}"; a parameter named p is the program
    std::string name;     ///< label in metrics, e.g. "send_message"
    BodyKind body = BodyKind::none;
    bool body_optional = false;
    std::size_t body_limit = limits::kJsonBytes;  ///< json and raw; more is 413
    /// Media types accepted in Content-Type; "*/*" accepts all and none.
    std::vector<std::string> consumes = {"application/json"};
    /// Media types that the handler can answer with, best first; empty: Accept is not looked at.
    std::vector<std::string> produces = {"application/json"};
    std::vector<std::string> query =
        {};  ///< names allowed; others are 422 unknown_field, repeated ones invalid
    std::vector<Role> roles = {};     ///< empty: public, no token is looked at
    bool idempotency_header = false;  ///< fills Request::idempotency_key
    bool checks_parameters =
        false;  ///< see Request::parameter_error; false: the router answers 422 itself
    /// Where the data lies that is asked for, if not with the program of the path or the token;
    /// nothing: here.
    std::optional<PartitionId> (*partition)(const Broker&, const Request&) = nullptr;
    bool about_process = false;   ///< that is asked: answered there whatever its roles
    bool spans_programs = false;  ///< its body names programs: never passed on as a whole
    Handler handler;
};

struct RouterOptions {
    std::vector<std::string>
        cors_origins;  ///< exact origins, "https://portal.example"; "*" is any; empty: no CORS
    RateLimitOptions rate_limit = {};  ///< of requests with a valid token, whatever their answer
    Forwarder* forwarder = nullptr;    ///< outlives the router; null: every partition is held here
    /// False, with a forwarder: only what other processes pass on is answered.
    bool serves_clients = true;
    /// Outlives the router. False: nothing about data is answered yet but what this process asks
    /// itself; null: everything is.
    const std::atomic<bool>* open = nullptr;
};

/// add() everything first; then all other calls are thread-safe.
class Router {
public:
    /// `verifier` outlives the router.
    Router(TokenVerifier& verifier, RouterOptions options);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    /// REQUIRES: method and pattern together are new; a handler is set. Throws
    /// std::invalid_argument otherwise.
    void add(Route route);
    const std::vector<std::unique_ptr<Route>>& routes() const { return routes_; }
    /// Requests refused with 429 so far.
    std::uint64_t rate_limited() const { return limiter_ ? limiter_->refused() : 0; }

    /// The first half, which needs no body: on success sets `route` and fills `request`'s
    /// parameters, query, claims, accepted and idempotency_key from its method, `target` (path and
    /// query as received) and headers. Otherwise the answer; `route` is then set if the request
    /// came far enough to have one. `has_body`: a body was announced.
    std::optional<Response> prepare(Request& request, std::string_view target, bool has_body,
                                    std::int64_t now_s, const Route*& route) const;

    /// The second half: calls the handler, or passes the request on to a process that holds its
    /// partition; an exception becomes 500 and is logged.
    Task<Response> run(const Route& route, Request& request) const;

    /// Adds the CORS headers that `request` asks for.
    void finish(const Request& request, Response& response) const;

    /// All of it for a request that is complete (path, query as text behind '?', headers, body),
    /// e.g. in tests.
    Task<Response> dispatch(Request& request, std::string target) const;

private:
    struct Endpoint;
    struct Node;
    struct Matches;
    void match(const Node& node, std::size_t depth, Matches& matches) const;
    /// Nothing: no route with that method; `allow` then lists those that the path has.
    static const Endpoint* find(const Matches& matches, std::string_view method,
                                std::string& allow);
    std::optional<Response> authenticate(const Endpoint& endpoint, Request& request,
                                         std::int64_t now_s) const;
    /// A request of this process itself, or one that the process which passed it on has counted.
    bool counted_elsewhere(const Route& route, Request& request) const;
    Response preflight(const std::string& allow) const;
    bool origin_allowed(std::string_view origin) const;

    TokenVerifier& verifier_;
    RouterOptions options_;
    std::unique_ptr<RateLimiter> limiter_;  ///< null without a limit
    std::vector<std::unique_ptr<Route>> routes_;
    std::unique_ptr<Node> root_;
};

}  // namespace tidings::http
