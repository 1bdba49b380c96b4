// The node's answers about the past.
#include "apps/audit_log.h"
#include "apps/node.h"
#include "events/embedded_log.h"

namespace tidings::apps {

namespace {

/// An embedded log that is open for writing here.
class OwnLog final : public CommitSource {
public:
    explicit OwnLog(EmbeddedLog& log) : log_(log) {}
    const Genesis& genesis() const override { return log_.genesis(); }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        return log_.read_durable(from, max_bytes, out);
    }

private:
    EmbeddedLog& log_;
};

/// Storage failures of reads are thrown; nobody catches them on the history's threads.
Result<SendReceipt> find_receipt(const Past& past, const Codec& codec, const ProgramId& program,
                                 EventNumber message, const std::optional<PartnerId>& partner) {
    try {
        return past.receipt(codec, program, message, partner);
    } catch (const std::exception& error) {
        return Error{ErrorCode::io, error.what(), {}};
    }
}

}  // namespace

Result<std::unique_ptr<CommitSource>> Node::open_log(PartitionId partition) {
    if (cluster_ == nullptr) {
        return std::unique_ptr<CommitSource>(
            std::make_unique<OwnLog>(*embedded_logs_.at(partition.value)));
    }
    // clients of its own, so that whoever reads it holds up nothing else
    auto log =
        open_kafka_log(cluster_->options().settings, cluster_->genesis().at(partition.value));
    if (!log) return log.error();
    return std::unique_ptr<CommitSource>(std::move(*log));
}

Result<void> Node::open_history() {
    HistoryOptions options;
    options.data = options_.data;
    options.keys = partner_keys_;
    options.open_log = [this](PartitionId partition) { return open_log(partition); };
    auto history = History::open(std::move(options));
    if (!history) return history.error();
    history_ = std::move(*history);
    if (options_.metrics != nullptr) add_history_metrics();
    return {};
}

void Node::read_past(const ProgramId& program, AsOf as_of,
                     const std::function<void(Result<ReadModelsPtr>)>& done) {
    const PartitionId partition = partition_of(program);
    const ReadModelsPtr live = read(partition);
    PastEnd end;
    end.last = live->tip().sequence;  // asked before the log time
    if (const auto* sequence = std::get_if<Sequence>(&as_of)) {
        if (*sequence > end.last) {
            return done(Error{ErrorCode::invalid,
                              "the position lies beyond the last commit, " +
                                  std::to_string(partition.value) + ":" +
                                  std::to_string(end.last.value),
                              {}});
        }
        end.last = *sequence;
    } else {
        const Timestamp time = std::get<Timestamp>(as_of);
        const auto view = live->program(program);
        if (!view) return done(Error{ErrorCode::not_found, "no such program", {}});
        if (view->log_time > time) {
            end.program = program;
            end.time = time;
        }
    }
    history_->ask(partition, end, true, [done](const auto& past) {
        if (!past) return done(past.error());
        done(ReadModelsPtr(*past, &(*past)->models()));
    });
}

void Node::receipt(const ProgramId& program, EventNumber message,
                   const std::optional<PartnerId>& partner,
                   const std::function<void(Result<SendReceipt>)>& done) {
    const PartitionId partition = partition_of(program);
    const ReadModelsPtr live = read(partition);
    PastEnd end;
    end.last = live->tip().sequence;
    if (!live->program(program)) return done(Error{ErrorCode::not_found, "no such message", {}});
    end.program = program;
    end.event = message;
    history_->ask(partition, end, false,
                  [&codec = *codec_, program, message, partner, done](const auto& past) {
                      if (!past) return done(past.error());
                      done(find_receipt(**past, codec, program, message, partner));
                  });
}

void Node::add_history_metrics() {
    using http::Metrics;
    const auto add = [this](const char* name, const char* help, auto value) {
        options_.metrics->callback(history_.get(), Metrics::Kind::counter, name, help, {},
                                   [&history = *history_, value] {
                                       return static_cast<double>(value(history.figures()));
                                   });
    };
    using Figures = History::Figures;
    add("tidings_history_found_total", "Questions about the past answered from what was open.",
        [](const Figures& figures) { return figures.found; });
    add("tidings_history_built_total", "Older states of the read models made.",
        [](const Figures& figures) { return figures.built; });
    add("tidings_history_failed_total", "Older states that could not be made.",
        [](const Figures& figures) { return figures.failed; });
    add("tidings_history_refused_total",
        "Questions about the past refused or not answered in time.",
        [](const Figures& figures) { return figures.refused; });
    add("tidings_history_replayed_commits_total", "Commits folded for older states.",
        [](const Figures& figures) { return figures.replayed; });
    add("tidings_history_seconds_total", "Time spent making older states.",
        [](const Figures& figures) { return figures.seconds; });
}

}  // namespace tidings::apps
