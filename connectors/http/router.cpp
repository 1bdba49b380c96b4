#include "connectors/http/router.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <exception>
#include <stdexcept>

#include "connectors/http/auth.h"
#include "connectors/http/forwarder.h"
#include "connectors/http/problem.h"
#include "connectors/http/text.h"

namespace tidings::http {

namespace {

constexpr std::size_t kMaxSegments =
    16;                               ///< no pattern has more; a longer path is no route of ours
constexpr std::size_t kMaxNodes = 8;  ///< literal and parameter branches that one path can match

/// What callers on other origins may send and see (Fetch standard, CORS protocol).
constexpr const char* kCorsRequestHeaders =
    "Authorization, Content-Type, Accept, Idempotency-Key, Prefer, Tidings-Min-Position, "
    "Last-Event-ID";
constexpr const char* kCorsResponseHeaders =
    "Tidings-Position, Location, Retry-After, Preference-Applied";
constexpr const char* kCorsMaxAgeS = "600";

struct Segments {
    std::array<std::string_view, kMaxSegments> at;
    std::array<std::string, kMaxSegments> decoded;  ///< storage of those with escapes
    std::size_t size = 0;
};

enum class Split { good, malformed, no_route };

Split split_path(std::string_view path, Segments& segments) {
    if (path.empty() || path.front() != '/' || !is_utf8(path)) return Split::malformed;
    path.remove_prefix(1);
    Split result = Split::good;
    for (;;) {
        const std::size_t end = path.find('/');
        std::string_view segment = path.substr(0, end);
        std::string& decoded = segments.decoded[segments.size % kMaxSegments];
        if (segment.find('%') != std::string_view::npos) {
            if (!percent_decode(segment, false, decoded)) return Split::malformed;
            if (decoded.find('/') != std::string::npos) result = Split::no_route;
            segment = decoded;
        }
        if (segments.size < kMaxSegments) {
            segments.at[segments.size] = segment;
        } else {
            result = Split::no_route;
        }
        ++segments.size;
        if (end == std::string_view::npos) return result;
        path.remove_prefix(end + 1);
    }
}

bool is_parameter(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

Result<void> read_idempotency_key(Request& request) {
    const auto same = [](const auto& header) { return header.first == "idempotency-key"; };
    const auto count = std::count_if(request.headers.begin(), request.headers.end(), same);
    if (count == 0) return {};
    const std::string pointer = parameter_pointer("Idempotency-Key");
    const std::string_view key = *request.header("idempotency-key");
    if (count > 1)
        return invalid_field(pointer, "invalid", "Idempotency-Key is given more than once");
    if (key.empty()) return invalid_field(pointer, "blank", "Idempotency-Key is empty");
    if (!is_utf8(key)) return error(ErrorCode::malformed, "Idempotency-Key is not UTF-8");
    if (count_code_points(key) > limits::kIdempotencyKeyCharacters) {
        return invalid_field(pointer, "too_long", "Idempotency-Key has more than 255 characters");
    }
    request.idempotency_key = key;
    return {};
}

std::optional<Error> check_query(const Route& route, const Request& request) {
    Error bad{ErrorCode::invalid, "the query has parameters that are not accepted", {}};
    for (std::size_t i = 0; i < request.query.size(); ++i) {
        const std::string& name = request.query[i].first;
        if (std::find(route.query.begin(), route.query.end(), name) == route.query.end()) {
            bad.fields.push_back({parameter_pointer(name), "unknown_field", "no such parameter"});
            continue;
        }
        const auto same = [&name](const auto& pair) { return pair.first == name; };
        const auto begin = request.query.begin();
        if (std::any_of(begin, begin + static_cast<std::ptrdiff_t>(i), same)) {
            bad.fields.push_back({parameter_pointer(name), "invalid", "given more than once"});
        }
    }
    if (bad.fields.empty()) return std::nullopt;
    return bad;
}

std::optional<Response> check_media(const Route& route, Request& request, bool has_body) {
    if (route.body != BodyKind::none && has_body) {
        const auto type = request.header("content-type");
        const bool any =
            std::find(route.consumes.begin(), route.consumes.end(), "*/*") != route.consumes.end();
        if (!any && (!type || !content_type_accepted(*type, route.consumes))) {
            std::string accepted;
            for (const std::string& one : route.consumes)
                accepted += (accepted.empty() ? "" : ", ") + one;
            return problem(
                error(ErrorCode::unsupported_media_type, "Content-Type must be " + accepted));
        }
    }
    request.accepted = {};
    if (route.produces.empty()) return std::nullopt;
    request.accepted = route.produces.front();
    const auto accept = request.header("accept");
    if (!accept || *accept == "*/*" || *accept == request.accepted) return std::nullopt;
    // Several Accept headers are one list (RFC 9110, 5.3).
    std::string list;
    for (const auto& [name, value] : request.headers) {
        if (name == "accept") list += (list.empty() ? "" : ",") + value;
    }
    if (list.empty()) return std::nullopt;
    const auto chosen = negotiate(list, route.produces);
    if (!chosen)
        return problem(
            error(ErrorCode::not_acceptable, "Accept excludes every answer of this path"));
    request.accepted = *chosen;
    return std::nullopt;
}

}  // namespace

struct Router::Endpoint {
    const Route* route;
    int program;                        ///< index of the parameter {p}, or -1
    std::vector<std::size_t> captures;  ///< segments that are parameters
};

struct Router::Node {
    std::vector<std::pair<std::string, std::unique_ptr<Node>>> literals;
    std::unique_ptr<Node> parameter;
    std::vector<Endpoint> endpoints;
};

struct Router::Matches {
    Segments segments;
    std::array<const Node*, kMaxNodes> nodes{};  ///< literals before parameters
    std::size_t size = 0;
};

Router::Router(TokenVerifier& verifier, RouterOptions options)
    : verifier_(verifier), options_(std::move(options)), root_(std::make_unique<Node>()) {
    if (options_.rate_limit.requests_per_second > 0) {
        limiter_ = std::make_unique<RateLimiter>(options_.rate_limit);
    }
}

Router::~Router() = default;

void Router::add(Route route) {
    Segments segments;
    if (split_path(route.pattern, segments) != Split::good || !route.handler) {
        throw std::invalid_argument("a route needs a path and a handler: " + route.pattern);
    }
    Endpoint endpoint{nullptr, -1, {}};
    Node* node = root_.get();
    for (std::size_t i = 0; i < segments.size; ++i) {
        const std::string_view segment = segments.at[i];
        if (is_parameter(segment)) {
            if (segment == "{p}") endpoint.program = static_cast<int>(endpoint.captures.size());
            endpoint.captures.push_back(i);
            if (!node->parameter) node->parameter = std::make_unique<Node>();
            node = node->parameter.get();
            continue;
        }
        auto child =
            std::find_if(node->literals.begin(), node->literals.end(),
                         [segment](const auto& literal) { return literal.first == segment; });
        if (child == node->literals.end()) {
            node->literals.emplace_back(segment, std::make_unique<Node>());
            child = std::prev(node->literals.end());
        }
        node = child->second.get();
    }
    for (const Endpoint& other : node->endpoints) {
        if (other.route->method == route.method) {
            throw std::invalid_argument("two routes for " + route.method + " " + route.pattern);
        }
    }
    routes_.push_back(std::make_unique<Route>(std::move(route)));
    endpoint.route = routes_.back().get();
    node->endpoints.push_back(std::move(endpoint));
}

void Router::match(const Node& node, std::size_t depth, Matches& matches) const {
    if (depth == matches.segments.size) {
        if (!node.endpoints.empty() && matches.size < kMaxNodes)
            matches.nodes[matches.size++] = &node;
        return;
    }
    const std::string_view segment = matches.segments.at[depth];
    for (const auto& [text, child] : node.literals) {
        if (text == segment) match(*child, depth + 1, matches);
    }
    if (node.parameter && !segment.empty()) match(*node.parameter, depth + 1, matches);
}

const Router::Endpoint* Router::find(const Matches& matches, std::string_view method,
                                     std::string& allow) {
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    for (std::size_t i = 0; i < matches.size; ++i) {
        for (const Endpoint& endpoint : matches.nodes[i]->endpoints) {
            if (endpoint.route->method == wanted) return &endpoint;
        }
    }
    for (std::size_t i = 0; i < matches.size; ++i) {
        for (const Endpoint& endpoint : matches.nodes[i]->endpoints) {
            const std::string& other = endpoint.route->method;
            allow += (allow.empty() ? "" : ", ") + other + (other == "GET" ? ", HEAD" : "");
        }
    }
    return nullptr;
}

std::optional<Response> Router::prepare(Request& request, std::string_view target, bool has_body,
                                        std::int64_t now_s, const Route*& route) const {
    route = nullptr;
    const std::size_t mark = target.find('?');
    const std::string_view path = target.substr(0, mark);
    request.path = path;
    request.target = target;
    request.program_parameter = -1;
    request.command_id.reset();
    request.past.reset();
    Matches matches;
    const Split split = split_path(path, matches.segments);
    if (split == Split::malformed)
        return problem(error(ErrorCode::malformed, "the path is not valid UTF-8 or badly escaped"));
    request.query.clear();
    if (mark != std::string_view::npos && !parse_query(target.substr(mark + 1), request.query)) {
        return problem(
            error(ErrorCode::malformed, "the query is not valid UTF-8 or badly escaped"));
    }
    if (split == Split::good) match(*root_, 0, matches);
    if (matches.size == 0) return problem(error(ErrorCode::not_found, "no such path"));

    std::string allow;
    const Endpoint* endpoint = find(matches, request.method, allow);
    if (endpoint == nullptr) {
        if (request.method == "OPTIONS" && !options_.cors_origins.empty() &&
            request.header("origin") && request.header("access-control-request-method")) {
            return preflight(allow);
        }
        return method_not_allowed(allow);
    }
    route = endpoint->route;
    request.program_parameter = endpoint->program;
    request.parameters.resize(endpoint->captures.size());
    for (std::size_t i = 0; i < endpoint->captures.size(); ++i) {
        request.parameters[i] = matches.segments.at[endpoint->captures[i]];
    }
    if (auto refusal = authenticate(*endpoint, request, now_s)) return refusal;
    if (auto refusal = check_media(*route, request, has_body)) return refusal;

    request.idempotency_key.reset();
    request.parameter_error = request.query.empty() ? std::nullopt : check_query(*route, request);
    if (route->idempotency_header && !request.parameter_error) {
        const Result<void> key = read_idempotency_key(request);
        if (!key) request.parameter_error = key.error();
    }
    if (request.parameter_error && !route->checks_parameters)
        return problem(*request.parameter_error);
    return std::nullopt;
}

bool Router::counted_elsewhere(const Route& route, Request& request) const {
    if (request.own) return true;
    // whether another process has passed it on is known once it was asked where it belongs
    if (options_.forwarder != nullptr) (void)options_.forwarder->elsewhere(route, request);
    return request.command_id.has_value();
}

std::optional<Response> Router::authenticate(const Endpoint& endpoint, Request& request,
                                             std::int64_t now_s) const {
    const Route& route = *endpoint.route;
    if (route.roles.empty()) {
        request.claims.reset();
        return std::nullopt;
    }
    static constexpr std::string_view kScheme = "Bearer ";
    const auto header = request.header("authorization");
    if (!header || !equals_ignoring_case(header->substr(0, kScheme.size()), kScheme)) {
        return problem(
            error(ErrorCode::unauthenticated, "send a token: Authorization: Bearer <JWT>"));
    }
    const auto claims = verifier_.verify(header->substr(kScheme.size()), now_s);
    if (!claims) return problem(claims.error());
    request.claims = **claims;
    if (limiter_ && !counted_elsewhere(route, request) &&
        !limiter_->admit(caller_key(*request.claims))) {
        return problem(error(ErrorCode::rate_limited, "this caller makes too many requests"));
    }
    if (std::find(route.roles.begin(), route.roles.end(), request.claims->role) ==
        route.roles.end()) {
        return problem(
            error(ErrorCode::forbidden,
                  std::string("the role ") + name_of(request.claims->role) + " may not do this"));
    }
    if (endpoint.program >= 0 && request.claims->program &&
        request.claims->program->value !=
            request.parameters[static_cast<std::size_t>(endpoint.program)]) {
        return problem(error(ErrorCode::not_found, "no such program"));
    }
    return std::nullopt;
}

Task<Response> Router::run(const Route& route, Request& request) const {
    if (route.body == BodyKind::json && request.body.empty() && !route.body_optional) {
        co_return problem(error(ErrorCode::malformed, "a JSON body is expected"));
    }
    const bool about_data = !route.roles.empty() || !request.program().empty();
    if (options_.open != nullptr && !*options_.open && about_data && !request.own) {
        co_return problem(
            error(ErrorCode::not_caught_up, "the broker is starting; /readyz says how far it is"));
    }
    std::string failure;
    try {
        if (options_.forwarder != nullptr) {
            const auto partition = options_.forwarder->elsewhere(route, request);
            const bool is_client = about_data && !route.about_process && !request.own;
            if (!options_.serves_clients && is_client && !request.command_id) {
                co_return problem(error(ErrorCode::overloaded,
                                        "this process does not serve clients: it lacks the role "
                                        "api"));
            }
            if (partition) {
                co_return co_await options_.forwarder->pass_on(route, request, *partition);
            }
        }
        co_return co_await route.handler(request);
    } catch (const std::exception& exception) {
        failure = exception.what();
    }
    co_return internal_error(route.name + ": " + failure);
}

bool Router::origin_allowed(std::string_view origin) const {
    return std::any_of(options_.cors_origins.begin(), options_.cors_origins.end(),
                       [origin](const std::string& one) { return one == "*" || one == origin; });
}

Response Router::preflight(const std::string& allow) const {
    Response response;
    response.status = 204;
    response.content_type.clear();
    response.headers.emplace_back("Access-Control-Allow-Methods", allow);
    response.headers.emplace_back("Access-Control-Allow-Headers", kCorsRequestHeaders);
    response.headers.emplace_back("Access-Control-Max-Age", kCorsMaxAgeS);
    return response;
}

void Router::finish(const Request& request, Response& response) const {
    if (options_.cors_origins.empty()) return;
    response.headers.emplace_back("Vary", "Origin");
    const auto origin = request.header("origin");
    if (!origin || !origin_allowed(*origin)) return;
    response.headers.emplace_back("Access-Control-Allow-Origin", *origin);
    response.headers.emplace_back("Access-Control-Expose-Headers", kCorsResponseHeaders);
}

Task<Response> Router::dispatch(Request& request, std::string target) const {
    const bool has_body = !request.body.empty() || request.stream != nullptr;
    const Route* route = nullptr;
    auto refusal = prepare(request, target, has_body, std::time(nullptr), route);
    Response response;  // no "?:" around co_await: GCC 12 destroys its temporaries twice
    if (refusal) {
        response = std::move(*refusal);
    } else {
        response = co_await run(*route, request);
    }
    finish(request, response);
    co_return response;
}

}  // namespace tidings::http
