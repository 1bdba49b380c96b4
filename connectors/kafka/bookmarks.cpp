#include "connectors/kafka/bookmarks.h"

#include <spdlog/spdlog.h>

namespace tidings::kafka {

namespace {

constexpr std::chrono::milliseconds kBookmarkAnswer{2'000};  ///< a stop waits for it

}  // namespace

Bookmarks::Bookmarks(Producer& producer, Consumer& consumer, std::string topic)
    : producer_(producer),
      topic_(std::move(topic)),
      reader_(consumer, topic_, 0, PartitionReader::Gaps::allowed) {}

/// Reads on to what is the end now. REQUIRES: mutex_ is held.
Result<void> Bookmarks::refresh() {
    const auto offsets = reader_.query(kBookmarkAnswer);
    if (!offsets) return Error{ErrorCode::io, offsets.error().detail, {}};
    next_ = std::max(next_, offsets->first);
    while (next_ < offsets->second) {
        const auto record = reader_.read(next_, kBookmarkAnswer);
        if (!record) return Error{ErrorCode::io, record.error().detail, {}};
        if (!*record) return Error{ErrorCode::io, topic_ + ": a record does not come", {}};
        next_ = (*record)->offset() + 1;
        const std::string name((*record)->key());
        if ((*record)->is_tombstone()) {
            values_.erase(name);
        } else {
            values_[name] = (*record)->value();
        }
    }
    return {};
}

Result<std::optional<std::string>> Bookmarks::find(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (const auto read = refresh(); !read) return read.error();
    const auto found = values_.find(name);
    if (found == values_.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
}

void Bookmarks::put(const std::string& name, std::string value) {
    ProducerRecord record;
    record.topic = topic_;
    record.key = name;
    record.value = std::move(value);
    const Result<void> sent =
        producer_.send(std::move(record), false, [](Delivery, std::uint64_t) {});
    if (!sent) spdlog::warn("kafka: bookmark {}: {}", name, sent.error().detail);
}

}  // namespace tidings::kafka
