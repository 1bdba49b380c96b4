#include "bench/report.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>

#include "bench/shell.h"

namespace tidings::bench {

namespace json = boost::json;

namespace {

constexpr std::size_t kColumns = 9;

std::string value_in(const char* file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with(key)) continue;
        const std::size_t at = line.find_first_not_of(" \t", line.find(':') + 1);
        return at == std::string::npos ? std::string() : line.substr(at);
    }
    return "unknown";
}

json::value number_or_null(const std::optional<double>& value) {
    return value ? json::value(*value) : json::value(nullptr);
}

}  // namespace

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

json::array to_json(const std::vector<double>& values) {
    json::array out;
    for (const double value : values) out.emplace_back(value);
    return out;
}

std::string format_number(double value) {
    std::array<char, 64> text{};
    if (std::abs(value) < 1000) {
        std::snprintf(text.data(), text.size(), "%.3g", value);
        return text.data();
    }
    std::snprintf(text.data(), text.size(), "%.0f", value);
    std::string out = text.data();
    for (std::size_t at = out.size(); at > 3 + (value < 0 ? 1u : 0u);) out.insert(at -= 3, ",");
    return out;
}

std::string describe_machine() {
    utsname system{};
    ::uname(&system);
    const double gib = std::stod(value_in("/proc/meminfo", "MemTotal")) / (1 << 20);
    return value_in("/proc/cpuinfo", "model name") + ", " +
           std::to_string(std::thread::hardware_concurrency()) + " cores, " + format_number(gib) +
           " GiB, Linux " + system.release;
}

std::string describe_commit() {
    const ShellResult found = run_shell("git -C '" TIDINGS_SOURCE_DIR
                                        "' describe --always --dirty --abbrev=12 2>/dev/null");
    return found.good && !found.out.empty() ? found.out : "unknown";
}

std::string json_line(const Row& row, const Environment& environment, const std::string& machine,
                      const std::string& commit) {
    json::object out;
    out["id"] = row.id;
    out["workload"] = row.workload;
    out["ours"] = row.ours;
    out["peer"] = number_or_null(row.peer_figure);
    out["limit"] = number_or_null(row.limit);
    out["unit"] = row.unit;
    out["vs_peer"] =
        row.peer_figure ? json::value(row.ours / *row.peer_figure) : json::value(nullptr);
    out["vs_limit"] = row.limit ? json::value(row.ours / *row.limit) : json::value(nullptr);
    out["target"] = row.target;
    out["met"] = row.met;
    out["machine"] = machine;
    out["commit"] = commit;
    out["scale"] = environment.scale;
    if (!row.peer.empty()) out[row.peer_figure ? "peer_is" : "peer_missing"] = row.peer;
    for (const auto& member : row.extra) out[member.key()] = member.value();
    return json::serialize(out);
}

std::string table(const std::vector<Row>& rows) {
    const auto figure = [](const std::optional<double>& value) {
        return value ? format_number(*value) : "-";
    };
    const auto ratio = [](const Row& row, const std::optional<double>& other) {
        return other ? format_number(row.ours / *other) : "-";
    };
    std::vector<std::array<std::string, kColumns>> cells = {
        {"id", "ours", "peer", "ours/peer", "limit", "ours/limit", "unit", "met", "target"}};
    for (const Row& row : rows) {
        cells.push_back({row.id, format_number(row.ours), figure(row.peer_figure),
                         ratio(row, row.peer_figure), figure(row.limit), ratio(row, row.limit),
                         row.unit, row.met ? "yes" : "NO", row.target});
    }
    std::array<std::size_t, kColumns> widths{};
    for (const auto& line : cells) {
        for (std::size_t i = 0; i < line.size(); ++i)
            widths[i] = std::max(widths[i], line[i].size());
    }
    std::string out;
    for (const auto& line : cells) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            const std::string pad(widths[i] - line[i].size(), ' ');
            const bool number = i >= 1 && i <= 5;
            out += (number ? pad + line[i] : line[i] + pad) + (i + 1 < line.size() ? "  " : "");
        }
        while (out.ends_with(' ')) out.pop_back();
        out += '\n';
    }
    return out;
}

}  // namespace tidings::bench
