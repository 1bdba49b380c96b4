#include "connectors/http/forwarder.h"

#include <openssl/crypto.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "connectors/http/text.h"

namespace tidings::http {

using End = PeerAnswer::End;

namespace {

constexpr const char* kForwarded = "tidings-forwarded";
constexpr std::size_t kHexId = 2 * CommandId::kSize;

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string_view authorization_in(const Headers& headers) {
    const auto found = std::find_if(headers.begin(), headers.end(), [](const auto& header) {
        return header.first == "authorization";
    });
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

ContentDigest mac_of(const Broker& broker, const CommandId& id, std::string_view method,
                     std::string_view target, std::string_view authorization) {
    Canonical canonical("tidings.forward.v1");
    canonical.add(id.view()).add(method).add(target).add(authorization);
    return broker.content_digest(canonical.bytes());
}

/// The id in a Tidings-Forwarded header of this deployment.
std::optional<CommandId> forwarded_id(const Broker& broker, const Request& request,
                                      std::string_view value) {
    const std::size_t colon = value.find(':');
    if (colon != kHexId) return std::nullopt;
    const auto id = from_hex(value.substr(0, colon));
    const auto mac = from_hex(value.substr(colon + 1));
    if (!id || !mac || mac->size() != ContentDigest::kSize) return std::nullopt;
    const CommandId command = CommandId::from(*id);
    const ContentDigest right =
        mac_of(broker, command, request.method, request.target, authorization_in(request.headers));
    if (CRYPTO_memcmp(mac->data(), right.bytes.data(), ContentDigest::kSize) != 0) {
        return std::nullopt;
    }
    return command;
}

/// All that concern the request itself, and not this connection or its framing. `origin` is
/// answered here.
Headers passed_headers(const Request& request) {
    static constexpr std::array<std::string_view, 5> kMadeAnew = {"host", "content-length",
                                                                  "expect", "origin", kForwarded};
    Headers out;
    for (const auto& header : request.headers) {
        const bool made_anew =
            std::find(kMadeAnew.begin(), kMadeAnew.end(), header.first) != kMadeAnew.end();
        if (!made_anew && !is_hop_by_hop(header.first)) out.push_back(header);
    }
    return out;
}

/// Whether a body was announced.
bool has_body(const Request& request) {
    if (request.header("transfer-encoding")) return true;
    return request.header("content-length").value_or("0") != "0";
}

}  // namespace

Forwarder::Forwarder(Broker& broker, ForwarderOptions options)
    : broker_(broker), options_(std::move(options)) {}

std::optional<PartitionId> Forwarder::elsewhere(const Route& route, Request& request) const {
    if (const auto forwarded = request.header(kForwarded)) {
        request.command_id = forwarded_id(broker_, request, *forwarded);
    }
    if (route.spans_programs) return std::nullopt;
    std::optional<PartitionId> partition;
    if (route.partition != nullptr) {
        partition = route.partition(broker_, request);
    } else if (const std::string_view program = request.program(); !program.empty()) {
        partition = broker_.partition_of(ProgramId{std::string(program)});
    }
    if (partition && broker_.holds(*partition)) return std::nullopt;
    return partition;
}

void Forwarder::sign(const CommandId& id, PeerRequest& request) const {
    const ContentDigest mac =
        mac_of(broker_, id, request.method, request.target, authorization_in(request.headers));
    request.headers.emplace_back(kForwarded, to_hex(id.view()) + ":" + to_hex(mac.view()));
}

Task<Response> Forwarder::pass_on(const Route& route, Request& request, PartitionId partition) {
    if (request.command_id) {
        ++counters_.not_held;
        co_return problem(
            error(ErrorCode::not_caught_up, "the program has moved to another process"));
    }
    PeerRequest out;
    out.method = request.method == "HEAD" ? "GET" : request.method;  // for its Content-Length
    out.target = request.target;
    out.headers = passed_headers(request);
    out.body = request.body;
    if (route.body == BodyKind::stream && has_body(request)) out.stream = request.stream;
    const CommandId id = random_command_id();
    sign(id, out);
    std::string location;
    if (route.idempotency_header && request.idempotency_key && request.claims) {
        const ProgramId program{std::string(request.program())};
        location =
            command_location(command_id_of_key(*request.claims, program, *request.idempotency_key));
    } else if (route.idempotency_header) {
        location = command_location(id);
    }
    co_return co_await ask_holders(out, partition, std::move(location));
}

Task<Response> Forwarder::post(const ForwardedPost& post) {
    const auto token = options_.issue_internal_token(post.actor);
    if (!token) co_return problem(token.error());
    PeerRequest out;
    out.method = "POST";
    out.target = post.target;
    out.headers = {{"authorization", "Bearer " + *token}, {"content-type", post.content_type}};
    out.body = post.body;
    sign(random_command_id(), out);
    std::string location;
    co_return co_await ask_holders(out, post.partition, std::move(location));
}

/// `location`: what an unknown outcome is asked for at; empty: nowhere.
Task<Response> Forwarder::ask_holders(const PeerRequest& request, PartitionId partition,
                                      std::string location) {
    const bool writes = request.method != "GET";
    const std::vector<std::string> holders = broker_.holders(partition);
    bool sent = false;
    for (const std::string& holder : holders) {
        PeerAnswer answer = co_await ask_peer(request, holder, options_.peer);
        if (answer.end == End::answered) {
            // A later holder may say that nothing happened: there.
            if (writes && sent && answer.response.status == 503) break;
            ++counters_.answered;
            co_return std::move(answer.response);
        }
        spdlog::debug("http: {} did not answer a request that was passed on", holder);
        sent = sent || answer.end != End::unsent;
        if (answer.end == End::timed_out || (sent && request.stream != nullptr)) break;
        ++counters_.retried;
    }
    if (!writes || !sent) {
        ++counters_.overloaded;
        co_return problem(
            error(ErrorCode::overloaded, "no process that holds the program can be reached"));
    }
    ++counters_.outcome_unknown;
    Response response = problem(
        error(ErrorCode::outcome_unknown, "the process that holds the program has not answered"));
    if (!location.empty()) response.headers.emplace_back("Location", std::move(location));
    co_return response;
}

}  // namespace tidings::http
