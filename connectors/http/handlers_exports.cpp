// Whole tables for analytics and audits, as CSV or NDJSON: streamed from the rows of one position,
// a piece at a time, as fast as the caller reads.
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/render_export.h"
#include "connectors/http/router.h"

namespace tidings::http {

namespace {

namespace asio = boost::asio;

constexpr std::string_view kNdjson = "application/x-ndjson";

/// An export under way. Owned by the response.
struct Streamed {
    Streamed(std::shared_ptr<void> taken, ReadModelsPtr models, const ExportQuery& query,
             ExportFormat format)
        : place(std::move(taken)), text(std::move(models), query, format) {}
    const std::shared_ptr<void> place;
    ExportText text;
};

Task<Result<std::optional<std::string>>> next_piece(std::shared_ptr<Streamed> streamed) {
    // The thread's other connections first: a caller that reads fast never lets it wait for the
    // socket, and a piece that is empty does not get there.
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
    co_return streamed->text.next();
}

/// Of `format`, or else of Accept.
ExportFormat format_of(const Request& request, Parameters& parameters) {
    const std::size_t accepted = request.accepted == kCsv ? 1 : 0;
    const std::size_t chosen = parameters.choice("format", {"ndjson", "csv"}, accepted);
    return chosen == 1 ? ExportFormat::csv : ExportFormat::ndjson;
}

template <ExportTable table>
Result<Response> export_table(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    ExportQuery query{scope->id(), table, std::nullopt};
    if (const auto id = request.query_value("message"); id && table != ExportTable::messages) {
        const auto message = find_message(*scope, *id);
        if (!message) return message.error();
        query.message = message->card->number;
    }
    Parameters parameters(request);
    const ExportFormat format = format_of(request, parameters);
    if (auto good = parameters.check(); !good) return good.error();
    auto place = api.exports.take(scope->id());
    if (!place) return error(ErrorCode::overloaded, "too many exports are under way");
    const auto streamed =
        std::make_shared<Streamed>(std::move(place), scope->models, query, format);
    Response response;
    response.content_type =
        format == ExportFormat::csv ? "text/csv; charset=utf-8; header=present" : kNdjson;
    if (!request.past) {  // otherwise told by whoever found the past
        response.headers.emplace_back(
            "Tidings-Position",
            format_position(api.broker.partition_of(scope->id()), streamed->text.tip().sequence));
    }
    response.chunks = [streamed] { return next_piece(streamed); };
    return response;
}

}  // namespace

void add_export_routes(Router& router, Api& api) {
    const auto add = [&](const std::string& name, std::vector<std::string> query,
                         const std::vector<Role>& roles, Read read) {
        Route route = get_route(api, "/v1/programs/{p}/exports/" + name, "export_" + name,
                                std::move(query), roles, read);
        route.produces = {std::string(kNdjson), std::string(kCsv)};
        router.add(std::move(route));
    };
    add("messages", {"format"}, kReaders, export_table<ExportTable::messages>);
    add("recipients", {"format", "message"}, kReaders, export_table<ExportTable::recipients>);
    add("opens", {"format", "message"}, kReaders, export_table<ExportTable::opens>);
    add("conversations", {"format", "message"}, kConversationReaders,
        export_table<ExportTable::conversations>);
}

}  // namespace tidings::http
