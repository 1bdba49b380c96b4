#include "apps/command_history.h"

#include <unistd.h>

#include <cstdio>

#include "apps/audit_log.h"
#include "apps/data_directory.h"
#include "apps/errors.h"
#include "apps/logging.h"
#include "apps/personal_keys.h"
#include "connectors/positions.h"

namespace tidings::apps {

namespace {

/// The partition that a message's id tells: it begins with the hash that its program is routed by.
std::optional<PartitionId> partition_of_message(std::string_view id, std::uint32_t partitions) {
    constexpr std::string_view kPrefix = "msg_";
    constexpr std::size_t kHashDigits = 16;
    if (!id.starts_with(kPrefix)) return std::nullopt;
    const auto hash = from_hex(id.substr(kPrefix.size(), kHashDigits));
    if (!hash || hash->size() != kHashDigits / 2) return std::nullopt;
    std::uint64_t number = 0;
    for (const char byte : *hash) number = number << 8 | static_cast<unsigned char>(byte);
    return PartitionId{static_cast<std::uint32_t>(number % partitions)};
}

}  // namespace

void add_place_options(CLI::App& command, PlaceOptions& options) {
    add_directory_options(command, options.directory);
    command.add_option("--kafka", options.kafka,
                       "Kafka brokers, where the log is there; instead of the file's "
                       "`cluster.brokers`");
    command.add_option("--program", options.program,
                       "the program; may be left out if a message is named, or there is but one");
}

void add_as_of_option(CLI::App& command, std::string& as_of) {
    command
        .add_option("--as-of", as_of,
                    "a position, PARTITION:SEQUENCE, or a time: the last commit at or before it")
        ->check([](const std::string& text) {
            return std::string(text.empty() ? "neither a position nor a time" : "");
        });
}

void tell_cost(PartitionId partition, const Past& past) {
    const PastCost& cost = past.cost();
    const std::string base = cost.base.value == 0
                                 ? std::string("the log's beginning")
                                 : "the snapshot at " + format_position(partition, cost.base);
    std::fprintf(stderr, "as of %s: %s and %llu commits behind it, %.3f s\n",
                 format_position(partition, past.models().tip().sequence).c_str(), base.c_str(),
                 static_cast<unsigned long long>(cost.commits), cost.seconds);
}

Result<CommandHistory> CommandHistory::open(const PlaceOptions& options) {
    set_up_logging("error", "text");
    Result<Config> config = read_settings(options.directory);
    if (!config) return config.error();
    if (options.kafka) config->cluster_brokers = *options.kafka;
    auto opened = open_audited_logs(*config);
    if (!opened) return opened.error();
    const Genesis genesis = opened->front()->genesis();
    HistoryOptions settings;
    settings.data = config->data;
    auto keys = read_partner_keys(*config);
    if (!keys) return keys.error();
    settings.keys = std::move(*keys);
    if (::access(config->data.c_str(), W_OK) != 0) {  // someone else's, or on Kafka alone
        settings.scratch = std::filesystem::temp_directory_path() /
                           ("tidings-history-" + std::to_string(::geteuid()));
        if (const auto made = make_private_directory(settings.scratch); !made) return made.error();
    }
    settings.open_log = [logs = std::make_shared<std::vector<std::unique_ptr<AuditedLog>>>(
                             std::move(*opened))](PartitionId partition) {
        return Result<std::unique_ptr<CommitSource>>(std::move(logs->at(partition.value)));
    };
    auto history = History::open(std::move(settings));
    if (!history) return history.error();
    return CommandHistory(std::move(*config), genesis, std::move(*history));
}

Result<ProgramId> CommandHistory::find_program(const std::string& named, std::string_view message) {
    if (!named.empty()) return ProgramId{named};
    const auto only = partition_of_message(message, genesis_.partitions);
    if (!message.empty() && !only) return usage("no message id: " + std::string(message));
    std::vector<ProgramId> found;
    for (std::uint32_t p = 0; p < genesis_.partitions; ++p) {
        if (only && only->value != p) continue;
        const auto now = history_->find(PartitionId{p}, {.last = kLogEnd});
        if (!now) return now.error();
        for (ProgramId& program : (*now)->models().program_ids()) {
            if (message.empty() || parse_message_id(program, message)) {
                found.push_back(std::move(program));
            }
        }
    }
    if (found.size() == 1) return std::move(found.front());
    if (!message.empty()) return Error{ErrorCode::not_found, "no such message", {}};
    return usage("name the --program: the log has " + std::to_string(found.size()));
}

Result<std::shared_ptr<const Past>> CommandHistory::at(const ProgramId& program,
                                                       const std::string& text) {
    const PartitionId partition = partition_of(program);
    PastEnd end{.last = kLogEnd};
    if (!text.empty()) {
        const auto as_of = parse_as_of(text, partition, kLogEnd);
        if (!as_of) return usage("--as-of " + as_of.error().detail);
        if (const auto* sequence = std::get_if<Sequence>(&*as_of)) {
            end.last = *sequence;
        } else {
            end.program = program;
            end.time = std::get<Timestamp>(*as_of);
        }
    }
    auto past = history_->find(partition, end);
    if (!past) return past.error();
    const Sequence reached = (*past)->models().tip().sequence;
    if (end.last != kLogEnd && reached < end.last) {
        return usage("--as-of lies beyond the last commit, " + format_position(partition, reached));
    }
    return past;
}

}  // namespace tidings::apps
