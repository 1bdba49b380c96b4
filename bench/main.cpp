// tidings-bench: arguments in, JSON lines and a table on stdout, what goes on on stderr.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <exception>

#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/empty_server.h"
#include "bench/mixed_program.h"
#include "bench/report.h"
#include "bench/server_process.h"
#include "events/scratch_directory.h"

namespace tidings::bench {

std::uint64_t Environment::scaled(std::uint64_t base) const {
    return std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::llround(static_cast<double>(base) * scale)));
}

std::filesystem::path Environment::fresh(const std::string& name) const {
    std::filesystem::path out = directory / name;
    std::filesystem::remove_all(out);
    std::filesystem::create_directories(out);
    return out;
}

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

std::span<const Benchmark> benchmarks() {
    static const Benchmark all[] = {
        {"P1", "send to all of 1,000,000 partners over HTTP, until visible", run_sends},
        {"P3", "RecordOpen, one HTTP request each, every one a first open", run_single_opens},
        {"P4", "8,000,000 RecordOpens of 20 messages in bulk, in process", run_bulk_opens},
        {"P5", "draining 2,000,000 RecordOpen commands preloaded in a topic of Kafka", run_drain},
        {"P6", "inbox page of 20 over HTTP, 1,000,000 partners, 10,000 messages", run_inbox},
        {"P7", "unread count and message statistics, in process", run_counts},
        {"P8", "all read models of a partition anew from 10,000,000 events", run_rebuild},
        {"P9", "command until visible over HTTP, on Kafka, one at a time", run_kafka_latency},
        {"P11", "resident memory: 1,000,000 partners, 10,000 messages, 10,000,000 opens",
         run_memory},
        {"P12", "start to ready after kill -9 with 100,000,000 opens in the log", run_start},
        {"P14", "import of 1,000,000 partners over HTTP", run_import},
        {"P15", "a message as of a random position of a log with 20,000,000 opens", run_history},
    };
    return all;
}

namespace {

struct Options {
    bool list = false, all = false;
    std::vector<std::string> run;
    std::string directory, server;
    std::optional<std::size_t> empty_body;
};

void add_options(CLI::App& app, Options& options, Environment& environment) {
    app.add_flag("--list", options.list, "what there is to run");
    app.add_flag("--all", options.all, "run everything");
    app.add_option("--run", options.run, "run these, e.g. P1 P3")->delimiter(',');
    app.add_option("--scale", environment.scale, "size of the work, e.g. 0.1 or 10")
        ->check(CLI::PositiveNumber);
    app.add_option("--repeat", environment.repeat, "runs of each side; medians are reported")
        ->check(CLI::PositiveNumber);
    app.add_option("--directory", options.directory,
                   "where data is put while it runs; default: beside this program");
    app.add_option("--server", options.server, "the tidings program; default: beside this one");
    app.add_option("--config", environment.config_lines,
                   "more settings for the server, e.g. 'http.io_threads = 1'");
    app.add_option(
        "--kafka", environment.kafka_brokers,
        "brokers for P5, P8 and P9, e.g. 127.0.0.1:9092; default: scripts/kafka starts one");
    app.add_option("--serve-empty", options.empty_body, "serve bodies of this many bytes")
        ->group("");
}

bool is_wanted(const Benchmark& benchmark, const Options& options) {
    return options.all ||
           std::find(options.run.begin(), options.run.end(), benchmark.id) != options.run.end();
}

void run_wanted(const Options& options, Environment& environment) {
    const std::string machine = describe_machine(), commit = describe_commit();
    std::vector<Row> rows;
    for (const Benchmark& benchmark : benchmarks()) {
        if (!is_wanted(benchmark, options)) continue;
        say(std::string(benchmark.id) + ": " + benchmark.workload + ", scale " +
            format_number(environment.scale));
        Row row;
        try {
            row = benchmark.run(environment);
        } catch (const Skipped& reason) {
            say(std::string(benchmark.id) + ": skipped: " + reason.what());
            continue;
        }
        row.id = benchmark.id;
        if (!row.peer.empty() && !row.peer_figure)
            say(row.id + ": peer missing, skipped: " + row.peer);
        std::printf("%s\n", json_line(row, environment, machine, commit).c_str());
        std::fflush(stdout);
        rows.push_back(std::move(row));
    }
    std::printf("\n%s, commit %s, scale %s\n%s", machine.c_str(), commit.c_str(),
                format_number(environment.scale).c_str(), table(rows).c_str());
}

int run(int count, char** arguments) {
    CLI::App app("Measures the broker and the machine's limits in turn. See docs/performance.md.",
                 "tidings-bench");
    Options options;
    Environment environment;
    add_options(app, options, environment);
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (options.empty_body) return serve_empty(*options.empty_body);
    if (options.list) {
        for (const Benchmark& b : benchmarks()) std::printf("%-4s %s\n", b.id, b.workload);
        return 0;
    }
    for (const std::string& id : options.run) {
        const auto all = benchmarks();
        if (std::any_of(all.begin(), all.end(), [&id](const Benchmark& b) { return id == b.id; })) {
            continue;
        }
        std::fprintf(stderr, "tidings-bench: there is no benchmark %s; see --list\n", id.c_str());
        return 2;
    }
    if (!options.all && options.run.empty()) {
        std::fprintf(stderr, "%s", app.help().c_str());
        return 2;
    }
    const std::filesystem::path beside = own_executable().parent_path();
    const ScratchDirectory directory = value_of(
        ScratchDirectory::make(
            options.directory.empty() ? beside : std::filesystem::absolute(options.directory),
            "tidings-bench"),
        "--directory");
    environment.directory = directory.path();
    environment.server =
        options.server.empty() ? beside / "tidings" : std::filesystem::absolute(options.server);
    run_wanted(options, environment);
    environment.mixed.reset();
    return 0;
}

}  // namespace

}  // namespace tidings::bench

int main(int count, char** arguments) {
    try {
        return tidings::bench::run(count, arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "tidings-bench: FAILED: %s\n", error.what());
        return 1;
    }
}
