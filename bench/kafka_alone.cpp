#include "bench/kafka_alone.h"

#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include "bench/check.h"
#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"
#include "connectors/kafka/topics.h"

namespace tidings::bench {

namespace {

using Clock = std::chrono::steady_clock;
using Properties = std::vector<std::pair<const char*, std::string>>;

constexpr int kKafkaAloneAnswerMs = 60'000;
constexpr int kPollMs = 100;
constexpr std::size_t kRecordBytes = 150;  // of a round trip and a transaction; about a command
constexpr std::size_t kWarmUp = 100;

struct Destroy {
    void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
    void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
    void operator()(rd_kafka_topic_partition_list_t* list) const {
        rd_kafka_topic_partition_list_destroy(list);
    }
};
template <class T>
using Owned = std::unique_ptr<T, Destroy>;

Owned<rd_kafka_t> make_client(rd_kafka_type_t type, const std::string& brokers,
                              const Properties& properties) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    std::array<char, 512> reason{};
    const auto set = [&](const char* name, const std::string& value) {
        check(rd_kafka_conf_set(conf, name, value.c_str(), reason.data(), reason.size()) ==
                  RD_KAFKA_CONF_OK,
              reason.data());
    };
    set("bootstrap.servers", brokers);
    set("log.connection.close", "false");
    for (const auto& [name, value] : properties) set(name, value);
    Owned<rd_kafka_t> out(rd_kafka_new(type, conf, reason.data(), reason.size()));
    check(out != nullptr, reason.data());
    return out;
}

Owned<rd_kafka_t> make_producer(const std::string& brokers, const char* linger_ms) {
    return make_client(RD_KAFKA_PRODUCER, brokers,
                       {{"enable.idempotence", "true"},
                        {"acks", "all"},
                        {"linger.ms", linger_ms},
                        {"batch.num.messages", "10000"},
                        {"queue.buffering.max.messages", "1000000"}});
}

/// Reads partitions of one topic from where it is told.
class BareConsumer {
public:
    BareConsumer(const std::string& brokers, const std::string& topic,
                 const std::vector<std::uint64_t>& from)
        : handle_(make_client(RD_KAFKA_CONSUMER, brokers,
                              {{"group.id", "bench"},
                               {"enable.auto.commit", "false"},
                               {"auto.offset.reset", "error"}})),
          queue_(rd_kafka_queue_get_consumer(handle_.get())) {
        const Owned<rd_kafka_topic_partition_list_t> list(
            rd_kafka_topic_partition_list_new(static_cast<int>(from.size())));
        for (std::size_t p = 0; p < from.size(); ++p) {
            rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), static_cast<int>(p))
                ->offset = static_cast<std::int64_t>(from[p]);
        }
        check(rd_kafka_assign(handle_.get(), list.get()) == RD_KAFKA_RESP_ERR_NO_ERROR,
              "librdkafka alone: assign " + topic);
    }
    ~BareConsumer() {
        queue_.reset();
        rd_kafka_consumer_close(handle_.get());
    }
    BareConsumer(const BareConsumer&) = delete;
    BareConsumer& operator=(const BareConsumer&) = delete;

    /// How many records came; waits for one.
    std::size_t read() {
        const auto until = Clock::now() + std::chrono::milliseconds(kKafkaAloneAnswerMs);
        for (;;) {
            const ssize_t count = rd_kafka_consume_batch_queue(queue_.get(), kPollMs,
                                                               messages_.data(), messages_.size());
            check(count >= 0, "librdkafka alone: read");
            for (ssize_t i = 0; i < count; ++i) {
                const auto error = messages_[static_cast<std::size_t>(i)]->err;
                check(error == RD_KAFKA_RESP_ERR_NO_ERROR,
                      std::string("librdkafka alone: read: ") + rd_kafka_err2str(error));
                rd_kafka_message_destroy(messages_[static_cast<std::size_t>(i)]);
            }
            if (count > 0) return static_cast<std::size_t>(count);
            check(Clock::now() < until, "librdkafka alone: no record came within a minute");
        }
    }

    /// One record, as soon as it is there.
    void read_one() {
        rd_kafka_message_t* const message =
            rd_kafka_consume_queue(queue_.get(), kKafkaAloneAnswerMs);
        check(message != nullptr, "librdkafka alone: no record came within a minute");
        const auto error = message->err;
        rd_kafka_message_destroy(message);
        check(error == RD_KAFKA_RESP_ERR_NO_ERROR,
              std::string("librdkafka alone: read: ") + rd_kafka_err2str(error));
    }

private:
    const Owned<rd_kafka_t> handle_;
    Owned<rd_kafka_queue_t> queue_;
    std::array<rd_kafka_message_t*, 4096> messages_{};
};

Owned<rd_kafka_topic_t> open_topic(rd_kafka_t* handle, const std::string& topic) {
    return Owned<rd_kafka_topic_t>(rd_kafka_topic_new(handle, topic.c_str(), nullptr));
}

void produce(rd_kafka_t* handle, rd_kafka_topic_t* topic, const BareRecord& record) {
    const auto bytes = [](std::string_view view) { return const_cast<char*>(view.data()); };
    for (;;) {
        if (rd_kafka_produce(topic, static_cast<int>(record.partition), RD_KAFKA_MSG_F_COPY,
                             bytes(record.value), record.value.size(), record.key.data(),
                             record.key.size(), nullptr) == 0) {
            return;
        }
        const rd_kafka_resp_err_t error = rd_kafka_last_error();
        check(error == RD_KAFKA_RESP_ERR__QUEUE_FULL,
              std::string("librdkafka alone: produce: ") + rd_kafka_err2str(error));
        rd_kafka_poll(handle, 1);
    }
}

double rate(std::uint64_t count, Clock::time_point start) {
    return static_cast<double>(count) / std::chrono::duration<double>(Clock::now() - start).count();
}

/// Calls `one` so often and records how long each took, but for the first ones.
template <class Function>
Histogram measure_alone(std::size_t count, Function one) {
    Histogram out;
    for (std::size_t i = 0; i < count + kWarmUp; ++i) {
        const auto start = Clock::now();
        one();
        const auto ns = static_cast<std::uint64_t>((Clock::now() - start).count());
        if (i >= kWarmUp) out.add(ns);
    }
    return out;
}

/// A function of transactions; its error is freed.
void done(rd_kafka_error_t* error, const char* doing) {
    if (error == nullptr) return;
    const std::string text = rd_kafka_error_string(error);
    rd_kafka_error_destroy(error);
    throw WrongAnswer(std::string(doing) + ": " + text);
}

}  // namespace

void create_topic(const kafka::Settings& settings, const std::string& topic,
                  std::uint32_t partitions) {
    const auto producer = value_of(kafka::Producer::create(settings), "producer");
    const auto consumer = value_of(kafka::Consumer::create(settings), "consumer");
    kafka::Topics topics(settings, *producer, *consumer);
    value_of(topics.create_missing({{topic, partitions, true, {}}}, 0), "topic " + topic);
}

std::vector<std::uint64_t> topic_ends(const kafka::Settings& settings, const std::string& topic,
                                      std::uint32_t partitions) {
    const auto consumer = value_of(kafka::Consumer::create(settings), "consumer");
    std::vector<std::uint64_t> out;
    for (std::uint32_t p = 0; p < partitions; ++p) {
        out.push_back(
            value_of(consumer->query_offsets(topic, static_cast<std::int32_t>(p),
                                             std::chrono::milliseconds(kKafkaAloneAnswerMs)),
                     "end of " + topic)
                .second);
    }
    return out;
}

double produce_all(const std::string& brokers, const std::string& topic, std::uint64_t count,
                   const BareRecords& records) {
    const auto producer = make_producer(brokers, "5");
    const auto to = open_topic(producer.get(), topic);
    const auto start = Clock::now();
    BareRecord record;
    for (std::uint64_t i = 0; i < count; ++i) {
        records(i, record);
        produce(producer.get(), to.get(), record);
    }
    check(rd_kafka_flush(producer.get(), kKafkaAloneAnswerMs) == RD_KAFKA_RESP_ERR_NO_ERROR,
          "librdkafka alone: not all records are acknowledged");
    return rate(count, start);
}

double consume_all(const std::string& brokers, const std::string& topic,
                   const std::vector<std::uint64_t>& from, const std::vector<std::uint64_t>& to) {
    std::uint64_t expected = 0, found = 0;
    for (std::size_t p = 0; p < from.size(); ++p) expected += to[p] - from[p];
    const auto start = Clock::now();
    BareConsumer consumer(brokers, topic, from);
    while (found < expected) found += consumer.read();
    const double out = rate(found, start);
    check_equal(found, expected, "records of " + topic);
    return out;
}

Histogram measure_round_trips(const std::string& brokers, const std::string& commands,
                              const std::string& commits, std::size_t count) {
    const auto producer = make_producer(brokers, "0");
    const std::string value(kRecordBytes, 'x');
    const auto first = open_topic(producer.get(), commands);
    const auto second = open_topic(producer.get(), commits);
    BareConsumer deciding(brokers, commands, {0}), following(brokers, commits, {0});
    return measure_alone(count, [&] {
        produce(producer.get(), first.get(), {0, {}, value});
        deciding.read_one();
        produce(producer.get(), second.get(), {0, {}, value});
        following.read_one();
        rd_kafka_poll(producer.get(), 0);
    });
}

Histogram measure_transactions(const std::string& brokers, const std::string& topic,
                               std::size_t count) {
    const auto producer =
        make_client(RD_KAFKA_PRODUCER, brokers, {{"transactional.id", topic}, {"linger.ms", "0"}});
    done(rd_kafka_init_transactions(producer.get(), kKafkaAloneAnswerMs), "init transactions");
    const auto to = open_topic(producer.get(), topic);
    const std::string value(kRecordBytes, 'x');
    return measure_alone(count, [&] {
        done(rd_kafka_begin_transaction(producer.get()), "begin transaction");
        produce(producer.get(), to.get(), {0, {}, value});
        done(rd_kafka_commit_transaction(producer.get(), kKafkaAloneAnswerMs),
             "commit transaction");
    });
}

}  // namespace tidings::bench
