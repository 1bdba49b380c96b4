// Which generation of read models the node opens, and the rebuilding of the next one.
#include <spdlog/spdlog.h>

#include "apps/errors.h"
#include "apps/generations.h"
#include "apps/node.h"

namespace tidings::apps {

namespace fs = std::filesystem;

Result<Node::OpenedModels> Node::open_models(PartitionId partition) const {
    const Generations generations(options_.data, partition);
    const auto live = generations.live();
    if (!live) return live.error();
    if (auto removed = generations.remove_others(); !removed) return removed.error();
    ModelsOptions options;
    options.directory = *live;
    options.resources = store_resources_;
    options.row_memory = row_memory_;
    options.keys = partner_keys_;
    auto models = Models::open(options);
    if (models) return OpenedModels{std::move(*models)};
    if (models.error().code != ErrorCode::older_format) return models.error();
    spdlog::warn("partition={} {}", partition.value, models.error().detail);
    return open_anew(generations, partition, std::move(options));
}

/// Beside those of the older version, which stay until these have all of the log: so that version
/// can still be run until then. A process that was interrupted at it left a part.
Result<Node::OpenedModels> Node::open_anew(const Generations& generations, PartitionId partition,
                                           ModelsOptions options) const {
    const auto next = generations.next();
    if (!next) return next.error();
    options.directory = *next;
    std::error_code error;
    auto models = Models::open(options);
    if (!models && models.error().code != ErrorCode::io) {  // another version's, or damaged
        fs::remove_all(*next, error);
        if (!error) models = Models::open(options);
    }
    if (!models) return models.error();
    // older states have the older layout, too; they are taken again on the way
    if ((*models)->tip() == Tip{}) {
        fs::remove_all(snapshots_directory(options_.data, partition), error);
    }
    if (error) return io_error("cannot remove what is old", error);
    return OpenedModels{std::move(*models), *next};
}

PartitionHostOptions Node::host_options(PartitionId partition, const fs::path& anew) const {
    PartitionHostOptions host;
    host.snapshots = snapshots_directory(options_.data, partition);
    host.snapshot_policy = options_.snapshots;
    host.metrics = options_.metrics;
    host.anew = !anew.empty();
    if (!host.anew) return host;
    host.on_caught_up = [generations = Generations(options_.data, partition), partition,
                         anew]() -> Result<void> {
        if (auto named = generations.make_live(anew); !named) return named;
        const auto removed = generations.remove_others();
        if (!removed) spdlog::warn("partition={} {}", partition.value, removed.error().detail);
        return {};
    };
    return host;
}

void Node::make_rebuilds() {
    RebuildsOptions options;
    options.data = options_.data;
    options.partitions = partitions();
    options.resources = store_resources_;
    options.row_memory = row_memory_;
    options.keys = partner_keys_;
    options.keys_are_shared = partner_keys_->is_shared();
    options.open_log = [this](PartitionId partition) { return open_log(partition); };
    options.host = [this](PartitionId partition) {
        PartitionHost* host = host_of(partition);
        return host == nullptr || host->parked() ? nullptr : host;
    };
    options.forget_past = [this](PartitionId partition) { history_->forget(partition); };
    options.metrics = options_.metrics;
    rebuilds_ = std::make_unique<Rebuilds>(std::move(options));
}

}  // namespace tidings::apps
