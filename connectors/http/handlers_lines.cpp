#include "connectors/http/handlers_lines.h"

#include <algorithm>

#include "events/json_output.h"

namespace tidings::http {

void LineSplitter::feed(std::string piece) {
    piece_ = std::move(piece);
    at_ = 0;
}

std::optional<LineSplitter::Line> LineSplitter::next() {
    if (begun_given_) begun_.clear();
    begun_given_ = false;
    const std::size_t end = piece_.find('\n', at_);
    if (end == std::string::npos) return take_rest();
    const std::string_view text = std::string_view(piece_).substr(at_, end - at_);
    at_ = end + 1;
    return end_line(text);
}

std::optional<LineSplitter::Line> LineSplitter::take_rest() {
    const std::string_view rest = std::string_view(piece_).substr(at_);
    at_ = piece_.size();
    if (skipping_ || begun_.size() + rest.size() > max_bytes_) {
        skipping_ = true;
        begun_.clear();
    } else {
        begun_ += rest;
    }
    if (!finished_ || (begun_.empty() && !skipping_)) return std::nullopt;
    return end_line({});
}

LineSplitter::Line LineSplitter::end_line(std::string_view end) {
    Line line{++lines_, end, false};
    if (skipping_ || begun_.size() + end.size() > max_bytes_) {
        skipping_ = false;
        begun_.clear();
        line.text = {};
        line.too_long = true;
    } else if (!begun_.empty()) {
        begun_ += end;
        begun_given_ = true;
        line.text = begun_;
    }
    return line;
}

bool is_blank_line(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

void RejectedLines::add(std::uint64_t line, const char* code, std::string detail) {
    ++total_;
    if (kept_.size() >= capacity_) return;
    if (detail.size() > kDetailBytes) {
        std::size_t end = kDetailBytes;
        while (end > 0 && (static_cast<unsigned char>(detail[end]) & 0xC0) == 0x80) --end;
        detail.resize(end);
        detail += "…";
    }
    kept_.push_back({line, code, std::move(detail)});
}

void RejectedLines::append_members(std::string& out) {
    std::stable_sort(kept_.begin(), kept_.end(),
                     [](const Entry& a, const Entry& b) { return a.line < b.line; });
    JsonWriter json(out);
    json.key("rejected").open_array();
    for (const Entry& entry : kept_) {
        json.open_object().key("line").number(entry.line).key("code").string(entry.code);
        json.key("detail").string(entry.detail).close_object();
    }
    json.close_array();
    if (total_ > kept_.size()) json.key("rejected_total").number(total_);
}

}  // namespace tidings::http
