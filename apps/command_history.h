// What the commands that look into the past share: the history of a data directory or of a log on
// Kafka, beside the process that serves or without one. Nothing but scratch files is written.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "apps/directory_options.h"
#include "apps/history.h"

namespace tidings::apps {

struct PlaceOptions {
    DirectoryOptions directory;
    std::optional<std::string> kafka;
    std::string program;  ///< empty: the message's, or the only one
    std::string as_of;    ///< empty: now
};
void add_place_options(CLI::App& command, PlaceOptions& options);
void add_as_of_option(CLI::App& command, std::string& as_of);

class CommandHistory {
public:
    /// Errors: usage (no log), io, log_mismatch, corruption.
    static Result<CommandHistory> open(const PlaceOptions& options);

    History& history() { return *history_; }
    const Config& config() const { return config_; }
    const Genesis& genesis() const { return genesis_; }  ///< of the first partition
    bool on_kafka() const { return !config_.cluster_brokers.empty(); }
    PartitionId partition_of(const ProgramId& program) const {
        return route(program, genesis_.partitions);
    }

    /// The program that is named, that of the message, or the only one. Errors: usage, and those of
    /// building.
    Result<ProgramId> find_program(const std::string& named, std::string_view message);
    /// As of the time or position in `text`; empty: the end of the log. Errors: usage (malformed,
    /// another partition's, beyond the end), and those of building.
    Result<std::shared_ptr<const Past>> at(const ProgramId& program, const std::string& text);

private:
    CommandHistory(Config config, const Genesis& genesis, std::unique_ptr<History> history)
        : config_(std::move(config)), genesis_(genesis), history_(std::move(history)) {}
    Config config_;
    Genesis genesis_;
    std::unique_ptr<History> history_;
};

/// Says on stderr which place was found, and what that took: no part of the answer.
void tell_cost(PartitionId partition, const Past& past);

/// No commit lies beyond it.
inline constexpr Sequence kLogEnd{UINT64_MAX};

}  // namespace tidings::apps
