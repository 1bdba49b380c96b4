#include "apps/config.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "apps/cluster.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps {
namespace {

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    REQUIRE(in.good());
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string error_of(const std::string& toml) {
    const Result<Config> config = parse_config(toml, "tidings.toml");
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().code == ErrorCode::usage);
    return config.error().detail;
}

TEST_CASE("an empty configuration is the defaults") {
    const Result<Config> config = parse_config("", "empty");
    REQUIRE(config.has_value());
    CHECK(*config == Config{});
}

TEST_CASE("the example file names every setting and equals the defaults") {
    const std::string text = read_file(TIDINGS_SOURCE_DIR "/docs/tidings.example.toml");
    const Result<Config> config = parse_config(text, "tidings.example.toml");
    REQUIRE(config.has_value());
    CHECK(*config == Config{});
    for (const Setting& setting : settings()) {
        const std::string key(setting.key.substr(setting.key.rfind('.') + 1));
        INFO(setting.key);
        CHECK(text.find("\n" + key + " = ") != std::string::npos);
    }
}

TEST_CASE("every setting is documented") {
    const std::string text = read_file(TIDINGS_SOURCE_DIR "/docs/configuration.md");
    const std::string help = settings_help();
    for (const Setting& setting : settings()) {
        INFO(setting.key);
        CHECK(text.find("`" + std::string(setting.key) + "`") != std::string::npos);
        CHECK(help.find(std::string(setting.key) + " = ") != std::string::npos);
    }
}

TEST_CASE("settings are read") {
    const Result<Config> config = parse_config(R"(
        data = "/var/lib/tidings"
        listen = "[::1]:0"
        partitions = 8
        [http]
        operations = false
        outcome_timeout_ms = 250
        [cors]
        allowed_origins = ["https://a.example", "https://b.example"]
        [log]
        format = "json"
    )",
                                               "t");
    REQUIRE(config.has_value());
    Config expected;
    expected.data = "/var/lib/tidings";
    expected.listen = "[::1]:0";
    expected.partitions = 8;
    expected.operations = false;
    expected.outcome_timeout_ms = 250;
    expected.allowed_origins = {"https://a.example", "https://b.example"};
    expected.log_format = "json";
    CHECK(*config == expected);
}

TEST_CASE("wrong settings are errors that name the key and the line") {
    struct Wrong {
        std::string toml, key, line;
    };
    const std::vector<Wrong> table{
        {"dato = \"x\"", "dato", ":1:"},
        {"\n\nhttp.io_thread = 1", "http.io_thread", ":3:"},
        {"[htpp]\nio_threads = 1", "htpp", ":1:"},
        {"data = 1", "data", ":1:"},
        {"partitions = \"4\"", "partitions", ":1:"},
        {"partitions = 4.0", "partitions", ":1:"},
        {"partitions = 1025", "partitions", ":1:"},
        {"partitions = -1", "partitions", ":1:"},
        {"[http]\n\noperations = 1", "http.operations", ":3:"},
        {"http = 1", "http", ":1:"},
        {"[http]\nio_threads = 257", "http.io_threads", ":2:"},
        {"[cors]\nallowed_origins = \"*\"", "cors.allowed_origins", ":2:"},
        {"[cors]\nallowed_origins = [1]", "cors.allowed_origins", ":2:"},
        {"[log]\nlevel = \"loud\"", "log.level", ":2:"},
        {"[http.operations]\nx = 1", "http.operations", ":1:"},
        {"kafka = 1", "kafka", ":1:"},
        {"[kafka]\n\nlinger.ms = 0.5", "kafka.linger.ms", ":3:"},
        {"[kafka]\nlinger = []", "kafka.linger", ":2:"},
        {"[cluster]\nbroker = \"x\"", "cluster.broker", ":2:"},
        {"[cluster]\nmember_timeout_ms = 299", "cluster.member_timeout_ms", ":2:"},
        {"data = ", "", ":1:"},
        {"data = \"a\"\ndata = \"b\"", "", ":2:"},
    };
    for (const Wrong& wrong : table) {
        const std::string detail = error_of(wrong.toml);
        INFO(wrong.toml << " -> " << detail);
        CHECK(detail.find("tidings.toml" + wrong.line) == 0);
        CHECK(detail.find(wrong.key) != std::string::npos);
    }
}

TEST_CASE("a deployment on Kafka is read, with names that have dots") {
    const Result<Config> config = parse_config(R"(
        [cluster]
        brokers = "one:9092,two:9092"
        prefix = "acme"
        roles = "api"
        replicas = 2
        replication = 3
        member_timeout_ms = 1500
        advertise = "http://10.0.0.7:8080"
        always_decide = true
        publish_events = false
        [upstream]
        topics = ["partnero.events", "other"]
        [kafka]
        security.protocol = "SSL"
        "ssl.ca.location" = "/etc/ca.pem"
        linger.ms = 5
        enable.ssl.certificate.verification = true
    )",
                                               "t");
    INFO((config ? "" : config.error().detail));
    REQUIRE(config.has_value());
    Config expected;
    expected.cluster_brokers = "one:9092,two:9092";
    expected.cluster_prefix = "acme";
    expected.cluster_roles = "api";
    expected.cluster_replicas = 2;
    expected.cluster_replication = 3;
    expected.cluster_member_timeout_ms = 1'500;
    expected.cluster_advertise = "http://10.0.0.7:8080";
    expected.cluster_always_decide = true;
    expected.cluster_publish_events = false;
    expected.upstream_topics = {"partnero.events", "other"};
    expected.kafka = config->kafka;
    CHECK(*config == expected);
    auto sorted = config->kafka;
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == std::vector<std::pair<std::string, std::string>>{
                        {"enable.ssl.certificate.verification", "true"},
                        {"linger.ms", "5"},
                        {"security.protocol", "SSL"},
                        {"ssl.ca.location", "/etc/ca.pem"}});
    const kafka::Settings settings = kafka_settings(*config);
    CHECK(settings.brokers == "one:9092,two:9092");
    CHECK(settings.prefix == "acme");
    CHECK(settings.properties == config->kafka);
}

TEST_CASE("no upstream topic is one of the deployment's own") {
    Config config;
    config.cluster_prefix = "acme";
    config.upstream_topics = {"facts", "other.events", "acme.facts", "acme"};
    CHECK(check_upstream_topics(config).has_value());
    for (const char* own : {"acme.commands", "acme.commits", "acme.events", "acme.members",
                            "acme.bookmarks", "acme.keys", "acme.upstream.rejected"}) {
        config.upstream_topics = {"facts", own};
        const Result<void> refused = check_upstream_topics(config);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == ErrorCode::usage);
        CHECK(refused.error().detail.find("upstream.topics: " + std::string(own) + " is ") == 0);
    }
}

TEST_CASE("roles") {
    CHECK(parse_roles("api,decider,projector").value() == Roles{});
    CHECK(parse_roles("projector").value() == Roles{false, false, true});
    CHECK(parse_roles("decider,api").value() == Roles{true, true, false});
    for (const char* wrong : {"", ",", "api,,decider", "king", "api decider", "Api"}) {
        INFO(wrong);
        const Result<Roles> roles = parse_roles(wrong);
        REQUIRE_FALSE(roles.has_value());
        CHECK(roles.error().code == ErrorCode::usage);
    }
}

TEST_CASE("listen addresses") {
    CHECK(parse_listen("127.0.0.1:8080").value() == ListenAddress{"127.0.0.1", 8080});
    CHECK(parse_listen("0.0.0.0:0").value() == ListenAddress{"0.0.0.0", 0});
    CHECK(parse_listen("[::1]:65535").value() == ListenAddress{"::1", 65535});
    for (const char* wrong : {"", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                              "127.0.0.1:80x", "::1:80", "[127.0.0.1]:80", "[]:80"}) {
        INFO(wrong);
        const Result<ListenAddress> parsed = parse_listen(wrong);
        CHECK_FALSE(parsed.has_value());
    }
    CHECK(error_of("listen = \"8080\"").find("listen") != std::string::npos);
}

TEST_CASE("a configuration file that cannot be read is an error") {
    const tidings::testing::TemporaryDirectory directory;
    const Result<Config> config = load_config(directory.path() / "absent.toml");
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().detail.find("absent.toml") != std::string::npos);
}

}  // namespace
}  // namespace tidings::apps
