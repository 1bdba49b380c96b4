// NDJSON bodies: cuts pieces of any size into numbered lines with bounded memory, and collects what
// became of each. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidings::http {

/// Feed a piece, take lines until there is none, feed the next; at last finish() and take the rest.
class LineSplitter {
public:
    struct Line {
        std::uint64_t number = 0;  ///< from 1
        std::string_view text;     ///< without the line's end; valid until the next call
        bool too_long = false;     ///< its text is not kept
    };

    explicit LineSplitter(std::size_t max_bytes) : max_bytes_(max_bytes) {}
    /// REQUIRES: next() gave nothing since the last piece.
    void feed(std::string piece);
    /// What follows the last line end is a line too.
    void finish() { finished_ = true; }
    std::optional<Line> next();
    /// Kept of a line whose end has not come; never more than `max_bytes`.
    std::size_t buffered() const { return begun_.size(); }

private:
    std::optional<Line> take_rest();
    Line end_line(std::string_view end);

    const std::size_t max_bytes_;
    std::string piece_;
    std::size_t at_ = 0;  ///< of piece_, up to here it is taken
    std::string begun_;   ///< of a line that began in an earlier piece
    bool begun_given_ = false;
    bool skipping_ = false;  ///< in a line that is too long
    bool finished_ = false;
    std::uint64_t lines_ = 0;
};

/// Nothing but spaces, tabs and carriage returns: such lines count, and ask nothing.
bool is_blank_line(std::string_view line);

/// The lines that did not apply. Keeps the first `capacity` that it is told of; the rest only
/// count.
class RejectedLines {
public:
    /// A longer detail (it may quote a member's name) is cut.
    static constexpr std::size_t kDetailBytes = 256;
    explicit RejectedLines(std::size_t capacity) : capacity_(capacity) {}
    void add(std::uint64_t line, const char* code, std::string detail);
    std::uint64_t total() const { return total_; }
    /// The member "rejected" (by line), and "rejected_total" if that does not tell all.
    void append_members(std::string& out);

private:
    struct Entry {
        std::uint64_t line;
        const char* code;
        std::string detail;
    };
    const std::size_t capacity_;
    std::vector<Entry> kept_;
    std::uint64_t total_ = 0;
};

}  // namespace tidings::http
