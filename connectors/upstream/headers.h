// Request headers as the upstream connectors see them: names in lower case, duplicates kept, values
// as sent.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidings::upstream {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The first value of that (lower-case) name.
inline std::optional<std::string_view> header(const Headers& headers, std::string_view name) {
    for (const auto& [key, value] : headers) {
        if (key == name) return value;
    }
    return std::nullopt;
}

}  // namespace tidings::upstream
