#include "connectors/http/operations.h"

#include <stdexcept>

#include "connectors/http/metrics.h"
#include "projections/broker.h"
#include "tests/connectors/http_routing.h"
#include "tests/support/catch.h"

namespace tidings::http {

using namespace routing_test;

namespace {

/// The one question that /readyz asks; nothing else of it is called.
class ReadinessOnly final : public Broker {
public:
    explicit ReadinessOnly(Result<void> ready) : ready_(std::move(ready)) {}
    Result<void> ready() const override { return ready_; }

    std::uint32_t partitions() const override { throw std::logic_error("not asked"); }
    PartitionId partition_of(const ProgramId&) const override {
        throw std::logic_error("not asked");
    }
    ReadModelsPtr read(PartitionId) const override { throw std::logic_error("not asked"); }
    void erase(Command, Erased) override { throw std::logic_error("not asked"); }
    void submit(Command, Done) override { throw std::logic_error("not asked"); }
    bool pending(const ProgramId&, const CommandId&) const override {
        throw std::logic_error("not asked");
    }
    void wait_for(PartitionId, Sequence, int, std::function<void(Result<void>)>) override {
        throw std::logic_error("not asked");
    }
    ContentDigest content_digest(std::string_view) const override {
        throw std::logic_error("not asked");
    }
    CallerDigest caller_digest(std::string_view) const override {
        throw std::logic_error("not asked");
    }
    std::string seal(std::string_view, std::string_view) const override {
        throw std::logic_error("not asked");
    }
    Result<std::string> open(std::string_view, std::string_view) const override {
        throw std::logic_error("not asked");
    }
    Timestamp now() const override { throw std::logic_error("not asked"); }

private:
    Result<void> ready_;
};

}  // namespace

TEST_CASE("operations: health, readiness with its reason, metrics") {
    Metrics metrics;
    metrics.counter("tidings_test_total", "A test", {{"kind", "x"}}).add(3);
    int value = 7;
    metrics.callback(&value, Metrics::Kind::gauge, "tidings_test_value", "Asked for", {},
                     [&value] { return value; });
    {
        Routing r;
        const ReadinessOnly ready{Result<void>()};
        add_operations_routes(r.router, ready, metrics);
        CHECK(r.ask("GET", "/healthz").body == R"({"status":"ok"})");
        CHECK(r.ask("GET", "/readyz").status == 200);
        const Response scraped = r.ask(
            "GET", "/metrics", {{"accept", "application/openmetrics-text, text/plain;q=0.5"}});
        CHECK(scraped.content_type.rfind("text/plain", 0) == 0);
        CHECK(scraped.body.find("tidings_test_total{kind=\"x\"} 3") != std::string::npos);
        CHECK(scraped.body.find("tidings_test_value 7") != std::string::npos);
    }
    metrics.remove_callbacks(&value);
    CHECK(metrics.render().find("tidings_test_value") == std::string::npos);
    Routing r;
    const ReadinessOnly waiting{Result<void>(error(ErrorCode::io, "partition 2 replays its log"))};
    add_operations_routes(r.router, waiting, metrics);
    const Response response = r.ask("GET", "/readyz");
    CHECK(response.status == 503);
    CHECK(response.body.find("partition 2 replays its log") != std::string::npos);
    CHECK(r.ask("GET", "/healthz").status == 200);
}

TEST_CASE("nobody is sent to a process that refuses everybody") {
    Metrics metrics;
    Routing r;
    const ReadinessOnly ready{Result<void>()};
    std::atomic<bool> open{false};
    add_operations_routes(r.router, ready, metrics, &open);
    CHECK(r.ask("GET", "/readyz").status == 503);
    open = true;
    CHECK(r.ask("GET", "/readyz").status == 200);
}

}  // namespace tidings::http
