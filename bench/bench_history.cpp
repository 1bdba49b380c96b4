// P15: what questions about the past cost, on a log that the server itself has made snapshots of.
#include <algorithm>
#include <chrono>
#include <random>

#include "apps/data_directory.h"
#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/partners.h"
#include "bench/report.h"
#include "bench/served_program.h"
#include "bench/shell.h"
#include "core/ids.h"

namespace tidings::bench {

namespace {

constexpr std::size_t kHistoryMessages = 20;
constexpr std::size_t kQuestions = 100;
constexpr double kHistoryTargetS = 2;

/// Seconds that `work` takes.
template <class Work>
double timed(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Every message opened by all partners, in no order, in one streamed request.
void open_all(ServedProgram& program, const std::vector<std::string>& messages,
              std::uint64_t partners) {
    const std::uint64_t opens = partners * messages.size();
    std::uint64_t next = 0;
    program.stream(program_path("/opens"), [&]() -> Result<std::optional<std::string>> {
        if (next == opens) return std::optional<std::string>();
        std::string piece;
        for (; next < opens && piece.size() < (64 << 10); ++next) {
            const std::string& message = messages[next % messages.size()];
            // 7,919 is a prime that divides no scale of the work
            const std::uint64_t partner = next / messages.size() * 7'919 % partners;
            piece += R"({"message":")" + message + R"(","partner":")" + partner_id(partner).value +
                     "\"}\n";
        }
        return std::optional(std::move(piece));
    });
    check_equal(program.opens_of(messages.front()), partners, "opens of a message");
}

std::uint64_t opens_as_of(ServedProgram& program, const std::string& token,
                          const std::string& message, const std::string& position) {
    const auto found =
        program.call("GET", program_path("/messages/" + message + "?as_of=" + position), token);
    return found.at("stats").at("opens").to_number<std::uint64_t>();
}

/// Bytes of the files below `directory` that have no other name.
std::uint64_t own_bytes(const std::filesystem::path& directory) {
    std::uint64_t out = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (entry.is_regular_file() && entry.hard_link_count() == 1) out += entry.file_size();
    }
    return out;
}

}  // namespace

Row run_history(Environment& environment) {
    const std::uint64_t partners = environment.scaled(kPartners);
    const std::filesystem::path data = environment.fresh("history");
    ServedProgram program(environment, data);
    program.create(partners);
    std::vector<std::string> messages;
    for (std::size_t i = 0; i < kHistoryMessages; ++i) messages.push_back(program.send_to_all());
    const auto first = static_cast<std::uint64_t>(program.metric("tidings_applied_sequence"));
    open_all(program, messages, partners);
    const auto last = static_cast<std::uint64_t>(program.metric("tidings_applied_sequence"));

    // One program: all commits are those of its partition.
    const std::uint32_t partitions = value_of(apps::count_partitions(data), "partitions");
    const std::uint32_t partition = route(ProgramId{kProgram}, partitions).value;
    const auto position = [&](std::uint64_t sequence) {
        return std::to_string(partition) + ":" + std::to_string(sequence);
    };
    const std::string auditor = program.auditor_token();
    const std::string& message = messages.front();
    std::mt19937_64 random(1);
    std::vector<double> new_s, again_s, live_s;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;  // sequence, opens
    for (std::size_t i = 0; i < kQuestions; ++i) {
        const std::uint64_t sequence = first + random() % (last - first + 1);
        std::uint64_t opens = 0, again = 0;
        const auto ask = [&](std::uint64_t& out) {
            out = opens_as_of(program, auditor, message, position(sequence));
        };
        new_s.push_back(timed([&] { ask(opens); }));
        again_s.push_back(timed([&] { ask(again); }));
        live_s.push_back(timed([&] { program.opens_of(message); }));
        check_equal(again, opens, "opens as of the same position");
        seen.emplace_back(sequence, opens);
    }
    std::sort(seen.begin(), seen.end());
    check(std::is_sorted(seen.begin(), seen.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; }),
          "opens were more at an earlier position");
    check_equal(opens_as_of(program, auditor, message, position(first)), 0, "opens before any");
    check_equal(opens_as_of(program, auditor, message, position(last)), partners,
                "opens at the end");
    std::sort(new_s.begin(), new_s.end());

    Row row;
    row.extra["snapshots_taken"] = program.metric("tidings_snapshots_total");
    row.extra["snapshot_s"] = program.metric("tidings_snapshot_seconds_total") /
                              program.metric("tidings_snapshots_total");
    row.extra["replayed_commits"] = program.metric("tidings_history_replayed_commits_total") /
                                    program.metric("tidings_history_built_total");
    row.extra["peak_mib"] = static_cast<double>(program.process().memory().peak_bytes) / (1 << 20);
    program.stop();
    row.extra["log_mib"] = static_cast<double>(own_bytes(data / "log")) / (1 << 20);
    row.extra["models_mib"] = static_cast<double>(own_bytes(data / "models")) / (1 << 20);
    row.extra["snapshots_mib"] = static_cast<double>(own_bytes(data / "snapshots")) / (1 << 20);
    std::filesystem::remove_all(data / "snapshots");
    const std::string show = quoted(environment.server.string()) + " show message " + message +
                             " --as-of " + position(last) + " --data " + quoted(data.string());
    ShellResult shown;
    row.extra["without_snapshots_s"] = timed([&] { shown = run_shell(show + " 2>&1"); });
    check(shown.good, show + ": " + shown.out);

    row.workload = "GET message ?as_of= a random position of a log with " +
                   format_number(static_cast<double>(partners * kHistoryMessages)) +
                   " opens, over HTTP; p99 of " + std::to_string(kQuestions);
    row.unit = "s";
    row.ours = new_s[kQuestions * 99 / 100];
    row.target = "<= 2 s";
    row.met = row.ours <= kHistoryTargetS;
    row.extra["median_s"] = median(new_s);
    row.extra["again_s"] = median(again_s);
    row.extra["live_s"] = median(live_s);
    return row;
}

}  // namespace tidings::bench
