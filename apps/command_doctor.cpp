// `tidings doctor`: looks at a stopped broker's data directory, changes nothing, and says what is
// wrong and what to do about it.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>

#include "apps/commands.h"
#include "apps/data_directory.h"
#include "apps/lock_file.h"
#include "apps/log_walk.h"
#include "apps/progress.h"
#include "connectors/keys.h"
#include "events/codec.h"
#include "projections/models.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

class Examination {
public:
    explicit Examination(fs::path data) : data_(std::move(data)) {}

    /// True if nothing is wrong.
    bool run();

private:
    struct Seen {
        std::uint64_t commits = 0, commands = 0;
    };

    void good(const std::string& what) const { std::printf("ok     %s\n", what.c_str()); }
    void bad(const std::string& what, const std::string& remedy) {
        std::printf("WRONG  %s\n       what to do: %s\n", what.c_str(), remedy.c_str());
        sound_ = false;
    }

    bool check_directory();
    void check_keys();
    void check_partition(const EmbeddedLogReader& reader);
    std::unique_ptr<Models> open_models(PartitionId partition);
    std::optional<Seen> walk_log(const EmbeddedLogReader& reader, const Models* models);
    void check_on_chain(const std::string& name, const Tip& chain, const Tip& wanted,
                        const char* what);
    void check_models(const std::string& name, const Models& models);

    const fs::path data_;
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

void Examination::check_keys() {
    constexpr std::array<std::pair<const char*, const char*>, 3> kFiles{{
        {"signing.jwk", "tokens issued from it are void; `tidings token` makes a new key"},
        {"deployment.key", "webhook secrets can't be opened: restore it, or set them again"},
        {"digest.key",
         "restore it: without it repeated Idempotency-Keys are taken for new content"},
    }};
    bool complete = true;
    for (const auto& [name, remedy] : kFiles) {
        const fs::path file = data_ / "keys" / name;
        std::error_code error;
        const fs::file_status status = fs::status(file, error);
        if (!fs::is_regular_file(status)) {
            bad(file.string() + " is missing", remedy);
            complete = false;
            continue;
        }
        const fs::perms others = fs::perms::group_all | fs::perms::others_all;
        if ((status.permissions() & others) != fs::perms::none) {
            bad(file.string() + " can be read by others", "chmod 600 " + file.string());
        }
    }
    if (!complete) return;
    const auto keys = KeyRing::open(data_);
    if (!keys) return bad("keys: " + keys.error().detail, "restore keys/ from a backup");
    good("keys");
}

std::unique_ptr<Models> Examination::open_models(PartitionId partition) {
    ModelsOptions options;
    options.directory = models_directory(data_, partition);
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

void Examination::check_models(const std::string& name, const Models& models) {
    const std::vector<std::string> findings = models.check();
    for (const std::string& finding : findings) {
        bad(name + ": " + finding, "tidings rebuild --swap --data " + data_.string());
    }
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
        check_models("partition " + std::to_string(partition.value) + ": read models", *models);
    } catch (const std::exception& error) {
        bad("partition " + std::to_string(partition.value) + ": " + error.what(),
            "tidings rebuild --swap --data " + data_.string());
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
    auto data = std::make_shared<std::string>("data");
    CLI::App* command = app.add_subcommand(
        "doctor",
        "Check a stopped broker's data directory: keys, every commit of the log, the read models. "
        "Changes nothing; exit status 1 if something is wrong.");
    command->add_option("--data", *data, "data directory")->capture_default_str();
    command->callback([data, &chosen] {
        chosen = [data] { return Examination(*data).run() ? kDone : kRefused; };
    });
}

}  // namespace tidings::apps
