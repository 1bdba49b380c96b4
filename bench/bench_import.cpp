// P14: one import request into a fresh server.
#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/partners.h"
#include "bench/report.h"
#include "bench/served_program.h"

namespace tidings::bench {

namespace {

constexpr double kImportTargetS = 20, kImportTargetMib = 512;

}  // namespace

Row run_import(Environment& environment) {
    const std::uint64_t partners = environment.scaled(kPartners);
    const auto pieces = import_pieces(partners);
    std::uint64_t bytes = 0;
    for (const std::string& piece : pieces) bytes += piece.size();
    std::vector<double> seconds, peak;
    for (int i = 0; i < environment.repeats(3); ++i) {
        ServedProgram program(environment, environment.fresh("import"));
        program.call("PUT", program_path(), program.platform(),
                     R"({"name":"Bench","plan":"advanced"})");
        seconds.push_back(program.import(pieces, partners));
        peak.push_back(static_cast<double>(program.process().memory().peak_bytes) / (1 << 20));
        program.stop();
    }
    Row row;
    row.workload = "import of " + format_number(static_cast<double>(partners)) + " partners (" +
                   format_number(static_cast<double>(bytes) / (1 << 20)) +
                   " MiB of NDJSON) in one streamed request, durable and visible";
    row.unit = "s";
    row.ours = median(seconds);
    row.peer = "PostgreSQL 15, INSERT ... SELECT generated in the server, then the same indexes";
    const double target = kImportTargetS * environment.scale;
    row.target = "<= " + format_number(target) + " s, <= 512 MiB";
    row.met = row.ours <= target && median(peak) <= kImportTargetMib;
    row.extra["peak_mib"] = median(peak);
    row.extra["partners_per_s"] = static_cast<double>(partners) / row.ours;
    row.extra["runs_s"] = to_json(seconds);
    row.extra["runs_peak_mib"] = to_json(peak);
    return row;
}

}  // namespace tidings::bench
