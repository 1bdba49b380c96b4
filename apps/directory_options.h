// `--config` and `--data`: how every command that works on a data directory is told which, so that
// all of them read the same settings as `serve`.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "apps/config.h"
#include "core/result.h"

namespace tidings::apps {

struct DirectoryOptions {
    std::string config;               ///< file; empty: none was named
    std::optional<std::string> data;  ///< instead of the file's
};

/// Adds both options; `options` outlives the parsing.
void add_directory_options(CLI::App& command, DirectoryOptions& options);

/// The file's settings, or the defaults, with `data` as --data says. Errors: usage.
Result<Config> read_settings(const DirectoryOptions& options);

/// The data directory whose keys/ these settings use.
inline const std::string& keys_home(const Config& config) {
    return config.keys_data.empty() ? config.data : config.keys_data;
}

}  // namespace tidings::apps
