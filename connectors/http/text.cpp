#include "connectors/http/text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace tidings::http {

namespace {

/// Bytes of the sequence that starts at `at`, or 0 if it is not well-formed (Unicode 15, table
/// 3-7).
std::size_t sequence_length(const unsigned char* at, std::size_t left) {
    const auto continues = [](unsigned char byte) { return (byte & 0xc0) == 0x80; };
    const unsigned char lead = at[0];
    if (lead < 0x80) return 1;
    if (lead < 0xc2) return 0;
    if (lead < 0xe0) return left >= 2 && continues(at[1]) ? 2 : 0;
    if (lead < 0xf0) {
        if (left < 3 || !continues(at[1]) || !continues(at[2])) return 0;
        if (lead == 0xe0 && at[1] < 0xa0) return 0;
        return lead == 0xed && at[1] > 0x9f ? 0 : 3;
    }
    if (lead > 0xf4 || left < 4) return 0;
    if (!continues(at[1]) || !continues(at[2]) || !continues(at[3])) return 0;
    if (lead == 0xf0 && at[1] < 0x90) return 0;
    return lead == 0xf4 && at[1] > 0x8f ? 0 : 4;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Cuts the part before `separator` off `rest`.
std::string_view take(std::string_view& rest, char separator) {
    const std::size_t at = rest.find(separator);
    const std::string_view part = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
    return trim(part);
}

/// 2: exact, 1: "type/*", 0: "*/*", -1: no match.
int specificity(std::string_view range, std::string_view type) {
    if (range == "*/*") return 0;
    if (range.size() > 2 && range.substr(range.size() - 2) == "/*") {
        const std::string_view prefix = range.substr(0, range.size() - 1);
        return equals_ignoring_case(prefix, type.substr(0, prefix.size())) ? 1 : -1;
    }
    return equals_ignoring_case(range, type) ? 2 : -1;
}

/// Weight 0-1000 that `accept` gives to `type`; the most specific range decides.
int weight(std::string_view accept, std::string_view type) {
    int best_specificity = -1;
    int best = 0;
    while (!accept.empty()) {
        std::string_view range = take(accept, ',');
        const int match = specificity(take(range, ';'), type);
        int q = 1000;
        while (!range.empty()) {
            std::string_view parameter = take(range, ';');
            if (!equals_ignoring_case(take(parameter, '='), "q")) continue;
            const std::string_view value = trim(parameter);
            double parsed = 0;
            const auto end = value.data() + value.size();
            const auto status = std::from_chars(value.data(), end, parsed);
            const bool good = status.ec == std::errc() && status.ptr == end;
            q = good ? static_cast<int>(std::clamp(parsed, 0.0, 1.0) * 1000) : 0;
        }
        if (match > best_specificity) {
            best_specificity = match;
            best = q;
        }
    }
    return best;
}

}  // namespace

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool is_utf8(std::string_view text) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t left = text.size();
    while (left > 0) {
        std::uint64_t word = 0;
        while (left >= sizeof word) {
            std::memcpy(&word, at, sizeof word);
            if ((word & 0x8080808080808080u) != 0) break;
            at += sizeof word;
            left -= sizeof word;
        }
        if (left == 0) break;
        const std::size_t length = sequence_length(at, left);
        if (length == 0) return false;
        at += length;
        left -= length;
    }
    return true;
}

std::size_t count_code_points(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

bool percent_decode(std::string_view text, bool plus_is_space, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return false;
            out.push_back(static_cast<char>(high * 16 + low));
            i += 2;
        } else {
            out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
        }
    }
    return is_utf8(out);
}

std::string percent_encode(std::string_view segment) {
    static constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    out.reserve(segment.size());
    for (const char c : segment) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                                c == '~';
        if (unreserved) {
            out.push_back(c);
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out.push_back('%');
            out.push_back(kDigits[byte >> 4]);
            out.push_back(kDigits[byte & 15]);
        }
    }
    return out;
}

bool parse_query(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
    out.clear();
    while (!text.empty()) {
        const std::size_t end = text.find('&');
        const std::string_view part = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (part.empty()) continue;
        const std::size_t equals = part.find('=');
        const std::string_view value =
            equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
        auto& [name, decoded] = out.emplace_back();
        if (!percent_decode(part.substr(0, equals), true, name)) return false;
        if (!percent_decode(value, true, decoded)) return false;
    }
    return true;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(),
                      [&lower](char x, char y) { return lower(x) == lower(y); });
}

bool content_type_accepted(std::string_view content_type,
                           const std::vector<std::string>& accepted) {
    const std::string_view type = take(content_type, ';');
    const bool known = std::any_of(
        accepted.begin(), accepted.end(),
        [type](const std::string& one) { return one == "*/*" || equals_ignoring_case(one, type); });
    if (!known) return false;
    while (!content_type.empty()) {
        std::string_view parameter = take(content_type, ';');
        if (!equals_ignoring_case(take(parameter, '='), "charset")) continue;
        std::string_view charset = trim(parameter);
        if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"') {
            charset = charset.substr(1, charset.size() - 2);
        }
        const bool utf8 =
            equals_ignoring_case(charset, "utf-8") || equals_ignoring_case(charset, "us-ascii");
        if (!utf8) return false;
    }
    return true;
}

std::optional<std::string_view> negotiate(std::string_view accept,
                                          const std::vector<std::string>& produces) {
    std::optional<std::string_view> best;
    int best_weight = 0;
    for (const std::string& type : produces) {
        const int type_weight = weight(accept, type);
        if (type_weight > best_weight) {
            best_weight = type_weight;
            best = type;
        }
    }
    return best;
}

}  // namespace tidings::http
