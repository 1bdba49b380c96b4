#include "tests/simulation/node.h"

namespace tidings::simulation {

Witness& nobody() {
    struct Nobody final : Witness {
        void published(std::uint32_t, std::uint32_t, std::span<const Outcome>,
                       const Tip&) override {}
    };
    static Nobody nobody;
    return nobody;
}

Replica::Replica(std::uint32_t node, Topic& topic, const Setting& setting, const Codec& codec,
                 Witness& witness)
    : log(topic, setting.embedded),
      node_(node),
      partition_(topic.genesis.partition),
      memory_(setting.store_memory),
      codec_(codec),
      witness_(witness) {
    log.commands_per_read = setting.commands_per_read;
    log.commits_per_read = setting.commits_per_read;
}

void Replica::start(bool decides) {
    problem_.reset();
    decides_ = decides;
    ModelsOptions options;
    options.directory = "node " + std::to_string(node_);
    options.row_memory = make_row_memory(memory_);
    options.flush_bytes = 16 << 10;
    auto opened = Models::open_on(std::make_unique<SimStore>(disk), options);
    if (!opened) return;  // the disk fails; the world starts it again
    models = std::move(*opened);
    waiters = std::make_unique<apps::OutcomeWaiters>();
    seen = models->tip();
    make_loop();
}

void Replica::make_loop() {
    verified_ = ready_ = false;
    CommitObserver& observer = *this;
    loop_ = std::make_unique<PartitionLoop>(log, codec_, *models, observer, decides_);
}

void Replica::crash(std::size_t kept) {
    disk.dead = true;
    loop_.reset();
    models.reset();
    waiters.reset();
    problem_.reset();
    disk.dead = false;
    disk.crash(kept);
}

void Replica::become(bool decides) {
    if (!running() || problem_) return;
    decides_ = decides;
    models->drop();
    make_loop();
}

bool Replica::step() {
    if (!running() || problem_) return false;
    Result<StepResult> done = StepResult::worked;
    if (!verified_) {
        const Result<void> verified = loop_->verify_start();
        verified_ = verified.has_value();
        if (!verified) done = verified.error();
    } else {
        done = loop_->step();
        if (loop_->caught_up() && !ready_) {
            ready_ = true;
            early = models->tip().sequence < must_reach;
        }
    }
    if (done) return *done == StepResult::worked;
    if (done.error().code != ErrorCode::io) problem_ = done.error();
    return false;
}

void Replica::on_applied(std::span<const Outcome> outcomes, const Tip& tip) {
    witness_.published(node_, partition_.value, outcomes, tip);
    seen = tip;
    waiters->fire(outcomes, partition_, tip.sequence);
}

}  // namespace tidings::simulation
