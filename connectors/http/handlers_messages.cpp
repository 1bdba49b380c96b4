// What owners do with messages: review an audience, send, list, look at one, its recipients and its
// opens.
#include <algorithm>

#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/render.h"
#include "connectors/http/router.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

/// Messages rendered at a time: with bodies and named audiences each may take more than 1 MiB.
constexpr std::size_t kMessagesPiece = 16;
/// Rows of a CSV list rendered at a time.
constexpr std::size_t kCsvPiece = 1'000;

Result<Response> preview_audience(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    const auto body = read_body(request, [&scope](const JsonValue& json, FieldErrors& errors) {
        AudienceRequest read = audience_request_from_json(scope->id(), json, errors);
        if (errors.empty()) check_filter_messages(*scope, read.audience, "/audience", errors);
        return read;
    });
    if (!body) return body.error();
    const auto preview =
        scope->models->preview(scope->id(), body->audience, {body->limit, body->cursor});
    if (!preview) return preview.error();
    return json_response(200, render_preview(*preview));
}

/// A key's content: method, path, decoded fields.
Canonical send_content(const ProgramId& program, const SendMessage& send) {
    Canonical content("tidings.content.v1");
    content.add("POST").add("messages").add(program.value);
    content.add(send.subject).add(send.body).add(send.replies_enabled ? 1 : 0);
    std::string audience;
    append_audience(audience, program, send.audience);
    content.add(audience);
    content.add(send.expect_digest ? send.expect_digest->view() : std::string_view());
    return content;
}

Task<Result<Response>> send_message(Api& api, Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) co_return scope.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    auto body = read_body(request, [&scope](const JsonValue& json, FieldErrors& errors) {
        SendMessage read = send_message_from_json(scope->id(), json, errors);
        if (errors.empty()) check_filter_messages(*scope, read.audience, "/audience", errors);
        return read;
    });
    if (!body) co_return body.error();
    const Canonical content = send_content(scope->id(), *body);
    Command command = make_command(request, scope->id(), std::move(*body));
    make_tracked(api, request, content, command);
    co_return co_await write_tracked(api, request, std::move(command));
}

/// A long list of messages, a piece at a time. Owned by the response.
class MessageList {
public:
    MessageList(ReadModelsPtr models, ProgramId program, PageRequest page)
        : models_(std::move(models)), program_(std::move(program)), page_(std::move(page)) {}

    /// Of the list's JSON; nothing at its end. `{"data":[a,b` … `,c,d],"next_cursor":null}`.
    Result<std::optional<std::string>> next() {
        if (held_) return std::exchange(held_, std::nullopt);
        if (done_) return std::optional<std::string>();
        const std::size_t wanted = std::min(page_.limit, kMessagesPiece);
        auto page = models_->messages(program_, {wanted, page_.cursor});
        if (!page) return page.error();
        page_.limit -= std::min(page_.limit, page->rows.size());
        done_ = page_.limit == 0 || page->next_cursor.empty();
        page_.cursor = page->next_cursor;
        if (!done_) page->next_cursor.clear();
        std::string piece = render_messages(program_, *page);
        if (!first_) piece.replace(0, kHead.size(), page->rows.empty() ? "" : ",");
        if (!done_) piece.resize(piece.size() - kTail.size());
        first_ = false;
        return std::optional<std::string>(std::move(piece));
    }
    bool done() const { return done_; }
    /// What next() gives first.
    void hold(std::string piece) { held_ = std::move(piece); }

private:
    static constexpr std::string_view kHead = "{\"data\":[";
    static constexpr std::string_view kTail = "],\"next_cursor\":null}";
    const ReadModelsPtr models_;
    const ProgramId program_;
    PageRequest page_;  ///< what is still to come
    bool first_ = true, done_ = false;
    std::optional<std::string> held_;
};

Task<Result<std::optional<std::string>>> next_messages(std::shared_ptr<MessageList> list) {
    co_return list->next();
}

Result<Response> list_messages(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    Parameters parameters(request);
    const PageRequest page = parameters.page();
    if (auto good = parameters.check(); !good) return good.error();
    auto list = std::make_shared<MessageList>(scope->models, scope->id(), page);
    auto first = list->next();
    if (!first) return first.error();
    if (list->done()) return json_response(200, std::move(**first));
    list->hold(std::move(**first));
    Response response;
    response.chunks = [list] { return next_messages(list); };
    return response;
}

Result<Response> get_message(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    const auto message = find_message(*scope, request.parameters[1]);
    if (!message) return message.error();
    if (auto parameters = check_parameters(request); !parameters) return parameters.error();
    return json_response(200, render_message(scope->id(), *message));
}

/// The whole list of recipients as CSV, a piece at a time. Owned by the response.
class RecipientCsv {
public:
    RecipientCsv(ReadModelsPtr models, ProgramId program, EventNumber message, RecipientState state,
                 std::string query)
        : models_(std::move(models)),
          program_(std::move(program)),
          message_(message),
          state_(state),
          query_(std::move(query)) {}

    Result<std::optional<std::string>> next() {
        if (done_) return std::optional<std::string>();
        std::string piece;
        if (cursor_.empty()) piece = recipients_csv_header();
        const auto page =
            models_->recipients(program_, message_, state_, query_, {kCsvPiece, cursor_});
        if (!page) return page.error();
        for (const RecipientRow& row : page->rows) append_recipient_csv(piece, row);
        cursor_ = page->next_cursor;
        done_ = cursor_.empty();
        return std::optional<std::string>(std::move(piece));
    }

private:
    const ReadModelsPtr models_;
    const ProgramId program_;
    const EventNumber message_;
    const RecipientState state_;
    const std::string query_;
    std::string cursor_;
    bool done_ = false;
};

Task<Result<std::optional<std::string>>> next_recipients(std::shared_ptr<RecipientCsv> list) {
    co_return list->next();
}

Result<Response> list_recipients(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    const auto message = find_message(*scope, request.parameters[1]);
    if (!message) return message.error();
    Parameters parameters(request);
    const PageRequest page = parameters.page();
    const std::string query = parameters.text("query", limits::kQueryCharacters);
    static constexpr RecipientState kStates[] = {RecipientState::all, RecipientState::opened,
                                                 RecipientState::unopened, RecipientState::replied};
    const RecipientState state =
        kStates[parameters.choice("state", {"all", "opened", "unopened", "replied"}, 0)];
    if (auto good = parameters.check(); !good) return good.error();
    const EventNumber number = message->card->number;
    if (request.accepted == kCsv) {
        auto csv = std::make_shared<RecipientCsv>(scope->models, scope->id(), number, state, query);
        Response response;
        response.content_type = "text/csv; charset=utf-8";
        response.chunks = [csv] { return next_recipients(csv); };
        return response;
    }
    const auto recipients = scope->models->recipients(scope->id(), number, state, query, page);
    if (!recipients) return recipients.error();
    return json_response(200, render_recipients(*recipients));
}

Result<Response> list_opens(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    const auto message = find_message(*scope, request.parameters[1]);
    if (!message) return message.error();
    Parameters parameters(request);
    static constexpr OpensInterval kIntervals[] = {OpensInterval::minute, OpensInterval::hour,
                                                   OpensInterval::day};
    const OpensInterval interval =
        kIntervals[parameters.choice("interval", {"minute", "hour", "day"}, 1)];
    if (auto good = parameters.check(); !good) return good.error();
    return json_response(
        200, render_opens(scope->models->opens(scope->id(), message->card->number, interval)));
}

}  // namespace

void add_message_routes(Router& router, Api& api) {
    const std::string messages = "/v1/programs/{p}/messages";
    const std::string message = messages + "/{m}";
    router.add({.method = "POST",
                .pattern = "/v1/programs/{p}/audiences",
                .name = "preview_audience",
                .body = BodyKind::json,
                .roles = kReaders,
                .checks_parameters = true,
                .handler = reading(api, preview_audience)});
    router.add({.method = "POST",
                .pattern = messages,
                .name = "send_message",
                .body = BodyKind::json,
                .roles = kOwner,
                .idempotency_header = true,
                .checks_parameters = true,
                .handler = writing(api, send_message)});
    router.add(
        get_route(api, messages, "list_messages", {"limit", "cursor"}, kReaders, list_messages));
    router.add(get_route(api, message, "get_message", {}, kReaders, get_message));
    Route recipients = get_route(api, message + "/recipients", "list_recipients",
                                 {"state", "query", "limit", "cursor"}, kReaders, list_recipients);
    recipients.produces.emplace_back(kCsv);
    router.add(std::move(recipients));
    router.add(
        get_route(api, message + "/opens", "list_opens", {"interval"}, kReaders, list_opens));
}

}  // namespace tidings::http
