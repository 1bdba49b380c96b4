#include "connectors/kafka/settings.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "core/limits.h"

namespace tidings::kafka {

namespace {

/// What the protocol rests on; setting any of them is refused, whatever the value.
constexpr std::array<std::string_view, 22> kOurs = {"acks",
                                                    "request.required.acks",
                                                    "enable.idempotence",
                                                    "transactional.id",
                                                    "enable.auto.commit",
                                                    "auto.commit.enable",
                                                    "enable.auto.offset.store",
                                                    "auto.offset.reset",
                                                    "isolation.level",
                                                    "message.timeout.ms",
                                                    "delivery.timeout.ms",
                                                    "retries",
                                                    "message.send.max.retries",
                                                    "max.in.flight",
                                                    "max.in.flight.requests.per.connection",
                                                    "message.max.bytes",
                                                    "group.id",
                                                    "partitioner",
                                                    "enable.partition.eof",
                                                    "enable.gapless.guarantee",
                                                    "delivery.report.only.error",
                                                    "statistics.interval.ms"};

using Property = std::pair<const char*, std::string>;

std::vector<Property> defaults(const Settings& settings, ClientKind kind) {
    // A commit with Kafka's framing around it.
    const std::string record = std::to_string(limits::kCommitBytes + (1 << 20));
    std::vector<Property> out = {
        {"bootstrap.servers", settings.brokers},
        {"client.id", settings.client_id.empty() ? "tidings" : settings.client_id},
        {"log.connection.close", "false"},
        {"statistics.interval.ms", "1000"},
        {"reconnect.backoff.max.ms", "1000"},
        {"topic.metadata.refresh.interval.ms", "10000"},
        {"socket.nagle.disable", "true"},
        {"message.max.bytes", record},
    };
    if (kind == ClientKind::producer) {
        out.insert(out.end(), {{"acks", "all"},
                               {"enable.idempotence", "true"},
                               {"message.timeout.ms", "0"},
                               {"linger.ms", "0"}});
    } else {
        out.insert(out.end(),
                   {{"group.id", settings.prefix},  // assign() wants one; never joined
                    {"enable.auto.commit", "false"},
                    {"enable.auto.offset.store", "false"},
                    {"auto.offset.reset", "error"},
                    {"isolation.level", "read_uncommitted"},
                    {"fetch.wait.max.ms", "250"},
                    {"queued.max.messages.kbytes", std::to_string(settings.queued_kib)}});
    }
    return out;
}

Result<void> set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
    std::array<char, 512> reason{};
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason.data(), reason.size()) ==
        RD_KAFKA_CONF_OK) {
        return {};
    }
    return Error{ErrorCode::usage, "kafka." + name + ": " + reason.data(), {}};
}

}  // namespace

Result<rd_kafka_conf_s*> make_conf(const Settings& settings, ClientKind kind) {
    std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> conf(rd_kafka_conf_new(),
                                                                            rd_kafka_conf_destroy);
    for (const auto& [name, value] : defaults(settings, kind)) {
        const auto done = set(conf.get(), name, value);
        if (!done) return done.error();
    }
    for (const auto& [name, value] : settings.properties) {
        if (std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end()) {
            return Error{ErrorCode::usage,
                         "kafka." + name + " cannot be set: the log's promise depends on it",
                         {}};
        }
        const auto done = set(conf.get(), name, value);
        if (!done) return done.error();
    }
    return conf.release();
}

Result<void> check(const Settings& settings) {
    for (const ClientKind kind : {ClientKind::producer, ClientKind::consumer}) {
        const auto conf = make_conf(settings, kind);
        if (!conf) return conf.error();
        rd_kafka_conf_destroy(*conf);
    }
    return {};
}

}  // namespace tidings::kafka
