// The settings of `serve`: one flat struct, one table that names, describes and bounds each of
// them, and the TOML file that sets them. Nothing is read from anywhere else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/result.h"

namespace tidings::apps {

/// The defaults keep resident memory under 512 MiB with 1,000,000 partners and 10,000 messages.
struct Config {
    std::string data = "data";
    std::string listen = "127.0.0.1:8080";
    std::int64_t partitions = 0;

    std::int64_t io_threads = 0;
    bool operations = true;
    std::int64_t max_connections = 20'000;
    std::int64_t header_timeout_ms = 10'000;
    std::int64_t body_timeout_ms = 30'000;
    std::int64_t write_timeout_ms = 30'000;
    std::int64_t idle_timeout_ms = 75'000;
    std::int64_t shutdown_timeout_ms = 10'000;
    std::int64_t min_position_wait_ms = 2'000;
    std::int64_t outcome_timeout_ms = 15'000;
    std::int64_t token_cache = 20'000;

    std::string cluster_brokers;
    std::string cluster_prefix = "tidings";
    std::string cluster_roles = "api,decider,projector";
    std::int64_t cluster_replicas = 0;
    std::int64_t cluster_replication = 0;
    std::int64_t cluster_member_timeout_ms = 3'000;
    std::string cluster_advertise;
    bool cluster_always_decide = false;
    bool cluster_publish_events = true;
    std::vector<std::string> upstream_topics;
    /// [kafka]: librdkafka's own settings, by name, in the file's order of names.
    std::vector<std::pair<std::string, std::string>> kafka;

    std::int64_t requests_per_second = 0;
    std::int64_t request_burst = 0;

    std::vector<std::string> allowed_origins;

    std::string jwks_file;
    std::string deployment_key_file;
    std::string keys_data;

    std::string audit_origin = "tidings.example";

    std::int64_t block_cache_mib = 96;
    std::int64_t write_buffer_mib = 64;
    std::int64_t row_cache_mib = 128;
    std::int64_t log_buffer_mib = 32;

    std::int64_t snapshots = 16;
    std::int64_t snapshot_every_kib = 16 << 10;

    std::string log_level = "info";
    std::string log_format = "text";

    bool operator==(const Config&) const = default;
};

struct Setting {
    using Field = std::variant<std::string Config::*, std::int64_t Config::*, bool Config::*,
                               std::vector<std::string> Config::*>;
    std::string_view key;  ///< as in the file, e.g. "http.io_threads"
    Field field;
    std::string_view help;
    std::int64_t minimum = 0, maximum = 0;     ///< of numbers
    std::vector<std::string_view> words = {};  ///< of strings: the ones allowed; empty: any
};
std::span<const Setting> settings();

/// Settings left out keep their defaults. Errors: usage, with `name`, line and key: not TOML, an
/// unknown key, a wrong type, a value out of bounds.
Result<Config> parse_config(std::string_view toml, std::string_view name);
/// Errors: usage; io (the file can't be read).
Result<Config> load_config(const std::filesystem::path& file);

/// "127.0.0.1:8080", "[::1]:0". Errors: usage.
struct ListenAddress {
    std::string address;
    std::uint16_t port = 0;
    bool operator==(const ListenAddress&) const = default;
};
Result<ListenAddress> parse_listen(std::string_view text);

/// The settings with their defaults, for `serve --help`.
std::string settings_help();

}  // namespace tidings::apps
