// A wrapping of the partners' keys that tests can look into, and finding it on disk.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "events/partner_keys.h"

namespace tidings::testing {

/// Every value that was wrapped is remembered, to be looked for on disk.
struct Wraps {
    std::vector<std::string> wrapped;
    std::string secret = "deployment";
    KeyWrap wrap() {
        return {[this](std::string_view plain, std::string_view context) {
                    std::string out = secret + "|" + std::string(context) + "|";
                    for (const char byte : plain) out += static_cast<char>(byte ^ 0x5a);
                    wrapped.push_back(out);
                    return out;
                },
                [this](std::string_view value, std::string_view context) -> Result<std::string> {
                    const std::string head = secret + "|" + std::string(context) + "|";
                    if (!value.starts_with(head)) return Error{ErrorCode::corruption, "other", {}};
                    std::string out;
                    for (const char byte : value.substr(head.size()))
                        out += static_cast<char>(byte ^ 0x5a);
                    return out;
                }};
    }
};

/// Whether these bytes lie in a file below.
inline bool lies_below(const std::filesystem::path& directory, const std::string& bytes) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string all((std::istreambuf_iterator<char>(file)), {});
        if (all.find(bytes) != std::string::npos) return true;
    }
    return false;
}

}  // namespace tidings::testing
