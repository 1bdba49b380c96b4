// The simulator's command line; docs/simulation.md.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include "tests/simulation/run.h"

namespace tidings::simulation {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::uint64_t first = 1, seeds = 300, actions = 1'500;
    double seconds = 0;
    unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
    bool shrink = true, history = false;
};

class Campaign {
public:
    explicit Campaign(const Options& options) : options_(options), next_(options.first) {}

    /// Returns the failing seed with the smallest number, if there is one.
    std::optional<std::uint64_t> run() {
        began_ = Clock::now();
        std::vector<std::thread> workers;
        for (unsigned i = 0; i < options_.jobs; ++i) workers.emplace_back([this] { work(); });
        for (std::thread& worker : workers) worker.join();
        summary();
        return failed_;
    }

private:
    bool over(std::uint64_t seed) const {
        if (options_.seconds == 0) return seed >= options_.first + options_.seeds;
        return elapsed() >= options_.seconds;
    }

    void work() {
        for (std::uint64_t seed = next_++; !over(seed); seed = next_++) {
            const Setting setting = setting_of(seed);
            const RunResult result =
                simulation::run(setting, actions_of(setting, options_.actions));
            const std::lock_guard lock(mutex_);
            ++done_;
            counts_.add(result.counts);
            if (!result.violation.empty() && (!failed_ || seed < *failed_)) failed_ = seed;
            if (failed_) return;
            progress();
        }
    }

    double elapsed() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

    void progress() {
        if (isatty(2) == 0 && options_.seconds == 0) return;
        const double now = elapsed();
        if (now - shown_ < (isatty(2) != 0 ? 0.5 : 60)) return;
        shown_ = now;
        std::fprintf(stderr, "%s%llu seeds, %.0f s, %.0f seeds/s%s", isatty(2) != 0 ? "\r" : "",
                     static_cast<unsigned long long>(done_), now, static_cast<double>(done_) / now,
                     isatty(2) != 0 ? "" : "\n");
    }

    void summary() const {
        const double took = elapsed();
        const auto number = [](std::uint64_t value) {
            return static_cast<unsigned long long>(value);
        };
        if (isatty(2) != 0) std::fputc('\n', stderr);
        std::printf("%llu seeds from %llu on, %llu actions each, %.1f s\n", number(done_),
                    number(options_.first), number(options_.actions), took);
        std::printf(
            "%llu steps, %llu commits, %llu commands, %llu events (%.0f events/s), %llu "
            "comparisons\n",
            number(counts_.steps), number(counts_.commits), number(counts_.commands),
            number(counts_.events), static_cast<double>(counts_.events) / took,
            number(counts_.compared));
        std::printf("callers: %llu submitted, %llu acknowledged, %llu refused, %llu unknown\n",
                    number(counts_.submitted), number(counts_.acknowledged),
                    number(counts_.refused), number(counts_.unknown));
        std::printf("replicas that stopped at damage, as they must: %llu\n",
                    number(counts_.stopped));
        for (std::size_t i = 0; i < kActionKinds; ++i)
            std::printf("  %-18s %llu\n", name_of(static_cast<ActionKind>(i)),
                        number(counts_.actions[i]));
    }

    const Options& options_;
    std::atomic<std::uint64_t> next_;
    std::mutex mutex_;
    std::uint64_t done_ = 0;
    Counts counts_;
    std::optional<std::uint64_t> failed_;
    Clock::time_point began_;
    double shown_ = 0;
};

void show_failure(const Options& options, std::uint64_t seed) {
    const Setting setting = setting_of(seed);
    std::vector<Action> actions = actions_of(setting, options.actions);
    const RunResult full = run(setting, actions, options.history);
    std::printf("\nseed %llu: %s\n", static_cast<unsigned long long>(seed), full.violation.c_str());
    for (const std::string& line : full.history) std::printf("  %s\n", line.c_str());
    if (options.shrink) {
        actions = shrink(setting, std::move(actions));
        const RunResult shortest = run(setting, actions, true);
        std::printf("%s, %u partitions, %u nodes; %zu actions are enough: %s\n",
                    setting.embedded ? "embedded" : "several processes", setting.partitions,
                    setting.nodes, actions.size(), shortest.violation.c_str());
        for (const Action& action : actions) std::printf("  %s\n", describe(action).c_str());
        std::printf("what happened:\n");
        for (const std::string& line : shortest.history) std::printf("  %s\n", line.c_str());
    }
    std::printf("again: tidings_simulation --seed %llu --actions %llu\n",
                static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(options.actions));
}

int main_of(int count, char** arguments) {
    Options options;
    std::optional<std::uint64_t> seed;
    CLI::App app("Runs the broker's core against simulated logs, disks and callers");
    app.add_option("--seeds", options.seeds, "how many seeds")->capture_default_str();
    app.add_option("--first", options.first, "the first of them")->capture_default_str();
    app.add_option("--seconds", options.seconds, "instead of --seeds: as long as this");
    app.add_option("--actions", options.actions, "actions of each seed")->capture_default_str();
    app.add_option("--jobs", options.jobs, "threads")->capture_default_str();
    app.add_option("--seed", seed, "only this one");
    app.add_flag("--history", options.history, "with --seed: tell what happens");
    app.add_flag("!--no-shrink", options.shrink, "do not look for the shortest history");
    CLI11_PARSE(app, count, arguments);
    if (seed) {
        options.first = *seed;
        options.seeds = 1;
    }
    const std::optional<std::uint64_t> failed = Campaign(options).run();
    if (!failed) {
        if (seed && options.history) {
            const Setting setting = setting_of(*seed);
            for (const std::string& line :
                 run(setting, actions_of(setting, options.actions), true).history)
                std::printf("  %s\n", line.c_str());
        }
        return 0;
    }
    show_failure(options, *failed);
    return 1;
}

}  // namespace
}  // namespace tidings::simulation

int main(int count, char** arguments) { return tidings::simulation::main_of(count, arguments); }
