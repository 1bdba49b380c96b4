#include "connectors/kafka/client.h"

#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <array>
#include <boost/json.hpp>
#include <future>

#include "connectors/thread_name.h"

namespace tidings::kafka {

namespace {

namespace json = boost::json;

constexpr int kPollMs = 100;
constexpr std::chrono::seconds kComplainEvery{10};
constexpr std::chrono::seconds kDestroyed{3};
constexpr int kLastReportsMs = 1'000;  ///< of what is purged at the end

std::int64_t number(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) return 0;
    if (value->is_double()) return static_cast<std::int64_t>(value->get_double());
    return value->is_int64()
               ? value->get_int64()
               : static_cast<std::int64_t>(value->is_uint64() ? value->get_uint64() : 0);
}

std::uint64_t count(const json::object& object, std::string_view name) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number(object, name)));
}

const json::object* member(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value == nullptr ? nullptr : value->if_object();
}

spdlog::level::level_enum level_of(int syslog) {
    if (syslog <= 3) return spdlog::level::err;
    if (syslog == 4) return spdlog::level::warn;
    return syslog == 5 || syslog == 6 ? spdlog::level::info : spdlog::level::debug;
}

}  // namespace

Error kafka_error(int code, const std::string& what) {
    return {
        ErrorCode::io, what + ": " + rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(code)), {}};
}

Client::Client(ClientKind kind, Delivered delivered)
    : kind_(kind), delivered_(std::move(delivered)) {}

Result<std::unique_ptr<Client>> Client::create(const Settings& settings, ClientKind kind,
                                               Delivered delivered) {
    const auto conf = make_conf(settings, kind);
    if (!conf) return conf.error();
    std::unique_ptr<Client> client(new Client(kind, std::move(delivered)));
    rd_kafka_conf_set_opaque(*conf, client.get());
    rd_kafka_conf_set_error_cb(*conf, [](rd_kafka_t*, int code, const char* reason, void* self) {
        static_cast<Client*>(self)->on_error(code, reason);
    });
    rd_kafka_conf_set_stats_cb(*conf, [](rd_kafka_t*, char* text, std::size_t size, void* self) {
        static_cast<Client*>(self)->on_statistics({text, size});
        return 0;  // librdkafka frees it
    });
    rd_kafka_conf_set_log_cb(*conf, [](const rd_kafka_t*, int level, const char* facility,
                                       const char* text) {
        // what fails is told by the error callback as well
        const bool told = std::string_view(facility) == "FAIL";
        spdlog::log(told ? spdlog::level::debug : level_of(level), "kafka {} {}", facility, text);
    });
    if (kind == ClientKind::producer) {
        rd_kafka_conf_set_dr_msg_cb(*conf,
                                    [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
                                        static_cast<Client*>(self)->delivered_(*message);
                                    });
    }
    std::array<char, 512> reason{};
    client->handle_ =
        rd_kafka_new(kind == ClientKind::producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, *conf,
                     reason.data(), reason.size());
    if (client->handle_ == nullptr) {
        rd_kafka_conf_destroy(*conf);
        return Error{ErrorCode::usage, std::string("kafka: ") + reason.data(), {}};
    }
    if (kind == ClientKind::consumer) rd_kafka_poll_set_consumer(client->handle_);
    client->thread_ = std::thread([self = client.get()] {
        name_thread(self->kind_ == ClientKind::producer ? "kafka produce" : "kafka consume");
        self->serve();
    });
    return client;
}

Client::~Client() {
    if (handle_ == nullptr) return;
    stop_serving();
    if (kind_ == ClientKind::producer) {
        rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(handle_, kLastReportsMs);
    }
    destroy();
}

/// librdkafka 2.0.2 may wait for ever for a partition whose topic was deleted. Nothing of ours is
/// left in it by now, and no callback comes any more: the end of the process takes what remains.
void Client::destroy() {
    std::promise<void> destroyed;
    const std::future<void> done = destroyed.get_future();
    rd_kafka_t* const handle = handle_;
    std::thread thread([handle, destroyed = std::move(destroyed)]() mutable {
        rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        destroyed.set_value();
    });
    if (done.wait_for(kDestroyed) == std::future_status::ready) return thread.join();
    spdlog::warn("kafka: a client does not end, and is left behind");
    rd_kafka_set_log_level(handle, 0);
    thread.detach();
}

/// Without waiting for the end of a poll.
void Client::stop_serving() {
    stop_ = true;
    rd_kafka_queue_t* const polled = kind_ == ClientKind::producer
                                         ? rd_kafka_queue_get_main(handle_)
                                         : rd_kafka_queue_get_consumer(handle_);
    rd_kafka_queue_yield(polled);
    rd_kafka_queue_destroy(polled);
    thread_.join();
}

void Client::serve() {
    while (!stop_) {
        if (kind_ == ClientKind::producer) {
            rd_kafka_poll(handle_, kPollMs);
            continue;
        }
        // Records come by their partitions' own queues; what comes here are errors.
        rd_kafka_message_t* message = rd_kafka_consumer_poll(handle_, kPollMs);
        if (message == nullptr) continue;
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            spdlog::debug("kafka consumer: {}", rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
    }
}

void Client::on_error(int code, const char* reason) {
    switch (code) {
        case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: {
            generation_.fetch_add(1, std::memory_order_acq_rel);
            const std::lock_guard lock(mutex_);
            if (!down_) spdlog::error("kafka: no broker answers: {}", reason);
            down_reason_ = reason;
            down_ = true;
            return;
        }
        case RD_KAFKA_RESP_ERR__TRANSPORT:
        case RD_KAFKA_RESP_ERR__RESOLVE:
            generation_.fetch_add(1, std::memory_order_acq_rel);
            if (const auto now = std::chrono::steady_clock::now(); now >= next_complaint_) {
                spdlog::warn("kafka: {}", reason);
                next_complaint_ = now + kComplainEvery;  // it tries several times a second
            }
            return;
        case RD_KAFKA_RESP_ERR__FATAL:
            spdlog::error("kafka: fatal: {}", reason);
            fatal_.store(true, std::memory_order_release);
            return;
        default:
            spdlog::warn("kafka: {}: {}", rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code)),
                         reason);
    }
}

void Client::on_statistics(std::string_view text) {
    boost::system::error_code bad;
    const json::value parsed = json::parse(text, bad);
    const json::object* root = bad ? nullptr : parsed.if_object();
    if (root == nullptr) return;
    ClientFigures now;
    now.queued = count(*root, "msg_cnt");
    now.sent = count(*root, "txmsgs");
    now.received = count(*root, "rxmsgs");
    now.sent_bytes = count(*root, "tx_bytes");
    now.received_bytes = count(*root, "rx_bytes");
    if (const json::object* brokers = member(*root, "brokers")) {
        for (const auto& entry : *brokers) {
            const json::object* broker = entry.value().if_object();
            if (broker == nullptr) continue;
            const json::value* state = broker->if_contains("state");
            if (state != nullptr && state->is_string() && state->get_string() == "UP" &&
                number(*broker, "nodeid") >= 0) {
                ++now.brokers_up;
            }
            now.request_errors += count(*broker, "txerrs") + count(*broker, "rxerrs");
            now.disconnects += count(*broker, "disconnects");
            if (const json::object* rtt = member(*broker, "rtt")) {
                constexpr double kMicros = 1'000;
                now.round_trip_ms =
                    std::max(now.round_trip_ms, static_cast<double>(number(*rtt, "avg")) / kMicros);
            }
        }
    }
    const std::lock_guard lock(mutex_);
    figures_ = now;
    if (now.brokers_up > 0 && down_) {
        spdlog::info("kafka: {} brokers answer again", now.brokers_up);
        down_ = false;
    }
    const json::object* topics = member(*root, "topics");
    if (topics == nullptr) return;
    for (const auto& topic : *topics) {
        const json::object* body = topic.value().if_object();
        const json::object* partitions = body ? member(*body, "partitions") : nullptr;
        if (partitions == nullptr) continue;
        std::uint32_t known = 0;
        for (const auto& entry : *partitions) {
            const json::object* partition = entry.value().if_object();
            if (partition == nullptr || number(*partition, "partition") < 0) continue;
            const json::value* unknown = partition->if_contains("unknown");
            if (unknown == nullptr || !unknown->is_bool() || !unknown->get_bool()) ++known;
            const std::int64_t leader = number(*partition, "leader");
            const std::string key = std::string(topic.key()) + "/" + std::string(entry.key());
            const auto [place, is_new] = leaders_.try_emplace(key, leader);
            if (is_new || place->second == leader) continue;
            place->second = leader;
            generation_.fetch_add(1, std::memory_order_acq_rel);
        }
        partitions_[std::string(topic.key())] = known;
    }
}

ClientFigures Client::figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
}

std::optional<Error> Client::unreachable() const {
    if (!down_.load(std::memory_order_relaxed)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    return Error{ErrorCode::io, "no Kafka broker answers: " + down_reason_, {}};
}

std::uint32_t Client::partitions_of(const std::string& topic) const {
    const std::lock_guard lock(mutex_);
    const auto found = partitions_.find(topic);
    return found == partitions_.end() ? 0 : found->second;
}

}  // namespace tidings::kafka
