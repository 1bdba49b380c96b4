// The node's part in what processes on Kafka share: the partners' keys, and the erasures.
#include <spdlog/spdlog.h>

#include "apps/generations.h"
#include "apps/node.h"

namespace tidings::apps {

namespace {

constexpr std::chrono::milliseconds kAnswer{10'000};

}  // namespace

Result<void> Node::open_keys_topic() {
    PartnerKeys& keys = *partner_keys_;
    kafka::KeysTopicOptions options;
    options.topic = cluster_->names().keys;
    options.segment = cluster_->keys_segment();
    options.apply = [&keys, ignored = std::uint64_t{0}](const auto& records) mutable {
        Result<void> applied = keys.apply(records);
        if (keys.ignored() == ignored) return applied;
        spdlog::warn("kafka: {} records are no keys of this deployment's, and are left out",
                     keys.ignored() - ignored);
        ignored = keys.ignored();
        return applied;
    };
    keys_topic_ = std::make_unique<kafka::KeysTopic>(&cluster_->producer(), cluster_->consumer(),
                                                     std::move(options));
    keys.share(*keys_topic_);
    if (auto read = keys_topic_->read_all(); !read) return read;
    keys_topic_->follow();
    CleanerSteps steps;
    steps.partition_of = [this](const ProgramId& program) { return partition_of(program); };
    steps.applied = [this](PartitionId partition) -> std::optional<Sequence> {
        const PartitionHost* host = host_of(partition);
        if (host == nullptr || !host->caught_up()) return std::nullopt;
        return host->models()->tip().sequence;
    };
    steps.clean = [this](PartitionId partition, const ErasedRows& erased) {
        return rebuilds_->run_alone(partition, [&] { return clean(partition, erased); });
    };
    auto cleaner = Cleaner::open(options_.data, partitions(), partner_keys_, std::move(steps));
    if (!cleaner) return cleaner.error();
    cleaner_ = std::move(*cleaner);
    return {};
}

/// What is there when keys are first used may be plain, and nothing later: once no process of an
/// older version is left. Commands that wait may be, too, and come to one commit each at most.
Result<void> Node::note_last_plain() {
    for (std::uint32_t p = 0; p < partitions(); ++p) {
        std::uint64_t last = 0;
        for (const std::string* topic : {&cluster_->names().commits, &cluster_->names().commands}) {
            const auto ends =
                cluster_->consumer().query_offsets(*topic, static_cast<std::int32_t>(p), kAnswer);
            if (!ends) return Error{ErrorCode::io, ends.error().detail, {}};
            last += ends->second;
        }
        --last;  // genesis is no commit
        auto noted = partner_keys_->last_plain(PartitionId{p}, Sequence{last});
        if (!noted) return noted.error();
    }
    return {};
}

/// Where what was erased may be on this disk, of a partition that others hold.
bool Node::owes_elsewhere(PartitionId partition) const {
    if (!cleaner_->owes(partition)) return false;
    if (host_of(partition) != nullptr) return true;
    std::error_code error;
    const auto live = Generations(options_.data, partition).live();
    return live && std::filesystem::exists(*live, error);
}

}  // namespace tidings::apps
