// Making read models anew while they are served: asked for and watched by those who run the broker.
// It concerns this process's own read models, so nothing here is passed on.
#include <algorithm>

#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "connectors/rebuilder.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

constexpr const char* kRebuildPath = "/v1/operations/rebuild";

const char* word_of(RebuildState state) {
    switch (state) {
        case RebuildState::waiting:
            return "waiting";
        case RebuildState::building:
            return "building";
        case RebuildState::comparing:
            return "comparing";
        case RebuildState::done:
            return "done";
        case RebuildState::failed:
            break;
    }
    return "failed";
}

std::optional<PartitionId> here(const Broker&, const Request&) { return std::nullopt; }

/// Running, or how the last one ended.
const char* state_of(const std::vector<RebuildProgress>& rebuilds) {
    const auto any = [&rebuilds](auto matches) {
        return std::any_of(rebuilds.begin(), rebuilds.end(),
                           [matches](const RebuildProgress& one) { return matches(one.state); });
    };
    if (rebuilds.empty()) return "none";
    if (any([](RebuildState state) { return state < RebuildState::done; })) return "running";
    return any([](RebuildState state) { return state == RebuildState::failed; }) ? "failed"
                                                                                 : "done";
}

void render(JsonWriter& json, const RebuildProgress& rebuild) {
    json.open_object().key("partition").number(rebuild.partition.value);
    json.key("state").string(word_of(rebuild.state));
    json.key("position").number(rebuild.position.value);
    json.key("target").number(rebuild.target.value);
    json.key("commits_per_second").number(static_cast<std::uint64_t>(rebuild.commits_per_second));
    if (rebuild.seconds_left) json.key("seconds_left").number(*rebuild.seconds_left);
    if (rebuild.compared) {
        json.key("compared").string(format_position(rebuild.partition, *rebuild.compared));
    }
    json.key("models").open_array();
    for (const ComparedModel& model : rebuild.models) {
        json.open_object().key("model").string(model.model);
        json.key("live").string(to_hex(model.live.view()));
        json.key("rebuilt").string(to_hex(model.rebuilt.view())).close_object();
    }
    json.close_array();
    if (!rebuild.problem.empty()) json.key("problem").string(rebuild.problem);
    json.close_object();
}

Response show(const Api& api, unsigned status) {
    const auto rebuilds = api.options.rebuilder->rebuilds();
    std::string out;
    JsonWriter json(out);
    json.open_object().key("state").string(state_of(rebuilds)).key("partitions").open_array();
    for (const RebuildProgress& rebuild : rebuilds) render(json, rebuild);
    json.close_array().close_object();
    return json_response(status, std::move(out));
}

struct Wanted {
    std::optional<PartitionId> partition;  ///< nothing: all that this process holds
    bool accept_difference = false;
};

Wanted wanted_from_json(const JsonValue& json, std::uint32_t partitions, FieldErrors& errors) {
    Wanted wanted;
    if (!json.is_object()) {
        errors.add("", field_code::kWrongType, "must be an object");
        return wanted;
    }
    for (const JsonMember& member : json.members) {
        const std::string pointer = child_pointer("", member.name);
        if (member.name == "partition") {
            const auto number = member.value.is_number() ? integer_of(member.value.text)
                                                         : std::optional<std::int64_t>();
            if (!number) {
                errors.add(pointer, field_code::kWrongType, "must be an integer");
            } else if (*number < 0 || *number >= partitions) {
                errors.add(pointer, field_code::kOutOfRange,
                           "must be below " + std::to_string(partitions));
            } else {
                wanted.partition = PartitionId{static_cast<std::uint32_t>(*number)};
            }
        } else if (member.name == "accept_difference") {
            if (!member.value.is_boolean()) {
                errors.add(pointer, field_code::kWrongType, "must be true or false");
            }
            wanted.accept_difference = member.value.truth;
        } else {
            errors.add(pointer, field_code::kUnknownField, "is not a known member");
        }
    }
    return wanted;
}

Task<Result<Response>> start_rebuild(Api& api, Request& request) {
    if (auto good = check_parameters(request); !good) co_return good.error();
    Wanted wanted;
    if (!request.body.empty()) {
        const std::uint32_t partitions = api.broker.partitions();
        auto read = read_body(request, [partitions](const JsonValue& json, FieldErrors& errors) {
            return wanted_from_json(json, partitions, errors);
        });
        if (!read) co_return read.error();
        wanted = *read;
    }
    std::vector<PartitionId> chosen;
    for (std::uint32_t p = 0; p < api.broker.partitions(); ++p) {
        const bool asked =
            wanted.partition ? wanted.partition->value == p : api.broker.holds(PartitionId{p});
        if (asked) chosen.push_back(PartitionId{p});
    }
    const Result<void> begun = api.options.rebuilder->rebuild(chosen, wanted.accept_difference);
    if (!begun && begun.error().code == ErrorCode::invalid) {
        co_return invalid_field("/partition", field_code::kNotFound, begun.error().detail);
    }
    if (!begun) co_return begun.error();
    Response response = show(api, 202);
    response.headers.emplace_back("Location", kRebuildPath);
    co_return response;
}

Result<Response> get_rebuild(Api& api, const Request& request) {
    if (auto good = check_parameters(request); !good) return good.error();
    return show(api, 200);
}

}  // namespace

void add_rebuild_routes(Router& router, Api& api) {
    router.add({.method = "POST",
                .pattern = kRebuildPath,
                .name = "start_rebuild",
                .body = BodyKind::json,
                .body_optional = true,
                .roles = kPlatform,
                .checks_parameters = true,
                .partition = here,
                .about_process = true,
                .handler = writing(api, start_rebuild)});
    Route route = get_route(api, kRebuildPath, "get_rebuild", {}, kPlatform, get_rebuild);
    route.partition = here;
    route.about_process = true;
    router.add(std::move(route));
}

}  // namespace tidings::http
