// Things of the domain in words, and a collector of what differs.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "core/event.h"

namespace tidings::simulation {

inline std::string to_words(const std::string& text) { return text; }
inline std::string to_words(const char* text) { return text; }
inline std::string to_words(char text) { return std::string(1, text); }
inline std::string to_words(bool value) { return value ? "yes" : "no"; }
template <class T>
requires std::is_integral_v<T> std::string to_words(T value) { return std::to_string(value); }
template <class E>
requires std::is_enum_v<E> std::string to_words(E value) { return name_of(value); }
template <class Tag, class T>
std::string to_words(const Strong<Tag, T>& value) {
    return to_words(value.value);
}
template <class Tag, std::size_t N>
std::string to_words(const ByteArray<Tag, N>& bytes) {
    return to_hex(bytes.view().substr(0, 8));
}
std::string to_words(const Money& money);
std::string to_words(const Metrics& metrics);
std::string to_words(const SourceStamp& stamp);
std::string to_words(const PartnerState& partner);
std::string to_words(const Rejected& rejected);
std::string to_words(const Actor& actor);
template <class T>
std::string to_words(const std::optional<T>& value) {
    return value ? to_words(*value) : "none";
}

template <class List>
std::string list_words(const List& list) {
    std::string out = "[";
    for (const auto& one : list) {
        if (out.size() > 1) out += ' ';
        out += to_words(one);
    }
    return out + "]";
}
template <class T>
std::string to_words(const std::vector<T>& list) {
    return list_words(list);
}
template <class T>
std::string to_words(const std::set<T>& list) {
    return list_words(list);
}

template <class... Parts>
std::string words(const Parts&... parts) {
    std::string out;
    (out.append(to_words(parts)), ...);
    return out;
}

class Differences {
public:
    void add(std::string what) { found_.push_back(std::move(what)); }

    template <class T, class U>
    void expect(const char* what, const T& got, const U& expected) {
        if constexpr (std::is_convertible_v<T, const char*>) {
            expect(what, std::string(got), std::string(expected));
        } else if (!(got == expected)) {
            add(words(what, " is ", got, ", should be ", expected));
        }
    }

    bool empty() const { return found_.empty(); }
    const std::vector<std::string>& found() const { return found_; }
    std::string joined() const;

private:
    std::vector<std::string> found_;
};

}  // namespace tidings::simulation
