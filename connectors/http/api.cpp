#include "connectors/http/api.h"

#include <memory>

#include "connectors/http/handlers_common.h"
#include "connectors/http/openapi.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"

namespace tidings::http {

namespace {

Response not_found_command() { return problem(error(ErrorCode::not_found, "no such command")); }

/// What became of a send or reply, for its caller only.
Result<Response> get_command(Api& api, const Request& request) {
    const Claims& claims = *request.claims;
    const auto bytes = from_hex(request.parameters[0]);
    if (!claims.program || !bytes || bytes->size() != CommandId::kSize) return not_found_command();
    const CommandId id = CommandId::from(*bytes);
    const CallerDigest caller = caller_of(api, *claims.program, claims);
    // Asked first: what is decided in between is then in the read models.
    const bool pending = api.callers.has(id, caller) && api.broker.pending(*claims.program, id);
    const ReadModelsPtr models = api.broker.read(*claims.program);
    const auto tracked = models->tracked(*claims.program, id);
    const bool decided = tracked && tracked->caller == caller;
    if (!decided && !pending) return not_found_command();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    if (!decided) return json_response(200, render_command(id, nullptr));
    const Response answer = tracked_answer(*models, *claims.program, *tracked);
    return json_response(200, render_command(id, &answer));
}

Task<Response> get_openapi(Request&) {
    co_return json_response(200, std::string(openapi_document()));
}

/// Keeps `api` alive as long as the routes.
Handler owning(std::shared_ptr<Api> api, Handler handler) {
    return [api = std::move(api), handler = std::move(handler)](Request& request) {
        return handler(request);
    };
}

}  // namespace

void add_command_routes(Router& router, Api& api) {
    router.add({.method = "GET",
                .pattern = "/v1/commands/{id}",
                .name = "get_command",
                .roles = {Role::owner, Role::partner, Role::platform, Role::analyst, Role::auditor},
                .checks_parameters = true,
                .handler = reading(api, get_command)});
}

void add_api_routes(Router& router, Broker& broker, ApiOptions options) {
    const auto api = std::make_shared<Api>(broker, options);
    add_program_routes(router, *api);
    add_bulk_routes(router, *api);
    add_message_routes(router, *api);
    add_export_routes(router, *api);
    add_conversation_routes(router, *api);
    add_receipt_routes(router, *api);
    add_erasure_routes(router, *api);
    add_portal_routes(router, *api);
    add_command_routes(router, *api);
    add_schema_routes(router);
    if (options.audit != nullptr) add_audit_routes(router, *api);
    if (options.rebuilder != nullptr) add_rebuild_routes(router, *api);
    router.add({.method = "GET",
                .pattern = "/v1/openapi.json",
                .name = "get_openapi",
                .handler = owning(api, get_openapi)});
}

}  // namespace tidings::http
