#include "events/json_value.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <iterator>
#include <limits>
#include <memory>

namespace tidings {
namespace {

namespace json = boost::json;

/// Receives the parser's calls and builds the tree from two stacks, so that each container is
/// allocated once, at its final size.
class Builder {
public:
    constexpr static std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
    constexpr static std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
    constexpr static std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
    constexpr static std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

    void start() {
        values_.clear();
        names_.clear();
        part_.clear();
        reason_ = nullptr;
    }
    JsonValue take() { return std::move(values_.back()); }
    /// Why one of our own rules refused, or null.
    const char* reason() const { return reason_; }

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_array_begin(json::error_code&) { return true; }
    bool on_object_begin(json::error_code&) { return true; }

    bool on_array_end(std::size_t size, json::error_code&) {
        JsonValue value;
        value.kind = JsonValue::Kind::array;
        const auto first = values_.end() - static_cast<std::ptrdiff_t>(size);
        value.items.assign(std::make_move_iterator(first), std::make_move_iterator(values_.end()));
        values_.erase(first, values_.end());
        values_.push_back(std::move(value));
        return true;
    }

    bool on_object_end(std::size_t size, json::error_code& ec) {
        JsonValue value;
        value.kind = JsonValue::Kind::object;
        const std::size_t first_value = values_.size() - size;
        const std::size_t first_name = names_.size() - size;
        if (repeats(first_name)) return refuse("a member name is repeated", ec);
        value.members.reserve(size);
        for (std::size_t i = 0; i < size; ++i) {
            value.members.push_back(
                {std::move(names_[first_name + i]), std::move(values_[first_value + i])});
        }
        values_.resize(first_value);
        names_.resize(first_name);
        values_.push_back(std::move(value));
        return true;
    }

    bool on_key_part(json::string_view text, std::size_t, json::error_code&) {
        part_.append(text.data(), text.size());
        return true;
    }
    bool on_key(json::string_view text, std::size_t, json::error_code& ec) {
        if (!finish_text(text, ec)) return false;
        names_.push_back(std::move(part_));
        part_.clear();
        return true;
    }
    bool on_string_part(json::string_view text, std::size_t, json::error_code&) {
        part_.append(text.data(), text.size());
        return true;
    }
    bool on_string(json::string_view text, std::size_t, json::error_code& ec) {
        return finish_text(text, ec) && push_part(JsonValue::Kind::string);
    }
    bool on_number_part(json::string_view text, json::error_code&) {
        part_.append(text.data(), text.size());
        return true;
    }
    bool on_int64(std::int64_t, json::string_view text, json::error_code&) { return number(text); }
    bool on_uint64(std::uint64_t, json::string_view text, json::error_code&) {
        return number(text);
    }
    bool on_double(double, json::string_view text, json::error_code&) { return number(text); }
    bool on_bool(bool truth, json::error_code&) {
        JsonValue& value = values_.emplace_back();
        value.kind = JsonValue::Kind::boolean;
        value.truth = truth;
        return true;
    }
    bool on_null(json::error_code&) {
        values_.emplace_back();
        return true;
    }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }

private:
    bool refuse(const char* reason, json::error_code& ec) {
        reason_ = reason;
        ec = json::make_error_code(json::error::syntax);
        return false;
    }
    bool finish_text(json::string_view text, json::error_code& ec) {
        part_.append(text.data(), text.size());
        if (part_.find('\0') == std::string::npos) return true;
        return refuse("U+0000 is not allowed", ec);
    }
    bool push_part(JsonValue::Kind kind) {
        JsonValue& value = values_.emplace_back();
        value.kind = kind;
        value.text = std::move(part_);
        part_.clear();
        return true;
    }
    bool number(json::string_view text) {
        part_.append(text.data(), text.size());
        return push_part(JsonValue::Kind::number);
    }
    bool repeats(std::size_t first) const {
        constexpr std::size_t kPairwise =
            16;  // below this, comparing all pairs is cheaper than sorting
        const std::size_t size = names_.size() - first;
        if (size <= kPairwise) {
            for (std::size_t i = first; i < names_.size(); ++i) {
                for (std::size_t j = first; j < i; ++j) {
                    if (names_[i] == names_[j]) return true;
                }
            }
            return false;
        }
        std::vector<std::string_view> sorted(names_.begin() + static_cast<std::ptrdiff_t>(first),
                                             names_.end());
        std::sort(sorted.begin(), sorted.end());
        return std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
    }

    std::vector<JsonValue> values_;
    std::vector<std::string> names_;
    std::string part_;
    const char* reason_ = nullptr;
};

using Parser = json::basic_parser<Builder>;

json::parse_options options() {
    json::parse_options out;
    out.max_depth = kJsonDepth;
    return out;
}

Error malformed(std::string_view reason, std::size_t offset) {
    return {ErrorCode::malformed,
            "not valid JSON: " + std::string(reason) + " at byte " + std::to_string(offset),
            {}};
}

}  // namespace

const JsonValue* JsonValue::find(std::string_view name) const {
    for (const JsonMember& member : members) {
        if (member.name == name) return &member.value;
    }
    return nullptr;
}

std::string JsonValue::text_of(std::string_view name) const {
    const JsonValue* member = find(name);
    return member == nullptr ? std::string() : member->text;
}

// By hand: clang-tidy 16 crashes on a recursive comparison that is defaulted.
bool JsonValue::operator==(const JsonValue& other) const {
    return kind == other.kind && truth == other.truth && text == other.text &&
           items == other.items && members == other.members;
}

bool JsonMember::operator==(const JsonMember& other) const {
    return name == other.name && value == other.value;
}

Result<JsonValue> parse_json(std::string_view text) {
    static thread_local Parser parser(options());
    parser.reset();
    parser.handler().start();
    json::error_code ec;
    const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
    const Builder& builder = parser.handler();
    if (builder.reason() != nullptr) return malformed(builder.reason(), used);
    if (ec) return malformed(ec.message(), used);
    if (used < text.size()) return malformed("something follows the value", used);
    return parser.handler().take();
}

std::optional<std::int64_t> integer_of(std::string_view number) {
    std::size_t at = 0;
    const bool negative = at < number.size() && number[at] == '-';
    if (negative) ++at;
    std::string digits;
    std::int64_t scale = 0;  // decimals that `digits` holds
    for (bool fraction = false; at < number.size(); ++at) {
        const char c = number[at];
        if (c == '.') {
            fraction = true;
        } else if (c >= '0' && c <= '9') {
            digits.push_back(c);
            scale += fraction ? 1 : 0;
        } else {
            break;
        }
    }
    if (at < number.size()) {  // an exponent
        ++at;
        const bool down = at < number.size() && number[at] == '-';
        if (at < number.size() && (number[at] == '-' || number[at] == '+')) ++at;
        std::int64_t exponent = 0;
        for (; at < number.size(); ++at) {
            exponent = std::min<std::int64_t>(exponent * 10 + (number[at] - '0'), 1'000'000'000);
        }
        scale += down ? exponent : -exponent;
    }
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    if (digits.empty()) return 0;
    for (; scale > 0; --scale) {
        if (digits.empty() || digits.back() != '0') return std::nullopt;
        digits.pop_back();
    }
    constexpr std::int64_t kDigits = std::numeric_limits<std::int64_t>::digits10;
    if (static_cast<std::int64_t>(digits.size()) - scale > kDigits) return std::nullopt;
    digits.append(static_cast<std::size_t>(-scale), '0');
    std::int64_t value = 0;
    for (const char c : digits) value = value * 10 + (c - '0');
    return negative ? -value : value;
}

}  // namespace tidings
