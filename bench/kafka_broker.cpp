#include "bench/kafka_broker.h"

#include <unistd.h>

#include "bench/check.h"
#include "bench/shell.h"

namespace tidings::bench {

namespace {

const std::string kScript = TIDINGS_SOURCE_DIR "/scripts/kafka";

}  // namespace

KafkaBroker::KafkaBroker(const Environment& environment, const std::string& name)
    : brokers_(environment.kafka_brokers),
      prefix_("bench-" + std::to_string(::getpid()) + "-" + name) {
    if (!brokers_.empty()) return;
    const std::string directory = quoted(environment.fresh(name + "-broker").string());
    const std::string errors = environment.directory / (name + "-broker.log");
    say("  starting Apache Kafka");
    const ShellResult started =
        run_shell(quoted(kScript) + " start --nodes 1 --port 0 --directory " + directory + " 2>" +
                  quoted(errors));
    // Before anything else: a broker that has started is stopped however this process ends.
    const std::string stop = "trap '' INT TERM HUP; read _; exec " + quoted(kScript) +
                             " stop --directory " + directory + " >/dev/null 2>&1";
    if (started.good) stop_.reset(::popen(stop.c_str(), "we"));
    if (started.good && stop_ && !started.out.empty()) {
        brokers_ = started.out.substr(started.out.rfind('\n') + 1);
        return;
    }
    throw Skipped("no Kafka broker can be started here: " + last_line_of(errors) +
                  "; --kafka BROKERS names one that runs");
}

KafkaBroker::~KafkaBroker() = default;

kafka::Settings KafkaBroker::settings() const {
    kafka::Settings out;
    out.brokers = brokers_;
    out.prefix = prefix_;
    return out;
}

}  // namespace tidings::bench
