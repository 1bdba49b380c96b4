// `tidings topics check`: compares the topics of a deployment with what they must be.
#include <cstdio>
#include <memory>
#include <optional>

#include "apps/cluster.h"
#include "apps/commands.h"
#include "apps/directory_options.h"
#include "apps/logging.h"

namespace tidings::apps {

namespace {

struct TopicsOptions {
    DirectoryOptions directory;
    std::optional<std::string> kafka, prefix;
};

/// True: nothing is wrong.
Result<bool> check_topics(const Config& config) {
    const kafka::Settings settings = kafka_settings(config);
    if (settings.brokers.empty()) {
        return Error{ErrorCode::usage,
                     "topics check needs --kafka, or cluster.brokers in the file"};
    }
    auto producer = kafka::Producer::create(settings);
    if (!producer) return producer.error();
    auto consumer = kafka::Consumer::create(settings);
    if (!consumer) return consumer.error();
    kafka::Topics topics(settings, **producer, **consumer);
    const auto commits = topics.describe({topics.names().commits, 0, false, {}});
    if (!commits) return commits.error();
    if (!commits->exists) {
        return Error{ErrorCode::not_found,
                     topics.names().commits + " does not exist: `serve` makes it"};
    }
    const auto genesis = topics.read_all_genesis(commits->partitions);
    const std::uint32_t count =
        genesis && !genesis->empty() ? genesis->front().partitions : commits->partitions;
    const auto report = topics.check(topic_specs(topics.names(), count));
    if (!report) return report.error();
    for (const std::string& line : report->lines) std::printf("ok     %s\n", line.c_str());
    for (const std::string& text : report->warnings) std::printf("note   %s\n", text.c_str());
    for (const std::string& text : report->faults) std::printf("WRONG  %s\n", text.c_str());
    if (!genesis) {
        std::printf("WRONG  %s\n", genesis.error().detail.c_str());
        return false;
    }
    if (!genesis->empty()) {
        std::printf("log    %s, %u partitions\n", to_hex(genesis->front().log.view()).c_str(),
                    count);
    }
    return report->faults.empty();
}

}  // namespace

void add_topics_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<TopicsOptions>();
    CLI::App* topics = app.add_subcommand("topics", "The Kafka topics of a deployment.");
    topics->require_subcommand(1);
    CLI::App* check = topics->add_subcommand(
        "check",
        "Compare the topics with what they must be: partitions, settings, genesis records. Changes "
        "nothing; exit status 1 if something is wrong.");
    add_directory_options(*check, options->directory);
    check->add_option("--kafka", options->kafka,
                      "Kafka brokers, as HOST:PORT,...; instead of the file's `cluster.brokers`");
    check->add_option("--prefix", options->prefix,
                      "prefix of the topics; instead of the file's `cluster.prefix`");
    check->callback([options, &chosen] {
        chosen = [options] {
            set_up_logging("error", "text");
            Result<Config> config = read_settings(options->directory);
            if (!config) return report(config.error());
            if (options->kafka) config->cluster_brokers = *options->kafka;
            if (options->prefix) config->cluster_prefix = *options->prefix;
            const Result<bool> sound = check_topics(*config);
            if (!sound) return report(sound.error());
            return *sound ? kDone : kRefused;
        };
    });
}

}  // namespace tidings::apps
