// What a benchmark gets and what it gives back.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tidings::bench {

class MixedProgram;

/// One run of the program.
struct Environment {
    double scale = 1;
    int repeat = 0;                         ///< 0: as often as the benchmark wants
    std::filesystem::path directory;        ///< for data; gone afterwards
    std::filesystem::path server;           ///< the `tidings` executable
    std::vector<std::string> config_lines;  ///< more settings for the server, as TOML
    std::string kafka_brokers;              ///< a broker that runs; empty: one is started
    std::shared_ptr<MixedProgram> mixed;    ///< made by the first benchmark that needs it

    std::uint64_t scaled(std::uint64_t base) const;  ///< at least 1
    int repeats(int base) const { return repeat > 0 ? repeat : base; }
    /// An empty directory of that name.
    std::filesystem::path fresh(const std::string& name) const;
};

/// A line about what goes on, on stderr.
void say(const std::string& line);

struct Row {
    std::string id, workload, unit;
    double ours = 0;                    ///< the median of the runs
    std::optional<double> limit;        ///< the physical limit, in the same unit
    std::string peer;                   ///< whom TARGETS compares with; empty: nobody
    std::optional<double> peer_figure;  ///< in the same unit; nothing: it is missing
    std::string target;                 ///< as judged, after scaling by the limit
    bool met = false;
    boost::json::object extra;
};

struct Benchmark {
    const char* id;
    const char* workload;
    Row (*run)(Environment&);
};

std::span<const Benchmark> benchmarks();

Row run_sends(Environment&);          // P1
Row run_single_opens(Environment&);   // P3
Row run_bulk_opens(Environment&);     // P4
Row run_drain(Environment&);          // P5
Row run_inbox(Environment&);          // P6
Row run_counts(Environment&);         // P7
Row run_rebuild(Environment&);        // P8
Row run_kafka_latency(Environment&);  // P9
Row run_memory(Environment&);         // P11
Row run_start(Environment&);          // P12
Row run_import(Environment&);         // P14
Row run_history(Environment&);        // P15

}  // namespace tidings::bench
