#include "connectors/http/openapi.h"

namespace tidings::http {

namespace {

constexpr char kDocument[] =
#include "openapi_document.inc"  // docs/openapi.json, made by connectors/CMakeLists.txt
    ;

}  // namespace

std::string_view openapi_document() { return {kDocument, sizeof(kDocument) - 1}; }

}  // namespace tidings::http
