#include "apps/serve.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "apps/cluster_metrics.h"
#include "apps/commands.h"
#include "apps/demo.h"
#include "apps/direct_client.h"
#include "apps/logging.h"
#include "apps/node.h"
#include "apps/routes.h"
#include "apps/signals.h"
#include "apps/upstream_topics.h"
#include "connectors/http/auth.h"
#include "connectors/http/metrics.h"
#include "connectors/http/server.h"

namespace tidings::apps {

namespace {

using std::chrono::milliseconds;

/// Files that RocksDB and everything but connections may have open.
constexpr std::uint64_t kOtherFiles = 4'096;

void raise_file_limit(std::int64_t connections) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    const bool raised = ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
    if (raised && limit.rlim_cur >= static_cast<std::uint64_t>(connections) + kOtherFiles) return;
    spdlog::warn(
        "at most {} files may be open, too few for http.max_connections = {}: raise the "
        "limit (ulimit -n, or LimitNOFILE of systemd)",
        limit.rlim_cur, connections);
}

constexpr std::size_t mib(std::int64_t count) { return static_cast<std::size_t>(count) << 20; }

Result<std::optional<ClusterOptions>> cluster_options(const Config& config) {
    if (config.cluster_brokers.empty()) return std::optional<ClusterOptions>();
    const Result<Roles> roles = parse_roles(config.cluster_roles);
    if (!roles) return roles.error();
    ClusterOptions options;
    options.settings = kafka_settings(config);
    if (const Result<void> good = kafka::check(options.settings); !good) return good.error();
    if (const Result<void> good = check_upstream_topics(config); !good) return good.error();
    options.roles = *roles;
    options.partitions = static_cast<std::uint32_t>(config.partitions);
    options.replication = static_cast<std::uint32_t>(config.cluster_replication);
    options.replicas = static_cast<std::uint32_t>(config.cluster_replicas);
    options.member_timeout = milliseconds(config.cluster_member_timeout_ms);
    options.publishes = config.cluster_publish_events;
    options.always_decides = config.cluster_always_decide;
    return std::optional<ClusterOptions>(std::move(options));
}

Result<NodeOptions> node_options(const Config& config, http::Metrics& metrics) {
    NodeOptions options;
    Result<std::optional<ClusterOptions>> cluster = cluster_options(config);
    if (!cluster) return cluster.error();
    options.cluster = std::move(*cluster);
    options.keys_data = config.keys_data;
    options.data = config.data;
    options.partitions = static_cast<std::uint32_t>(config.partitions);
    options.deployment_key_file = config.deployment_key_file;
    options.block_cache_bytes = mib(config.block_cache_mib);
    options.write_buffer_bytes = mib(config.write_buffer_mib);
    options.row_cache_bytes = mib(config.row_cache_mib);
    options.log_buffer_bytes = mib(config.log_buffer_mib);
    options.audit_origin = config.audit_origin;
    options.snapshots.most = static_cast<std::uint64_t>(config.snapshots);
    options.snapshots.every = static_cast<std::uint64_t>(config.snapshot_every_kib) << 10;
    options.outcome_timeout_ms = config.outcome_timeout_ms;
    options.metrics = &metrics;
    return options;
}

/// REQUIRES: config.listen is well-formed (load_config has seen to it).
http::ServerOptions server_options(const Config& config) {
    const ListenAddress listen = parse_listen(config.listen).value();
    http::ServerOptions options;
    options.address = listen.address;
    options.port = listen.port;
    options.io_threads = config.io_threads == 0 ? std::max(1u, std::thread::hardware_concurrency())
                                                : static_cast<unsigned>(config.io_threads);
    options.max_connections = static_cast<std::size_t>(config.max_connections);
    options.header_timeout_ms = static_cast<int>(config.header_timeout_ms);
    options.body_timeout_ms = static_cast<int>(config.body_timeout_ms);
    options.write_timeout_ms = static_cast<int>(config.write_timeout_ms);
    options.idle_timeout_ms = static_cast<int>(config.idle_timeout_ms);
    return options;
}

Result<std::unique_ptr<http::TokenVerifier>> make_verifier(const Config& config,
                                                           const KeyRing& keys) {
    http::TokenOptions options;
    options.cache_entries = static_cast<std::size_t>(config.token_cache);
    if (!config.jwks_file.empty()) {
        // Processes of a deployment speak to each other by tokens of the keys that they share.
        const std::string own = config.cluster_brokers.empty() ? "" : keys.public_jwks();
        return http::TokenVerifier::from_file(config.jwks_file, options, own);
    }
    return http::TokenVerifier::create(keys.public_jwks(), options);
}

std::string url_of(const std::string& address, std::uint16_t port) {
    const bool v6 = address.find(':') != std::string::npos;
    return "http://" + (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

/// Where the process itself reaches a server that listens on `address`.
std::string loopback_url(const std::string& address, std::uint16_t port) {
    if (address == "0.0.0.0") return url_of("127.0.0.1", port);
    if (address == "::") return url_of("::1", port);
    return url_of(address, port);
}

/// By which this process speaks to the others of its deployment, for a short while.
Result<std::string> internal_token(const KeyRing& keys, const Actor& actor) {
    constexpr std::chrono::seconds kLife{60};
    Claims claims;
    claims.role = actor.role;
    claims.sub = actor.sub.plain();
    claims.name = actor.name.plain();
    const auto now = std::chrono::system_clock::now().time_since_epoch() + kLife;
    claims.expires_at_s = std::chrono::duration_cast<std::chrono::seconds>(now).count();
    return keys.issue_token(claims);
}

DemoOptions demo_options(const Routes& routes, Node& node) {
    DemoOptions options;
    options.ask = [client = DirectClient(routes.router())](
                      const char* method, const std::string& target, const Headers& headers,
                      std::string body) mutable {
        return client.request(method, target, headers, std::move(body));
    };
    options.issue_token = [&node](const Claims& claims) { return node.keys().issue_token(claims); };
    options.stamp_behind = [&node](milliseconds lag) { node.stamp_behind(lag); };
    return options;
}

Result<void> print_demo(const DemoOptions& options, const std::string& url) {
    const Result<std::string> text = demo_commands(options, url);
    if (!text) return text.error();
    std::printf("%s\n", text->c_str());
    return {};
}

/// Everything after the configuration; `signals` was made before any other thread.
Result<void> run(const Config& config, bool demo, ShutdownSignals& signals) {
    http::Metrics metrics;
    const Result<NodeOptions> node_settings = node_options(config, metrics);
    if (!node_settings) return node_settings.error();
    Result<std::unique_ptr<Node>> opened = Node::open(*node_settings);
    if (!opened) return opened.error();
    Node& node = **opened;
    spdlog::info("start data={} partitions={}", config.data, node.partitions());

    auto verifier = make_verifier(config, node.keys());
    if (!verifier) return verifier.error();
    std::atomic<bool> started{false};
    Routes routes(
        node, **verifier, metrics,
        {.allowed_origins = config.allowed_origins,
         .min_position_wait_ms = static_cast<int>(config.min_position_wait_ms),
         .requests_per_second = config.requests_per_second,
         .request_burst = config.request_burst,
         .operations = config.operations,
         .forwarding = node.cluster() != nullptr,
         .serves_clients = node.cluster() == nullptr || node.cluster()->options().roles.api,
         .audit = &node.audit_source(),
         .rebuilder = &node.rebuilder(),
         .open = &started,
         .forwarder = {.issue_internal_token = [&node](const Actor& actor) {
             return internal_token(node.keys(), actor);
         }}});
    // Already now, so that /readyz can say how far the start is.
    const http::ServerOptions options = server_options(config);
    http::Server server(options, routes.router(), metrics);
    const Result<std::uint16_t> port = server.start();
    if (!port) return port.error();
    const std::string url = url_of(options.address, *port);
    spdlog::info("listen url={} io_threads={}", url, options.io_threads);

    signals.on_request([&node] { node.cancel_start(); });
    Result<void> loaded = node.start();
    signals.on_request({});
    if (signals.requested()) return {};
    if (!loaded) return loaded;
    // before others are answered: what arrived meanwhile would be stamped in the demo's past
    const DemoOptions demo_program = demo_options(routes, node);
    if (demo) loaded = load_demo(demo_program);
    if (!loaded) return loaded;
    started = true;
    std::unique_ptr<kafka::UpstreamReader> upstream;
    if (node.cluster() != nullptr && !config.upstream_topics.empty()) {
        upstream = read_upstream_topics(*node.cluster(), routes.intake(), config.upstream_topics,
                                        server.executors());
    }
    if (node.cluster() != nullptr) {
        add_cluster_metrics(metrics, &node, *node.cluster(), node.publisher(), upstream.get());
    }
    node.advertise(config.cluster_advertise.empty() ? url : config.cluster_advertise);
    if (demo) loaded = print_demo(demo_program, loopback_url(options.address, *port));
    if (loaded) {
        std::printf("listening on %s\n", url.c_str());
        std::fflush(stdout);
        signals.wait();
    }

    const milliseconds grace(config.shutdown_timeout_ms);
    metrics.remove_callbacks(&node);
    upstream.reset();
    server.stop(grace);
    node.stop(grace);
    spdlog::info("stopped");
    return loaded;
}

}  // namespace

int serve(const Config& config, bool demo) {
    ShutdownSignals signals;
    set_up_logging(config.log_level, config.log_format);
    raise_file_limit(config.max_connections);
    const Result<void> done = run(config, demo, signals);
    if (done) return kDone;
    return report(done.error());
}

}  // namespace tidings::apps
