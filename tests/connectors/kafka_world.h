// librdkafka's own mock of a cluster, in this process, and clients of it. It knows neither
// compaction nor administrative requests: those have tests against real brokers.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "connectors/kafka/kafka_log.h"
#include "events/envelope.h"
#include "tests/support/catch.h"

namespace tidings::kafka::testing {

inline constexpr std::chrono::seconds kPatience{60};  ///< for what must happen; sanitizers are slow

/// Until it is true.
template <class Predicate>
void eventually(const Predicate& predicate) {
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!predicate()) {
        if (std::chrono::steady_clock::now() > until) FAIL("it does not happen");
        never.wait_for(lock, std::chrono::milliseconds(2));
    }
}

inline void good(const Result<void>& result) {
    if (!result) FAIL(result.error().detail);
}

template <class T>
T good(Result<T> result) {
    if (!result) FAIL(result.error().detail);
    return std::move(*result);
}

class MockCluster {
public:
    explicit MockCluster(int brokers = 1) {
        spdlog::set_level(spdlog::level::off);
        rd_kafka_conf_t* const conf = rd_kafka_conf_new();
        rd_kafka_conf_set_log_cb(conf, nullptr);
        handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
        cluster_ = rd_kafka_mock_cluster_new(handle_, brokers);
        const TopicNames names = this->names();
        for (const std::string& topic : {names.commands, names.commits, names.events, names.members,
                                         names.bookmarks, names.keys, names.rejected}) {
            make_topic(topic);
        }
    }
    ~MockCluster() {
        rd_kafka_mock_cluster_destroy(cluster_);
        rd_kafka_destroy(handle_);
    }
    MockCluster(const MockCluster&) = delete;
    MockCluster& operator=(const MockCluster&) = delete;

    void make_topic(const std::string& topic) {
        rd_kafka_mock_topic_create(cluster_, topic.c_str(), 1, 1);
    }
    TopicNames names() const { return TopicNames("mock"); }
    Settings settings() const {
        Settings settings;
        settings.brokers = rd_kafka_mock_cluster_bootstraps(cluster_);
        settings.prefix = "mock";
        // The mock answers a fetch that finds nothing when its time is over, not when there is
        // some.
        settings.properties = {{"fetch.wait.max.ms", "10"},
                               {"reconnect.backoff.ms", "10"},
                               {"reconnect.backoff.max.ms", "50"}};
        return settings;
    }
    void set_down() { rd_kafka_mock_broker_set_down(cluster_, -1); }
    void set_up() { rd_kafka_mock_broker_set_up(cluster_, -1); }
    /// How long an answer takes.
    void set_late(std::chrono::milliseconds by) {
        rd_kafka_mock_broker_set_rtt(cluster_, -1, static_cast<int>(by.count()));
    }

private:
    rd_kafka_t* handle_;
    rd_kafka_mock_cluster_t* cluster_;
};

/// What one process has.
struct Clients {
    explicit Clients(const MockCluster& cluster)
        : names(cluster.names()),
          producer(good(Producer::create(cluster.settings()))),
          commits(good(Consumer::create(cluster.settings()))),
          commands(good(Consumer::create(cluster.settings()))),
          others(good(Consumer::create(cluster.settings()))) {
        learn_topics();
    }
    /// librdkafka's producer asks about a topic that is new to it once a second only.
    void learn_topics() {
        const struct rd_kafka_metadata* metadata = nullptr;
        REQUIRE(rd_kafka_metadata(producer->client()->handle(), 1, nullptr, &metadata, 10'000) ==
                RD_KAFKA_RESP_ERR_NO_ERROR);
        rd_kafka_metadata_destroy(metadata);
    }

    std::unique_ptr<KafkaLog> log(const Genesis& genesis) {
        return std::make_unique<KafkaLog>(LogClients{*producer, *commits, *commands, names},
                                          genesis);
    }
    /// Sends, and waits until it is acknowledged; its offset.
    std::uint64_t put(ProducerRecord record) {
        const auto offset = std::make_shared<std::atomic<std::int64_t>>(-1);
        good(producer->send(std::move(record), true, [offset](Delivery, std::uint64_t at) {
            *offset = static_cast<std::int64_t>(at);
        }));
        eventually([&] { return *offset >= 0; });
        return static_cast<std::uint64_t>(offset->load());
    }
    std::uint64_t put(const std::string& topic, std::string value) {
        ProducerRecord record;
        record.topic = topic;
        record.value = std::move(value);
        return put(std::move(record));
    }
    /// Everything in a topic, from its start.
    std::vector<ConsumedRecord> all(const std::string& topic) {
        PartitionReader reader(*others, topic, 0);
        std::vector<ConsumedRecord> records;
        const std::uint64_t end = good(reader.ask_end(kPatience));
        while (records.size() < end) {
            auto record = good(reader.read(records.size(), kPatience));
            REQUIRE(record.has_value());
            records.push_back(std::move(*record));
        }
        return records;
    }
    /// What a fatal error of librdkafka does to the producer.
    void make_fatal() {
        rd_kafka_test_fatal_error(producer->client()->handle(),
                                  RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
    }
    void break_producer() {
        const std::uint64_t before = producer->restarts();
        make_fatal();
        eventually([&] { return producer->restarts() > before; });
    }

    const TopicNames names;
    std::unique_ptr<Producer> producer;
    std::unique_ptr<Consumer> commits, commands, others;
};

inline Genesis make_genesis(Clients& clients, std::string_view log_id = "0123456789abcdef") {
    Genesis genesis;
    genesis.log = LogId::from(log_id);
    clients.put(clients.names.commits, encode_genesis(genesis));
    return genesis;
}

}  // namespace tidings::kafka::testing
