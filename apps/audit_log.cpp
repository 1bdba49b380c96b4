#include "apps/audit_log.h"

#include <chrono>
#include <thread>

#include "apps/cluster.h"
#include "apps/data_directory.h"

namespace tidings::apps {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBrokerPatience{15};  ///< with brokers that do not deliver
constexpr std::chrono::milliseconds kRetry{100};
constexpr int kQueuedKib = 128 * 1024;  ///< an audit does nothing but read, a partition a core

class EmbeddedRecords final : public AuditedLog {
public:
    explicit EmbeddedRecords(std::unique_ptr<EmbeddedLogReader> reader)
        : reader_(std::move(reader)) {}
    const Genesis& genesis() const override { return reader_->genesis(); }
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override {
        return reader_->read_commands(from, max_bytes, out);
    }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        return reader_->read_commits(from, max_bytes, out);
    }
    Result<LogPosition> end_of_commits() override { return reader_->end_of_commits(); }
    bool is_exact() const override { return true; }

private:
    const std::unique_ptr<EmbeddedLogReader> reader_;
};

/// What can be read of a damaged partition, if anything, and then why not more.
class DamagedRecords final : public AuditedLog {
public:
    DamagedRecords(std::unique_ptr<EmbeddedLogReader> readable, const Genesis& genesis, Error why)
        : readable_(std::move(readable)), genesis_(genesis), why_(std::move(why)) {}
    const Genesis& genesis() const override { return genesis_; }
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override {
        if (!readable_) return why_;
        return readable_->read_commands(from, max_bytes, out);
    }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        if (!readable_) return why_;
        const std::size_t before = out.size();
        const auto read = readable_->read_commits(from, max_bytes, out);
        return read && out.size() > before ? read : why_;
    }
    Result<LogPosition> end_of_commits() override { return kUnknownEnd; }
    bool is_exact() const override { return true; }

private:
    const std::unique_ptr<EmbeddedLogReader> readable_;
    const Genesis genesis_;
    const Error why_;
};

/// What the partitions share. The producer asks administrative questions only.
struct Clients {
    std::unique_ptr<kafka::Producer> producer;
    std::unique_ptr<kafka::Consumer> commits, commands;
};

/// Asks again for what does not come.
template <class Ask>
auto patiently(Ask ask) {
    const auto until = SteadyClock::now() + kBrokerPatience;
    while (true) {
        auto answer = ask();
        if (answer || answer.error().code != ErrorCode::io || SteadyClock::now() > until) {
            return answer;
        }
        std::this_thread::sleep_for(kRetry);
    }
}

class KafkaRecords final : public AuditedLog {
public:
    KafkaRecords(std::shared_ptr<Clients> clients, const kafka::TopicNames& names,
                 const Genesis& genesis)
        : clients_(std::move(clients)),
          log_(kafka::LogClients{*clients_->producer, *clients_->commits, *clients_->commands,
                                 names},
               genesis) {}
    const Genesis& genesis() const override { return log_.genesis(); }
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override {
        return patiently([&] { return log_.read_commands(from, max_bytes, out); });
    }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        return patiently([&] { return log_.read_commits(from, max_bytes, out); });
    }
    Result<LogPosition> end_of_commits() override {
        return patiently([&] { return log_.end_of_commits(); });
    }
    bool is_exact() const override { return false; }

private:
    const std::shared_ptr<Clients> clients_;  // outlives the log
    kafka::KafkaLog log_;
};

Error mismatch(std::string detail) { return {ErrorCode::log_mismatch, std::move(detail), {}}; }

Result<void> check_log_id(const Config& config, const LogId& log) {
    const auto known = read_log_id(config.data);
    if (!known) return known.error();
    if (!*known || **known == log) return {};
    return mismatch("the topics hold log " + to_hex(log.view()) + ", but " + config.data +
                    " follows log " + to_hex((*known)->view()));
}

/// Of every partition of the commits topic, and that they belong together (PROTOCOL.md rule 1).
Result<std::vector<Genesis>> read_genesis(kafka::Topics& topics) {
    const auto commits = topics.describe({topics.names().commits, 0, false, {}});
    if (!commits) return commits.error();
    if (!commits->exists) {
        return Error{ErrorCode::usage, "there is no topic " + topics.names().commits, {}};
    }
    auto all = topics.read_all_genesis(commits->partitions);
    if (!all) return all.error();
    if (all->empty()) {
        return Error{ErrorCode::usage, "there is no log in " + topics.names().commits, {}};
    }
    for (std::size_t p = 0; p < all->size(); ++p) {
        const Genesis& genesis = (*all)[p];
        if (genesis.log == all->front().log && genesis.partition.value == p &&
            genesis.partitions == commits->partitions && genesis.partitions == all->size()) {
            continue;
        }
        return mismatch(topics.names().commits + " has " + std::to_string(commits->partitions) +
                        " partitions, " + std::to_string(all->size()) +
                        " of them with a genesis record; that of partition " +
                        std::to_string(genesis.partition.value) + " of " +
                        std::to_string(genesis.partitions) + " of log " +
                        to_hex(genesis.log.view()) + " does not belong there");
    }
    return all;
}

Result<std::shared_ptr<Clients>> connect(const kafka::Settings& settings) {
    auto clients = std::make_shared<Clients>();
    auto producer = kafka::Producer::create(settings);
    if (!producer) return producer.error();
    clients->producer = std::move(*producer);
    for (auto* consumer : {&clients->commits, &clients->commands}) {
        auto made = kafka::Consumer::create(settings);
        if (!made) return made.error();
        *consumer = std::move(*made);
    }
    return clients;
}

Result<std::vector<std::unique_ptr<AuditedLog>>> open_kafka(const Config& config) {
    kafka::Settings settings = kafka_settings(config);
    settings.queued_kib = kQueuedKib;
    const auto connected = connect(settings);
    if (!connected) return connected.error();
    const std::shared_ptr<Clients>& clients = *connected;
    kafka::Topics topics(settings, *clients->producer, *clients->commits);
    const auto genesis = read_genesis(topics);
    if (!genesis) return genesis.error();
    const auto known = check_log_id(config, genesis->front().log);
    if (!known) return known.error();
    std::vector<std::unique_ptr<AuditedLog>> logs;
    for (const Genesis& one : *genesis) {
        logs.push_back(std::make_unique<KafkaRecords>(clients, topics.names(), one));
    }
    return logs;
}

struct OpenedPartition {
    std::unique_ptr<EmbeddedLogReader> reader;  ///< null: nothing of it can be read
    std::optional<Error> damage;
};

/// Errors: io, newer_format.
Result<OpenedPartition> open_partition(const std::filesystem::path& directory) {
    OpenedPartition out;
    auto whole = EmbeddedLogReader::open(directory, EmbeddedLogReader::Mode::follow);
    if (whole) {
        out.reader = std::move(*whole);
        if (const auto end = out.reader->end_of_commits(); !end) out.damage = end.error();
    } else {
        out.damage = whole.error();
        auto part = EmbeddedLogReader::open(directory, EmbeddedLogReader::Mode::damaged);
        if (part) out.reader = std::move(*part);
    }
    if (out.damage && out.damage->code != ErrorCode::corruption) return *out.damage;
    return out;
}

Result<std::vector<std::unique_ptr<AuditedLog>>> open_damaged(const std::filesystem::path& data) {
    const auto count = count_partitions(data);
    if (!count) return count.error();
    std::vector<OpenedPartition> opened;
    const Genesis* known = nullptr;
    for (std::uint32_t p = 0; p < *count; ++p) {
        auto one = open_partition(log_directory(data, PartitionId{p}));
        if (!one) return one.error();
        opened.push_back(std::move(*one));
        if (opened.back().reader) known = &opened.back().reader->genesis();
    }
    if (known == nullptr) return *opened.front().damage;
    std::vector<std::unique_ptr<AuditedLog>> logs;
    for (std::uint32_t p = 0; p < *count; ++p) {
        auto& [reader, damage] = opened[p];
        Genesis genesis = reader ? reader->genesis() : *known;
        if (!reader) genesis.partition = PartitionId{p};  // as it must have been
        if (reader) {
            auto belongs = check_partition(data, PartitionId{p}, *count, genesis, known->log);
            if (!belongs) return belongs.error();
        }
        if (damage) {
            logs.push_back(
                std::make_unique<DamagedRecords>(std::move(reader), genesis, std::move(*damage)));
        } else {
            logs.push_back(std::make_unique<EmbeddedRecords>(std::move(reader)));
        }
    }
    return logs;
}

}  // namespace

Result<std::unique_ptr<AuditedLog>> open_kafka_log(const kafka::Settings& settings,
                                                   const Genesis& genesis) {
    auto clients = connect(settings);
    if (!clients) return clients.error();
    return std::unique_ptr<AuditedLog>(std::make_unique<KafkaRecords>(
        std::move(*clients), kafka::TopicNames(settings.prefix), genesis));
}

Result<std::vector<std::unique_ptr<AuditedLog>>> open_audited_logs(const Config& config) {
    if (!config.cluster_brokers.empty()) return open_kafka(config);
    auto readers = open_log_readers(config.data, EmbeddedLogReader::Mode::follow);
    if (!readers) return readers.error();
    std::vector<std::unique_ptr<AuditedLog>> logs;
    for (auto& reader : *readers) {
        logs.push_back(std::make_unique<EmbeddedRecords>(std::move(reader)));
    }
    return logs;
}

Result<std::vector<std::unique_ptr<AuditedLog>>> open_logs_to_verify(const Config& config) {
    auto logs = open_audited_logs(config);
    if (!config.cluster_brokers.empty()) return logs;
    Result<void> whole = logs ? Result<void>() : Result<void>(logs.error());
    for (std::size_t p = 0; whole && p < logs->size(); ++p) {
        if (const auto end = (*logs)[p]->end_of_commits(); !end) whole = end.error();
    }
    if (whole) return logs;
    if (whole.error().code != ErrorCode::corruption) return whole.error();
    return open_damaged(config.data);
}

}  // namespace tidings::apps
