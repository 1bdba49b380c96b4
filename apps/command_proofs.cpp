// `tidings audit checkpoint`, `audit prove`, `audit check-proof`: signed checkpoints of the log's
// Merkle trees, proofs against them, and checking both with a public key alone. The first two ask a
// broker that runs (--url), or read the directory of one that is stopped.
#include "apps/command_proofs.h"

#include <charconv>
#include <cstdio>
#include <filesystem>

#include "apps/audit_checkpoints.h"
#include "apps/audit_log.h"
#include "apps/data_directory.h"
#include "apps/directory_options.h"
#include "apps/errors.h"
#include "apps/generations.h"
#include "apps/http_client.h"
#include "apps/lock_file.h"
#include "apps/logging.h"
#include "connectors/proofs.h"
#include "core/limits.h"
#include "core/time.h"
#include "events/codec.h"
#include "events/json_output.h"
#include "events/json_value.h"
#include "projections/models.h"

namespace tidings::apps {

namespace {

struct ProofsOptions {
    DirectoryOptions directory;
    std::string url, token;
    std::optional<std::uint32_t> partition;
    std::optional<std::uint64_t> from, to, size;
    std::string event, program;
    bool keys_only = false;
    std::string file, earlier;
    std::vector<std::string> keys;
};

int print_or_report(const Result<std::string>& text) {
    if (!text) return report(text.error());
    std::printf("%s%s", text->c_str(), text->ends_with("\n") ? "" : "\n");
    return kDone;
}

// ---- of a broker that runs

Result<std::string> ask(const ProofsOptions& options, const std::string& target) {
    Result<Url> url = parse_url(options.url);
    if (!url) return url.error();
    HttpClient client(std::move(*url));
    const auto answer =
        client.request("GET", target, {{"Authorization", "Bearer " + options.token}});
    if (!answer) return answer.error();
    if (answer->status == 200) return answer->body;
    return refusal(*answer);
}

/// "?a=1&b=2", of those that have a value.
class Query {
public:
    Query& add(const char* name, const std::string& value) {
        if (!value.empty()) text_ += (text_.empty() ? "?" : "&") + std::string(name) + "=" + value;
        return *this;
    }
    template <class Number>
    Query& add(const char* name, const std::optional<Number>& value) {
        return add(name, value ? std::to_string(*value) : std::string());
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

// ---- of a directory whose broker is stopped

/// One partition's read models and log, and what its checkpoints are signed with.
class Stopped {
public:
    static Result<std::unique_ptr<Stopped>> open(const ProofsOptions& options) {
        set_up_logging("error", "text");
        const Result<Config> config = read_settings(options.directory);
        if (!config) return config.error();
        if (!config->cluster_brokers.empty()) {
            return usage("the log is on Kafka: ask a broker that runs, with --url and --token");
        }
        const auto partitions = count_partitions(config->data);
        if (!partitions) return partitions.error();
        if (*partitions == 0) return usage("there is no log in " + config->data);
        auto lock = LockFile::acquire(config->data);
        if (!lock) {
            return Error{
                lock.error().code, lock.error().detail + "; ask it, with --url and --token", {}};
        }
        auto readers = open_log_readers(config->data, EmbeddedLogReader::Mode::offline);
        if (!readers) return readers.error();
        const auto key = KeyRing::read_checkpoint_key(keys_home(*config));  // none is made here
        if (!key && key.error().code == ErrorCode::not_found) {
            return Error{ErrorCode::not_found,
                         key.error().detail +
                             ": restore it; otherwise the broker makes another when it starts, and "
                             "auditors need its verifier key",
                         {}};
        }
        if (!key) return key.error();
        auto keys = KeyRing::open(keys_home(*config), config->deployment_key_file);
        if (!keys) return keys.error();
        return std::unique_ptr<Stopped>(
            new Stopped(*config, std::move(*lock), std::move(*readers), std::move(*keys)));
    }

    std::uint32_t partitions() const { return static_cast<std::uint32_t>(logs_.size()); }
    const CheckpointSigner& signer() const { return signer_; }
    EmbeddedLogReader& log(PartitionId partition) const { return *logs_.at(partition.value); }

    /// Errors: usage (there is no such partition, or it has no read models), newer_format, …
    Result<const Models*> models(PartitionId partition) {
        if (partition.value >= partitions()) {
            return usage("the log has no partition " + std::to_string(partition.value));
        }
        std::unique_ptr<Models>& models = models_[partition];
        if (!models) {
            const auto directory = Generations(data_, partition).live();
            if (!directory) return directory.error();
            auto opened = Models::open({.directory = *directory, .read_only = true});
            if (!opened) return opened.error();
            models = std::move(*opened);
        }
        return models.get();
    }

private:
    Stopped(const Config& config, LockFile lock,
            std::vector<std::unique_ptr<EmbeddedLogReader>> logs, std::unique_ptr<KeyRing> keys)
        : data_(config.data),
          lock_(std::move(lock)),
          logs_(std::move(logs)),
          keys_(std::move(keys)),
          signer_{config.audit_origin, logs_.front()->genesis().log, *keys_} {}

    const std::filesystem::path data_;
    const LockFile lock_;
    const std::vector<std::unique_ptr<EmbeddedLogReader>> logs_;
    const std::unique_ptr<KeyRing> keys_;
    const CheckpointSigner signer_;
    std::map<PartitionId, std::unique_ptr<Models>> models_;
};

/// The note for that size of the tree, or for all of it.
std::string note_of(const Stopped& stopped, PartitionId partition, const TreeHead& head,
                    std::uint64_t size, const Models& models) {
    return size == head.size ? stopped.signer().sign(partition, head)
                             : stopped.signer().sign(partition, size, models);
}

Result<std::string> checkpoints_of(Stopped& stopped, const ProofsOptions& options) {
    std::string out;
    for (std::uint32_t p = 0; p < stopped.partitions(); ++p) {
        if (options.partition && *options.partition != p) continue;
        if (options.keys_only) {
            out += to_text(stopped.signer().key({p})) + "\n";
            continue;
        }
        const auto models = stopped.models({p});
        if (!models) return models.error();
        if (!out.empty()) out += "\n";
        out += stopped.signer().sign({p}, (*models)->tree_head());
    }
    if (out.empty()) return usage("the log has no such partition");
    return out;
}

Result<std::string> growth_of(Stopped& stopped, const ProofsOptions& options) {
    const PartitionId partition{options.partition.value_or(0)};
    const auto models = stopped.models(partition);
    if (!models) return models.error();
    const TreeHead head = (*models)->tree_head();
    ConsistencyProof proof{*options.from, options.to.value_or(head.size), {}, {}};
    if (proof.from > proof.to || proof.to > head.size) {
        return usage("the tree has " + std::to_string(head.size) + " leaves");
    }
    proof.path = merkle::consistency_proof(
        proof.from, proof.to, [&](const merkle::Subtree& at) { return (*models)->subtree(at); });
    proof.checkpoint = note_of(stopped, partition, head, proof.to, **models);
    return to_json(proof);
}

/// Where the event lies: among the programs of all partitions, or of the one that is named.
struct EventPlace {
    EventName name;
    PartitionId partition;
    CommandPosition command;
};
Result<EventPlace> find_event(Stopped& stopped, const ProofsOptions& options) {
    for (std::uint32_t p = 0; p < stopped.partitions(); ++p) {
        const auto models = stopped.models({p});
        if (!models) return models.error();
        std::optional<ProgramId> program = (*models)->program_of(options.event);
        if (!options.program.empty()) program = ProgramId{options.program};
        const auto name = parse_event_name(options.event, program);
        if (!name) continue;
        if (!name->program) {
            if (name->partition.value != p) continue;
            return EventPlace{*name, name->partition, name->command};
        }
        const auto command = (*models)->command_of(*name->program, name->number);
        if (command) return EventPlace{*name, PartitionId{p}, *command};
    }
    return Error{ErrorCode::not_found,
                 "no such event: name it as in the events topic with --program, or by the id of a "
                 "message or post",
                 {}};
}

Result<std::string> inclusion_of(Stopped& stopped, const ProofsOptions& options) {
    const auto place = find_event(stopped, options);
    if (!place) return place.error();
    const auto models = stopped.models(place->partition);
    if (!models) return models.error();
    const TreeHead head = (*models)->tree_head();
    InclusionProof proof{
        place->name, place->command.value, options.size.value_or(head.size), {}, {}, {}};
    if (proof.index >= proof.size || proof.size > head.size) {
        return usage("the event is leaf " + std::to_string(proof.index) + " of a tree of " +
                     std::to_string(head.size));
    }
    const CapnpCodec codec;
    LeafSearch search(**models, codec, place->command);
    for (bool found = false; !found;) {
        std::vector<CommitRecord> records;
        const auto read =
            stopped.log(place->partition).read_commits(search.from(), limits::kRunBytes, records);
        if (!read) return read.error();
        const auto looked = search.look(records);
        if (!looked) return looked.error();
        found = *looked;
    }
    proof.leaf = search.leaf();
    proof.path = merkle::inclusion_proof(
        proof.index, proof.size, [&](const merkle::Subtree& at) { return (*models)->subtree(at); });
    proof.checkpoint = note_of(stopped, place->partition, head, proof.size, **models);
    return to_json(proof);
}

/// What `of` says of the directory; storage failures are thrown.
template <class Of>
Result<std::string> of_directory(const ProofsOptions& options, Of of) {
    try {
        const auto stopped = Stopped::open(options);
        if (!stopped) return stopped.error();
        return of(**stopped, options);
    } catch (const std::exception& error) {
        return Error{ErrorCode::io, error.what(), {}};
    }
}

// ---- the commands

/// The keys alone, of what the broker lists.
Result<std::string> listed_keys(const Result<std::string>& list) {
    if (!list) return list;
    const auto json = parse_json(*list);
    const JsonValue* data = json ? json->find("data") : nullptr;
    if (data == nullptr) return Error{ErrorCode::malformed, "the broker's answer is no list", {}};
    std::string out;
    for (const JsonValue& item : data->items) {
        if (const JsonValue* key = item.find("key")) out += key->text + "\n";
    }
    return out;
}

/// How many partitions the log has.
Result<std::uint64_t> listed_partitions(const Result<std::string>& list) {
    if (!list) return list.error();
    const auto json = parse_json(*list);
    const JsonValue* count = json ? json->find("partitions") : nullptr;
    std::uint64_t out = 0;
    if (count == nullptr || !count->is_number() ||
        std::from_chars(count->text.data(), count->text.data() + count->text.size(), out).ec !=
            std::errc()) {
        return Error{ErrorCode::malformed, "the broker's answer says no number of partitions", {}};
    }
    return out;
}

int checkpoint(const ProofsOptions& options) {
    if (options.url.empty()) return print_or_report(of_directory(options, checkpoints_of));
    const std::string target = "/v1/audit/checkpoint";
    if (options.keys_only) return print_or_report(listed_keys(ask(options, target)));
    if (options.partition) {
        return print_or_report(
            ask(options, target + Query().add("partition", options.partition).text()));
    }
    const auto partitions = listed_partitions(ask(options, target));
    if (!partitions) return report(partitions.error());
    std::string out;
    for (std::uint64_t p = 0; p < *partitions; ++p) {  // a process lists those that it holds
        const auto note = ask(options, target + "?partition=" + std::to_string(p));
        if (!note) return report(note.error());
        out += (out.empty() ? "" : "\n") + *note;
    }
    return print_or_report(out);
}

int prove(const ProofsOptions& options) {
    const bool grows = options.from.has_value();
    if (grows == !options.event.empty()) {
        return report(usage("name an event, or the tree's size with --from"));
    }
    if (options.url.empty()) {
        return print_or_report(grows ? of_directory(options, growth_of)
                                     : of_directory(options, inclusion_of));
    }
    if (grows) {
        const Query query = Query()
                                .add("partition", std::to_string(options.partition.value_or(0)))
                                .add("from", options.from)
                                .add("to", options.to);
        return print_or_report(ask(options, "/v1/audit/consistency" + query.text()));
    }
    const Query query =
        Query().add("program", encode_segment(options.program)).add("size", options.size);
    return print_or_report(
        ask(options, "/v1/audit/proofs/" + encode_segment(options.event) + query.text()));
}

void print_checkpoint(const Checkpoint& checkpoint) {
    std::printf("       tree    %s\n", checkpoint.origin.c_str());
    std::printf("       size    %llu\n", static_cast<unsigned long long>(checkpoint.size));
    if (!checkpoint.chain) return;
    std::printf("       commit  %llu, %s\n",
                static_cast<unsigned long long>(checkpoint.chain->sequence.value),
                to_hex(checkpoint.chain->hash.view()).c_str());
}

int check_outcome(const std::string& proof, const std::vector<VerifierKey>& keys) {
    const CapnpCodec codec;
    const auto proven = check_inclusion(codec, proof, keys);
    if (!proven) return report(proven.error());
    const Outcome& outcome = proven->outcome;
    std::printf("ok     event %s of program %s is leaf %llu of the tree that was signed\n",
                to_text(proven->event).c_str(), outcome.program.value.c_str(),
                static_cast<unsigned long long>(proven->index));
    print_checkpoint(proven->checkpoint);
    std::printf("       decided %s, on command %s\n", format_time(outcome.time).c_str(),
                to_hex(outcome.id.view()).c_str());
    std::string json;
    append_outcome_json(json, outcome);
    std::printf("%s\n", json.c_str());
    return kDone;
}

/// Of several notes that were kept, the one about the proof's tree, where that can be told.
std::string note_for(const std::string& proof, const std::vector<std::string>& notes) {
    const auto json = parse_json(proof);
    const std::string newer = json ? json->text_of("checkpoint") : "";
    const std::string origin = newer.substr(0, newer.find('\n') + 1);
    for (const std::string& note : notes) {
        if (note.starts_with(origin)) return note;
    }
    return notes.empty() ? "" : notes.front();
}

int check_growth(const std::string& proof, const std::string& earlier,
                 const std::vector<VerifierKey>& keys) {
    if (earlier.empty()) {
        return report(
            usage("the proof is about a tree that grew: name the checkpoint of its "
                  "earlier size, --checkpoint FILE"));
    }
    const auto text = read_text_file(earlier);
    if (!text) return report(text.error());
    const auto notes = split_notes(*text);
    if (!notes) return report({notes.error().code, earlier + ": " + notes.error().detail, {}});
    const auto grown = check_consistency(proof, note_for(proof, *notes), keys);
    if (!grown) return report(grown.error());
    std::printf("ok     no outcome of the tree of %llu leaves was changed or removed since\n",
                static_cast<unsigned long long>(grown->from.size));
    print_checkpoint(grown->to);
    return kDone;
}

int check_proof(const ProofsOptions& options) {
    const auto keys = read_verifier_keys(options.keys);
    if (!keys) return report(keys.error());
    const auto proof = read_text_file(options.file);
    if (!proof) return report(proof.error());
    const auto grows = is_consistency_proof(*proof);
    if (!grows) return report(grows.error());
    return *grows ? check_growth(*proof, options.earlier, *keys) : check_outcome(*proof, *keys);
}

std::shared_ptr<ProofsOptions> add_source_options(CLI::App& command) {
    auto options = std::make_shared<ProofsOptions>();
    add_directory_options(command, options->directory);
    CLI::Option* url = command.add_option("--url", options->url,
                                          "a broker that runs, as http://127.0.0.1:8080; otherwise "
                                          "the data directory of one that is stopped");
    CLI::Option* token =
        command.add_option("--token", options->token, "a token with the role auditor");
    url->needs(token);
    token->needs(url);
    return options;
}

}  // namespace

Result<std::vector<VerifierKey>> own_verifier_keys(const Config& config, const Genesis& genesis) {
    const auto key = KeyRing::read_checkpoint_key(keys_home(config));
    if (!key && key.error().code == ErrorCode::not_found) {
        return usage(key.error().detail + ": name the verifier key with --key");
    }
    if (!key) return key.error();
    std::vector<VerifierKey> out;
    for (std::uint32_t p = 0; p < genesis.partitions; ++p) {
        out.push_back({checkpoint_origin(config.audit_origin, genesis.log, {p}), *key});
    }
    return out;
}

void add_proof_commands(CLI::App& audit, Chosen& chosen) {
    CLI::App* sign = audit.add_subcommand(
        "checkpoint",
        "Print signed checkpoints of the log's Merkle trees, one for each partition. Keep them: "
        "with one, any later change of what it covers shows (`audit verify --checkpoint`).");
    const auto to_sign = add_source_options(*sign);
    sign->add_option("--partition", to_sign->partition, "of this partition alone");
    sign->add_flag("--vkey", to_sign->keys_only, "print the verifier keys instead, one a line");
    sign->callback([to_sign, &chosen] { chosen = [to_sign] { return checkpoint(*to_sign); }; });

    CLI::App* make = audit.add_subcommand(
        "prove",
        "Print a proof, in JSON, that an event is in the log; or, with --from, that the tree of "
        "that size is the beginning of the one there is now.");
    const auto to_prove = add_source_options(*make);
    make->add_option("EVENT", to_prove->event,
                     "as in the events topic (17, refused.3.41), or a message's or post's id");
    make->add_option("--program", to_prove->program,
                     "whose event it is, where its id does not say");
    make->add_option("--size", to_prove->size, "prove it for the tree of this size");
    make->add_option("--from", to_prove->from, "size of the earlier tree");
    make->add_option("--to", to_prove->to, "size of the later one; default: as it is now");
    make->add_option("--partition", to_prove->partition, "with --from: whose tree; default: 0");
    make->callback([to_prove, &chosen] { chosen = [to_prove] { return prove(*to_prove); }; });

    CLI::App* check = audit.add_subcommand(
        "check-proof",
        "Check a proof with nothing but the verifier key, and print what it proves.");
    auto to_check = std::make_shared<ProofsOptions>();
    check->add_option("FILE", to_check->file, "the proof")->required();
    check->add_option("--key", to_check->keys, "verifier key, or a file of them")->required();
    check->add_option("--checkpoint", to_check->earlier,
                      "the checkpoint that was kept, for a proof that a tree has grown");
    check->callback(
        [to_check, &chosen] { chosen = [to_check] { return check_proof(*to_check); }; });
}

}  // namespace tidings::apps
