// `tidings audit verify` and `tidings audit redecide`: is the log what it was, and would today's
// decider decide the same? Neither writes anything into the log or the data directory. The other
// subcommands of `audit` are in command_proofs.cpp.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <thread>

#include "apps/audit_checkpoints.h"
#include "apps/audit_log.h"
#include "apps/audit_redecide.h"
#include "apps/command_proofs.h"
#include "apps/commands.h"
#include "apps/data_directory.h"
#include "apps/directory_options.h"
#include "apps/errors.h"
#include "apps/generations.h"
#include "apps/logging.h"
#include "apps/progress.h"
#include "events/codec.h"
#include "events/json_output.h"
#include "events/scratch_directory.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kShownDifferences = 20;
constexpr std::size_t kAuditBlockCacheBytes = 96u << 20;
constexpr std::size_t kAuditWriteBufferBytes = 64u << 20;
constexpr std::size_t kAuditRowBytes = 64u << 20;
constexpr std::chrono::milliseconds kLook{50};  ///< at how far the workers are

struct AuditOptions {
    DirectoryOptions directory;
    std::optional<std::string> kafka, prefix;
    bool json = false;
    std::size_t most = kShownDifferences;
    std::vector<std::string> checkpoints, keys;
};

using Logs = std::vector<std::unique_ptr<AuditedLog>>;

Result<Config> named_config(const AuditOptions& options) {
    set_up_logging("error", "text");
    Result<Config> config = read_settings(options.directory);
    if (!config) return config.error();
    if (options.kafka) config->cluster_brokers = *options.kafka;
    if (options.prefix) config->cluster_prefix = *options.prefix;
    return config;
}

Result<Logs> open_named_logs(const AuditOptions& options) {
    const Result<Config> config = named_config(options);
    if (!config) return config.error();
    return open_audited_logs(*config);
}

/// Where each partition's log ends now.
Result<std::vector<LogPosition>> ends_of(const Logs& logs) {
    std::vector<LogPosition> ends;
    for (const auto& log : logs) {
        const auto end = log->end_of_commits();
        if (!end) return end.error();
        ends.push_back(*end);
    }
    return ends;
}

/// Calls `work(partition, done)` for every partition, as many at once as there are cores. `done` is
/// where it says how many commit records it is done with.
void for_each_partition(const std::string& label, const std::vector<LogPosition>& ends,
                        const std::function<void(std::size_t, std::atomic<std::uint64_t>&)>& work) {
    std::uint64_t total = 0;
    for (const LogPosition end : ends) {
        if (end != kUnknownEnd && end.value > 0) total += end.value - 1;
    }
    std::vector<std::atomic<std::uint64_t>> done(ends.size());
    std::atomic<std::size_t> next = 0, finished = 0;
    const std::size_t count =
        std::min<std::size_t>(ends.size(), std::max(1u, std::thread::hardware_concurrency()));
    std::vector<std::jthread> workers;
    for (std::size_t i = 0; i < count; ++i) {
        workers.emplace_back([&] {
            for (std::size_t p = next++; p < ends.size(); p = next++) {
                work(p, done[p]);
                ++finished;
            }
        });
    }
    Progress progress(label + " commits", Unit::count, total);
    while (true) {
        const bool over = finished == ends.size();
        std::uint64_t sum = 0;
        for (const auto& one : done) sum += one;
        progress.update(sum);
        if (over) break;
        std::this_thread::sleep_for(kLook);
    }
    progress.finish();
}

std::string name_of_partition(const AuditedLog& log) {
    return "partition " + std::to_string(log.genesis().partition.value);
}

void print_text(const AuditedLog& log, const PartitionAudit& audit) {
    std::printf("%s  %s: %llu commits, %llu commands, %llu events, %llu skipped, %s\n",
                audit.fault ? "WRONG" : "ok   ", name_of_partition(log).c_str(),
                static_cast<unsigned long long>(audit.commits),
                static_cast<unsigned long long>(audit.commands),
                static_cast<unsigned long long>(audit.events),
                static_cast<unsigned long long>(audit.skips()),
                format_amount(static_cast<double>(audit.bytes), Unit::bytes).c_str());
    std::printf("       tip: commit %llu, %s\n",
                static_cast<unsigned long long>(audit.tip.sequence.value),
                to_hex(audit.tip.hash.view()).c_str());
    for (const SkippedRecord& record : audit.skipped) {
        std::printf("       skipped: position %llu, commit %llu, %s\n",
                    static_cast<unsigned long long>(record.position.value),
                    static_cast<unsigned long long>(record.sequence.value), name_of(record.kind));
    }
    if (audit.skipped.size() < audit.skips()) {
        std::printf("       skipped: %llu more\n",
                    static_cast<unsigned long long>(audit.skips() - audit.skipped.size()));
    }
    if (audit.checkpoints > 0) {
        std::printf("       checkpoints: the log is what %zu of them cover\n", audit.checkpoints);
    }
    if (audit.fault) std::printf("       %s\n", to_text(*audit.fault).c_str());
}

void append_json(JsonWriter& json, const AuditedLog& log, const PartitionAudit& audit) {
    json.open_object().key("partition").number(log.genesis().partition.value);
    json.key("commits").number(audit.commits).key("commands").number(audit.commands);
    json.key("events").number(audit.events).key("bytes").number(audit.bytes);
    json.key("tip").open_object().key("sequence").number(audit.tip.sequence.value);
    json.key("hash").string(to_hex(audit.tip.hash.view())).close_object();
    json.key("skipped").open_object().key("duplicates").number(audit.duplicates);
    json.key("losers").number(audit.losers).key("genesis").number(audit.second_genesis);
    json.key("records").open_array();
    for (const SkippedRecord& record : audit.skipped) {
        json.open_object().key("position").number(record.position.value);
        json.key("sequence").number(record.sequence.value);
        json.key("kind").string(name_of(record.kind)).close_object();
    }
    json.close_array().close_object().key("checkpoints").number(audit.checkpoints).key("fault");
    if (!audit.fault) {
        json.null();
    } else {
        json.open_object().key("position").number(audit.fault->position.value).key("command");
        if (audit.fault->command) {
            json.number(audit.fault->command->value);
        } else {
            json.null();
        }
        json.key("detail").string(audit.fault->detail).close_object();
    }
    json.close_object();
}

/// The sums over all partitions.
PartitionAudit sum_of(const std::vector<PartitionAudit>& audits) {
    PartitionAudit sum;
    for (const PartitionAudit& audit : audits) {
        sum.commits += audit.commits;
        sum.commands += audit.commands;
        sum.events += audit.events;
        sum.bytes += audit.bytes;
        sum.duplicates += audit.duplicates;
        sum.losers += audit.losers;
        sum.second_genesis += audit.second_genesis;
    }
    return sum;
}

void print_verified(const Logs& logs, const std::vector<PartitionAudit>& audits, bool sound,
                    bool as_json) {
    const PartitionAudit sum = sum_of(audits);
    const std::string id = to_hex(logs.front()->genesis().log.view());
    if (!as_json) {
        for (std::size_t i = 0; i < logs.size(); ++i) print_text(*logs[i], audits[i]);
        std::printf("%s  log %s: %zu partitions, %llu commits, %llu commands, %llu events, %s\n",
                    sound ? "ok   " : "WRONG", id.c_str(), logs.size(),
                    static_cast<unsigned long long>(sum.commits),
                    static_cast<unsigned long long>(sum.commands),
                    static_cast<unsigned long long>(sum.events),
                    format_amount(static_cast<double>(sum.bytes), Unit::bytes).c_str());
        return;
    }
    std::string out;
    JsonWriter json(out);
    json.open_object().key("log").string(id).key("sound").boolean(sound);
    json.key("commits").number(sum.commits).key("commands").number(sum.commands);
    json.key("events").number(sum.events).key("skipped").number(sum.skips());
    json.key("bytes").number(sum.bytes).key("partitions").open_array();
    for (std::size_t i = 0; i < logs.size(); ++i) append_json(json, *logs[i], audits[i]);
    json.close_array().close_object();
    std::printf("%s\n", out.c_str());
}

/// The checkpoints that were named. Errors: those of read_checkpoints, usage (no keys).
Result<CheckpointsByPartition> named_checkpoints(const AuditOptions& options, const Config& config,
                                                 const Genesis& genesis) {
    if (options.checkpoints.empty()) return CheckpointsByPartition{};
    auto keys = read_verifier_keys(options.keys);
    if (!keys) return keys.error();
    if (options.keys.empty()) {
        keys = own_verifier_keys(config, genesis);
        if (!keys) return keys.error();
    }
    return read_checkpoints(options.checkpoints, *keys, genesis);
}

PartitionAudit verify_partition(AuditedLog& log, LogPosition end, const Config& config,
                                std::vector<Checkpoint> checkpoints,
                                std::atomic<std::uint64_t>& done) {
    const CapnpCodec codec;
    std::unique_ptr<Models> models;
    if (!checkpoints.empty()) {
        // what vouches for them is the checkpoint; without them less is known
        const auto live = Generations(config.data, log.genesis().partition).live();
        if (live) {
            auto opened = Models::open({.directory = *live, .read_only = true});
            if (opened) models = std::move(*opened);
        }
    }
    CheckpointCheck check(codec, std::move(checkpoints), models.get());
    AuditWalk walk(log, codec, end);
    while (const auto commit = walk.next()) {
        done = walk.done();
        if (!check.take(*commit)) break;
    }
    PartitionAudit audit = walk.audit();
    if (!audit.fault) (void)check.finish(audit.tip);
    if (!audit.fault) audit.fault = check.fault();
    audit.checkpoints = check.confirmed();
    return audit;
}

/// Of those partitions only what the log says of itself is verified.
void tell_uncovered(const Logs& logs, const CheckpointsByPartition& checkpoints) {
    for (const auto& log : logs) {
        if (checkpoints.contains(log->genesis().partition)) continue;
        std::fprintf(stderr, "no checkpoint for %s\n", name_of_partition(*log).c_str());
    }
}

int verify(const AuditOptions& options) {
    const Result<Config> config = named_config(options);
    if (!config) return report(config.error());
    const Result<Logs> logs = open_logs_to_verify(*config);
    if (!logs) return report(logs.error());
    auto checkpoints = named_checkpoints(options, *config, logs->front()->genesis());
    if (!checkpoints) return report(checkpoints.error());
    const auto ends = ends_of(*logs);
    if (!ends) return report(ends.error());
    std::vector<PartitionAudit> audits(logs->size());
    for_each_partition("verify", *ends, [&](std::size_t p, std::atomic<std::uint64_t>& done) {
        AuditedLog& log = *(*logs)[p];
        const auto mine = checkpoints->find(log.genesis().partition);
        audits[p] = verify_partition(
            log, (*ends)[p], *config,
            mine == checkpoints->end() ? std::vector<Checkpoint>{} : mine->second, done);
    });
    const bool sound = std::none_of(audits.begin(), audits.end(), [](const PartitionAudit& audit) {
        return audit.fault.has_value();
    });
    print_verified(*logs, audits, sound, options.json);
    if (!options.checkpoints.empty()) tell_uncovered(*logs, *checkpoints);
    return sound ? kDone : kRefused;
}

/// Read models that exist while a redecision runs.
class Workspace {
public:
    static Result<Workspace> make() {
        std::error_code error;
        const fs::path parent = fs::temp_directory_path(error);
        if (error) return io_error("cannot make a directory", error);
        auto directory = ScratchDirectory::make(parent, "tidings-redecide");
        if (!directory) return directory.error();
        return Workspace(std::move(*directory));
    }

    Result<std::unique_ptr<Models>> models(PartitionId partition) const {
        ModelsOptions options;
        options.directory = directory_.path() / ("p" + std::to_string(partition.value));
        options.resources = resources_;
        options.row_memory = rows_;
        return Models::open(options);
    }

private:
    explicit Workspace(ScratchDirectory directory) : directory_(std::move(directory)) {}

    ScratchDirectory directory_;
    std::shared_ptr<StoreResources> resources_ =
        make_store_resources(kAuditBlockCacheBytes, kAuditWriteBufferBytes);
    std::shared_ptr<RowMemory> rows_ = make_row_memory(kAuditRowBytes);
};

/// What became of one partition.
struct Redecided {
    PartitionAudit audit;
    std::uint64_t count = 0;
    std::vector<Difference> kept;
    std::optional<Error> failure;
};

Redecided redecide_partition(AuditedLog& log, LogPosition end, const Workspace& workspace,
                             std::size_t most, std::atomic<std::uint64_t>& done) {
    Redecided out;
    const CapnpCodec codec;
    try {  // storage failures are thrown
        const auto models = workspace.models(log.genesis().partition);
        if (!models) {
            out.failure = models.error();
            return out;
        }
        Redecision redecision(log, codec, end, **models, most);
        while (true) {
            const Result<bool> more = redecision.step();
            if (!more) out.failure = more.error();
            if (!more || !*more) break;
            done = redecision.done();
        }
        out.audit = redecision.audit();
        out.count = redecision.count();
        out.kept = redecision.kept();
    } catch (const std::exception& error) {
        out.failure = Error{ErrorCode::io, error.what(), {}};
    }
    return out;
}

void print(const AuditedLog& log, const Difference& difference) {
    std::printf("DIFFERS  %s, commit record at position %llu, command %llu: %s %s\n",
                name_of_partition(log).c_str(),
                static_cast<unsigned long long>(difference.commit.value),
                static_cast<unsigned long long>(difference.command.value), difference.kind.c_str(),
                difference.id.c_str());
    for (const std::string& field : difference.fields) {
        std::printf("         %s\n", field.c_str());
    }
}

/// True: nothing differs, and the log was sound.
bool print_redecided(const Logs& logs, const std::vector<Redecided>& all, std::size_t most) {
    std::uint64_t commands = 0, count = 0;
    std::size_t shown = 0;
    bool complete = true;
    for (std::size_t p = 0; p < logs.size(); ++p) {
        const Redecided& one = all[p];
        commands += one.audit.commands;
        count += one.count;
        for (const Difference& difference : one.kept) {
            if (shown == most) break;
            print(*logs[p], difference);
            ++shown;
        }
        complete &= !one.audit.fault && !one.failure;
        const std::string name = name_of_partition(*logs[p]);
        if (one.audit.fault) {
            std::printf("WRONG    %s: %s\n", name.c_str(), to_text(*one.audit.fault).c_str());
        }
        if (one.failure) {
            std::printf("WRONG    %s: stopped after commit %llu: %s\n", name.c_str(),
                        static_cast<unsigned long long>(one.audit.tip.sequence.value),
                        one.failure->detail.c_str());
        }
    }
    std::printf("%llu commands decided again, %llu differences%s\n",
                static_cast<unsigned long long>(commands), static_cast<unsigned long long>(count),
                shown < count ? (" (" + std::to_string(shown) + " shown)").c_str() : "");
    return complete && count == 0;
}

int redecide(const AuditOptions& options) {
    const Result<Logs> logs = open_named_logs(options);
    if (!logs) return report(logs.error());
    const auto ends = ends_of(*logs);
    if (!ends) return report(ends.error());
    const auto workspace = Workspace::make();
    if (!workspace) return report(workspace.error());
    std::vector<Redecided> all(logs->size());
    for_each_partition("redecide", *ends, [&](std::size_t p, std::atomic<std::uint64_t>& done) {
        all[p] = redecide_partition(*(*logs)[p], (*ends)[p], *workspace, options.most, done);
    });
    return print_redecided(*logs, all, options.most) ? kDone : kRefused;
}

std::shared_ptr<AuditOptions> add_options(CLI::App& command) {
    auto options = std::make_shared<AuditOptions>();
    add_directory_options(command, options->directory);
    command.add_option("--kafka", options->kafka,
                       "Kafka brokers, where the log is there; instead of the file's "
                       "`cluster.brokers`");
    command.add_option("--prefix", options->prefix,
                       "prefix of the topics; instead of the file's `cluster.prefix`");
    return options;
}

}  // namespace

void add_audit_command(CLI::App& app, Chosen& chosen) {
    CLI::App* audit = app.add_subcommand(
        "audit", "Examine the log, also beside a running broker. Changes nothing.");
    audit->require_subcommand(1);
    add_proof_commands(*audit, chosen);
    CLI::App* walk = audit->add_subcommand(
        "verify",
        "Read the whole log: every link, hash, command and outcome. Says the first bad position of "
        "each partition; exit status 1 if there is one.");
    const auto to_verify = add_options(*walk);
    walk->add_flag("--json", to_verify->json, "one JSON object");
    walk->add_option("--checkpoint", to_verify->checkpoints,
                     "file with checkpoints that were kept: the log must still be what they cover; "
                     "may be given several times");
    walk->add_option(
        "--key", to_verify->keys,
        "verifier key, or file of them, that the checkpoints are signed with; default: "
        "the data directory's own");
    walk->callback([to_verify, &chosen] { chosen = [to_verify] { return verify(*to_verify); }; });

    CLI::App* again = audit->add_subcommand(
        "redecide",
        "Decide every command of the log again, on temporary read models (below $TMPDIR), and "
        "compare with the outcomes in the log; exit status 1 if any differs.");
    const auto to_redecide = add_options(*again);
    again->add_option("--most", to_redecide->most, "differences to show; all are counted")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    again->callback(
        [to_redecide, &chosen] { chosen = [to_redecide] { return redecide(*to_redecide); }; });
}

}  // namespace tidings::apps
