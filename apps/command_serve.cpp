// `tidings serve`: the configuration file, and the options that override it.
#include <memory>
#include <optional>

#include "apps/commands.h"
#include "apps/directory_options.h"
#include "apps/serve.h"

namespace tidings::apps {

namespace {

struct ServeOptions {
    DirectoryOptions directory;
    std::optional<std::string> listen, kafka, roles;
    bool demo = false;
};

int run_serve(const ServeOptions& options) {
    Result<Config> config = read_settings(options.directory);
    if (!config) return report(config.error());
    if (options.listen) config->listen = *options.listen;
    if (options.kafka) config->cluster_brokers = *options.kafka;
    if (options.roles) config->cluster_roles = *options.roles;
    const Result<ListenAddress> listen = parse_listen(config->listen);
    if (!listen) return report(listen.error());
    return serve(*config, options.demo);
}

}  // namespace

void add_serve_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<ServeOptions>();
    CLI::App* command = app.add_subcommand(
        "serve", "Run the broker: HTTP API, log and read models in one process.");
    add_directory_options(*command, options->directory);
    command->add_option("--listen", options->listen,
                        "ADDRESS:PORT to listen on; instead of the file's `listen`");
    command->add_option("--kafka", options->kafka,
                        "Kafka brokers, as HOST:PORT,...; instead of the file's `cluster.brokers`");
    command->add_option("--roles", options->roles,
                        "any of api,decider,projector; instead of the file's `cluster.roles`");
    command->add_flag("--demo", options->demo,
                      "load a small believable program, and print commands to try it with");
    command->footer(settings_help());
    command->callback([options, &chosen] { chosen = [options] { return run_serve(*options); }; });
}

}  // namespace tidings::apps
