// The demo program on a real broker, and its content.
#include "apps/demo.h"

#include <limits>
#include <set>

#include "apps/demo_content.h"
#include "apps/direct_client.h"
#include "apps/routes.h"
#include "connectors/http/auth.h"
#include "connectors/http/metrics.h"
#include "events/json_value.h"
#include "tests/apps/node_world.h"

namespace tidings::apps {
namespace {

using namespace testing;
using tidings::testing::TemporaryDirectory;

const ProgramId kProgram{"acme"};

/// A clock that stands, so that two loads give the same; far ahead, so that the tokens of the demo
/// are valid by the real one.
ClockReading standing_clock() { return {4'000'000'000'000, 1'000'000}; }

/// The whole process but for its command line and its port.
class Served {
public:
    /// A request that goes wrong: before it reached the broker, or after it was answered there.
    enum class Loss { request, answer };

    Served() {
        NodeOptions options = node_options(directory_.path());
        options.metrics = &metrics_;
        options.clock = standing_clock;
        node_ = start_node(options);
        verifier_ = http::TokenVerifier::create(node_->keys().public_jwks(), {}).value();
        routes_ = std::make_unique<Routes>(*node_, *verifier_, metrics_, RoutesOptions{});
        client_ = std::make_unique<DirectClient>(routes_->router());
    }
    ~Served() { node_->stop(kPatience); }

    /// Breaks off at a request, counted from 0.
    Result<void> load(std::size_t lost = std::numeric_limits<std::size_t>::max(),
                      Loss loss = Loss::request) {
        DemoOptions options = demo_options();
        options.ask = [this, lost, loss](const char* method, const std::string& target,
                                         const Headers& headers,
                                         std::string body) -> Result<HttpResponse> {
            const bool breaks = requests_++ == lost;
            if (breaks && loss == Loss::request) return Error{ErrorCode::io, "lost"};
            Result<HttpResponse> answer =
                client_->request(method, target, headers, std::move(body));
            if (breaks) return Error{ErrorCode::io, "lost"};
            return answer;
        };
        return load_demo(options);
    }
    Result<std::string> commands() { return demo_commands(demo_options(), "http://here:1"); }
    std::size_t requests() const { return requests_; }

    std::string get(const std::string& target, const char* accept = "*/*",
                    const std::string& partner = {}) {
        Claims claims;
        claims.role = partner.empty() ? Role::owner : Role::partner;
        claims.program = kProgram;
        if (!partner.empty()) claims.partner = PartnerId{partner};
        claims.sub = "s";
        claims.expires_at_s = 4'102'444'800;
        const std::string token = node_->keys().issue_token(claims).value();
        const auto answer = client_->request(
            "GET", target, {{"Authorization", "Bearer " + token}, {"Accept", accept}});
        REQUIRE(answer.has_value());
        INFO(target << ": " << answer->body);
        REQUIRE(answer->status == 200);
        return answer->body;
    }
    Node& node() { return *node_; }
    ReadModelsPtr read() const { return node_->read(kProgram); }
    std::string metrics() const { return metrics_.render(); }

private:
    DemoOptions demo_options() {
        DemoOptions options;
        options.ask = [this](const char* method, const std::string& target, const Headers& headers,
                             std::string body) {
            return client_->request(method, target, headers, std::move(body));
        };
        options.issue_token = [this](const Claims& claims) {
            return node_->keys().issue_token(claims);
        };
        options.stamp_behind = [this](auto lag) { node_->stamp_behind(lag); };
        options.clock = standing_clock;
        return options;
    }

    TemporaryDirectory directory_;
    http::Metrics metrics_;
    std::unique_ptr<Node> node_;
    std::unique_ptr<http::TokenVerifier> verifier_;
    std::unique_ptr<Routes> routes_;
    std::unique_ptr<DirectClient> client_;
    std::size_t requests_ = 0;
};

/// What the program's users can see of it.
std::string everything(Served& served) {
    const std::string path = "/v1/programs/" + kProgram.value;
    std::string out = served.get(path + "/summary") + served.get(path + "/partners?limit=200");
    const std::string list = served.get(path + "/messages");
    out += list;
    const Result<JsonValue> messages = parse_json(list);
    REQUIRE(messages.has_value());
    std::vector<std::string> ids;
    for (const JsonValue& message : messages->find("data")->items) {
        ids.insert(ids.begin(), message.find("id")->text);
        const std::string one = path + "/messages/" + ids.front();
        out += served.get(one + "/recipients", "text/csv");
        out += served.get(one + "/opens?interval=hour");
    }
    for (const demo::Conversation& conversation : demo::conversations()) {
        out += served.get(path + "/partners/" + std::string(conversation.partner) + "/messages/" +
                          ids.at(conversation.message));
    }
    for (const std::string_view guide : demo::kGuides) {
        out += served.get("/v1/portal/summary", "*/*", std::string(guide));
        out += served.get("/v1/portal/messages", "*/*", std::string(guide));
    }
    return out;
}

TEST_CASE("the demo's partners are the same at every start, distinct, and varied") {
    const std::vector<demo::Partner> partners = demo::partners();
    REQUIRE(partners.size() >= 200);
    std::set<std::string> ids, emails, names;
    std::size_t premium = 0;
    for (const demo::Partner& partner : partners) {
        ids.insert(partner.id);
        emails.insert(partner.email);
        names.insert(partner.name + " " + partner.surname);
        premium += std::count(partner.tags.begin(), partner.tags.end(), "premium");
        CHECK(partner.signups <= partner.clicks);
        CHECK(partner.sales <= partner.signups);
        CHECK(partner.paid_accounts <= partner.sales);
    }
    CHECK(ids.size() == partners.size());
    CHECK(emails.size() == partners.size());
    CHECK(names.size() == partners.size());
    CHECK(premium > 20);
    CHECK(premium < partners.size() / 2);
    CHECK(demo::partners().back().email == partners.back().email);
}

TEST_CASE("the demo is loaded once, and leaves the clock as it was") {
    Served served;
    const Result<void> loaded = served.load();
    if (!loaded) FAIL(loaded.error().detail);
    const Result<std::string> text = served.commands();
    REQUIRE(text.has_value());
    CHECK(text->find("curl -s ") != std::string::npos);
    CHECK(text->find("http://here:1/v1/portal/summary") != std::string::npos);
    const ReadModelsPtr models = served.read();
    const ProgramSummary summary = models->summary(kProgram);
    CHECK(summary.messages == demo::messages().size());
    CHECK(summary.partners > 200);
    CHECK(summary.unread_replies > 0);
    CHECK(served.node().now().value == standing_clock().wall_ms);

    const auto messages = models->messages(kProgram, {});
    REQUIRE(messages.has_value());
    for (const MessageView& message : messages->rows) {
        INFO(message.card->subject);
        CHECK(message.stats.opens > 0);
        CHECK(message.stats.opens <= message.stats.recipients);
        CHECK(message.card->replies_enabled ==
              (message.stats.replied > 0 ||
               message.card->subject.find("first sale") != std::string::npos));
    }
    const MessageView& oldest = messages->rows.back();
    CHECK(models->opens(kProgram, oldest.card->number, OpensInterval::day).size() >= 3);
    CHECK(served.node().now().value - oldest.card->sent_at.value > 12LL * 24 * 3'600'000);

    const PartnerPtr first = models->partner(kProgram, PartnerId{std::string(demo::kGuides[0])});
    const PartnerPtr second = models->partner(kProgram, PartnerId{std::string(demo::kGuides[1])});
    REQUIRE(first);
    REQUIRE(second);
    CHECK(models->inbox_summary(kProgram, first->ordinal).unread == 2);
    CHECK(models->inbox_summary(kProgram, second->ordinal).unread == 0);
    CHECK(models->inbox_summary(kProgram, second->ordinal).total >= 4);

    const Tip before = models->tip();
    CHECK(served.load().has_value());
    CHECK(models->tip() == before);
    CHECK(served.metrics().find("tidings_applied_sequence{partition=\"" +
                                std::to_string(served.node().partition_of(kProgram).value) +
                                "\"} " + std::to_string(before.sequence.value)) !=
          std::string::npos);
}

TEST_CASE("a load that breaks off anywhere is completed by the next one") {
    Served whole;
    REQUIRE(whole.load().has_value());
    const std::string wanted = everything(whole);
    const std::size_t requests = whole.requests();
    REQUIRE(requests > 50);
    constexpr std::size_t kStride = 5;
    for (std::size_t lost = 0; lost < requests; lost += kStride) {
        for (const auto loss : {Served::Loss::request, Served::Loss::answer}) {
            INFO("request " << lost << " of " << requests << " and then "
                            << (loss == Served::Loss::request ? "its" : "its answer") << " lost");
            Served served;
            REQUIRE_FALSE(served.load(lost, loss).has_value());
            REQUIRE(served.node().now().value == standing_clock().wall_ms);
            REQUIRE(served.load().has_value());
            CHECK(everything(served) == wanted);
        }
    }
}

TEST_CASE("a program that the demo did not make is left alone") {
    Served served;
    apply(served.node(), kProgram, program_body());
    const Tip before = served.read()->tip();
    REQUIRE(served.load().has_value());
    CHECK(served.read()->tip() == before);
}

}  // namespace
}  // namespace tidings::apps
