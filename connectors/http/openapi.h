// The API's own description (OpenAPI 3.1), as it lies in docs/openapi.json, built into the binary.
#pragma once

#include <string_view>

namespace tidings::http {

std::string_view openapi_document();

}  // namespace tidings::http
