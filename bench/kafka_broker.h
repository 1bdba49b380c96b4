// A real Apache Kafka of one node on this machine, by scripts/kafka, or one that is given.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "bench/benchmark.h"
#include "connectors/kafka/settings.h"

namespace tidings::bench {

class KafkaBroker {
public:
    /// Starts one in a directory of its own, or takes that of the environment. Throws Skipped if
    /// there is none to be had.
    KafkaBroker(const Environment& environment, const std::string& name);
    /// Stops it, also when this process dies before. Topics stay behind in a broker that was given.
    ~KafkaBroker();
    KafkaBroker(const KafkaBroker&) = delete;
    KafkaBroker& operator=(const KafkaBroker&) = delete;

    const std::string& brokers() const { return brokers_; }
    /// Of every topic here; no other run has it.
    const std::string& prefix() const { return prefix_; }
    kafka::Settings settings() const;

private:
    struct Close {
        void operator()(FILE* pipe) const { ::pclose(pipe); }
    };
    std::string brokers_, prefix_;
    std::unique_ptr<FILE, Close> stop_;  ///< a shell that stops it when our end is closed
};

}  // namespace tidings::bench
