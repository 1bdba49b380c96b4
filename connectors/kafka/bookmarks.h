// How far something was worked through, by name, in the compacted topic <prefix>.bookmarks: the
// upstream topics, and what was published to <prefix>.events. Whoever takes over goes on there.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "connectors/kafka/consumer.h"
#include "connectors/kafka/producer.h"

namespace tidings::kafka {

/// Thread-safe.
class Bookmarks {
public:
    /// `producer` and `consumer` outlive it.
    Bookmarks(Producer& producer, Consumer& consumer, std::string topic);

    /// The newest bookmark of that name in the topic as it is now. Errors: io.
    Result<std::optional<std::string>> find(const std::string& name);
    /// Not awaited: a bookmark that is lost means that something is done once more.
    void put(const std::string& name, std::string value);

private:
    Result<void> refresh();

    Producer& producer_;
    const std::string topic_;
    std::mutex mutex_;
    PartitionReader reader_;
    std::uint64_t next_ = 0;
    std::map<std::string, std::string> values_;
};

}  // namespace tidings::kafka
