#include "connectors/kafka/upstream_reader.h"

#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "connectors/thread_name.h"

namespace tidings::kafka {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kUpstreamAnswer{2'000};  ///< a stop waits for it
constexpr milliseconds kUpstreamIdle{10};
constexpr milliseconds kUpstreamAfterError{500};
constexpr milliseconds kLookEvery{5'000};  ///< for new partitions
constexpr milliseconds kChooseEvery{100};
constexpr std::size_t kBatchRecords = 500;
constexpr std::size_t kBatchBytes = 1 << 20;

std::string name_of(const UpstreamPartition& place) {
    return place.first + "/" + std::to_string(place.second);
}
std::string bookmark_name(const UpstreamPartition& place) { return "upstream/" + name_of(place); }

std::optional<std::uint64_t> parse_offset(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (bad != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

/// One upstream partition that is read here.
struct UpstreamReader::Work {
    Work(Consumer& consumer, UpstreamPartition its_place)
        : place(std::move(its_place)),
          reader(consumer, place.first, static_cast<std::int32_t>(place.second),
                 PartitionReader::Gaps::allowed) {}

    const UpstreamPartition place;
    PartitionReader reader;
    std::optional<std::uint64_t> next;  ///< settled up to here; nothing: to be taken up
    SteadyClock::time_point not_before{};

    // The records handed on, kept until they are settled.
    std::vector<UpstreamRecord> batch;
    std::vector<std::uint64_t> offsets;

    enum class State { reading, handed_on, answered, rejecting };
    /// What other threads report; may outlive the work.
    struct Reports {
        std::atomic<State> state{State::reading};
        Result<std::vector<PoisonRecord>> answer;  ///< with State::answered
    };
    std::shared_ptr<Reports> reports = std::make_shared<Reports>();
    /// One attempt to write the rejections: what is left of an earlier one does not count.
    struct Writing {
        std::atomic<std::size_t> left{0};  ///< not yet acknowledged
        std::atomic<bool> failed{false};
    };
    std::shared_ptr<Writing> writing;
};

UpstreamReader::UpstreamReader(Producer& producer, Consumer& consumer, Bookmarks& bookmarks,
                               TopicNames names, std::vector<std::string> topics,
                               DeliverRecords deliver, IsMine is_mine)
    : producer_(producer),
      consumer_(consumer),
      bookmarks_(bookmarks),
      names_(std::move(names)),
      topics_(std::move(topics)),
      deliver_(std::move(deliver)),
      is_mine_(std::move(is_mine)) {}

UpstreamReader::~UpstreamReader() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

void UpstreamReader::start() {
    thread_ = std::thread([this] {
        name_thread("kafka upstream");
        run();
    });
}

UpstreamFigures UpstreamReader::figures() const { return {records_, rejected_, retries_, lag_}; }

void UpstreamReader::run() {
    SteadyClock::time_point look{}, choose_at{};
    while (!stop_) {
        const auto now = SteadyClock::now();
        if (now >= look) {
            look = now + kLookEvery;
            find_partitions();
        }
        if (now >= choose_at) {
            choose_at = now + kChooseEvery;
            choose();
        }
        bool worked = false;
        for (const auto& [place, work] : works_) worked = advance(*work) || worked;
        if (!worked) std::this_thread::sleep_for(kUpstreamIdle);
    }
}

/// Topics may be made, or get more partitions, at any time.
void UpstreamReader::find_partitions() {
    using MetadataStruct = struct rd_kafka_metadata;  // a function has the same name
    const MetadataStruct* metadata = nullptr;
    const auto status = rd_kafka_metadata(consumer_.client().handle(), 1, nullptr, &metadata,
                                          static_cast<int>(kUpstreamAnswer.count()));
    if (status != RD_KAFKA_RESP_ERR_NO_ERROR) return;  // tried again soon
    std::set<std::string> found;
    for (int i = 0; i < metadata->topic_cnt; ++i) {
        const rd_kafka_metadata_topic& topic = metadata->topics[i];
        if (std::find(topics_.begin(), topics_.end(), topic.topic) == topics_.end()) continue;
        if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        found.insert(topic.topic);
        for (int p = 0; p < topic.partition_cnt; ++p) {
            known_.insert({topic.topic, static_cast<std::uint32_t>(p)});
        }
    }
    rd_kafka_metadata_destroy(metadata);
    for (const std::string& topic : topics_) {
        if (found.contains(topic)) {
            missing_.erase(topic);
        } else if (missing_.insert(topic).second) {
            spdlog::warn("kafka: upstream topic {} does not exist yet", topic);
        }
    }
}

void UpstreamReader::choose() {
    std::erase_if(works_, [this](const auto& entry) { return !is_mine_(entry.first); });
    for (const UpstreamPartition& place : known_) {
        if (works_.contains(place) || !is_mine_(place)) continue;
        works_.emplace(place, std::make_unique<Work>(consumer_, place));
    }
    std::uint64_t lag = 0;
    for (const auto& [place, work] : works_) {
        if (!work->next) continue;
        const auto end = work->reader.end(kUpstreamAnswer);
        if (end && *work->next < *end) lag += *end - *work->next;
    }
    lag_ = lag;
}

Result<void> UpstreamReader::take_up(Work& work) {
    const auto marked = bookmarks_.find(bookmark_name(work.place));
    if (!marked) return marked.error();
    const auto offsets = work.reader.query(kUpstreamAnswer);
    if (!offsets) return offsets.error();
    std::uint64_t next = offsets->first;
    if (*marked) {
        const auto kept = parse_offset(**marked);
        if (kept && *kept > offsets->second) {
            spdlog::error(
                "kafka: upstream {} ends at {}, but was read up to {}: it was recreated, and is "
                "read from its start",
                name_of(work.place), offsets->second, *kept);
        } else if (kept && *kept < offsets->first) {
            spdlog::error("kafka: upstream {}: records {} to {} were deleted before they were read",
                          name_of(work.place), *kept, offsets->first - 1);
        } else if (kept) {
            next = *kept;
        }
    }
    spdlog::info("kafka: reading upstream {} from {} on", name_of(work.place), next);
    work.next = next;
    return {};
}

/// True: there may be more to do at once.
bool UpstreamReader::advance(Work& work) {
    using State = Work::State;
    const auto again = [&](const Error& error) {
        ++retries_;
        spdlog::warn("kafka: upstream {}: {}", name_of(work.place), error.detail);
        work.not_before = SteadyClock::now() + kUpstreamAfterError;
        work.reports->state = State::reading;
        return false;
    };
    if (SteadyClock::now() < work.not_before) return false;
    switch (work.reports->state.load()) {
        case State::handed_on:
            return false;
        case State::answered: {
            if (!work.reports->answer)
                return again(work.reports->answer.error());  // the same records once more
            const auto written = reject(work, *work.reports->answer);
            if (!written) return again(written.error());
            work.reports->state = State::rejecting;
            return true;
        }
        case State::rejecting:
            if (work.writing->failed)
                return again({ErrorCode::io, "a rejection was not written", {}});
            if (work.writing->left != 0) return false;
            records_ += work.batch.size();
            rejected_ += work.reports->answer->size();
            work.next = work.offsets.back() + 1;
            work.batch.clear();
            work.offsets.clear();
            bookmarks_.put(bookmark_name(work.place), std::to_string(*work.next));
            work.reports->state = State::reading;
            return true;
        case State::reading:
            break;
    }
    if (!work.next) {
        const auto taken = take_up(work);
        if (!taken) return again(taken.error());
    }
    std::size_t bytes = 0;
    for (const UpstreamRecord& record : work.batch) bytes += record.value.size();
    while (work.batch.size() < kBatchRecords && bytes < kBatchBytes) {
        const std::uint64_t from = work.offsets.empty() ? *work.next : work.offsets.back() + 1;
        const auto record = work.reader.read(from, milliseconds(0));
        if (!record) {
            if (record.error().code == ErrorCode::log_mismatch) work.next.reset();
            if (!work.batch.empty()) break;
            return again(record.error());
        }
        if (!*record) break;
        bytes += (*record)->value().size();
        work.offsets.push_back((*record)->offset());
        work.batch.push_back(
            {std::string((*record)->key()), std::string((*record)->value()), (*record)->headers()});
    }
    if (work.batch.empty()) return false;
    work.reports->state = State::handed_on;
    deliver_(work.batch, [reports = work.reports](Result<std::vector<PoisonRecord>> answer) {
        reports->answer = std::move(answer);
        reports->state = State::answered;
    });
    return true;
}

/// Sends the poison records to the rejected topic; `writing` says when all have arrived.
Result<void> UpstreamReader::reject(Work& work, const std::vector<PoisonRecord>& poison) {
    work.writing = std::make_shared<Work::Writing>();
    work.writing->left = poison.size();
    for (const PoisonRecord& one : poison) {
        const UpstreamRecord& original = work.batch.at(one.index);
        spdlog::warn("kafka: upstream {} offset {}: rejected: {} {}", name_of(work.place),
                     work.offsets.at(one.index), one.code, one.detail);
        ProducerRecord record;
        record.topic = names_.rejected;
        record.key = original.key;
        record.value = original.value;
        record.headers = original.headers;
        record.headers.emplace_back("tidings-code", one.code);
        record.headers.emplace_back("tidings-detail", one.detail);
        record.headers.emplace_back("tidings-topic", work.place.first);
        record.headers.emplace_back("tidings-partition", std::to_string(work.place.second));
        record.headers.emplace_back("tidings-offset", std::to_string(work.offsets.at(one.index)));
        const auto done = [writing = work.writing](Delivery delivery, std::uint64_t) {
            if (delivery != Delivery::done) writing->failed = true;
            --writing->left;
        };
        Result<void> sent = producer_.send(std::move(record), true, done);
        if (!sent) return sent;
    }
    return {};
}

}  // namespace tidings::kafka
