// Programs, partners, tags and the webhook secret: what the upstream platform writes one by one and
// what owners read of it.
#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/render.h"
#include "connectors/http/router.h"
#include "events/text.h"

namespace tidings::http {

namespace {

/// For calls that may create what the path names.
Result<void> check_id(const std::string& id, const char* what) {
    if (is_valid_id(id)) return {};
    return invalid_field(
        "/id", field_code::kInvalidFormat,
        std::string("a ") + what +
            " id has 1 to 128 characters, none of them '/' or a control character");
}

Task<Result<Response>> put_program(Api& api, Request& request) {
    const ProgramId program{request.parameters[0]};
    if (auto id = check_id(program.value, "program"); !id) co_return id.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    auto body = read_body(request, [](const JsonValue& json, FieldErrors& errors) {
        return program_from_json(json, errors);
    });
    if (!body) co_return body.error();
    const ProgramView asked{program, body->name, body->plan};
    auto written = co_await write(api, make_command(request, program, std::move(*body)));
    if (!written) co_return written.error();
    if (written->refusal) co_return std::move(*written->refusal);
    Response response = json_response(200, render_program(asked));
    add_position(response, written->applied);
    co_return response;
}

Result<Response> get_program(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    return json_response(200, render_program(scope->program));
}

/// Answers with the partner as it is after the write.
Task<Result<Response>> write_partner(Api& api, Command command) {
    const ProgramId program = command.program;
    const PartnerId id = std::get<UpsertPartners>(command.body).partners.front().id;
    auto written = co_await write(api, std::move(command));
    if (!written) co_return written.error();
    if (written->refusal) co_return std::move(*written->refusal);
    const ReadModelsPtr models = api.broker.read(program);
    const PartnerPtr partner = models->partner(program, id);
    if (!partner) co_return error(ErrorCode::io, "a partner that was written is not there");
    Response response =
        json_response(200, render_partner(*partner, models->texts(program).show(*partner)));
    add_position(response, written->applied);
    co_return response;
}

Task<Result<Response>> put_partner(Api& api, Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) co_return scope.error();
    const PartnerId id{request.parameters[1]};
    if (auto valid = check_id(id.value, "partner"); !valid) co_return valid.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    const PartnerPtr before = scope->models->partner(scope->id(), id);
    const bool known = before && !before->erased;
    auto patch = read_body(request, [known](const JsonValue& json, FieldErrors& errors) {
        PartnerPatch read = partner_patch_from_json(json, PatchMode::put, errors);
        if (!known && json.is_object() && json.find("email") == nullptr) {
            errors.add("/email", field_code::kRequired, "is required when a partner is first seen");
        }
        return read;
    });
    if (!patch) co_return patch.error();
    patch->id = id;
    UpsertPartners upsert;
    upsert.partners.push_back(std::move(*patch));
    upsert.revive = true;
    co_return co_await write_partner(api, make_command(request, scope->id(), std::move(upsert)));
}

Task<Result<Response>> patch_partner(Api& api, Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) co_return scope.error();
    const auto partner = find_partner(*scope, request.parameters[1]);
    if (!partner) co_return partner.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    auto patch = read_body(request, [](const JsonValue& json, FieldErrors& errors) {
        return partner_patch_from_json(json, PatchMode::merge_patch, errors);
    });
    if (!patch) co_return patch.error();
    patch->id = (*partner)->id;
    UpsertPartners upsert;
    upsert.partners.push_back(std::move(*patch));
    upsert.must_exist = true;
    co_return co_await write_partner(api, make_command(request, scope->id(), std::move(upsert)));
}

Task<Result<Response>> delete_partner(Api& api, Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) co_return scope.error();
    const auto partner = find_partner(*scope, request.parameters[1]);
    if (!partner) co_return partner.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    PartnerPatch patch;
    patch.id = (*partner)->id;
    patch.status = PartnerStatus::deleted;
    UpsertPartners upsert;
    upsert.partners.push_back(std::move(patch));
    upsert.must_exist = true;
    Command command = make_command(request, scope->id(), std::move(upsert));
    co_return co_await write_no_content(api, std::move(command));
}

Result<Response> get_partner(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    const auto partner = find_partner(*scope, request.parameters[1]);
    if (!partner) return partner.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    return json_response(
        200, render_partner(**partner, scope->models->texts(scope->id()).show(**partner)));
}

Result<Response> list_partners(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    Parameters parameters(request);
    const PageRequest page = parameters.page();
    PartnerQuery query;
    query.query = parameters.text("query", limits::kQueryCharacters);
    query.tag = parameters.text("tag", limits::kTagCharacters);
    const std::size_t status =
        parameters.choice("status", {"active", "pending", "archived", "deleted", "all"}, 0);
    if (auto good = parameters.check(); !good) return good.error();
    static constexpr PartnerStatus kStatuses[] = {PartnerStatus::active, PartnerStatus::pending,
                                                  PartnerStatus::archived, PartnerStatus::deleted};
    if (status < std::size(kStatuses)) query.status = kStatuses[status];
    const auto partners = scope->models->partners(scope->id(), query, page);
    if (!partners) return partners.error();
    return json_response(200, render_partners(*partners));
}

Result<Response> list_tags(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    Parameters parameters(request);
    const PageRequest page = parameters.page();
    if (auto good = parameters.check(); !good) return good.error();
    const auto tags = scope->models->tags(scope->id(), page);
    if (!tags) return tags.error();
    return json_response(200, render_tags(*tags));
}

Result<Response> get_summary(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    return json_response(200, render_summary(scope->models->summary(scope->id())));
}

Task<Result<Response>> put_secret(Api& api, Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) co_return scope.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    const auto secret = read_body(request, [](const JsonValue& json, FieldErrors& errors) {
        return webhook_secret_from_json(json, errors);
    });
    if (!secret) co_return secret.error();
    SetWebhookSecret body{api.broker.seal(*secret, scope->id().value)};
    Command command = make_command(request, scope->id(), std::move(body));
    co_return co_await write_no_content(api, std::move(command));
}

}  // namespace

void add_program_routes(Router& router, Api& api) {
    const std::string program = "/v1/programs/{p}";
    const std::string partners = program + "/partners";
    const std::string partner = partners + "/{id}";
    const auto put = [&](std::string pattern, std::string name, Write handler) {
        router.add({.method = "PUT",
                    .pattern = std::move(pattern),
                    .name = std::move(name),
                    .body = BodyKind::json,
                    .roles = kPlatform,
                    .checks_parameters = true,
                    .handler = writing(api, handler)});
    };
    put(program, "put_program", put_program);
    put(partner, "put_partner", put_partner);
    put(program + "/webhooks/partnero", "put_webhook_secret", put_secret);
    router.add({.method = "PATCH",
                .pattern = partner,
                .name = "patch_partner",
                .body = BodyKind::json,
                .consumes = {"application/merge-patch+json", "application/json"},
                .roles = kPlatform,
                .checks_parameters = true,
                .handler = writing(api, patch_partner)});
    router.add({.method = "DELETE",
                .pattern = partner,
                .name = "delete_partner",
                .roles = kPlatform,
                .checks_parameters = true,
                .handler = writing(api, delete_partner)});
    router.add(get_route(api, program, "get_program", {}, kPlatform, get_program));
    router.add(get_route(api, partners, "list_partners",
                         {"query", "tag", "status", "limit", "cursor"}, kReaders, list_partners));
    router.add(get_route(api, partner, "get_partner", {}, kReaders, get_partner));
    router.add(
        get_route(api, program + "/tags", "list_tags", {"limit", "cursor"}, kReaders, list_tags));
    router.add(get_route(api, program + "/summary", "get_summary", {}, kReaders, get_summary));
}

}  // namespace tidings::http
