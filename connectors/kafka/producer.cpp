#include "connectors/kafka/producer.h"

#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "connectors/thread_name.h"

namespace tidings::kafka {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kWatch{100};

rd_kafka_headers_t* make_headers(const ProducerRecord& record) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
    for (const auto& [name, value] : record.headers) {
        rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                            static_cast<ssize_t>(value.size()));
    }
    return headers;
}

}  // namespace

/// Owned by librdkafka (as a message's opaque pointer) from enqueue to the delivery report.
struct Producer::UnderWay {
    ProducerRecord
        record;  ///< keeps the payload: librdkafka refers to it, and it may be sent again
    std::uint64_t number = 0;  ///< in the order of the sends
    bool insist = false;
    Done done;
};

Producer::Producer(Settings settings) : settings_(std::move(settings)) {}

Result<std::unique_ptr<Producer>> Producer::create(const Settings& settings) {
    std::unique_ptr<Producer> producer(new Producer(settings));
    auto client = producer->make_client();
    if (!client) return client.error();
    producer->client_ = std::move(*client);
    producer->watcher_ = std::thread([self = producer.get()] {
        name_thread("kafka watch");
        self->restart_when_fatal();
    });
    return producer;
}

Producer::~Producer() {
    std::shared_ptr<Client> last;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        last = client_;
    }
    wake_.notify_all();
    if (watcher_.joinable()) watcher_.join();
    {
        const std::lock_guard lock(mutex_);
        client_.reset();
    }
    last.reset();  // reports what is left, which delivered() then only frees
}

Result<std::shared_ptr<Client>> Producer::make_client() {
    auto client = Client::create(settings_, ClientKind::producer,
                                 [this](const rd_kafka_message_s& message) { delivered(message); });
    if (!client) return client.error();
    return std::shared_ptr<Client>(std::move(*client));
}

/// Takes `one` where nothing is wrong. REQUIRES: mutex_ is held.
Result<void> Producer::enqueue(std::unique_ptr<UnderWay>& one) {
    const ProducerRecord& record = one->record;
    rd_kafka_headers_t* headers = make_headers(record);
    // librdkafka does not write to it
    void* const value = record.value ? const_cast<char*>(record.value->data()) : nullptr;
    const std::size_t size = record.value ? record.value->size() : 0;
    const rd_kafka_resp_err_t status = rd_kafka_producev(
        client_->handle(), RD_KAFKA_V_TOPIC(record.topic.c_str()),
        RD_KAFKA_V_PARTITION(record.partition), RD_KAFKA_V_MSGFLAGS(0),
        RD_KAFKA_V_KEY(record.key.data(), record.key.size()), RD_KAFKA_V_VALUE(value, size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(one.get()), RD_KAFKA_V_END);
    if (status == RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)one.release();  // the delivery report takes it back
        return {};
    }
    rd_kafka_headers_destroy(headers);
    if (status == RD_KAFKA_RESP_ERR__FATAL && one->insist) {
        again_.push_back(std::move(one));
        return {};
    }
    Error error = kafka_error(status, "the record cannot be queued");
    if (status == RD_KAFKA_RESP_ERR__QUEUE_FULL) error.code = ErrorCode::overloaded;
    if (status == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) error.code = ErrorCode::payload_too_large;
    return error;
}

Result<void> Producer::send(ProducerRecord record, bool insist, Done done,
                            std::optional<std::uint64_t> restarts) {
    auto one = std::make_unique<UnderWay>();
    one->record = std::move(record);
    one->insist = insist;
    one->done = std::move(done);
    const std::lock_guard lock(mutex_);
    if (stop_) return Error{ErrorCode::overloaded, "the producer is stopping", {}};
    if (restarts && *restarts != restarts_) {
        return Error{ErrorCode::io, "the producer was replaced after a fatal error", {}};
    }
    one->number = ++sent_;
    if (insist && !again_.empty()) {  // older ones go first
        again_.push_back(std::move(one));
    } else if (Result<void> queued = enqueue(one); !queued) {
        return queued;
    }
    if (under_way_++ == 0) progress_ = SteadyClock::now();
    return {};
}

void Producer::delivered(const rd_kafka_message_s& message) {
    std::unique_ptr<UnderWay> one(static_cast<UnderWay*>(message._private));
    const bool good = message.err == RD_KAFKA_RESP_ERR_NO_ERROR;
    {
        const std::lock_guard lock(mutex_);
        if (good) progress_ = SteadyClock::now();
        if (!good && stop_) return;
        if (!good && one->insist) {
            again_.push_back(std::move(one));
            return;
        }
    }
    if (good) {
        one->done(Delivery::done, static_cast<std::uint64_t>(message.offset));
    } else {
        spdlog::warn("kafka: {} [{}]: not acknowledged: {}", one->record.topic,
                     one->record.partition, rd_kafka_err2str(message.err));
        one->done(Delivery::unknown, 0);
    }
    const std::lock_guard lock(mutex_);
    --under_way_;  // now that it was told
}

void Producer::restart_when_fatal() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kWatch, [this] { return stop_; })) {
        if (client_->fatal()) {
            std::shared_ptr<Client> old = replaced();
            if (!old) continue;
            lock.unlock();
            old.reset();
            lock.lock();
        }
        send_again(lock);
    }
}

/// The old handle, once a new one is in use; nothing: not yet. REQUIRES: mutex_ is held.
std::shared_ptr<Client> Producer::replaced() {
    // Whoever waits for one of its records is told before anything goes out behind that.
    rd_kafka_purge(client_->handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                          RD_KAFKA_PURGE_F_NON_BLOCKING);
    if (under_way_ > again_.size()) return nullptr;
    auto fresh = make_client();
    if (!fresh) {
        spdlog::error("kafka: no new producer: {}", fresh.error().detail);
        return nullptr;
    }
    spdlog::warn("kafka: a new producer goes on after the fatal error");
    ++restarts_;
    return std::exchange(client_, std::move(*fresh));
}

/// REQUIRES: `lock` holds mutex_.
void Producer::send_again(std::unique_lock<std::mutex>& lock) {
    const auto older = [](const auto& left, const auto& right) {
        return left->number < right->number;
    };
    std::sort(again_.begin(), again_.end(), older);
    std::vector<std::unique_ptr<UnderWay>> refused;
    for (auto& one : std::exchange(again_, {})) {
        if (!again_.empty()) {  // behind one for which there was no room
            again_.push_back(std::move(one));
            continue;
        }
        const Result<void> queued = enqueue(one);
        if (queued) continue;
        if (queued.error().code == ErrorCode::overloaded) {
            again_.push_back(std::move(one));
            continue;
        }
        spdlog::error("kafka: {}", queued.error().detail);
        refused.push_back(std::move(one));
    }
    if (refused.empty()) return;
    lock.unlock();
    for (const auto& one : refused) one->done(Delivery::unknown, 0);
    lock.lock();
    under_way_ -= refused.size();
}

milliseconds Producer::stalled() const {
    const std::lock_guard lock(mutex_);
    if (under_way_ == 0) return milliseconds(0);
    return std::chrono::duration_cast<milliseconds>(SteadyClock::now() - progress_);
}

ClientFigures Producer::figures() const { return client()->figures(); }

std::optional<Error> Producer::unreachable() const { return client()->unreachable(); }

std::shared_ptr<Client> Producer::client() const {
    const std::lock_guard lock(mutex_);
    return client_;
}

}  // namespace tidings::kafka
