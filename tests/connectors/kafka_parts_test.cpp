// What needs no cluster: settings, what topics must be, members and tips as text.
#include <librdkafka/rdkafka.h>

#include "connectors/kafka/event_publisher.h"
#include "connectors/kafka/members.h"
#include "connectors/kafka/settings.h"
#include "connectors/kafka/topics.h"
#include "core/limits.h"
#include "tests/support/property.h"

namespace tidings::kafka {
namespace {

std::string setting_of(const Settings& settings, ClientKind kind, const char* name) {
    const auto conf = make_conf(settings, kind);
    REQUIRE(conf.has_value());
    std::size_t size = 0;
    REQUIRE(rd_kafka_conf_get(*conf, name, nullptr, &size) == RD_KAFKA_CONF_OK);
    std::string value(size, '\0');
    REQUIRE(rd_kafka_conf_get(*conf, name, value.data(), &size) == RD_KAFKA_CONF_OK);
    rd_kafka_conf_destroy(*conf);
    value.resize(size - 1);  // without its zero
    return value;
}

TEST_CASE("what the protocol rests on is set, and cannot be set otherwise") {
    const Settings settings{.brokers = "127.0.0.1:1", .properties = {}, .client_id = ""};
    CHECK(setting_of(settings, ClientKind::producer, "request.required.acks") == "-1");
    CHECK(setting_of(settings, ClientKind::producer, "enable.idempotence") == "true");
    CHECK(setting_of(settings, ClientKind::producer, "message.timeout.ms") == "0");
    CHECK(setting_of(settings, ClientKind::consumer, "enable.auto.commit") == "false");
    CHECK(setting_of(settings, ClientKind::consumer, "auto.offset.reset") == "error");
    CHECK(setting_of(settings, ClientKind::consumer, "isolation.level") == "read_uncommitted");
    const auto bytes = setting_of(settings, ClientKind::producer, "message.max.bytes");
    CHECK(std::stoull(bytes) > limits::kCommitBytes);
    for (const char* name :
         {"acks", "request.required.acks", "enable.idempotence", "transactional.id",
          "enable.auto.commit", "auto.offset.reset", "isolation.level", "message.timeout.ms",
          "delivery.timeout.ms", "retries", "max.in.flight", "message.max.bytes", "group.id",
          "enable.partition.eof", "delivery.report.only.error", "statistics.interval.ms"}) {
        INFO(name);
        Settings own = settings;
        own.properties = {{name, setting_of(settings, ClientKind::producer, "client.id")}};
        const auto refused = check(own);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == ErrorCode::usage);
        CHECK(refused.error().detail.find("kafka." + std::string(name) + " cannot be set") == 0);
    }
}

TEST_CASE("other properties of librdkafka pass through; those it does not know are refused") {
    Settings settings{.brokers = "127.0.0.1:1", .properties = {}, .client_id = "me"};
    settings.properties = {{"socket.timeout.ms", "12345"}, {"linger.ms", "7"}};
    REQUIRE(check(settings).has_value());
    for (const ClientKind kind : {ClientKind::producer, ClientKind::consumer}) {
        CHECK(setting_of(settings, kind, "socket.timeout.ms") == "12345");
        CHECK(setting_of(settings, kind, "client.id") == "me");
        CHECK(setting_of(settings, kind, "bootstrap.servers") == "127.0.0.1:1");
    }
    CHECK(setting_of(settings, ClientKind::producer, "linger.ms") == "7");
    settings.queued_kib = 4096;
    CHECK(setting_of(settings, ClientKind::consumer, "queued.max.messages.kbytes") == "4096");
    settings.properties = {{"queued.max.messages.kbytes", "8192"}};
    CHECK(setting_of(settings, ClientKind::consumer, "queued.max.messages.kbytes") == "8192");
    for (const auto& wrong : {std::pair{"no.such.thing", "1"}, std::pair{"linger.ms", "soon"}}) {
        settings.properties = {wrong};
        const auto refused = check(settings);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == ErrorCode::usage);
        CHECK(refused.error().detail.find("kafka." + std::string(wrong.first)) == 0);
    }
}

TEST_CASE("the topics of the log keep everything, and are as wide as the log") {
    const TopicNames names("acme");
    const auto specs = topic_specs(names, 12);
    REQUIRE(specs.size() == 7);
    std::map<std::string, TopicSpec> by_name;
    for (const TopicSpec& spec : specs) by_name.emplace(spec.name, spec);
    for (const char* name : {"acme.commands", "acme.commits"}) {
        INFO(name);
        const TopicSpec& spec = by_name.at(name);
        CHECK(spec.partitions == 12);
        CHECK(spec.partitions_fixed);
        CHECK(spec.settings.at("cleanup.policy") == "delete");
        CHECK(spec.settings.at("retention.ms") == "-1");
        CHECK(spec.settings.at("retention.bytes") == "-1");
    }
    CHECK(std::stoull(by_name.at("acme.commits").settings.at("max.message.bytes")) >
          limits::kCommitBytes);
    CHECK(std::stoull(by_name.at("acme.commands").settings.at("max.message.bytes")) >
          limits::kCommandBytes);
    for (const char* name : {"acme.members", "acme.bookmarks", "acme.keys"}) {
        CHECK(by_name.at(name).settings.at("cleanup.policy") == "compact");
        CHECK(by_name.at(name).partitions == 1);
    }
    CHECK(by_name.at("acme.events").partitions == 12);
    CHECK_FALSE(by_name.at("acme.upstream.rejected").partitions_fixed);
    for (const TopicSpec& spec : specs) {
        CHECK(spec.settings.at("unclean.leader.election.enable") == "false");
    }
}

TEST_CASE("a member is its text again") {
    CHECK_PROPERTY("encode and decode a member", [] {
        Member member;
        member.id = *rc::gen::string<std::string>();
        member.url = *rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~'));
        member.keys = *rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~'));
        member.api = *rc::gen::arbitrary<bool>();
        member.decider = *rc::gen::arbitrary<bool>();
        member.projector = *rc::gen::arbitrary<bool>();
        member.ready = *rc::gen::arbitrary<std::vector<std::uint32_t>>();
        const auto again = decode_member(member.id, encode_member(member));
        RC_ASSERT(again.has_value());
        RC_ASSERT(*again == member);
    });
}

TEST_CASE("what is no member is none, and what a later version adds is passed over") {
    for (const char* wrong :
         {"", "null", "[]", "{}", "{\"url\":1,\"roles\":[],\"ready\":[],\"keys\":\"\"}",
          "{\"url\":\"\",\"roles\":{},\"ready\":[],\"keys\":\"\"}",
          "{\"url\":\"\",\"roles\":[],\"ready\":[-1],\"keys\":\"\"}",
          "{\"url\":\"\",\"roles\":[],\"ready\":[4294967296],\"keys\":\"\"}",
          "{\"url\":\"\",\"roles\":[],\"ready\":[\"1\"],\"keys\":\"\"}",
          "{\"url\":\"\",\"roles\":[],\"ready\":[]}", "{\"url\":\"\""}) {
        INFO(wrong);
        CHECK_FALSE(decode_member("id", wrong).has_value());
    }
    const auto newer = decode_member("id",
                                     "{\"url\":\"u\",\"roles\":[\"decider\",\"sweeper\",1],"
                                     "\"ready\":[3],\"keys\":\"k\",\"zone\":\"a\"}");
    REQUIRE(newer.has_value());
    CHECK(newer->decider);
    CHECK_FALSE(newer->api);
    CHECK(newer->ready == std::vector<std::uint32_t>{3});
}

TEST_CASE("a tip is its text again") {
    CHECK_PROPERTY("encode and decode a tip", [] {
        Tip tip;
        tip.sequence.value = *rc::gen::arbitrary<std::uint64_t>();
        tip.next_command.value = *rc::gen::arbitrary<std::uint64_t>();
        tip.next_record.value = *rc::gen::arbitrary<std::uint64_t>();
        tip.hash = sha256(*rc::gen::arbitrary<std::string>());
        const auto again = decode_tip(encode_tip(tip));
        RC_ASSERT(again.has_value());
        RC_ASSERT(*again == tip);
    });
    const std::string good = encode_tip(Tip{});
    REQUIRE(decode_tip(good).has_value());
    for (const std::string& wrong :
         {std::string(), good.substr(1), good + " 1", good + "x", good.substr(0, good.size() - 2),
          "-1" + good.substr(1), "18446744073709551616" + good.substr(1),
          "0 " + std::string(62, '0') + " 0 0", "0 " + std::string(64, 'g') + " 0 0"}) {
        INFO(wrong);
        CHECK_FALSE(decode_tip(wrong).has_value());
    }
}

}  // namespace
}  // namespace tidings::kafka
