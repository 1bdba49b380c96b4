// P12: a long log made in process, then a server that is killed in the middle of a bulk of opens
// and started again.
#include <thread>

#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/opens_in_bulk.h"
#include "bench/partners.h"
#include "bench/report.h"
#include "bench/served_program.h"

namespace tidings::bench {

namespace {

constexpr std::size_t kStartMessages = 100;  ///< opened by everyone: 100 opens a partner
constexpr std::size_t kAtOnce = 20;
constexpr double kStartTargetS = 2;
constexpr std::chrono::milliseconds kStartPoll{20};

/// The messages, each opened by all partners.
std::vector<std::string> make_log(const std::filesystem::path& data, std::uint64_t partners,
                                  std::uint64_t& log_bytes) {
    std::vector<std::string> out;
    EmbeddedProgram program(data, partners);
    std::uint64_t opens = 0;
    for (std::size_t made = 0; made < kStartMessages; made += kAtOnce) {
        BulkOpens bulk;
        for (std::size_t i = 0; i < kAtOnce; ++i) {
            bulk.messages.push_back(program.send_to_all());
            out.push_back(message_id(program.id(), bulk.messages.back()));
        }
        bulk.opens_per_message = partners;
        make_open_commands(program, bulk, [&](const std::string& record) {
            opens += program.apply({&record, 1}).first_opens;
        });
        say("  " + std::to_string(opens) + " opens");
    }
    check_equal(opens, partners * kStartMessages, "first opens");
    program.flush();
    log_bytes = program.log_bytes();
    return out;
}

/// Kills the server after about half of a bulk of opens; how many were visible before.
std::uint64_t kill_during_opens(ServedProgram& program, std::uint64_t partners,
                                const std::string& message) {
    apps::Url url;
    url.host = "127.0.0.1";
    url.port = program.port();
    const std::string token = program.platform();
    std::thread opening([&, url] {
        apps::HttpClient client(url);
        std::uint64_t next = 0;
        const auto source = [&]() -> Result<std::optional<std::string>> {
            if (next == partners) return std::optional<std::string>();
            std::string piece;
            for (; next < partners && piece.size() < (64 << 10); ++next) {
                piece += R"({"message":")" + message + R"(","partner":")" + partner_id(next).value +
                         "\"}\n";
            }
            return std::optional(std::move(piece));
        };
        // It is cut off, or is done before that: both leave a log to be read again.
        (void)client.stream(
            "POST", program_path("/opens"),
            {{"Authorization", "Bearer " + token}, {"Content-Type", "application/x-ndjson"}},
            source);
    });
    std::uint64_t visible = 0;
    while (visible < partners / 2) {
        visible = program.opens_of(message);
        std::this_thread::sleep_for(kStartPoll);
    }
    program.kill();
    opening.join();
    return visible;
}

}  // namespace

Row run_start(Environment& environment) {
    const std::uint64_t partners = environment.scaled(kPartners);
    const std::filesystem::path data = environment.fresh("start");
    std::uint64_t log_bytes = 0;
    const auto messages = make_log(data, partners, log_bytes);
    ServedProgram program(environment, data);
    std::vector<double> seconds;
    for (int i = 0; i < environment.repeats(5); ++i) {
        const std::string message = program.send_to_all();
        const std::uint64_t visible = kill_during_opens(program, partners, message);
        program.start();
        program.call("GET", "/readyz", program.owner());
        seconds.push_back(program.process().start_seconds());
        check(program.opens_of(message) >= visible, "opens were lost by the kill");
        check_equal(program.opens_of(messages[static_cast<std::size_t>(i) % messages.size()]),
                    partners, "opens of a message");
    }
    Row row;
    row.workload =
        "kill -9 in the middle of a bulk of opens, then from exec to listening and "
        "ready, with " +
        format_number(static_cast<double>(partners * kStartMessages)) +
        " opens in the log (made in process, in commands of 50,000)";
    row.unit = "s";
    row.ours = median(seconds);
    row.target = "<= 2 s";
    row.met = row.ours <= kStartTargetS;
    row.extra["log_bytes"] = log_bytes;
    row.extra["peak_mib"] = static_cast<double>(program.process().memory().peak_bytes) / (1 << 20);
    row.extra["runs_s"] = to_json(seconds);
    return row;
}

}  // namespace tidings::bench
