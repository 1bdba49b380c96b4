// `tidings serve`: the configuration file, and the options that override it.
#include <memory>
#include <optional>

#include "apps/commands.h"
#include "apps/serve.h"

namespace tidings::apps {

namespace {

struct Options {
    std::string config;
    std::optional<std::string> data, listen;
    bool demo = false;
};

int run(const Options& options) {
    Config config;
    if (!options.config.empty()) {
        Result<Config> loaded = load_config(options.config);
        if (!loaded) {
            report(loaded.error());
            return kUsage;
        }
        config = std::move(*loaded);
    }
    if (options.data) config.data = *options.data;
    if (options.listen) config.listen = *options.listen;
    const Result<ListenAddress> listen = parse_listen(config.listen);
    if (!listen) return report(listen.error());
    return serve(config, options.demo);
}

}  // namespace

void add_serve_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(
        "serve", "Run the broker: HTTP API, log and read models in one process.");
    command->add_option("--config", options->config, "configuration file (TOML); see below");
    command->add_option("--data", options->data, "data directory; instead of the file's `data`");
    command->add_option("--listen", options->listen,
                        "ADDRESS:PORT to listen on; instead of the file's `listen`");
    command->add_flag("--demo", options->demo,
                      "load a small believable program, and print commands to try it with");
    command->footer(settings_help());
    command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tidings::apps
