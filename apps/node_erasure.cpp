// The node's part in erasures: what eraser.h asks of the log, the read models and the past.
#include <system_error>

#include "apps/errors.h"
#include "apps/node.h"
#include "core/limits.h"

namespace tidings::apps {

namespace {

/// What `rebuild` put aside, and what it or `restore` did not finish.
Result<void> remove_old_models(const std::filesystem::path& data) {
    for (const char* name : {"models.old", "models.rebuild", "models.restoring", "log.restoring"}) {
        std::error_code error;
        std::filesystem::remove_all(data / name, error);
        if (!error) continue;
        return io_error("cannot remove " + (data / name).string(), error);
    }
    return {};
}

}  // namespace

void Node::make_eraser() {
    EraserSteps steps;
    steps.partition_of = [this](const ProgramId& program) { return partition_of(program); };
    steps.find = [this](const KeyOwner& owner) -> PartnerPtr {
        if (host_of(partition_of(owner.program)) == nullptr) return nullptr;
        return read(owner.program)->partner(owner.program, owner.partner);
    };
    steps.applied = [this](PartitionId partition) {
        return host_of(partition) == nullptr ? Sequence{} : read(partition)->tip().sequence;
    };
    steps.decide = [this](Command command, EraserSteps::Decided done) {
        const PartitionId partition = partition_of(command.program);
        sealer_->retire_and_pass(
            std::move(command), partition, [this, done = std::move(done)](Result<Command> passed) {
                if (!passed) return done(0, passed.error());
                const std::uint16_t epoch = std::get<ErasePartner>(passed->body).key_epoch;
                append(std::move(*passed),
                       [done, epoch](Result<Applied> applied) { done(epoch, std::move(applied)); });
            });
    };
    steps.clean = [this](PartitionId partition, const ErasedRows& erased) {
        return rebuilds_->run_alone(partition, [&] {
            if (!cleaner_) return clean(partition, erased);
            // others may have erased in between, whom nobody has told of yet
            const ErasedRows all{erased.programs, erased.at};
            Result<void> cleaned = clean(partition, all);
            if (cleaned) cleaned = cleaner_->set_cleaned(partition, all);
            return cleaned;
        });
    };
    if (cleaner_) steps.clean_due = [this] { cleaner_->run_due(); };
    steps.count_plain = [this](PartitionId partition, std::vector<PlainRecords>& partners) {
        const auto last = partner_keys_->last_plain(partition, read(partition)->tip().sequence);
        if (!last) return Result<void>(last.error());
        if (last->value == 0) return Result<void>();
        auto log = open_audited(partition);
        if (!log) return Result<void>(log.error());
        return count_plain(*log->commits, log->commands, *codec_, *last, partners);
    };
    eraser_ = std::make_unique<Eraser>(partner_keys_, std::move(steps));
}

/// While nothing is built of the partition.
Result<void> Node::clean(PartitionId partition, const ErasedRows& erased) {
    Result<void> done = host_of(partition)->erase_deleted(erased.programs);
    if (done) done = rebuilds_->erase_deleted(partition, erased);
    if (done) done = remove_old_models(options_.data);
    if (!done) return done;
    history_->forget(partition);
    done = history_->wait_forgotten(partition);
    return done ? history_->wait_for_others() : done;
}

void Node::erase(Command command, Erased done) {
    eraser_->erase(std::move(command), std::move(done));
}

}  // namespace tidings::apps
