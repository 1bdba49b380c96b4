// The partner portal: the partner that the token names reads its messages, opens them and replies.
// The inbox page and the open are the hot paths of the whole broker.
#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/render.h"
#include "connectors/http/router.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

Result<Response> portal_summary(Api& api, const Request& request) {
    const auto scope = find_portal(api, request);
    if (!scope) return scope.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    return json_response(200, render_inbox_summary(scope->models->inbox_summary(
                                  scope->program, scope->partner->ordinal)));
}

Result<Response> portal_messages(Api& api, const Request& request) {
    const auto scope = find_portal(api, request);
    if (!scope) return scope.error();
    Parameters parameters(request);
    const PageRequest page = parameters.page();
    const bool unread_only = parameters.flag("unread");
    if (auto good = parameters.check(); !good) return good.error();
    const auto inbox =
        scope->models->inbox(scope->program, scope->partner->ordinal, unread_only, false, page);
    if (!inbox) return inbox.error();
    return json_response(200, render_inbox(*inbox));
}

Result<Response> portal_message(Api& api, const Request& request) {
    const auto scope = find_portal(api, request);
    if (!scope) return scope.error();
    const auto where =
        find_conversation(*scope->models, scope->program, scope->partner, request.parameters[0]);
    if (!where) return where.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    const auto conversation =
        scope->models->conversation(scope->program, where->message, where->partner->ordinal);
    if (!conversation) return error(ErrorCode::not_found, "no such message");
    return json_response(200, render_conversation(scope->program, *conversation, Viewer::partner));
}

/// The post that `up_to` names, 0 if it names none.
Result<EventNumber> read_up_to(const PortalScope& scope, const ConversationScope& where,
                               const Request& request) {
    if (request.body.empty()) return EventNumber{};
    return read_body(request, [&](const JsonValue& json, FieldErrors& errors) {
        const auto up_to = up_to_from_json(json, errors);
        if (!up_to) return EventNumber{};
        const auto number = parse_post_id(scope.program, *up_to);
        if (number &&
            scope.models->post(scope.program, where.message, where.partner->ordinal, *number)) {
            return *number;
        }
        errors.add("/up_to", field_code::kNotFound, "is no post of this conversation");
        return EventNumber{};
    });
}

Task<Result<Response>> open_message(Api& api, Request& request) {
    const auto scope = find_portal(api, request);
    if (!scope) co_return scope.error();
    const auto where =
        find_conversation(*scope->models, scope->program, scope->partner, request.parameters[0]);
    if (!where) co_return where.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    const auto up_to = read_up_to(*scope, *where, request);
    if (!up_to) co_return up_to.error();
    const PartnerOrdinal ordinal = where->partner->ordinal;
    RecordOpens open;
    open.up_to = *up_to;
    open.groups.emplace_back().message = where->message;
    open.groups.back().partners.add(ordinal.value);
    const auto written =
        co_await write(api, make_command(request, scope->program, std::move(open)));
    if (!written) co_return written.error();
    if (written->refusal) co_return *written->refusal;
    const bool first = written->applied.outcome.first_opens > 0;
    const std::optional<Timestamp> at =
        first ? written->applied.outcome.time
              : api.broker.read(scope->program)->opened_at(scope->program, where->message, ordinal);
    std::string body;
    body.reserve(64);
    JsonWriter json(body);
    json.open_object().key("opened_at").time(at).key("first").boolean(first).close_object();
    Response response = json_response(200, std::move(body));
    add_position(response, written->applied);
    co_return response;
}

Task<Result<Response>> post_partner_reply(Api& api, Request& request) {
    const auto scope = find_portal(api, request);
    if (!scope) co_return scope.error();
    const auto where =
        find_conversation(*scope->models, scope->program, scope->partner, request.parameters[0]);
    if (!where) co_return where.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    auto body = read_body(request, reply_from_json);
    if (!body) co_return body.error();
    Canonical content("tidings.content.v1");
    content.add("POST").add("portal replies").add(scope->program.value);
    content.add(where->partner->id.value).add(where->message.value).add(*body);
    PostReply reply{where->message, where->partner->ordinal, std::move(*body)};
    Command command = make_command(request, scope->program, std::move(reply));
    make_tracked(api, request, content, command);
    co_return co_await write_tracked(api, request, std::move(command));
}

}  // namespace

void add_portal_routes(Router& router, Api& api) {
    const std::string messages = "/v1/portal/messages";
    const std::string message = messages + "/{m}";
    router.add(
        get_route(api, "/v1/portal/summary", "portal_summary", {}, kPartner, portal_summary));
    router.add(get_route(api, messages, "portal_messages", {"unread", "limit", "cursor"}, kPartner,
                         portal_messages));
    router.add(get_route(api, message, "portal_message", {}, kPartner, portal_message));
    router.add({.method = "POST",
                .pattern = message + "/open",
                .name = "open_message",
                .body = BodyKind::json,
                .body_optional = true,
                .roles = kPartner,
                .checks_parameters = true,
                .handler = writing(api, open_message)});
    router.add({.method = "POST",
                .pattern = message + "/replies",
                .name = "post_partner_reply",
                .body = BodyKind::json,
                .roles = kPartner,
                .idempotency_header = true,
                .checks_parameters = true,
                .handler = writing(api, post_partner_reply)});
}

}  // namespace tidings::http
