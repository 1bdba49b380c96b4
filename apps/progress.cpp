#include "apps/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace tidings::apps {

namespace {

constexpr std::chrono::milliseconds kRedraw{100};       // a terminal
constexpr std::chrono::milliseconds kPlainLine{5'000};  // a file or a pipe
constexpr int kBarCells = 30;

std::string formatted(const char* format, double value, const char* suffix) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), format, value);
    return std::string(text.data()) + suffix;
}

}  // namespace

std::string format_amount(double amount, Unit unit) {
    static constexpr std::array<const char*, 5> kCounts{"", " k", " M", " G", " T"};
    static constexpr std::array<const char*, 5> kBytes{" B", " KiB", " MiB", " GiB", " TiB"};
    const double step = unit == Unit::bytes ? 1024 : 1000;
    std::size_t power = 0;
    // 999.5 would be rounded to "1000": the next unit already
    while (power + 1 < kCounts.size() && amount >= (power == 0 ? step : step - 0.5)) {
        amount /= step;
        ++power;
    }
    const char* suffix = unit == Unit::bytes ? kBytes[power] : kCounts[power];
    if (power == 0 || amount >= 99.95) return formatted("%.0f", amount, suffix);
    return formatted(amount >= 9.995 ? "%.1f" : "%.2f", amount, suffix);
}

std::string format_duration(std::chrono::seconds time) {
    const long long seconds = std::max<long long>(time.count(), 0);
    std::array<char, 64> text{};
    if (seconds < 60) {
        std::snprintf(text.data(), text.size(), "%llds", seconds);
    } else if (seconds < 3600) {
        std::snprintf(text.data(), text.size(), "%lldm%02llds", seconds / 60, seconds % 60);
    } else {
        std::snprintf(text.data(), text.size(), "%lldh%02lldm", seconds / 3600,
                      seconds % 3600 / 60);
    }
    return text.data();
}

std::string format_progress(const ProgressState& state, bool bar) {
    std::string line(state.label);
    const double seconds = std::chrono::duration<double>(state.elapsed).count();
    const double rate = seconds > 0 ? static_cast<double>(state.done) / seconds : 0;
    const double done = static_cast<double>(state.done);
    if (state.total) {
        const double total = static_cast<double>(*state.total);
        const double share = *state.total == 0 ? 1.0 : std::min(done / total, 1.0);
        if (bar) {
            const auto full = static_cast<std::size_t>(share * kBarCells);
            line += "  [" + std::string(full, '#') + std::string(kBarCells - full, '.') + "]";
        }
        line += formatted("  %3.0f", std::floor(share * 100), "%");
        line += "  " + format_amount(done, state.unit) + " of " + format_amount(total, state.unit);
    } else {
        line += "  " + format_amount(done, state.unit);
    }
    if (rate > 0) line += "  " + format_amount(rate, state.unit) + "/s";
    if (state.total && rate > 0 && state.done < *state.total) {
        const double left = static_cast<double>(*state.total - state.done) / rate;
        line += "  " +
                format_duration(std::chrono::seconds(static_cast<long long>(std::ceil(left)))) +
                " left";
    } else {
        line +=
            "  " + format_duration(std::chrono::duration_cast<std::chrono::seconds>(state.elapsed));
    }
    return line;
}

Progress::Progress(std::string label, Unit unit, std::optional<std::uint64_t> total,
                   std::chrono::milliseconds quiet_for)
    : label_(std::move(label)),
      unit_(unit),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      started_(std::chrono::steady_clock::now()),
      next_(started_ + std::max(quiet_for, terminal_ ? kRedraw : kPlainLine)) {}

Progress::~Progress() {
    if (terminal_ && shown_ && !finished_) std::fputc('\n', stderr);
}

void Progress::update(std::uint64_t done) {
    done_ = done;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    show(now);
    next_ = now + (terminal_ ? kRedraw : kPlainLine);
}

void Progress::finish() {
    if (!shown_ || finished_) return;
    show(std::chrono::steady_clock::now());
    if (terminal_) std::fputc('\n', stderr);
    finished_ = true;
}

void Progress::show(std::chrono::steady_clock::time_point now) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - started_);
    const std::string line = format_progress({label_, unit_, done_, total_, elapsed}, terminal_);
    // erase to the end of the line: the last one may have been longer (ECMA-48, EL)
    std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
    std::fflush(stderr);
    shown_ = true;
}

}  // namespace tidings::apps
