#include "apps/node.h"

#include <spdlog/spdlog.h>

#include <future>

#include "apps/data_directory.h"
#include "apps/personal_keys.h"
#include "connectors/thread_name.h"
#include "core/limits.h"
#include "events/codec.h"

namespace tidings::apps {

namespace {

/// How late a timeout may be told; nothing is woken for a single command's sake.
constexpr std::chrono::milliseconds kTimerTick{50};

/// The log is written and seldom read: the page cache does for the rest.
constexpr std::size_t kNodeLogCacheBytes = 8u << 20;

}  // namespace

Node::Node(const NodeOptions& options, LockFile lock, std::shared_ptr<const KeyRing> keys,
           std::shared_ptr<PartnerKeys> partner_keys)
    : options_(options),
      lock_(std::move(lock)),
      keys_(std::move(keys)),
      partner_keys_(std::move(partner_keys)),
      codec_(std::make_unique<CapnpCodec>()),
      clock_(options.clock),
      store_resources_(make_store_resources(options.block_cache_bytes, options.write_buffer_bytes)),
      row_memory_(make_row_memory(options.row_cache_bytes)) {}

Result<std::unique_ptr<Node>> Node::open(const NodeOptions& options) {
    const Result<void> made = make_data_directory(options.data);
    if (!made) return made.error();
    Result<LockFile> lock = LockFile::acquire(options.data);
    if (!lock) return lock.error();
    if (!options.cluster) {  // before other keys are made anew
        if (const auto there = check_partner_keys(options.data); !there) return there.error();
    }
    Result<std::unique_ptr<KeyRing>> keys = KeyRing::open(
        options.keys_data.empty() ? options.data : options.keys_data, options.deployment_key_file);
    if (!keys) return keys.error();
    const std::shared_ptr<const KeyRing> ring = std::move(*keys);
    auto partner_keys = options.cluster ? make_keys_replica(options.data, ring)
                                        : open_partner_keys(options.data, ring);
    if (!partner_keys) return partner_keys.error();
    std::unique_ptr<Node> node(new Node(options, std::move(*lock), ring, std::move(*partner_keys)));
    const Result<void> opened = options.cluster ? node->open_cluster() : node->open_embedded();
    if (!opened) return opened.error();
    node->make_sealer();
    node->make_eraser();
    node->make_auditor();
    node->make_rebuilds();
    if (const Result<void> history = node->open_history(); !history) return history.error();
    return node;
}

void Node::put_host(PartitionId partition, std::unique_ptr<PartitionHost> host) {
    Slot& slot = slots_[partition.value];
    slot.owner = std::move(host);
    slot.host.store(slot.owner.get(), std::memory_order_release);
}

PartitionHost* Node::host_of(PartitionId partition) const {
    return slots_.at(partition.value).host.load(std::memory_order_acquire);
}

Result<void> Node::open_embedded() {
    auto logs = open_logs(options_.data, options_.partitions,
                          make_log_resources(kNodeLogCacheBytes, options_.log_buffer_bytes));
    if (!logs) return logs.error();
    slots_ = std::vector<Slot>(logs->size());
    std::vector<std::future<Result<OpenedModels>>> opening;
    for (const auto& log : *logs) {
        opening.push_back(
            std::async(std::launch::async, &Node::open_models, this, log->genesis().partition));
    }
    for (std::size_t i = 0; i < opening.size(); ++i) {
        Result<OpenedModels> opened = opening[i].get();
        if (!opened) return opened.error();
        const PartitionId partition{static_cast<std::uint32_t>(i)};
        embedded_logs_.push_back((*logs)[i].get());
        // what is there when there first are keys may be plain, and nothing later
        const auto end = (*logs)[i]->end_of_commits();
        if (!end) return end.error();
        const auto plain =
            partner_keys_->last_plain(partition, Sequence{end->value == 0 ? 0 : end->value - 1});
        if (!plain) return plain.error();
        put_host(partition, std::make_unique<PartitionHost>(
                                std::move((*logs)[i]), std::move(opened->models), *codec_, clock_,
                                host_options(partition, opened->anew)));
        slots_[i].held = true;
    }
    return {};
}

Node::~Node() {
    if (options_.metrics != nullptr) options_.metrics->remove_callbacks(history_.get());
    stop(std::chrono::milliseconds(0));
}

Result<void> Node::start() {
    timer_ = std::thread([this] {
        name_thread("timer");
        run_timer();
    });
    if (cluster_ != nullptr) return start_cluster();
    for (const Slot& slot : slots_) slot.owner->start();
    for (const Slot& slot : slots_) {
        const Result<void> started = slot.owner->wait_started();
        if (!started) return started.error();
    }
    for (std::uint32_t p = 0; p < partitions(); ++p) rebuilds_->resume(PartitionId{p});
    return eraser_->finish_begun();
}

void Node::cancel_start() {
    cancelled_ = true;
    for (std::uint32_t p = 0; p < partitions(); ++p) {
        if (PartitionHost* host = host_of(PartitionId{p})) {
            host->begin_stop(std::chrono::milliseconds(0));
        }
    }
}

void Node::stop(std::chrono::milliseconds grace) {
    if (balance_thread_.joinable()) {
        {
            const std::lock_guard lock(balance_mutex_);
            balance_stop_ = true;
        }
        balance_wake_.notify_one();
        balance_thread_.join();
    }
    if (eraser_) eraser_->stop();
    if (sealer_) sealer_->stop();
    publisher_.reset();
    if (auditor_) auditor_->stop();
    rebuilds_.reset();
    if (history_) history_->stop();
    for (const Slot& slot : slots_) {
        if (slot.owner) slot.owner->begin_stop(grace);
    }
    for (const Slot& slot : slots_) {
        if (slot.owner) slot.owner->stop();
    }
    if (cluster_ != nullptr) cluster_->leave();
    if (!timer_.joinable()) return;
    {
        const std::lock_guard lock(timer_mutex_);
        timer_stop_ = true;
    }
    timer_wake_.notify_one();
    timer_.join();
}

void Node::run_timer() {
    bool trusted = true;
    std::unique_lock lock(timer_mutex_);
    while (!timer_wake_.wait_for(lock, kTimerTick, [this] { return timer_stop_; })) {
        for (std::uint32_t p = 0; p < partitions(); ++p) {
            if (PartitionHost* host = host_of(PartitionId{p})) host->expire();
        }
        auditor_->expire();
        history_->expire();
        const Result<Timestamp> stamp = clock_.stamp();  // follows small steps also while idle
        if (stamp.has_value() == trusted) continue;
        trusted = stamp.has_value();
        if (trusted) {
            spdlog::info("the clock is right again: commands are accepted");
        } else {
            spdlog::error("{}", stamp.error().detail);
        }
    }
}

PartitionFigures Node::figures(PartitionId partition) const {
    const PartitionHost* host = host_of(partition);
    return host == nullptr ? PartitionFigures{} : host->figures();
}

std::uint32_t Node::partitions() const { return static_cast<std::uint32_t>(slots_.size()); }

bool Node::holds(PartitionId partition) const {
    return slots_.at(partition.value).held.load(std::memory_order_acquire);
}

PartitionId Node::partition_of(const ProgramId& program) const {
    return route(program, partitions());
}

ReadModelsPtr Node::read(PartitionId partition) const { return host_of(partition)->models(); }

void Node::make_sealer() {
    const auto find_partner = [this](const ProgramId& program, PartnerOrdinal partner) {
        return read(program)->partner_ids(program, std::span(&partner, 1)).at(0);
    };
    const auto find_epoch = [this](const KeyOwner& owner) {
        if (host_of(partition_of(owner.program)) == nullptr) return std::uint16_t{0};
        const PartnerPtr partner = read(owner.program)->partner(owner.program, owner.partner);
        return partner == nullptr ? std::uint16_t{0} : partner->key_epoch;
    };
    sealer_ = std::make_unique<Sealer>(partner_keys_, find_partner, find_epoch, partitions());
}

void Node::submit(Command command, Done done) {
    const PartitionId partition = partition_of(command.program);
    if (!sealer_->takes(command, partition)) return append(std::move(command), std::move(done));
    sealer_->seal(std::move(command), partition,
                  [this, done = std::move(done)](Result<Command> sealed) {
                      if (!sealed) return done(sealed.error());
                      append(std::move(*sealed), done);
                  });
}

void Node::append(Command command, Done done) {
    const Result<Timestamp> stamp = clock_.stamp();
    if (!stamp) return done(stamp.error());
    command.time = Timestamp{stamp->value - lag_ms_.load(std::memory_order_relaxed)};
    std::string record = codec_->encode_command(command);
    if (record.size() > limits::kCommandBytes) {
        return done(Error{ErrorCode::payload_too_large,
                          "the command takes " + std::to_string(record.size()) +
                              " bytes, more than " + std::to_string(limits::kCommandBytes)});
    }
    PartitionHost* host = host_of(partition_of(command.program));
    if (host == nullptr) {
        return done(Error{ErrorCode::overloaded, "this process does not have that partition yet"});
    }
    host->submit(command.id, command.digest, std::move(record), options_.outcome_timeout_ms,
                 std::move(done));
}

bool Node::pending(const ProgramId& program, const CommandId& id) const {
    const PartitionHost* host = host_of(partition_of(program));
    return host != nullptr && host->pending(id);
}

void Node::wait_for(PartitionId partition, Sequence sequence, int timeout_ms,
                    std::function<void(Result<void>)> done) {
    PartitionHost* host = host_of(partition);
    if (host == nullptr) {
        return done(Error{ErrorCode::not_caught_up, "this process does not have that partition"});
    }
    host->wait_for(sequence, timeout_ms, std::move(done));
}

ContentDigest Node::content_digest(std::string_view canonical) const {
    return keys_->content_digest(canonical);
}

CallerDigest Node::caller_digest(std::string_view canonical) const {
    return keys_->caller_digest(canonical);
}

std::string Node::seal(std::string_view plain, std::string_view context) const {
    return keys_->seal(plain, context);
}

Result<std::string> Node::open(std::string_view sealed, std::string_view context) const {
    return keys_->unseal(sealed, context);
}

Result<void> Node::ready() const {
    for (std::uint32_t p = 0; p < partitions(); ++p) {
        const PartitionHost* host = host_of(PartitionId{p});
        if (host == nullptr) continue;
        const Result<void> ready = host->ready();
        if (!ready) return ready.error();
    }
    if (cluster_ != nullptr) {
        if (auto fault = cluster_->fault()) return *fault;
    }
    const std::int64_t jump_ms = clock_.jump_ms();
    if (jump_ms == 0) return {};
    return Error{ErrorCode::overloaded, "the wall clock was stepped by " + std::to_string(jump_ms) +
                                            " ms: set it right, or restart to accept it"};
}

Timestamp Node::now() const {
    return Timestamp{clock_.now().value - lag_ms_.load(std::memory_order_relaxed)};
}

}  // namespace tidings::apps
