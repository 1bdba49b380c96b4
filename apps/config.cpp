#include "apps/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>

#include "connectors/checkpoint.h"

namespace tidings::apps {

namespace {

constexpr std::int64_t kConfigDayMs = 24 * 3600 * 1000;

std::vector<Setting> cluster_settings() {
    using C = Config;
    return {
        {"cluster.brokers", &C::cluster_brokers,
         "Kafka brokers, as \"host:9092,host:9092\"; empty: the embedded log"},
        {"cluster.prefix", &C::cluster_prefix, "prefix of the topics: <prefix>.commands, ..."},
        {"cluster.roles", &C::cluster_roles,
         "what this process does: any of api, decider, projector"},
        {"cluster.replicas", &C::cluster_replicas,
         "processes that hold the read models of each partition; 0: all of them hold all", 0, 1000},
        {"cluster.replication", &C::cluster_replication,
         "replication factor of topics that are made; 0: 3, or as many brokers as there are", 0,
         100},
        {"cluster.member_timeout_ms", &C::cluster_member_timeout_ms,
         "a process that is silent for so long is taken for dead, and others take over", 300,
         kConfigDayMs},
        {"cluster.advertise", &C::cluster_advertise,
         "URL by which other processes reach this one, as \"http://10.0.0.7:8080\"; empty: the "
         "address that it listens on"},
        {"cluster.always_decide", &C::cluster_always_decide,
         "decide every partition held, whoever else does: harmless, wasteful, for trying it out"},
        {"cluster.publish_events", &C::cluster_publish_events,
         "publish domain events to <prefix>.events (of processes with the role projector)"},
        {"upstream.topics", &C::upstream_topics,
         "Kafka topics that are read as CloudEvents in JSON (of processes with the role api)"},
    };
}

std::vector<Setting> general_settings() {
    using C = Config;
    return {
        {"data", &C::data, "data directory; made if missing"},
        {"listen", &C::listen, "address and port of the HTTP server; port 0 picks a free one"},
        {"partitions", &C::partitions,
         "partitions of the log; fixed when the data directory is made; 0: 4 for a new "
         "directory, otherwise what it has",
         0, 1024},
    };
}

std::vector<Setting> http_settings() {
    using C = Config;
    return {
        {"http.io_threads", &C::io_threads, "threads that serve connections; 0: one per core", 0,
         256},
        {"http.operations", &C::operations, "serve /healthz, /readyz and /metrics"},
        {"http.max_connections", &C::max_connections,
         "open connections; further ones get 503 and are closed", 1, 1'000'000},
        {"http.header_timeout_ms", &C::header_timeout_ms,
         "a request's line and headers must arrive within this time", 1, kConfigDayMs},
        {"http.body_timeout_ms", &C::body_timeout_ms,
         "a JSON body, and each next piece of a streamed one, must arrive within this time", 1,
         kConfigDayMs},
        {"http.write_timeout_ms", &C::write_timeout_ms,
         "an answer, or each piece of a streamed one, must be taken within this time", 1,
         kConfigDayMs},
        {"http.idle_timeout_ms", &C::idle_timeout_ms,
         "a connection without a request is closed after this time", 1, kConfigDayMs},
        {"http.shutdown_timeout_ms", &C::shutdown_timeout_ms,
         "requests under way at a shutdown get this long to finish", 0, kConfigDayMs},
        {"http.min_position_wait_ms", &C::min_position_wait_ms,
         "a read with Tidings-Min-Position waits this long before 503 not_caught_up", 0,
         kConfigDayMs},
        {"http.outcome_timeout_ms", &C::outcome_timeout_ms,
         "a write waits this long for its outcome before 503 outcome_unknown", 1, kConfigDayMs},
        {"http.token_cache", &C::token_cache, "verified tokens remembered until they expire", 0,
         10'000'000},
        {"rate_limit.requests_per_second", &C::requests_per_second,
         "requests of one caller (role, program, partner or sub); more get 429; 0: no limit", 0,
         1'000'000},
        {"rate_limit.burst", &C::request_burst,
         "requests that a caller saves up while idle; 0: as many as rate_limit.requests_per_second",
         0, 1'000'000},
        {"cors.allowed_origins", &C::allowed_origins,
         "origins whose pages may call the API, as \"https://portal.example\"; \"*\": any"},
    };
}

std::vector<Setting> process_settings() {
    using C = Config;
    return {
        {"keys.jwks_file", &C::jwks_file,
         "public keys that tokens are verified with (JWKS; Ed25519, ES256); empty: the data "
         "directory's own key"},
        {"keys.deployment_key_file", &C::deployment_key_file,
         "key that seals webhook secrets: 32 bytes, or 64 hex digits; empty: the data directory's "
         "own"},
        {"keys.data", &C::keys_data,
         "data directory whose keys/ are used: one for all processes of a deployment on Kafka; "
         "empty: the own one"},
        {"audit.origin", &C::audit_origin,
         "what the origins of checkpoints begin with, as a host name of yours; set it before the "
         "first checkpoint is handed out: another one is another log to whoever keeps them"},
        {"memory.block_cache_mib", &C::block_cache_mib, "blocks of the read models' tables", 1,
         1 << 20},
        {"memory.write_buffer_mib", &C::write_buffer_mib,
         "rows of the read models not yet written out, all partitions together", 4, 1 << 20},
        {"memory.row_cache_mib", &C::row_cache_mib,
         "decoded rows and sets of the read models, all partitions together", 1, 1 << 20},
        {"memory.log_buffer_mib", &C::log_buffer_mib,
         "log records not yet in table files, all partitions together; a start replays at most "
         "twice as much",
         4, 1 << 20},
        {"history.snapshots", &C::snapshots,
         "snapshots of the read models kept per partition, for questions about the past; 0: none",
         0, 1'000},
        {"history.snapshot_every_kib", &C::snapshot_every_kib,
         "log between two of them: what a question about the past reads at most, until the log is "
         "too long for so many",
         1, 1 << 30},
        {"log.level",
         &C::log_level,
         "the least serious messages that are logged",
         0,
         0,
         {"debug", "info", "warn", "error"}},
        {"log.format", &C::log_format, "text, or one JSON object a line", 0, 0, {"text", "json"}},
    };
}

std::vector<Setting> make_settings() {
    std::vector<Setting> all;
    for (auto part : {general_settings, cluster_settings, http_settings, process_settings}) {
        const std::vector<Setting> settings = part();
        all.insert(all.end(), settings.begin(), settings.end());
    }
    return all;
}

Error fault_at(std::string_view name, const toml::source_region& at, const std::string& what) {
    std::string where(name);
    if (at.begin.line != 0) where += ":" + std::to_string(at.begin.line);
    return Error{ErrorCode::usage, where + ": " + what};
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

struct FieldReader {
    const Setting& setting;
    const toml::node& node;
    std::string_view name;
    Config& config;

    Error wrong(const std::string& rule) const {
        return fault_at(name, node.source(), std::string(setting.key) + " must be " + rule);
    }

    Result<void> operator()(std::string Config::*field) const {
        const auto value = node.value_exact<std::string>();
        if (!value) return wrong("a string");
        const auto& words = setting.words;
        if (!words.empty() && std::find(words.begin(), words.end(), *value) == words.end()) {
            std::string list;
            for (const std::string_view word : words)
                list += (list.empty() ? "" : ", ") + in_quotes(word);
            return wrong("one of " + list);
        }
        config.*field = *value;
        return {};
    }
    Result<void> operator()(std::int64_t Config::*field) const {
        const auto value = node.value_exact<std::int64_t>();
        if (!value) return wrong("an integer");
        if (*value < setting.minimum || *value > setting.maximum) {
            return wrong("from " + std::to_string(setting.minimum) + " to " +
                         std::to_string(setting.maximum));
        }
        config.*field = *value;
        return {};
    }
    Result<void> operator()(bool Config::*field) const {
        const auto value = node.value_exact<bool>();
        if (!value) return wrong("true or false");
        config.*field = *value;
        return {};
    }
    Result<void> operator()(std::vector<std::string> Config::*field) const {
        const toml::array* list = node.as_array();
        if (list == nullptr) return wrong("a list of strings");
        std::vector<std::string> values;
        for (const toml::node& item : *list) {
            const auto value = item.value_exact<std::string>();
            if (!value) return wrong("a list of strings");
            values.push_back(*value);
        }
        config.*field = std::move(values);
        return {};
    }
};

/// librdkafka's settings have dots in their names, which TOML takes for tables.
Result<void> read_kafka(const toml::table& table, const std::string& prefix, std::string_view name,
                        Config& config) {
    for (const auto& [key, node] : table) {
        const std::string full = prefix + std::string(key.str());
        if (const toml::table* inner = node.as_table()) {
            const Result<void> read = read_kafka(*inner, full + ".", name, config);
            if (!read) return read.error();
        } else if (const auto text = node.value_exact<std::string>()) {
            config.kafka.emplace_back(full, *text);
        } else if (const auto number = node.value_exact<std::int64_t>()) {
            config.kafka.emplace_back(full, std::to_string(*number));
        } else if (const auto flag = node.value_exact<bool>()) {
            config.kafka.emplace_back(full, *flag ? "true" : "false");
        } else {
            return fault_at(name, node.source(), "kafka." + full + " must be a string or a number");
        }
    }
    return {};
}

/// Sets everything in `table`, whose keys start with `prefix`.
Result<void> read_table(const toml::table& table, const std::string& prefix, std::string_view name,
                        Config& config) {
    for (const auto& [key, node] : table) {
        const std::string full = prefix + std::string(key.str());
        if (full == "kafka") {
            const toml::table* kafka = node.as_table();
            if (kafka == nullptr) return fault_at(name, node.source(), "kafka must be a table");
            const Result<void> read = read_kafka(*kafka, "", name, config);
            if (!read) return read.error();
            continue;
        }
        const auto all = settings();
        const auto setting = std::find_if(all.begin(), all.end(),
                                          [&full](const Setting& s) { return s.key == full; });
        if (setting != all.end()) {
            const Result<void> set =
                std::visit(FieldReader{*setting, node, name, config}, setting->field);
            if (!set) return set.error();
            continue;
        }
        const std::string section = full + ".";
        const bool known = std::any_of(all.begin(), all.end(), [&section](const Setting& s) {
            return s.key.starts_with(section);
        });
        if (!known) return fault_at(name, key.source(), "unknown setting " + full);
        const toml::table* inner = node.as_table();
        if (inner == nullptr) return fault_at(name, node.source(), full + " must be a table");
        const Result<void> read = read_table(*inner, section, name, config);
        if (!read) return read.error();
    }
    return {};
}

std::string default_text(const Setting& setting) {
    const Config defaults;
    if (const auto* text = std::get_if<std::string Config::*>(&setting.field)) {
        return in_quotes(defaults.*(*text));
    }
    if (const auto* number = std::get_if<std::int64_t Config::*>(&setting.field)) {
        return std::to_string(defaults.*(*number));
    }
    if (const auto* flag = std::get_if<bool Config::*>(&setting.field)) {
        return defaults.*(*flag) ? "true" : "false";
    }
    return "[]";
}

}  // namespace

std::span<const Setting> settings() {
    static const std::vector<Setting> all = make_settings();
    return all;
}

Result<Config> parse_config(std::string_view toml, std::string_view name) {
    Config config;
    try {
        const toml::table table = toml::parse(toml);
        const Result<void> read = read_table(table, "", name, config);
        if (!read) return read.error();
    } catch (const toml::parse_error& error) {
        return fault_at(name, error.source(), std::string(error.description()));
    }
    const Result<ListenAddress> listen = parse_listen(config.listen);
    if (!listen) return Error{ErrorCode::usage, std::string(name) + ": " + listen.error().detail};
    if (!valid_origin_host(config.audit_origin)) {
        return Error{ErrorCode::usage, std::string(name) +
                                           ": audit.origin must be 1 to 200 bytes without spaces "
                                           "and '+'"};
    }
    return config;
}

Result<Config> load_config(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in || in.bad()) return Error{ErrorCode::io, "cannot read " + file.string()};
    return parse_config(text, file.string());
}

Result<ListenAddress> parse_listen(std::string_view text) {
    const Error wrong{
        ErrorCode::usage,
        "listen must be ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080, not " + in_quotes(text)};
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return wrong;
    std::string_view address = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    const bool bracketed = address.starts_with('[') && address.ends_with(']');
    if (bracketed) address = address.substr(1, address.size() - 2);
    if (address.empty() || bracketed != (address.find(':') != std::string_view::npos)) return wrong;
    ListenAddress out{std::string(address), 0};
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc() || end != port.data() + port.size()) return wrong;
    return out;
}

std::string settings_help() {
    std::ostringstream out;
    out << "Settings of the configuration file (TOML) and their defaults:\n";
    for (const Setting& setting : settings()) {
        out << "  " << setting.key << " = " << default_text(setting) << "\n      " << setting.help
            << "\n";
    }
    out << "  kafka.<name>\n      any setting of librdkafka, as kafka.security.protocol = \"SSL\", "
           "but for those that the log's promise depends on\n";
    return out.str();
}

}  // namespace tidings::apps
