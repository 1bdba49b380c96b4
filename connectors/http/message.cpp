#include "connectors/http/message.h"

namespace tidings::http {

namespace {

std::optional<std::string_view> first(const std::vector<std::pair<std::string, std::string>>& pairs,
                                      std::string_view name) {
    for (const auto& [key, value] : pairs) {
        if (key == name) return value;
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string_view> Request::header(std::string_view name) const {
    return first(headers, name);
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
    return first(query, name);
}

std::string_view Request::program() const {
    if (program_parameter >= 0) return parameters[static_cast<std::size_t>(program_parameter)];
    if (claims && claims->program) return claims->program->value;
    return {};
}

}  // namespace tidings::http
