#include "connectors/kafka/kafka_log.h"

#include "core/limits.h"

namespace tidings::kafka {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kRecordArrival{1'000};  ///< of a record that is known to be there
constexpr milliseconds kStalled{3'000};  ///< without an acknowledgement: the cluster is in trouble

}  // namespace

/// Appends under way of one kind, and how long none of them was acknowledged.
class Pending {
public:
    void begin() {
        const std::lock_guard lock(mutex_);
        if (count_++ == 0) progress_ = SteadyClock::now();
    }
    void end() {
        const std::lock_guard lock(mutex_);
        --count_;
        progress_ = SteadyClock::now();
    }
    bool stalled() const {
        const std::lock_guard lock(mutex_);
        return count_ > 0 && SteadyClock::now() - progress_ > kStalled;
    }

private:
    mutable std::mutex mutex_;
    std::size_t count_ = 0;
    SteadyClock::time_point progress_;
};

struct KafkaLog::Shared {
    std::mutex mutex;            ///< guards wake
    std::function<void()> wake;  ///< empty once the log is gone
    std::atomic<AppendState> append{AppendState::idle};
    /// The commits' end as the last acknowledgement told it, until something else is known: reading
    /// hears of a new end a little later.
    std::atomic<std::uint64_t> acknowledged{0};
    std::atomic<std::size_t> command_bytes{0};  ///< not yet acknowledged
    Pending commands, commits;

    void woken() {
        const std::lock_guard lock(mutex);
        if (wake) wake();
    }
};

KafkaLog::KafkaLog(LogClients clients, const Genesis& genesis)
    : clients_(std::move(clients)),
      genesis_(genesis),
      commits_(clients_.commits, clients_.names.commits,
               static_cast<std::int32_t>(genesis.partition.value)),
      commands_(clients_.commands, clients_.names.commands,
                static_cast<std::int32_t>(genesis.partition.value)),
      shared_(std::make_shared<Shared>()) {}

KafkaLog::~KafkaLog() {
    const std::lock_guard lock(shared_->mutex);
    shared_->wake = {};
}

void KafkaLog::on_activity(const std::function<void()>& wake) {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->wake = wake;
    }
    commits_.on_arrival([shared = shared_] { shared->woken(); });
    commands_.on_arrival([shared = shared_] { shared->woken(); });
}

void KafkaLog::rest() {
    commits_.stop();
    rest_commands();
}

Result<void> KafkaLog::append_command(std::string bytes) {
    const std::size_t size = bytes.size();
    if (shared_->command_bytes.fetch_add(size) + size > limits::kQueueBytes) {
        shared_->command_bytes -= size;
        return Error{ErrorCode::overloaded, "too many commands wait for the cluster", {}};
    }
    ProducerRecord record;
    record.topic = clients_.names.commands;
    record.partition = commands_.partition();
    record.value = std::move(bytes);
    shared_->commands.begin();
    Result<void> sent = clients_.producer.send(std::move(record), true,
                                               [shared = shared_, size](Delivery, std::uint64_t) {
                                                   shared->command_bytes -= size;
                                                   shared->commands.end();
                                               });
    if (sent) return {};
    shared_->command_bytes -= size;
    shared_->commands.end();
    return sent;
}

void KafkaLog::append_commit(std::string bytes) {
    ProducerRecord record;
    record.topic = clients_.names.commits;
    record.partition = commits_.partition();
    record.value = std::move(bytes);
    shared_->append = AppendState::pending;
    shared_->commits.begin();
    const auto done = [shared = shared_](Delivery delivery, std::uint64_t offset) {
        shared->commits.end();
        if (delivery == Delivery::done) shared->acknowledged = offset + 1;
        shared->append = delivery == Delivery::done ? AppendState::idle : AppendState::unknown;
        shared->woken();
    };
    const Result<void> sent = clients_.producer.send(std::move(record), false, done);
    if (sent) return;
    shared_->commits.end();
    shared_->append = AppendState::unknown;
}

AppendState KafkaLog::append_state() { return shared_->append; }

Result<std::uint64_t> KafkaLog::end_of(PartitionReader& reader) {
    auto end = reader.end(kRecordArrival);
    if (!end || &reader != &commits_) return end;
    if (generation() != acknowledged_in_) {  // another leader may not have it
        acknowledged_in_ = generation();
        shared_->acknowledged = 0;
    }
    return std::max(*end, shared_->acknowledged.load());
}

template <class Record, class Position>
Result<void> KafkaLog::read(PartitionReader& reader, std::uint64_t from, std::size_t max_bytes,
                            std::vector<Record>& out) {
    std::size_t bytes = 0;
    for (std::uint64_t next = from; bytes < max_bytes; ++next) {
        auto record = reader.read(next, milliseconds(0));
        if (record && !*record && out.empty()) {
            auto end = end_of(reader);
            // The other topic may have told of records that the latest fetch here did not see yet.
            if (end && next > *end) end = reader.ask_end(kRecordArrival);
            if (!end) return end.error();
            if (next > *end) {
                return Error{ErrorCode::log_mismatch,
                             reader.topic() + " [" + std::to_string(reader.partition()) +
                                 "] ends at " + std::to_string(*end) + ", before position " +
                                 std::to_string(next) + ": it was truncated, or recreated",
                             {}};
            }
            if (next == *end) return {};
            record = reader.read(next, kRecordArrival);
            if (record && !*record) {
                shared_->acknowledged = 0;  // asked anew: a leader may have lost it
                if (auto down = trouble()) return *down;
                return Error{ErrorCode::io,
                             reader.topic() + " [" + std::to_string(reader.partition()) +
                                 "]: the record at " + std::to_string(next) + " does not come",
                             {}};
            }
        }
        if (!record) {
            if (record.error().code == ErrorCode::log_mismatch) shared_->acknowledged = 0;
            if (out.empty()) return record.error();
            return {};  // the next call meets it first
        }
        if (!*record) return {};
        out.push_back({Position{(*record)->offset()}, std::string((*record)->value())});
        bytes += out.back().bytes.size();
    }
    return {};
}

Result<void> KafkaLog::read_commands(CommandPosition from, std::size_t max_bytes,
                                     std::vector<CommandRecord>& out) {
    return read<CommandRecord, CommandPosition>(commands_, from.value, max_bytes, out);
}

Result<void> KafkaLog::read_commits(LogPosition from, std::size_t max_bytes,
                                    std::vector<CommitRecord>& out) {
    const std::uint64_t first = std::max<std::uint64_t>(1, from.value);  // behind genesis
    return read<CommitRecord, LogPosition>(commits_, first, max_bytes, out);
}

Result<LogPosition> KafkaLog::end_of_commits() {
    const auto end = end_of(commits_);
    if (!end) return end.error();
    return LogPosition{*end <= 1 ? 0 : *end};
}

Result<CommandPosition> KafkaLog::end_of_commands() {
    const auto end = commands_.end(kRecordArrival);
    if (!end) return end.error();
    return CommandPosition{*end};
}

std::uint64_t KafkaLog::generation() const { return clients_.commits.client().generation(); }

std::optional<Error> KafkaLog::trouble() const {
    if (auto down = clients_.commits.client().unreachable()) return down;
    if (shared_->commits.stalled() || shared_->commands.stalled()) {
        return Error{
            ErrorCode::io, "the Kafka cluster does not acknowledge what is sent to it", {}};
    }
    return std::nullopt;
}

}  // namespace tidings::kafka
