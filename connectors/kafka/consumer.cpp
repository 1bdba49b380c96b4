#include "connectors/kafka/consumer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <thread>

namespace tidings::kafka {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kRetry{50};

/// A partition that was just made, or whose leader has just changed.
bool is_electing(rd_kafka_resp_err_t status) {
    switch (status) {
        case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
        case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
        case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
        case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:  // this broker has not heard of it yet
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:     // or of all of its partitions
            return true;
        default:
            return false;
    }
}

struct ListDeleter {
    void operator()(rd_kafka_topic_partition_list_t* list) const {
        rd_kafka_topic_partition_list_destroy(list);
    }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDeleter>;

List one_partition(const std::string& topic, std::int32_t partition, std::int64_t offset) {
    List list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
    return list;
}

/// `which`: RD_KAFKA_OFFSET_BEGINNING or _END, which are timestamps to the cluster, too.
/// rd_kafka_query_watermark_offsets() would not give up in time: without a broker librdkafka 2.0.2
/// waits in it for socket.timeout.ms, again and again.
rd_kafka_resp_err_t ask_offset(rd_kafka_t* handle, const std::string& topic, std::int32_t partition,
                               std::int64_t which, SteadyClock::time_point until,
                               std::int64_t& offset) {
    const List list = one_partition(topic, partition, which);
    const auto left = std::chrono::ceil<milliseconds>(until - SteadyClock::now());
    const auto status = rd_kafka_offsets_for_times(
        handle, list.get(), static_cast<int>(std::max(left, kRetry).count()));
    if (status != RD_KAFKA_RESP_ERR_NO_ERROR) return status;
    offset = list->elems[0].offset;
    return list->elems[0].err;
}

/// Empties and frees what librdkafka returned.
std::optional<Error> taken(rd_kafka_error_t* error, const std::string& what) {
    if (error == nullptr) return std::nullopt;
    Error out{ErrorCode::io, what + ": " + rd_kafka_error_string(error), {}};
    rd_kafka_error_destroy(error);
    return out;
}

std::string_view view(const void* data, std::size_t size) {
    return data == nullptr ? std::string_view()
                           : std::string_view(static_cast<const char*>(data), size);
}

}  // namespace

void ConsumedRecord::Destroy::operator()(rd_kafka_message_s* message) const {
    rd_kafka_message_destroy(message);
}
std::uint64_t ConsumedRecord::offset() const {
    return static_cast<std::uint64_t>(message_->offset);
}
std::string_view ConsumedRecord::key() const { return view(message_->key, message_->key_len); }
bool ConsumedRecord::is_tombstone() const { return message_->payload == nullptr; }
std::string_view ConsumedRecord::value() const { return view(message_->payload, message_->len); }

std::int64_t ConsumedRecord::timestamp() const {
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const std::int64_t at = rd_kafka_message_timestamp(message_.get(), &type);
    return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? 0 : at;
}

std::optional<std::string_view> ConsumedRecord::header(const char* name) const {
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message_.get(), &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return std::nullopt;
    }
    const void* value = nullptr;
    std::size_t size = 0;
    if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return std::nullopt;
    }
    return view(value, size);
}

std::vector<std::pair<std::string, std::string>> ConsumedRecord::headers() const {
    std::vector<std::pair<std::string, std::string>> out;
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message_.get(), &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return out;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
        out.emplace_back(name, std::string(view(value, size)));
    }
    return out;
}

Result<std::unique_ptr<Consumer>> Consumer::create(const Settings& settings) {
    auto client = Client::create(settings, ClientKind::consumer);
    if (!client) return client.error();
    return std::unique_ptr<Consumer>(new Consumer(std::move(*client)));
}

Result<std::pair<std::uint64_t, std::uint64_t>> Consumer::query_offsets(const std::string& topic,
                                                                        std::int32_t partition,
                                                                        milliseconds wait) {
    std::int64_t low = 0, high = 0;
    const auto until = SteadyClock::now() + wait;
    rd_kafka_resp_err_t status = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (;;) {
        status =
            ask_offset(client_->handle(), topic, partition, RD_KAFKA_OFFSET_BEGINNING, until, low);
        if (status == RD_KAFKA_RESP_ERR_NO_ERROR) {
            status =
                ask_offset(client_->handle(), topic, partition, RD_KAFKA_OFFSET_END, until, high);
        }
        if (!is_electing(status) || SteadyClock::now() + kRetry > until) break;
        std::this_thread::sleep_for(kRetry);
    }
    if (status != RD_KAFKA_RESP_ERR_NO_ERROR) {
        Error error =
            kafka_error(status, "the offsets of " + topic + " [" + std::to_string(partition) + "]");
        if (status == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
            status == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
            status == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            error.code = ErrorCode::not_found;
        }
        if (status == RD_KAFKA_RESP_ERR__TIMED_OUT) {
            error.detail = "no Kafka broker answers: " + error.detail;
        }
        return error;
    }
    return std::pair{static_cast<std::uint64_t>(low), static_cast<std::uint64_t>(high)};
}

PartitionReader::PartitionReader(Consumer& consumer, std::string topic, std::int32_t partition,
                                 Gaps gaps)
    : consumer_(consumer), topic_(std::move(topic)), partition_(partition), gaps_(gaps) {}

PartitionReader::~PartitionReader() { stop(); }

std::string PartitionReader::name() const {
    return topic_ + " [" + std::to_string(partition_) + "]";
}

void PartitionReader::stop() {
    if (!next_) return;
    next_.reset();
    const List list = one_partition(topic_, partition_, RD_KAFKA_OFFSET_INVALID);
    (void)taken(rd_kafka_incremental_unassign(consumer_.client().handle(), list.get()), name());
    release_queue();
}

void PartitionReader::release_queue() {
    rd_kafka_queue_cb_event_enable(queue_, nullptr, nullptr);
    rd_kafka_queue_destroy(std::exchange(queue_, nullptr));
}

Result<void> PartitionReader::start(std::uint64_t from) {
    stop();
    rd_kafka_s* const handle = consumer_.client().handle();
    // Taken anew each time: a partition that was unassigned before the client knew its topic gets
    // another queue from librdkafka, and its records would never come by the old one.
    queue_ = rd_kafka_queue_get_partition(handle, topic_.c_str(), partition_);
    if (queue_ == nullptr) return Error{ErrorCode::io, name() + ": no queue for it", {}};
    rd_kafka_queue_forward(queue_, nullptr);  // its records come by this queue alone
    if (wake_) {
        rd_kafka_queue_cb_event_enable(
            queue_, [](rd_kafka_t*, void* self) { static_cast<PartitionReader*>(self)->wake_(); },
            this);
    }
    const List list = one_partition(topic_, partition_, static_cast<std::int64_t>(from));
    if (auto error = taken(rd_kafka_incremental_assign(handle, list.get()), name())) {
        release_queue();
        return *error;
    }
    next_ = from;
    end_known_ = false;
    return {};
}

Result<std::optional<ConsumedRecord>> PartitionReader::read(std::uint64_t from, milliseconds wait) {
    if (next_ != from) {
        const auto started = start(from);
        if (!started) return started.error();
    }
    const auto until = std::chrono::steady_clock::now() + wait;
    for (;;) {
        const auto left =
            std::max(milliseconds(0),
                     std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()));
        rd_kafka_message_t* message =
            rd_kafka_consume_queue(queue_, static_cast<int>(left.count()));
        if (message == nullptr) return std::optional<ConsumedRecord>();
        ConsumedRecord record(message);
        switch (message->err) {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                break;
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                continue;
            case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
            case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
                if (message->offset >= 0 && record.offset() != from) {
                    // Of where reading was before it was started anew, or of what lies behind a
                    // gap: asked again, so that what is wrong with `from` is told about `from`.
                    const auto started = start(from);
                    if (!started) return started.error();
                    continue;
                }
                stop();
                return Error{ErrorCode::log_mismatch,
                             name() + " does not have position " + std::to_string(from) +
                                 ": it was truncated, or recreated",
                             {}};
            default:
                stop();
                return kafka_error(message->err, name());
        }
        if (record.offset() < from) continue;  // the start of a batch that holds `from`
        if (record.offset() > from && gaps_ == Gaps::forbidden) {
            stop();
            return Error{ErrorCode::log_mismatch,
                         name() + " has a gap: position " + std::to_string(from) +
                             " is gone, the next is " + std::to_string(record.offset()),
                         {}};
        }
        next_ = record.offset() + 1;
        end_known_ = true;
        highest_ = std::max(highest_, *next_);
        return std::optional<ConsumedRecord>(std::move(record));
    }
}

Result<std::uint64_t> PartitionReader::end(milliseconds wait) {
    std::int64_t low = RD_KAFKA_OFFSET_INVALID, high = RD_KAFKA_OFFSET_INVALID;
    if (next_ && end_known_ &&
        rd_kafka_get_watermark_offsets(consumer_.client().handle(), topic_.c_str(), partition_,
                                       &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        high >= 0 && static_cast<std::uint64_t>(high) >= highest_) {
        return static_cast<std::uint64_t>(high);
    }
    auto asked = ask_end(wait);
    if (asked) {
        end_known_ = true;
        highest_ = std::max(highest_, *asked);
    }
    return asked;
}

Result<std::uint64_t> PartitionReader::ask_end(milliseconds wait) {
    const auto asked = consumer_.query_offsets(topic_, partition_, wait);
    if (!asked) return Error{ErrorCode::io, asked.error().detail, {}};
    return asked->second;
}

}  // namespace tidings::kafka
