// The metrics of one partition: names, help, and where their values come from.
#include "apps/partition_host.h"

namespace tidings::apps {

namespace {

struct LoopMetric {
    const char* name;
    const char* help;
    std::uint64_t LoopCounters::*field;
};

constexpr std::array<LoopMetric, 7> kLoopMetrics{{
    {"tidings_commits_total", "Commits applied.", &LoopCounters::commits},
    {"tidings_commands_total", "Commands answered by applied commits.", &LoopCounters::commands},
    {"tidings_own_commits_total", "Applied commits made by this process.",
     &LoopCounters::own_commits},
    {"tidings_lost_races_total", "Runs dropped because another commit was first.",
     &LoopCounters::lost_races},
    {"tidings_skipped_commits_total", "Log records skipped as losers or duplicates.",
     &LoopCounters::skipped},
    {"tidings_log_alarms_total", "Log records that do not continue the chain.",
     &LoopCounters::alarms},
    {"tidings_append_retries_total", "Appends of the same bytes again.", &LoopCounters::retries},
}};

constexpr std::array<const char*, 4> kStatuses{"applied", "unchanged", "replayed", "refused"};

}  // namespace

void PartitionHost::add_metrics(http::Metrics& metrics) {
    using http::Metrics;
    const Metrics::Labels labels{{"partition", std::to_string(partition_.value)}};
    for (const LoopMetric& metric : kLoopMetrics) {
        metrics.callback(
            this, Metrics::Kind::counter, metric.name, metric.help, labels,
            [this, field = metric.field] { return static_cast<double>(figures().loop.*field); });
    }
    for (std::size_t i = 0; i < kStatuses.size(); ++i) {
        Metrics::Labels with_status = labels;
        with_status["status"] = kStatuses[i];
        metrics.callback(this, Metrics::Kind::counter, "tidings_outcomes_total",
                         "Outcomes of commands.", with_status,
                         [this, i] { return static_cast<double>(counters_.outcomes[i].load()); });
    }
    metrics.callback(this, Metrics::Kind::gauge, "tidings_applied_sequence",
                     "Sequence of the last commit applied.", labels,
                     [this] { return static_cast<double>(counters_.applied.load()); });
    metrics.callback(this, Metrics::Kind::gauge, "tidings_log_lag_commits",
                     "Commit records in the log that are not yet applied here.", labels,
                     [this] { return static_cast<double>(figures().lag); });
    metrics.callback(this, Metrics::Kind::gauge, "tidings_oldest_unapplied_seconds",
                     "How long there have been commits that are not applied here.", labels,
                     [this] { return static_cast<double>(figures().unapplied_ms) / 1e3; });
    metrics.callback(this, Metrics::Kind::gauge, "tidings_partition_decides",
                     "1: this process decides the partition's commands.", labels,
                     [this] { return figures().decides ? 1.0 : 0.0; });
    metrics.callback(this, Metrics::Kind::gauge, "tidings_pending_commands",
                     "Commands submitted and not yet answered.", labels,
                     [this] { return static_cast<double>(outcomes_.size()); });
    metrics.callback(this, Metrics::Kind::gauge, "tidings_oldest_pending_seconds",
                     "Age of the oldest command not yet answered.", labels, [this] {
                         return static_cast<double>(outcomes_.oldest_ms(clock_.steady_ms())) / 1e3;
                     });
    metrics.callback(this, Metrics::Kind::gauge, "tidings_partition_ready",
                     "1: caught up and accepting commands.", labels,
                     [this] { return caught_up() && ready() ? 1.0 : 0.0; });
    if (snapshots_) add_snapshot_metrics(metrics, labels);
    commit_seconds_ = metrics.histogram(
        "tidings_commit_seconds",
        "From taking a run of commands to its commit being durable and visible.", labels,
        {0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5});
    run_commands_ =
        metrics.histogram("tidings_run_commands", "Commands answered by one commit.", labels,
                          {1, 2, 5, 10, 20, 50, 100, 200, 500, 1'000, 2'000, 5'000, 10'000});
}

void PartitionHost::add_snapshot_metrics(http::Metrics& metrics,
                                         const http::Metrics::Labels& labels) {
    const Snapshots::Figures& figures = snapshots_->figures();
    metrics.callback(this, http::Metrics::Kind::counter, "tidings_snapshots_total",
                     "Snapshots of the read models taken.", labels,
                     [&figures] { return static_cast<double>(figures.taken.load()); });
    metrics.callback(this, http::Metrics::Kind::counter, "tidings_snapshots_failed_total",
                     "Snapshots that could not be taken.", labels,
                     [&figures] { return static_cast<double>(figures.failed.load()); });
    metrics.callback(this, http::Metrics::Kind::counter, "tidings_snapshot_seconds_total",
                     "Time that the partition's thread has spent on snapshots.", labels,
                     [&figures] { return figures.seconds.load(); });
}

}  // namespace tidings::apps
