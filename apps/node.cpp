#include "apps/node.h"

#include <spdlog/spdlog.h>

#include <future>

#include "apps/data_directory.h"
#include "connectors/thread_name.h"
#include "core/limits.h"
#include "events/codec.h"

namespace tidings::apps {

namespace {

/// How late a timeout may be told; nothing is woken for a single command's sake.
constexpr std::chrono::milliseconds kTimerTick{50};

/// The log is written and seldom read: the page cache does for the rest.
constexpr std::size_t kLogCacheBytes = 8u << 20;

}  // namespace

Node::Node(const NodeOptions& options, LockFile lock, std::unique_ptr<KeyRing> keys)
    : outcome_timeout_ms_(options.outcome_timeout_ms),
      lock_(std::move(lock)),
      keys_(std::move(keys)),
      codec_(std::make_unique<CapnpCodec>()),
      clock_(options.clock) {}

Result<std::unique_ptr<Node>> Node::open(const NodeOptions& options) {
    const Result<void> made = make_data_directory(options.data);
    if (!made) return made.error();
    Result<LockFile> lock = LockFile::acquire(options.data);
    if (!lock) return lock.error();
    Result<std::unique_ptr<KeyRing>> keys =
        KeyRing::open(options.data, options.deployment_key_file);
    if (!keys) return keys.error();
    std::unique_ptr<Node> node(new Node(options, std::move(*lock), std::move(*keys)));

    auto logs = open_logs(options.data, options.partitions,
                          make_log_resources(kLogCacheBytes, options.log_buffer_bytes));
    if (!logs) return logs.error();
    const auto resources =
        make_store_resources(options.block_cache_bytes, options.write_buffer_bytes);
    const auto row_memory = make_row_memory(options.row_cache_bytes);
    std::vector<std::future<Result<std::unique_ptr<Models>>>> opening;
    for (const auto& log : *logs) {
        ModelsOptions models;
        models.directory = models_directory(options.data, log->genesis().partition);
        models.resources = resources;
        models.row_memory = row_memory;
        opening.push_back(std::async(std::launch::async, Models::open, models));
    }
    for (std::size_t i = 0; i < opening.size(); ++i) {
        Result<std::unique_ptr<Models>> models = opening[i].get();
        if (!models) return models.error();
        node->hosts_.push_back(std::make_unique<PartitionHost>(std::move((*logs)[i]),
                                                               std::move(*models), *node->codec_,
                                                               node->clock_, options.metrics));
    }
    return node;
}

Node::~Node() { stop(std::chrono::milliseconds(0)); }

Result<void> Node::start() {
    timer_ = std::thread([this] {
        name_thread("timer");
        run_timer();
    });
    for (const auto& host : hosts_) host->start();
    for (const auto& host : hosts_) {
        const Result<void> started = host->wait_started();
        if (!started) return started.error();
    }
    return {};
}

void Node::cancel_start() {
    for (const auto& host : hosts_) host->begin_stop(std::chrono::milliseconds(0));
}

void Node::stop(std::chrono::milliseconds grace) {
    for (const auto& host : hosts_) host->begin_stop(grace);
    for (const auto& host : hosts_) host->stop();
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
        for (const auto& host : hosts_) host->expire();
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
    return hosts_.at(partition.value)->figures();
}

std::uint32_t Node::partitions() const { return static_cast<std::uint32_t>(hosts_.size()); }

PartitionId Node::partition_of(const ProgramId& program) const {
    return route(program, partitions());
}

const ReadModels& Node::read(PartitionId partition) const {
    return hosts_.at(partition.value)->models();
}

void Node::submit(Command command, Done done) {
    const Result<Timestamp> stamp = clock_.stamp();
    if (!stamp) return done(stamp.error());
    command.time = Timestamp{stamp->value - lag_ms_.load(std::memory_order_relaxed)};
    std::string record = codec_->encode_command(command);
    if (record.size() > limits::kCommandBytes) {
        return done(Error{ErrorCode::payload_too_large,
                          "the command takes " + std::to_string(record.size()) +
                              " bytes, more than " + std::to_string(limits::kCommandBytes)});
    }
    hosts_[partition_of(command.program).value]->submit(
        command.id, command.digest, std::move(record), outcome_timeout_ms_, std::move(done));
}

bool Node::pending(const ProgramId& program, const CommandId& id) const {
    return hosts_[partition_of(program).value]->pending(id);
}

void Node::wait_for(PartitionId partition, Sequence sequence, int timeout_ms,
                    std::function<void(Result<void>)> done) {
    hosts_.at(partition.value)->wait_for(sequence, timeout_ms, std::move(done));
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
    for (const auto& host : hosts_) {
        const Result<void> ready = host->ready();
        if (!ready) return ready.error();
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
