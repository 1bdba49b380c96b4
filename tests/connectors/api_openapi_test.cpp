// The description that is served names exactly the routes that are served, and their parameters.
#include "connectors/http/openapi.h"

#include <boost/json/parse.hpp>
#include <set>

#include "connectors/audit_source.h"
#include "connectors/rebuilder.h"
#include "tests/connectors/api_world.h"

namespace tidings::http::testing {
namespace {

/// "/v1/programs/{}/messages", whatever the parameters are called.
std::string shape(std::string_view path) {
    std::string out;
    bool inside = false;
    for (const char c : path) {
        inside = inside && c != '}';
        if (!inside) out += c;
        inside = inside || c == '{';
    }
    return out;
}

const boost::json::value& resolve(const boost::json::value& document,
                                  const boost::json::value& value) {
    const auto* ref = value.as_object().if_contains("$ref");
    if (ref == nullptr) return value;
    return document.at_pointer(std::string(ref->as_string()).substr(1));
}

/// Added by the application, not by add_api_routes.
const std::set<std::string> kElsewhere = {"POST /v1/programs/{}/webhooks/partnero",
                                          "POST /v1/events", "GET /healthz", "GET /readyz",
                                          "GET /metrics"};

/// So that there are routes to look at; none of them is called here.
class Unasked final : public AuditSource {
public:
    explicit Unasked(const KeyRing& keys) : signer_{"tidings.example", {}, keys} {}
    const CheckpointSigner& signer() const override { return signer_; }
    void read_commits(PartitionId, LogPosition, std::size_t, Done) const override { FAIL(); }
    void read_lines(LinesQuestion, LinesDone) const override { FAIL(); }

private:
    const CheckpointSigner signer_;
};

class NoRebuilder final : public Rebuilder {
public:
    Result<void> rebuild(const std::vector<PartitionId>&, bool) override { return {}; }
    std::vector<RebuildProgress> rebuilds() const override { return {}; }
};

TEST_CASE("every route is described, and nothing else") {
    World world;
    const Unasked audits(*world.keys);
    Router router(*world.verifier, {});
    NoRebuilder rebuilder;
    add_api_routes(router, world.broker, {.audit = &audits, .rebuilder = &rebuilder});
    const auto document = boost::json::parse(openapi_document());
    std::map<std::string, const boost::json::value*> described;
    for (const auto& [path, item] : document.at("paths").as_object()) {
        for (const auto& [method, operation] : item.as_object()) {
            if (method == "parameters") continue;
            std::string upper(method);
            for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
            described[upper + " " + shape(path)] = &operation;
        }
    }
    for (const auto& route : router.routes()) {
        const auto found = described.find(route->method + " " + shape(route->pattern));
        INFO(route->method << " " << route->pattern);
        REQUIRE(found != described.end());
        const auto& operation = found->second->as_object();
        CHECK(std::string(operation.at("operationId").as_string()) == route->name);
        std::set<std::string> query;
        bool key = false;
        if (const auto* parameters = operation.if_contains("parameters")) {
            for (const auto& one : parameters->as_array()) {
                const auto& parameter = resolve(document, one);
                const std::string name(parameter.at("name").as_string());
                if (parameter.at("in") == "query") query.insert(name);
                key = key || name == "Idempotency-Key";
            }
        }
        CHECK(query == std::set<std::string>(route->query.begin(), route->query.end()));
        CHECK(key == route->idempotency_header);
        CHECK((operation.if_contains("security") != nullptr) == route->roles.empty());
        CHECK((operation.if_contains("requestBody") != nullptr) == (route->body != BodyKind::none));
        described.erase(found);
    }
    std::set<std::string> rest;
    for (const auto& [name, operation] : described) rest.insert(name);
    CHECK(rest == kElsewhere);
}

TEST_CASE("every reference leads somewhere") {
    const std::string text(openapi_document());
    const auto document = boost::json::parse(text);
    const std::string mark = "\"$ref\": \"#";
    std::size_t count = 0;
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
        const std::size_t begin = at + mark.size();
        CHECK_NOTHROW(document.at_pointer(text.substr(begin, text.find('"', begin) - begin)));
        ++count;
    }
    CHECK(count > 100);
}

TEST_CASE("the description is served to everyone") {
    World world;
    Request request;
    request.method = "GET";
    const Answer answer = world.get({Role::analyst}, "/v1/openapi.json");
    CHECK(answer.status == 200);
    CHECK(answer.body == openapi_document());
}

}  // namespace
}  // namespace tidings::http::testing
