// How a message was sent: the receipt of its audience, and why one partner got it or not.
#include "connectors/await_outcome.h"
#include "connectors/http/handlers_common.h"
#include "connectors/http/render_receipt.h"
#include "connectors/http/router.h"

namespace tidings::http {

namespace {

Task<Result<SendReceipt>> find_receipt(Api& api, const Request& request,
                                       const std::optional<PartnerId>& partner) {
    const auto scope = find_program(api, request);
    if (!scope) co_return scope.error();
    const auto message = find_message(*scope, request.parameters[1]);
    if (!message) co_return message.error();
    if (partner) {
        const auto known = find_partner(*scope, partner->value);
        if (!known) co_return known.error();
    }
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    auto start = [&broker = api.broker, program = scope->id(), number = message->card->number,
                  &partner](const auto& done) { broker.receipt(program, number, partner, done); };
    co_return co_await await_callback<Result<SendReceipt>>(std::move(start));
}

Task<Result<Response>> get_receipt(Api& api, Request& request) {
    const std::optional<PartnerId> nobody;
    const auto receipt = co_await find_receipt(api, request, nobody);
    if (!receipt) co_return receipt.error();
    const ProgramId program{request.parameters[0]};
    co_return json_response(200, render_receipt(program, *receipt));
}

Task<Result<Response>> get_why(Api& api, Request& request) {
    const std::optional<PartnerId> partner = PartnerId{request.parameters[2]};
    const auto receipt = co_await find_receipt(api, request, partner);
    if (!receipt) co_return receipt.error();
    const ProgramId program{request.parameters[0]};
    co_return json_response(200, render_why(program, *partner, *receipt));
}

}  // namespace

void add_receipt_routes(Router& router, Api& api) {
    const std::string message = "/v1/programs/{p}/messages/{m}";
    const auto add = [&](const std::string& pattern, const char* name, Write handler) {
        router.add({.method = "GET",
                    .pattern = pattern,
                    .name = name,
                    .roles = kReaders,
                    .checks_parameters = true,
                    .handler = writing(api, handler)});
    };
    add(message + "/receipt", "get_receipt", get_receipt);
    add(message + "/recipients/{id}/why", "get_why", get_why);
}

}  // namespace tidings::http
