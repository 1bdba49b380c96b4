// RFC 4648 base64 with padding, through libcrypto.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidings {

std::string to_base64(std::string_view bytes);
/// Nothing if it is not the base64 of any bytes.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace tidings
