// Conversations as owners see them: the Messages tab of a partner's profile, one conversation,
// answering in it, and marking its replies read.
#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/render.h"
#include "connectors/http/router.h"

namespace tidings::http {

namespace {

/// Program, partner and message of .../programs/{p}/partners/{id}/messages/{m}.
struct OwnerScope {
    ProgramScope program;
    ConversationScope conversation;
};

Result<OwnerScope> find_owner_scope(Api& api, const Request& request) {
    auto program = find_program(api, request);
    if (!program) return program.error();
    auto partner = find_partner(*program, request.parameters[1]);
    if (!partner) return partner.error();
    auto conversation = find_conversation(*program->models, program->id(), std::move(*partner),
                                          request.parameters[2]);
    if (!conversation) return conversation.error();
    return OwnerScope{std::move(*program), std::move(*conversation)};
}

Result<Response> list_partner_messages(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    const auto partner = find_partner(*scope, request.parameters[1]);
    if (!partner) return partner.error();
    Parameters parameters(request);
    const PageRequest page = parameters.page();
    if (auto good = parameters.check(); !good) return good.error();
    const auto inbox = scope->models->inbox(scope->id(), (*partner)->ordinal, false, true, page);
    if (!inbox) return inbox.error();
    return json_response(200, render_profile_messages(*inbox));
}

Result<Response> get_conversation(Api& api, const Request& request) {
    const auto scope = find_owner_scope(api, request);
    if (!scope) return scope.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    const ProgramId& program = scope->program.id();
    const auto conversation = scope->program.models->conversation(
        program, scope->conversation.message, scope->conversation.partner->ordinal);
    if (!conversation) return error(ErrorCode::not_found, "no such message");
    return json_response(200, render_conversation(program, *conversation, Viewer::owner));
}

Task<Result<Response>> post_owner_reply(Api& api, Request& request) {
    const auto scope = find_owner_scope(api, request);
    if (!scope) co_return scope.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    auto body = read_body(request, reply_from_json);
    if (!body) co_return body.error();
    const ProgramId& program = scope->program.id();
    const ConversationScope& where = scope->conversation;
    Canonical content("tidings.content.v1");
    content.add("POST").add("owner replies").add(program.value).add(where.partner->id.value);
    content.add(where.message.value).add(*body);
    PostReply reply{where.message, where.partner->ordinal, std::move(*body)};
    Command command = make_command(request, program, std::move(reply));
    make_tracked(api, request, content, command);
    co_return co_await write_tracked(api, request, std::move(command));
}

/// The call has no members: no body, or `{}`.
Result<void> check_no_members(const Request& request) {
    if (request.body.empty()) return {};
    const auto json = parse_json(request.body);
    if (!json) return json.error();
    FieldErrors errors;
    nothing_from_json(*json, errors);
    if (!errors.empty()) return errors.error();
    return {};
}

Task<Result<Response>> mark_replies_read(Api& api, Request& request) {
    const auto scope = find_owner_scope(api, request);
    if (!scope) co_return scope.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    if (auto body = check_no_members(request); !body) co_return body.error();
    const ConversationScope& where = scope->conversation;
    Command command =
        make_command(request, scope->program.id(), MarkRead{where.message, where.partner->ordinal});
    co_return co_await write_no_content(api, std::move(command));
}

}  // namespace

void add_conversation_routes(Router& router, Api& api) {
    const std::string messages = "/v1/programs/{p}/partners/{id}/messages";
    const std::string conversation = messages + "/{m}";
    router.add(get_route(api, messages, "list_partner_messages", {"limit", "cursor"}, kReaders,
                         list_partner_messages));
    router.add(get_route(api, conversation, "get_conversation", {}, kConversationReaders,
                         get_conversation));
    router.add({.method = "POST",
                .pattern = conversation + "/replies",
                .name = "post_owner_reply",
                .body = BodyKind::json,
                .roles = kOwner,
                .idempotency_header = true,
                .checks_parameters = true,
                .handler = writing(api, post_owner_reply)});
    router.add({.method = "POST",
                .pattern = conversation + "/read",
                .name = "mark_replies_read",
                .body = BodyKind::json,
                .body_optional = true,
                .roles = kOwner,
                .checks_parameters = true,
                .handler = writing(api, mark_replies_read)});
}

}  // namespace tidings::http
