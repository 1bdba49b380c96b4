// What analytics consumers may rely on: the schemas of the events. Public; the same for as long as
// the process runs.
#include "connectors/http/event_schemas.h"
#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

constexpr std::string_view kSchemasPath = "/v1/schemas/events";
constexpr std::string_view kEnvelope = "envelope";

std::string url_of(std::string_view name) {
    return std::string(kSchemasPath) + "/" + std::string(name);
}

std::string render_list() {
    std::string out;
    JsonWriter json(out);
    json.open_object().key("envelope").string(url_of(kEnvelope)).key("data").open_array();
    for (const EventSchema& schema : event_schemas()) {
        if (schema.name == kEnvelope) continue;
        json.open_object().key("type").string(schema.name);
        json.key("url").string(url_of(schema.name)).close_object();
    }
    json.close_array().close_object();
    return out;
}

Task<Response> list_event_schemas(Request&) { co_return json_response(200, render_list()); }

Task<Response> get_event_schema(Request& request) {
    for (const EventSchema& schema : event_schemas()) {
        if (schema.name != request.parameters[0]) continue;
        Response response = json_response(200, std::string(schema.text));
        response.content_type = request.accepted;
        co_return response;
    }
    co_return problem(error(ErrorCode::not_found, "no such type of event"));
}

}  // namespace

void add_schema_routes(Router& router) {
    router.add({.method = "GET",
                .pattern = std::string(kSchemasPath),
                .name = "list_event_schemas",
                .handler = list_event_schemas});
    router.add({.method = "GET",
                .pattern = std::string(kSchemasPath) + "/{type}",
                .name = "get_event_schema",
                .produces = {"application/schema+json", "application/json"},
                .handler = get_event_schema});
}

}  // namespace tidings::http
