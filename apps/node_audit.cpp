// What the running broker shows auditors.
#include "apps/audit_log.h"
#include "apps/node.h"

namespace tidings::apps {

Result<Auditor::OpenedLog> Node::open_audited(PartitionId partition) {
    using Commands = std::vector<CommandRecord>;
    if (cluster_ == nullptr) {
        EmbeddedLog& own = *embedded_logs_.at(partition.value);
        auto commits = open_log(partition);
        if (!commits) return commits.error();
        return Auditor::OpenedLog{
            std::move(*commits),
            CommandsAhead([&own](CommandPosition from, std::size_t bytes, Commands& out) {
                return own.read_durable_commands(from, bytes, out);
            })};
    }
    // clients of its own, so that audits hold up nothing else
    auto opened =
        open_kafka_log(cluster_->options().settings, cluster_->genesis().at(partition.value));
    if (!opened) return opened.error();
    const std::shared_ptr<AuditedLog> kafka = std::move(*opened);
    return Auditor::OpenedLog{
        kafka, CommandsAhead([kafka](CommandPosition from, std::size_t bytes, Commands& out) {
            return kafka->read_commands(from, bytes, out);
        })};
}

void Node::make_auditor() {
    const LogId log = cluster_ != nullptr ? cluster_->genesis().front().log
                                          : embedded_logs_.front()->genesis().log;
    auditor_ = std::make_unique<Auditor>(
        CheckpointSigner{options_.audit_origin, log, *keys_},
        [this](PartitionId partition) { return open_audited(partition); }, partner_keys_);
}

}  // namespace tidings::apps
