// Erasing what is known of a partner as a person.
#include "connectors/await_outcome.h"
#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/positions.h"
#include "events/json_output.h"
#include "events/text.h"

namespace tidings::http {

namespace {

std::string render_erasure(const PartnerId& partner, const Erasure& erasure) {
    const PartitionId partition = erasure.applied.partition;
    std::string out;
    JsonWriter json(out);
    json.open_object().key("partner").string(partner.value);
    json.key("position").string(format_position(partition, erasure.applied.sequence));
    json.key("keys_destroyed").number(erasure.keys);
    json.key("plain_records").open_object().key("count").number(erasure.plain_records);
    if (erasure.plain_records == 0) {
        json.key("first").null().key("last").null();
    } else {
        json.key("first").string(format_position(partition, erasure.first_plain));
        json.key("last").string(format_position(partition, erasure.last_plain));
    }
    json.close_object().close_object();
    return out;
}

Task<Result<Response>> erase_partner(Api& api, Request& request) {
    // Also of who never was a partner: writes that were refused have left sealed texts in the log.
    const ProgramId program{request.parameters[0]};
    const PartnerId id{request.parameters[1]};
    if (!is_valid_id(program.value) || !is_valid_id(id.value)) {
        co_return error(ErrorCode::not_found, "no such partner");
    }
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    Command command = make_command(request, program, ErasePartner{id});
    // Named, since GCC 12 destroys the captures of a closure twice that is a temporary of a
    // co_await.
    auto start = [&broker = api.broker, command = std::move(command)](auto done) mutable {
        broker.erase(std::move(command), std::move(done));
    };
    auto erased = co_await await_callback<Result<Erasure>>(std::move(start));
    if (!erased) co_return erased.error();
    if (erased->applied.outcome.refusal) {
        Response refused = problem(error_of(*erased->applied.outcome.refusal));
        add_position(refused, erased->applied);
        co_return refused;
    }
    Response response = json_response(200, render_erasure(id, *erased));
    add_position(response, erased->applied);
    co_return response;
}

}  // namespace

void add_erasure_routes(Router& router, Api& api) {
    router.add({.method = "POST",
                .pattern = "/v1/programs/{p}/partners/{id}/erasures",
                .name = "erase_partner",
                .roles = kPlatform,
                .checks_parameters = true,
                .handler = writing(api, erase_partner)});
}

}  // namespace tidings::http
