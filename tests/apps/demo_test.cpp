// The demo program over a real server, and its content.
#include "apps/demo.h"

#include <set>

#include "apps/demo_content.h"
#include "apps/routes.h"
#include "connectors/http/auth.h"
#include "connectors/http/metrics.h"
#include "connectors/http/server.h"
#include "core/time.h"
#include "tests/apps/node_world.h"

namespace tidings::apps {
namespace {

using namespace testing;
using tidings::testing::TemporaryDirectory;

const ProgramId kProgram{"acme"};

/// The whole process but for its command line.
class Served {
public:
    Served() {
        NodeOptions options = node_options(directory_.path());
        options.metrics = &metrics_;
        node_ = start_node(options);
        verifier_ = http::TokenVerifier::create(node_->keys().public_jwks(), {}).value();
        routes_ = std::make_unique<Routes>(*node_, *verifier_, metrics_, RoutesOptions{});
        server_ = std::make_unique<http::Server>(http::ServerOptions{.port = 0}, routes_->router(),
                                                 metrics_);
        const auto port = server_->start();
        REQUIRE(port.has_value());
        url_ = "http://127.0.0.1:" + std::to_string(*port);
    }
    ~Served() {
        server_->stop(kPatience);
        node_->stop(kPatience);
    }

    Result<std::string> load() {
        DemoOptions options;
        options.url = url_;
        options.issue_token = [this](const Claims& claims) {
            return node_->keys().issue_token(claims);
        };
        options.stamp_behind = [this](auto lag) { node_->stamp_behind(lag); };
        return load_demo(options);
    }
    const Node& node() const { return *node_; }
    const ReadModels& read() const { return node_->read(kProgram); }
    std::string metrics() const { return metrics_.render(); }

private:
    TemporaryDirectory directory_;
    http::Metrics metrics_;
    std::unique_ptr<Node> node_;
    std::unique_ptr<http::TokenVerifier> verifier_;
    std::unique_ptr<Routes> routes_;
    std::unique_ptr<http::Server> server_;
    std::string url_;
};

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

TEST_CASE("the demo is loaded once, over HTTP, and leaves the clock as it was") {
    Served served;
    const Result<std::string> text = served.load();
    if (!text) FAIL(text.error().detail);
    CHECK(text->find("curl -s ") != std::string::npos);
    const ReadModels& models = served.read();
    const ProgramSummary summary = models.summary(kProgram);
    CHECK(summary.messages == demo::messages().size());
    CHECK(summary.partners > 200);
    CHECK(summary.unread_replies > 0);
    CHECK(std::abs(served.node().now().value - IngressClock().now().value) < 60'000);

    const auto messages = models.messages(kProgram, {});
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
    CHECK(models.opens(kProgram, oldest.card->number, OpensInterval::day).size() >= 3);
    CHECK(served.node().now().value - oldest.card->sent_at.value > 12LL * 24 * 3'600'000);

    const PartnerPtr first = models.partner(kProgram, PartnerId{std::string(demo::kGuides[0])});
    const PartnerPtr second = models.partner(kProgram, PartnerId{std::string(demo::kGuides[1])});
    REQUIRE(first);
    REQUIRE(second);
    CHECK(models.inbox_summary(kProgram, first->ordinal).unread == 2);
    CHECK(models.inbox_summary(kProgram, second->ordinal).unread == 0);
    CHECK(models.inbox_summary(kProgram, second->ordinal).total >= 4);

    const Tip before = models.tip();
    CHECK(served.load().has_value());
    CHECK(models.tip() == before);
    CHECK(served.metrics().find("tidings_applied_sequence{partition=\"" +
                                std::to_string(served.node().partition_of(kProgram).value) +
                                "\"} " + std::to_string(before.sequence.value)) !=
          std::string::npos);
}

}  // namespace
}  // namespace tidings::apps
