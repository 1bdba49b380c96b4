// Progress of long work: one redrawn line with a bar, rate and time left on a terminal; plain
// lines, seldom, otherwise. One thread uses it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidings::apps {

enum class Unit { count, bytes };

/// 1234567 -> "1.23 M", with Unit::bytes "1.18 MiB". Three significant digits.
std::string format_amount(double amount, Unit unit);
/// 75 s -> "1m15s", 5 s -> "5s", 2 h -> "2h00m".
std::string format_duration(std::chrono::seconds time);

struct ProgressState {
    std::string_view label;
    Unit unit = Unit::count;
    std::uint64_t done = 0;
    std::optional<std::uint64_t> total;  ///< unknown: no bar, no time left
    std::chrono::milliseconds elapsed{};
};
/// "import  [#####.....]  50%  1.0 M of 2.0 M  250 k/s  4s left"
std::string format_progress(const ProgressState& state, bool bar);

class Progress {
public:
    /// Draws to stderr. `quiet_for`: nothing is shown before that much time has passed.
    Progress(std::string label, Unit unit, std::optional<std::uint64_t> total,
             std::chrono::milliseconds quiet_for = std::chrono::milliseconds(0));
    /// Ends the line that is drawn, if there is one.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void set_total(std::uint64_t total) { total_ = total; }
    void update(std::uint64_t done);
    /// Shows the end state, if anything was ever shown.
    void finish();

private:
    void show(std::chrono::steady_clock::time_point now);

    std::string label_;
    Unit unit_;
    std::optional<std::uint64_t> total_;
    bool terminal_;
    std::chrono::steady_clock::time_point started_;
    std::chrono::steady_clock::time_point next_;
    std::uint64_t done_ = 0;
    bool shown_ = false;
    bool finished_ = false;
};

}  // namespace tidings::apps
