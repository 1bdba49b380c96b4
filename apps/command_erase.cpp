// tidings erase: forget partners as persons, in a running broker or in the directory of a stopped
// one.
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/data_directory.h"
#include "apps/directory_options.h"
#include "apps/http_client.h"
#include "apps/logging.h"
#include "apps/node.h"
#include "apps/progress.h"
#include "connectors/http/handlers_common.h"
#include "connectors/positions.h"
#include "events/json_value.h"

namespace tidings::apps {

namespace {

struct EraseOptions {
    DirectoryOptions directory;
    std::string url, token, program;
    std::vector<std::string> partners;
};

struct Told {
    std::string position, keys, plain, first, last;
};

/// Errors: why it was not erased.
using Erase = std::function<Result<Told>(const std::string& partner)>;

Result<Told> ask(HttpClient& client, const EraseOptions& options, const std::string& partner) {
    const auto answer = client.request("POST",
                                       "/v1/programs/" + encode_segment(options.program) +
                                           "/partners/" + encode_segment(partner) + "/erasures",
                                       {{"Authorization", "Bearer " + options.token}});
    if (!answer) return answer.error();
    const auto json = parse_json(answer->body);
    if (answer->status != 200 || !json) {
        const std::string detail = json ? json->text_of("detail") : answer->body;
        return Error{ErrorCode::invalid,
                     "the broker answered " + std::to_string(answer->status) + ": " + detail,
                     {}};
    }
    const JsonValue* plain = json->find("plain_records");
    if (plain == nullptr) return Error{ErrorCode::malformed, "no answer of an erasure's", {}};
    return Told{json->text_of("position"), json->text_of("keys_destroyed"), plain->text_of("count"),
                plain->text_of("first"), plain->text_of("last")};
}

Result<Told> erase_here(Node& node, const EraseOptions& options, const std::string& partner) {
    Command command;
    command.id = http::random_command_id();
    command.program = ProgramId{options.program};
    command.actor = Actor{Role::platform, "tidings erase", "tidings erase"};
    command.body = ErasePartner{PartnerId{partner}};
    std::promise<Result<Erasure>> promise;
    node.erase(std::move(command),
               [&promise](Result<Erasure> erased) { promise.set_value(std::move(erased)); });
    const Result<Erasure> erased = promise.get_future().get();
    if (!erased) return erased.error();
    const Applied& applied = erased->applied;
    if (applied.outcome.refusal) {
        return Error{applied.outcome.refusal->code, applied.outcome.refusal->detail, {}};
    }
    return Told{format_position(applied.partition, applied.sequence), std::to_string(erased->keys),
                std::to_string(erased->plain_records),
                format_position(applied.partition, erased->first_plain),
                format_position(applied.partition, erased->last_plain)};
}

int erase_all(const EraseOptions& options, const Erase& erase) {
    Progress progress("erase", Unit::count, options.partners.size());
    std::size_t done = 0;
    bool all = true;
    for (const std::string& partner : options.partners) {
        const Result<Told> told = erase(partner);
        progress.update(++done);
        if (!told) {
            all = false;
            std::fprintf(stderr, "tidings: %s: %s\n", partner.c_str(), told.error().detail.c_str());
            continue;
        }
        std::printf("%s erased at %s, keys destroyed: %s", partner.c_str(), told->position.c_str(),
                    told->keys.c_str());
        if (told->plain != "0") {
            std::printf("; the log holds %s plain records of an older version, from %s to %s",
                        told->plain.c_str(), told->first.c_str(), told->last.c_str());
        }
        std::printf("\n");
    }
    progress.finish();
    return all ? kDone : kRefused;
}

int run_erase(const EraseOptions& options) {
    if (!options.url.empty()) {
        Result<Url> url = parse_url(options.url);
        if (!url) return report(url.error());
        HttpClient client(std::move(*url));
        return erase_all(options,
                         [&](const std::string& partner) { return ask(client, options, partner); });
    }
    set_up_logging("warn", "text");
    const Result<Config> config = read_settings(options.directory);
    if (!config) return report(config.error());
    if (!config->cluster_brokers.empty()) {
        return report({ErrorCode::usage, "the log is on Kafka: ask a running broker, with --url"});
    }
    const Result<std::uint32_t> partitions = count_partitions(config->data);
    if (!partitions) return report(partitions.error());
    if (*partitions == 0) return report({ErrorCode::usage, "there is no log in " + config->data});
    NodeOptions settings;
    settings.data = config->data;
    settings.keys_data = config->keys_data;
    settings.deployment_key_file = config->deployment_key_file;
    settings.snapshots.most = static_cast<std::uint64_t>(config->snapshots);
    auto node = Node::open(settings);
    if (!node) return report(node.error());
    if (const Result<void> started = (*node)->start(); !started) return report(started.error());
    const int status = erase_all(
        options, [&](const std::string& partner) { return erase_here(**node, options, partner); });
    (*node)->stop(std::chrono::milliseconds(0));
    return status;
}

}  // namespace

void add_erase_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<EraseOptions>();
    CLI::App* command = app.add_subcommand(
        "erase", "Forget partners as persons: email, name, and every post of their conversations.");
    add_directory_options(*command, options->directory);
    command->add_option("--url", options->url,
                        "a running broker, as http://127.0.0.1:8080; without it the directory of a "
                        "stopped one");
    command->add_option("--token", options->token, "with --url: a token with the role platform");
    command->add_option("--program", options->program, "program id")->required();
    command->add_option("--partner", options->partners, "partner id; several may be given")
        ->required();
    command->callback([options, &chosen] { chosen = [options] { return run_erase(*options); }; });
}

}  // namespace tidings::apps
