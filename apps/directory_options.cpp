#include "apps/directory_options.h"

namespace tidings::apps {

void add_directory_options(CLI::App& command, DirectoryOptions& options) {
    command.add_option("--config", options.config,
                       "configuration file (TOML), the same as of `serve`");
    command.add_option(
        "--data", options.data,
        "data directory; instead of the file's `data`, which is \"data\" if left out");
}

Result<Config> read_settings(const DirectoryOptions& options) {
    Config config;
    if (!options.config.empty()) {
        Result<Config> loaded = load_config(options.config);
        // a file that can't be read is wrong usage, too: it was named on the command line
        if (!loaded) return Error{ErrorCode::usage, loaded.error().detail};
        config = std::move(*loaded);
    }
    if (options.data) config.data = *options.data;
    return config;
}

}  // namespace tidings::apps
