// P11: what the server takes with everything in it, while partners read, open and are written to.
#include <atomic>
#include <chrono>
#include <thread>

#include "bench/benchmark.h"
#include "bench/check.h"
#include "bench/mixed_program.h"
#include "bench/partners.h"
#include "bench/report.h"

namespace tidings::bench {

namespace {

constexpr std::chrono::seconds kLoadTime{20};
constexpr std::size_t kMemoryConnections = 64;
constexpr double kMemoryTargetMib = 512;
constexpr double kMib = 1 << 20;

/// Of 1,000 requests 5 send to all, 95 open, 50 ask for statistics, 250 for the unread count, and
/// 600 for a page of the inbox.
class MixedLoad {
public:
    explicit MixedLoad(MixedProgram& mixed) : mixed_(mixed) {
        for (const std::string& token : mixed.tokens()) {
            gets_.push_back(rest_of_get(token));
            posts_.push_back(rest_of_post(token));
        }
        owner_get_ = rest_of_get(mixed.served().owner());
        send_ = request_line("POST", program_path("/messages")) +
                rest_of_post(mixed.served().owner(), R"({"subject":"Late","body":"News."})");
    }

    LoadResult run() {
        const auto end = std::chrono::steady_clock::now() + kLoadTime;
        Load load;
        load.port = mixed_.served().port();
        load.connections = kMemoryConnections;
        load.next = [&](std::uint64_t number, std::string& out) {
            append(number, out);
            return std::chrono::steady_clock::now() < end;
        };
        load.check = [&](std::uint64_t number, unsigned status, std::string_view) {
            const bool send = mix(number) % 1'000 < 5;
            sent_ += send ? 1 : 0;
            return status == (send ? 201 : 200);
        };
        return run_load(load);
    }
    std::uint64_t sent() const { return sent_; }

private:
    void append(std::uint64_t number, std::string& out) {
        const std::uint64_t bits = mix(number), die = bits % 1'000;
        const std::size_t reader = (bits >> 16) % gets_.size();
        const auto& messages = mixed_.messages();
        if (die < 5) {
            out += send_;
        } else if (die < 100) {
            std::size_t message = (bits >> 40) % messages.size();
            while (messages[message].kind != MixedMessage::Kind::all) {
                message = (message + 1) % messages.size();
            }
            out += request_line("POST", "/v1/portal/messages/" + messages[message].id + "/open") +
                   posts_[reader];
        } else if (die < 150) {
            const auto& message = messages[(bits >> 40) % messages.size()];
            out += request_line("GET", program_path("/messages/" + message.id)) + owner_get_;
        } else if (die < 400) {
            out += request_line("GET", "/v1/portal/summary") + gets_[reader];
        } else {
            out += request_line("GET", "/v1/portal/messages?limit=20") + gets_[reader];
        }
    }

    MixedProgram& mixed_;
    std::vector<std::string> gets_, posts_;
    std::string owner_get_, send_;
    std::uint64_t sent_ = 0;
};

}  // namespace

Row run_memory(Environment& environment) {
    MixedProgram& mixed = mixed_program(environment);
    ServerProcess& server = mixed.served().process();
    const double idle = static_cast<double>(server.memory().resident_bytes) / kMib;
    MixedLoad load(mixed);
    std::atomic<bool> done = false;
    std::uint64_t highest = 0;
    std::thread watch([&] {
        while (!done) {
            highest = std::max(highest, server.memory().resident_bytes);
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    });
    LoadResult result;
    std::exception_ptr failure;
    try {
        result = load.run();
    } catch (...) {  // only passed on, once the thread is back
        failure = std::current_exception();
    }
    done = true;
    watch.join();
    if (failure) std::rethrow_exception(failure);
    const auto summary =
        mixed.served().call("GET", program_path("/summary"), mixed.served().owner());
    check_equal(summary.at("messages").to_number<std::uint64_t>(),
                mixed.messages().size() + load.sent(), "messages sent");

    const double under_load = static_cast<double>(server.memory().peak_bytes) / kMib;
    const double built = static_cast<double>(mixed.built_peak_bytes()) / kMib;
    Row row;
    row.workload = "peak resident memory of the server (VmHWM), default configuration: " +
                   format_number(static_cast<double>(mixed.partners())) +
                   " partners imported, 10,000 messages sent, " +
                   format_number(static_cast<double>(mixed.opens())) +
                   " opens recorded over HTTP, then 20 s of mixed load at 64 connections";
    row.unit = "MiB";
    row.ours = std::max(under_load, built);
    row.target = "<= 512 MiB";
    row.met = row.ours <= kMemoryTargetMib;
    row.extra["peak_while_building_mib"] = built;
    row.extra["peak_under_load_mib"] = under_load;
    row.extra["highest_sample_under_load_mib"] = static_cast<double>(highest) / kMib;
    row.extra["before_load_mib"] = idle;
    row.extra["requests_per_s"] = result.per_second();
    row.extra["p99_ms"] = result.latency.p99_us() / 1e3;
    environment.mixed.reset();  // its inboxes are no longer what it says
    return row;
}

}  // namespace tidings::bench
