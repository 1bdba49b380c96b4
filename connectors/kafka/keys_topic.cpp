#include "connectors/kafka/keys_topic.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "connectors/thread_name.h"

namespace tidings::kafka {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kKeysAnswer{5'000};
constexpr milliseconds kAcknowledged{10'000};
constexpr milliseconds kKeyArrival{100};
constexpr milliseconds kAgain{1'000};  ///< after a failure
constexpr milliseconds kProgress{2'000};
constexpr milliseconds kMarkAgain{30'000};
constexpr std::size_t kRecords = 10'000;  ///< applied at once
constexpr const char* kMark = "m";

std::int64_t now_ms() {
    return std::chrono::duration_cast<milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// Records under way; shared with delivery reports that may come after whoever waits has given up.
struct UnderWay {
    std::mutex mutex;
    std::condition_variable done;
    std::size_t left = 0;
    bool refused = false;
    std::uint64_t end = 0;  ///< behind the last one
};

}  // namespace

KeysTopic::KeysTopic(Producer* producer, Consumer& consumer, KeysTopicOptions options)
    : producer_(producer),
      consumer_(consumer),
      options_(std::move(options)),
      reader_(consumer, options_.topic, 0, PartitionReader::Gaps::allowed) {}

KeysTopic::~KeysTopic() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    moved_.notify_all();
    if (thread_.joinable()) thread_.join();
}

Result<std::size_t> KeysTopic::read_some(milliseconds wait) {
    std::vector<KeyRecord> records;
    std::uint64_t next = next_;  // nobody else writes it
    while (records.size() < kRecords) {
        const auto read = reader_.read(next, records.empty() ? wait : milliseconds(0));
        if (!read) return read.error();
        if (!*read) break;
        const ConsumedRecord& record = **read;
        next = record.offset() + 1;
        last_ms_ = record.timestamp();
        KeyRecord one{std::string(record.key()), std::nullopt};
        if (record.is_tombstone()) {
            tombstone_ms_ = last_ms_;
            holds_destroyed_ = true;
        } else {
            one.value = std::string(record.value());
        }
        records.push_back(std::move(one));
    }
    if (records.empty()) return std::size_t{0};
    if (const auto applied = options_.apply(records); !applied) {
        reader_.stop();  // they are read again
        return applied.error();
    }
    {
        const std::lock_guard lock(mutex_);
        next_ = next;
    }
    moved_.notify_all();
    return records.size();
}

Result<void> KeysTopic::read_all() {
    const auto offsets = reader_.query(kKeysAnswer);
    if (!offsets) return offsets.error();
    next_ = offsets->first;
    auto told = SteadyClock::now();
    while (next_ < offsets->second) {
        const auto read = read_some(kKeysAnswer);
        if (!read) return read.error();
        if (*read == 0) {
            return Error{
                ErrorCode::io,
                options_.topic + ": the record at " + std::to_string(next_) + " does not come",
                {}};
        }
        if (SteadyClock::now() - told < kProgress) continue;
        told = SteadyClock::now();
        spdlog::info("reading the partners' keys: {} of {}", next_, offsets->second);
    }
    return {};
}

void KeysTopic::follow() {
    thread_ = std::thread([this] {
        name_thread("keys");
        run();
    });
}

/// False: it is to end.
bool KeysTopic::pause(milliseconds time) {
    std::unique_lock lock(mutex_);
    return !moved_.wait_for(lock, time, [this] { return stop_; });
}

void KeysTopic::run() {
    bool failing = false;
    while (pause(milliseconds(0))) {
        const auto read = read_some(kKeyArrival);
        const Result<void> done = read ? Result<void>() : Result<void>(read.error());
        if (read && *read == 0) close_old_segment();
        if (!done && !failing) {
            spdlog::error("kafka: {} cannot be followed, and is tried again: {}", options_.topic,
                          done.error().detail);
        }
        if (done && failing) spdlog::info("kafka: {} is followed again", options_.topic);
        failing = !done;
        if (failing && !pause(kAgain)) return;
    }
}

/// The broker destroys what a tombstone stands for once their segment is closed: by a record that
/// comes later. Where no key is made or destroyed for long, it is this one.
void KeysTopic::close_old_segment() {
    if (producer_ == nullptr || !holds_destroyed_) return;
    const std::int64_t closed_ms = tombstone_ms_ + options_.segment.count();
    if (last_ms_ > closed_ms) {
        holds_destroyed_ = false;
        return;
    }
    const auto now = SteadyClock::now();
    if (now_ms() <= closed_ms + kAgain.count() || now < mark_not_before_) return;
    mark_not_before_ = now + kMarkAgain;
    (void)producer_->send({options_.topic, 0, kMark, std::string(kMark)}, false,
                          [](Delivery, std::uint64_t) {});
}

Result<void> KeysTopic::append(std::vector<KeyRecord> records) {
    const auto under_way = std::make_shared<UnderWay>();
    under_way->left = records.size();
    for (KeyRecord& record : records) {
        ProducerRecord one;
        one.topic = options_.topic;
        one.key = std::move(record.key);
        one.value = std::move(record.value);
        const Result<void> sent = producer_->send(
            std::move(one), true, [under_way](Delivery delivery, std::uint64_t offset) {
                const std::lock_guard lock(under_way->mutex);
                under_way->refused |= delivery != Delivery::done;
                under_way->end = std::max(under_way->end, offset + 1);
                if (--under_way->left == 0) under_way->done.notify_one();
            });
        if (!sent) return Error{ErrorCode::io, options_.topic + ": " + sent.error().detail, {}};
    }
    std::uint64_t end = 0;
    {
        std::unique_lock lock(under_way->mutex);
        const bool all =
            under_way->done.wait_for(lock, kAcknowledged, [&] { return under_way->left == 0; });
        if (!all || under_way->refused) {
            return Error{
                ErrorCode::io, options_.topic + ": the cluster does not acknowledge keys", {}};
        }
        end = under_way->end;
    }
    return wait_applied(end);
}

Result<void> KeysTopic::catch_up() {
    if (auto down = consumer_.client().unreachable()) return *down;
    std::uint64_t before = 0;
    {
        const std::lock_guard lock(mutex_);
        before = next_;
    }
    const auto ends = reader_.query(kKeysAnswer);
    if (!ends) return Error{ErrorCode::io, ends.error().detail, {}};
    if (ends->second < before) {
        return Error{ErrorCode::io,
                     options_.topic +
                         " ends before what was read of it: it was truncated, or "
                         "recreated",
                     {}};
    }
    return wait_applied(ends->second);
}

Result<void> KeysTopic::wait_applied(std::uint64_t end) {
    std::unique_lock lock(mutex_);
    if (moved_.wait_for(lock, kKeysAnswer, [&] { return stop_ || next_ >= end; }) && !stop_)
        return {};
    return Error{ErrorCode::io, options_.topic + " is not read to its end", {}};
}

}  // namespace tidings::kafka
