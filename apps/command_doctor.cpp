// `tidings doctor`: looks at a stopped broker's data directory, changes nothing, and says what is
// wrong and what to do about it.
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "apps/commands.h"
#include "apps/data_directory.h"
#include "apps/directory_options.h"
#include "apps/generations.h"
#include "apps/lock_file.h"
#include "apps/log_walk.h"
#include "apps/personal_keys.h"
#include "apps/progress.h"
#include "connectors/http/auth.h"
#include "connectors/keys.h"
#include "events/codec.h"
#include "projections/models.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kMostPartitions = 1'024;  // as the configuration allows

class Examination {
public:
    /// `configured`: the settings are those of a file; otherwise serve may have others.
    Examination(Config config, bool configured)
        : config_(std::move(config)), configured_(configured) {}

    /// True if nothing is wrong.
    bool run();

private:
    struct Seen {
        std::uint64_t commits = 0, commands = 0;
    };

    void good(const std::string& what) const { std::printf("ok     %s\n", what.c_str()); }
    void note(const std::string& what) const { std::printf("note   %s\n", what.c_str()); }
    void bad(const std::string& what, const std::string& remedy) {
        std::printf("WRONG  %s\n       what to do: %s\n", what.c_str(), remedy.c_str());
        sound_ = false;
    }

    bool check_directory();
    void check_keys();
    bool check_secret_file(const fs::path& file, const std::string& remedy);
    void check_token_keys();
    void check_partition(const EmbeddedLogReader& reader);
    std::unique_ptr<Models> open_models(PartitionId partition);
    std::optional<Seen> walk_log(const EmbeddedLogReader& reader, const Models* models);
    void check_on_chain(const std::string& name, const Tip& chain, const Tip& wanted,
                        const char* what);
    void check_models(const std::string& name, const Models& models, const std::string& remedy);
    bool follows_kafka() const;
    void check_models_on_kafka();

    const Config config_;
    const bool configured_;
    const fs::path data_ = config_.data;
    const CapnpCodec codec_;
    bool sound_ = true;
};

bool Examination::check_directory() {
    std::error_code error;
    if (!fs::is_directory(data_, error)) {
        bad(data_.string() + " is not a directory", "name the data directory with --data");
        return false;
    }
    for (const fs::path& part : {data_, log_directory(data_), models_directory(data_)}) {
        if (!fs::exists(part, error)) continue;
        if (::access(part.c_str(), R_OK | W_OK | X_OK) == 0) continue;
        bad(part.string() + " cannot be written by this user",
            "run as the user that serves, or give it the directory (chown -R)");
        return false;
    }
    return true;
}

/// True if it is there.
bool Examination::check_secret_file(const fs::path& file, const std::string& remedy) {
    std::error_code error;
    const fs::file_status status = fs::status(file, error);
    if (!fs::is_regular_file(status)) {
        bad(file.string() + " is missing", remedy);
        return false;
    }
    const fs::perms others = fs::perms::group_all | fs::perms::others_all;
    if ((status.permissions() & others) != fs::perms::none) {
        bad(file.string() + " can be read by others", "chmod 600 " + file.string());
    }
    return true;
}

void Examination::check_keys() {
    const fs::path home = keys_home(config_), keys = home / "keys",
                   named = config_.deployment_key_file;
    const fs::path sealing = named.empty() ? keys / "deployment.key" : named;
    bool complete = check_secret_file(
        keys / "signing.jwk", "tokens issued from it are void; `tidings token` makes a new key");
    complete &= check_secret_file(
        keys / "digest.key",
        "restore it: without it repeated Idempotency-Keys are taken for new content");
    complete &= check_secret_file(
        keys / "checkpoint.key",
        "restore it: otherwise a new one is made, whose verifier keys auditors must be told");
    std::error_code error;
    if (!configured_ && !fs::exists(sealing, error)) {
        note(sealing.string() +
             " is missing: in order if serve's keys.deployment_key_file names another "
             "(--config FILE checks that one)");
    } else {
        complete &= check_secret_file(
            sealing, "webhook secrets can't be opened: restore it, or set them again");
    }
    if (configured_) check_token_keys();
    const Result<void> readable = KeyRing::check(home, named);
    if (!readable) return bad("keys: " + readable.error().detail, "restore it from a backup");
    if (const Result<void> there = check_partner_keys(data_); !there) {
        return bad(there.error().detail, "restore keys/ from a backup");
    }
    if (!complete) return;
    good("keys");
    if (!fs::exists(sealing, error) || !config_.cluster_brokers.empty()) return;
    if (const auto partners = read_partner_keys(config_); !partners) {
        bad(partners.error().detail,
            "restore keys/ from a backup: without them every partner is erased");
    }
}

/// The public keys that serve verifies tokens with, where they are not its own.
void Examination::check_token_keys() {
    if (config_.jwks_file.empty()) return;
    const auto verifier = http::TokenVerifier::from_file(config_.jwks_file, {});
    if (verifier) return good(config_.jwks_file + ": keys that tokens are verified with");
    bad("keys.jwks_file: " + verifier.error().detail, "serve does not start without it");
}

std::unique_ptr<Models> Examination::open_models(PartitionId partition) {
    ModelsOptions options;
    const auto directory = Generations(data_, partition).live();
    if (!directory) {
        bad(directory.error().detail, "tidings rebuild --swap --data " + data_.string());
        return nullptr;
    }
    options.directory = *directory;
    options.read_only = true;
    const std::string name = "partition " + std::to_string(partition.value) + ": read models";
    std::error_code error;
    if (!fs::exists(options.directory, error)) {
        good(name + ": none yet; serve makes them from the log");
        return nullptr;
    }
    Result<std::unique_ptr<Models>> models = Models::open(options);
    if (models) return std::move(*models);
    bad(name + ": " + models.error().detail, "tidings rebuild --swap --data " + data_.string());
    return nullptr;
}

void Examination::check_on_chain(const std::string& name, const Tip& chain, const Tip& wanted,
                                 const char* what) {
    if (chain.sequence != wanted.sequence || chain.hash == wanted.hash) return;
    bad(name + ": " + what + " holds another commit " + std::to_string(wanted.sequence.value) +
            " than the log: the log was replaced or altered",
        "find out which of the two is right; restore log/ from a backup, or tidings rebuild "
        "--swap");
}

/// Every commit by the chain's rules, with its commands; and that the models' position is on it.
std::optional<Examination::Seen> Examination::walk_log(const EmbeddedLogReader& reader,
                                                       const Models* models) {
    const Genesis& genesis = reader.genesis();
    const std::string name = "partition " + std::to_string(genesis.partition.value) + ": log";
    const std::string remedy =
        "restore log/ from a backup; nothing here repairs a log, because that would hide what was "
        "lost";
    const Result<LogPosition> end = reader.end_of_commits();
    if (!end) {
        bad(name + ": " + end.error().detail, remedy);
        return std::nullopt;
    }
    std::optional<Tip> tip;
    if (models != nullptr) tip = models->tip();
    std::optional<LedgerEntry> ledger;
    if (models != nullptr) ledger = models->ledger();

    Seen seen;
    Progress progress(name, Unit::count, end->value);
    LogWalk walk(reader, codec_, LogPosition{1});
    Tip chain{.hash = genesis.hash};
    while (true) {
        const Result<std::optional<WalkedCommit>> commit = walk.next();
        if (!commit) {
            bad(name + ": " + commit.error().detail, remedy);
            return std::nullopt;
        }
        if (!*commit) break;
        const Envelope& envelope = (*commit)->envelope;
        const Verdict verdict = judge(genesis, chain, envelope);
        if (verdict == Verdict::skip) continue;
        if (verdict == Verdict::alarm) {
            bad(name + ": the record at position " +
                    std::to_string((*commit)->record.position.value) +
                    " does not continue commit " + std::to_string(chain.sequence.value),
                remedy);
            return std::nullopt;
        }
        for (const CommandRecord& command : (*commit)->commands) {
            const Result<Command> decoded = codec_.decode_command(command.bytes);
            // a malformed command was refused, which is in order; a newer one is not ours to read
            if (decoded || decoded.error().code == ErrorCode::malformed) continue;
            bad(name + ": command " + std::to_string(command.position.value) + ": " +
                    decoded.error().detail,
                "use the version of tidings that wrote it, or a newer one");
            return std::nullopt;
        }
        chain = advance(envelope, (*commit)->record.position);
        if (tip) check_on_chain(name, chain, *tip, "the read models' position");
        if (ledger) check_on_chain(name, chain, ledger->tip, "the read models' ledger");
        ++seen.commits;
        seen.commands += (*commit)->commands.size();
        progress.update(seen.commits);
    }
    progress.finish();
    if (tip && tip->sequence > chain.sequence) {
        bad(name + ": it ends at commit " + std::to_string(chain.sequence.value) +
                ", but the read models have applied commit " + std::to_string(tip->sequence.value) +
                ": the end of the log was lost",
            remedy);
        return std::nullopt;
    }
    good(name + ": " + std::to_string(seen.commits) + " commits, " + std::to_string(seen.commands) +
         " commands, chain unbroken");
    return seen;
}

void Examination::check_models(const std::string& name, const Models& models,
                               const std::string& remedy) {
    const std::vector<std::string> findings = models.check();
    for (const std::string& finding : findings) bad(name + ": " + finding, remedy);
    if (!findings.empty()) return;
    good(name + ": sound, at commit " + std::to_string(models.tip().sequence.value));
    for (const ModelDigest& digest : models.digests()) {
        std::printf("         %-14s %s\n", digest.model.c_str(),
                    to_hex(digest.digest.view()).c_str());
    }
}

void Examination::check_partition(const EmbeddedLogReader& reader) {
    const PartitionId partition = reader.genesis().partition;
    // Storage failures of the read models are thrown.
    try {
        const std::unique_ptr<Models> models = open_models(partition);
        walk_log(reader, models.get());
        if (models == nullptr) return;
        check_models("partition " + std::to_string(partition.value) + ": read models", *models,
                     "tidings rebuild --swap --data " + data_.string());
    } catch (const std::exception& error) {
        bad("partition " + std::to_string(partition.value) + ": " + error.what(),
            "tidings rebuild --swap --data " + data_.string());
    }
}

/// Its log is elsewhere: only the log's id and the read models are here.
bool Examination::follows_kafka() const {
    std::error_code error;
    return fs::exists(data_ / "log_id", error) && !fs::exists(log_directory(data_), error);
}

void Examination::check_models_on_kafka() {
    note("the log is on Kafka, and not looked at: tidings topics check");
    const std::string remedy = "remove " + models_directory(data_).string() +
                               " and start: they are made anew from the log";
    std::error_code error;
    for (std::uint32_t p = 0; p < kMostPartitions; ++p) {
        const auto live = Generations(data_, PartitionId{p}).live();
        if (!live) bad(live.error().detail, remedy);
        if (!live || !fs::exists(*live, error)) continue;
        const std::string name = "partition " + std::to_string(p) + ": read models";
        try {  // storage failures are thrown
            const auto models = Models::open({.directory = *live, .read_only = true});
            if (models) {
                check_models(name, **models, remedy);
            } else {
                bad(name + ": " + models.error().detail, remedy);
            }
        } catch (const std::exception& thrown) {
            bad(name + ": " + thrown.what(), remedy);
        }
    }
}

bool Examination::run() {
    if (!check_directory()) return false;
    const Result<LockFile> lock = LockFile::acquire(data_);
    if (!lock) {
        bad(lock.error().detail, "stop it first: a running broker's files can't be judged");
        return false;
    }
    check_keys();
    if (follows_kafka()) {
        check_models_on_kafka();
        return sound_;
    }
    const auto readers = open_log_readers(data_, EmbeddedLogReader::Mode::offline);
    if (!readers) {
        bad("log: " + readers.error().detail, readers.error().code == ErrorCode::usage
                                                  ? "start with `tidings serve`"
                                                  : "restore log/ from a backup");
        return false;
    }
    for (const auto& reader : *readers) check_partition(*reader);
    return sound_;
}

}  // namespace

void add_doctor_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<DirectoryOptions>();
    CLI::App* command = app.add_subcommand(
        "doctor",
        "Check a stopped broker's data directory: keys, every commit of the log, the read models. "
        "Changes nothing; exit status 1 if something is wrong.");
    add_directory_options(*command, *options);
    command->callback([options, &chosen] {
        chosen = [options] {
            Result<Config> config = read_settings(*options);
            if (!config) return report(config.error());
            const bool configured = !options->config.empty();
            return Examination(std::move(*config), configured).run() ? kDone : kRefused;
        };
    });
}

}  // namespace tidings::apps
