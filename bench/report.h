// Medians, the JSON line of a result, and the table at the end.
#pragma once

#include <string>
#include <vector>

#include "bench/benchmark.h"

namespace tidings::bench {

/// REQUIRES: not empty.
double median(std::vector<double> values);
boost::json::array to_json(const std::vector<double>& values);
/// Three significant digits are enough; thousands are grouped: "1,234,567", "0.214".
std::string format_number(double value);

/// Processor, cores, memory, kernel.
std::string describe_machine();
/// Of the source tree, "-dirty" if it was changed since; "unknown" without git.
std::string describe_commit();

/// {"id","workload","ours","peer","limit","unit","vs_peer","vs_limit","target","met","machine",
/// "commit", ...}
std::string json_line(const Row& row, const Environment& environment, const std::string& machine,
                      const std::string& commit);
std::string table(const std::vector<Row>& rows);

}  // namespace tidings::bench
