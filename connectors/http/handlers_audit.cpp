// What auditors ask: signed checkpoints of the partitions' Merkle trees, proofs that an event is in
// one, and that a tree has only grown; and the log itself.
#include "connectors/audit_source.h"
#include "connectors/await_outcome.h"
#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "core/limits.h"
#include "events/codec.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

const std::vector<Role> kAuditor = {Role::auditor};

Error no_event() { return error(ErrorCode::not_found, "no such event"); }

Error not_held(PartitionId partition) {
    return error(ErrorCode::not_caught_up,
                 "this process does not hold partition " + std::to_string(partition.value));
}

/// The program that the question is about: of the token, or as it says. One that the token may not
/// see is none.
std::optional<ProgramId> asked_program(const Request& request) {
    const auto named = request.query_value("program");
    if (named) return ProgramId{std::string(*named)};
    return request.claims->program;
}

bool may_see(const Request& request, const ProgramId& program) {
    return !request.claims->program || *request.claims->program == program;
}

std::optional<PartitionId> partition_asked(const Broker& broker, const Request& request) {
    const auto text = request.query_value("partition");
    const auto number =
        text ? parse_positions(std::string(*text) + ":0", broker.partitions()) : std::nullopt;
    if (!number || number->size() != 1) return std::nullopt;
    return number->front().first;
}

std::optional<PartitionId> partition_of_event(const Broker& broker, const Request& request) {
    const std::string& id = request.parameters[0];
    if (const auto partition = route_id(id, broker.partitions())) return partition;
    if (const auto refusal = parse_event_name(id, std::nullopt)) {
        if (refusal->partition.value >= broker.partitions()) return std::nullopt;
        return refusal->partition;
    }
    const auto program = asked_program(request);
    return program ? std::optional(broker.partition_of(*program)) : std::nullopt;
}

/// `partition`, which must be one of the log's.
Result<PartitionId> partition_parameter(const Api& api, Parameters& parameters,
                                        const Request& request) {
    const auto number = parameters.number("partition");
    if (auto good = parameters.check(); !good) return good.error();
    if (!number) {
        return invalid_field("/partition", field_code::kRequired, "partition must be given");
    }
    const auto partition = partition_asked(api.broker, request);
    if (!partition) {
        return invalid_field("/partition", field_code::kOutOfRange,
                             "must be below " + std::to_string(api.broker.partitions()));
    }
    return *partition;
}

Result<Response> list_checkpoints(Api& api) {
    const CheckpointSigner& signer = api.options.audit->signer();
    std::string body;
    JsonWriter json(body);
    json.open_object().key("partitions").number(api.broker.partitions());
    json.key("data").open_array();
    for (std::uint32_t p = 0; p < api.broker.partitions(); ++p) {
        const PartitionId partition{p};
        if (!api.broker.holds(partition)) continue;
        const TreeHead head = api.broker.read(partition)->tree_head();
        const VerifierKey key = signer.key(partition);
        json.open_object().key("partition").number(p).key("origin").string(key.name);
        json.key("key").string(to_text(key)).key("size").number(head.size);
        json.key("position").string(format_position(partition, head.tip.sequence));
        json.key("checkpoint").string(signer.sign(partition, head)).close_object();
    }
    json.close_array().key("next_cursor").null().close_object();
    return json_response(200, std::move(body));
}

Result<Response> get_checkpoint(Api& api, const Request& request) {
    Parameters parameters(request);
    if (!request.query_value("partition")) {
        if (auto good = parameters.check(); !good) return good.error();
        return list_checkpoints(api);
    }
    const auto partition = partition_parameter(api, parameters, request);
    if (!partition) return partition.error();
    if (!api.broker.holds(*partition)) return not_held(*partition);
    Response response;
    response.content_type = "text/plain; charset=utf-8";
    response.body =
        api.options.audit->signer().sign(*partition, api.broker.read(*partition)->tree_head());
    return response;
}

Result<Response> get_consistency(Api& api, const Request& request) {
    Parameters parameters(request);
    const auto from = parameters.number("from"), to = parameters.number("to");
    const auto partition = partition_parameter(api, parameters, request);
    if (!partition) return partition.error();
    if (!from) return invalid_field("/from", field_code::kRequired, "from must be given");
    if (!api.broker.holds(*partition)) return not_held(*partition);
    const ReadModelsPtr held = api.broker.read(*partition);
    const ReadModels& models = *held;
    const TreeHead head = models.tree_head();
    ConsistencyProof proof{*from, to.value_or(head.size), {}, {}};
    if (proof.to > head.size) {
        return invalid_field("/to", field_code::kOutOfRange,
                             "the tree has " + std::to_string(head.size) + " leaves");
    }
    if (proof.from > proof.to) {
        return invalid_field("/from", field_code::kOutOfRange, "must not be beyond `to`");
    }
    proof.path = merkle::consistency_proof(
        proof.from, proof.to, [&models](const merkle::Subtree& at) { return models.subtree(at); });
    const CheckpointSigner& signer = api.options.audit->signer();
    proof.checkpoint = proof.to == head.size ? signer.sign(*partition, head)
                                             : signer.sign(*partition, proof.to, models);
    return json_response(200, to_json(proof));
}

/// Where the event lies.
struct Place {
    EventName name;
    PartitionId partition;
    CommandPosition command;
};

Result<Place> find_event(const Api& api, const Request& request) {
    const std::string& id = request.parameters[0];
    const auto partition = partition_of_event(api.broker, request);
    if (!partition && !asked_program(request)) {
        return error(ErrorCode::not_found,
                     "no such event, or of a program that its id does not tell: ?program=…");
    }
    if (!partition) return no_event();
    if (!api.broker.holds(*partition)) return not_held(*partition);
    const ReadModelsPtr held = api.broker.read(*partition);
    const ReadModels& models = *held;
    std::optional<ProgramId> program = asked_program(request);
    if (!program) program = models.program_of(id);
    const auto name = parse_event_name(id, program);
    if (!name) return no_event();
    if (!name->program) return Place{*name, *partition, name->command};
    if (!may_see(request, *name->program)) return no_event();
    const auto command = models.command_of(*name->program, name->number);
    if (!command) return no_event();
    return Place{*name, *partition, *command};
}

Task<Result<std::vector<CommitRecord>>> read_commits(const AuditSource& audit,
                                                     PartitionId partition, LogPosition from) {
    auto start = [&audit, partition, from](auto done) {
        audit.read_commits(partition, from, limits::kRunBytes, std::move(done));
    };
    co_return co_await await_callback<Result<std::vector<CommitRecord>>>(std::move(start));
}

/// Whether the leaf is what the question names, and may be shown.
bool is_leaf_of(const Place& place, const Request& request, const Outcome& outcome) {
    if (place.name.program) return outcome.program == *place.name.program;
    return outcome.refusal && may_see(request, outcome.program);
}

Task<Result<Response>> get_proof(Api& api, Request& request) {
    Parameters parameters(request);
    const auto size = parameters.number("size");
    const auto place = find_event(api, request);
    if (!place) co_return place.error();
    if (auto good = parameters.check(); !good) co_return good.error();
    const ReadModelsPtr held = api.broker.read(place->partition);
    const ReadModels& models = *held;
    const TreeHead head = models.tree_head();
    if (place->command.value >= head.size) co_return no_event();
    const CapnpCodec codec;
    LeafSearch search(models, codec, place->command);
    bool found = false;
    while (!found) {
        const auto records =
            co_await read_commits(*api.options.audit, place->partition, search.from());
        if (!records) co_return records.error();
        const auto looked = search.look(*records);
        if (!looked) co_return looked.error();
        found = *looked;
    }
    const auto outcome = codec.decode_leaf(search.leaf());
    if (!outcome) co_return outcome.error();
    if (!is_leaf_of(*place, request, *outcome)) co_return no_event();
    InclusionProof proof{
        place->name, place->command.value, size.value_or(head.size), search.leaf(), {}, {}};
    if (proof.size > head.size || proof.index >= proof.size) {
        co_return invalid_field(
            "/size", field_code::kOutOfRange,
            "must be from " + std::to_string(proof.index + 1) + " to " + std::to_string(head.size));
    }
    proof.path = merkle::inclusion_proof(
        proof.index, proof.size,
        [&models](const merkle::Subtree& at) { return models.subtree(at); });
    const CheckpointSigner& signer = api.options.audit->signer();
    proof.checkpoint = proof.size == head.size ? signer.sign(place->partition, head)
                                               : signer.sign(place->partition, proof.size, models);
    co_return json_response(200, to_json(proof));
}

/// "3:41", of a partition that the log has.
std::optional<std::pair<PartitionId, Sequence>> position_asked(const Broker& broker,
                                                               const Request& request) {
    const auto text = request.query_value("from");
    const auto positions = text ? parse_positions(*text, broker.partitions()) : std::nullopt;
    if (!positions || positions->size() != 1) return std::nullopt;
    return positions->front();
}

std::optional<PartitionId> partition_of_position(const Broker& broker, const Request& request) {
    const auto position = position_asked(broker, request);
    return position ? std::optional(position->first) : std::nullopt;
}

/// A partition's log up to the tip as it was when it was asked for, a piece at a time. Owned by the
/// response.
struct LogText {
    const AuditSource& audit;
    AuditSource::LinesQuestion question;
    std::optional<std::string> held;  ///< read already
};

Task<Result<std::optional<std::string>>> next_lines(std::shared_ptr<LogText> log) {
    if (log->held) co_return std::exchange(log->held, std::nullopt);
    if (log->question.after.sequence >= log->question.last) co_return std::optional<std::string>();
    auto start = [log](auto done) { log->audit.read_lines(log->question, std::move(done)); };
    auto lines = co_await await_callback<Result<LogLines>>(std::move(start));
    if (!lines) co_return lines.error();
    log->question.after = lines->tip;
    co_return std::optional<std::string>(std::move(lines->text));
}

Task<Result<Response>> get_log(Api& api, Request& request) {
    if (auto good = check_parameters(request); !good) co_return good.error();
    const auto position = position_asked(api.broker, request);
    if (!position) {
        co_return invalid_field("/from", field_code::kInvalidFormat,
                                "from must be <partition>:<sequence>, of a partition of the log");
    }
    const auto [partition, from] = *position;
    if (!api.broker.holds(partition)) co_return not_held(partition);
    const ReadModelsPtr held = api.broker.read(partition);
    const ReadModels& models = *held;
    const Sequence last = models.tip().sequence;
    if (from.value > last.value + 1) {
        co_return invalid_field("/from", field_code::kOutOfRange,
                                "the log ends at " + format_position(partition, last));
    }
    AuditSource::LinesQuestion question{partition, models.ledger_before(from), from, last,
                                        request.claims->program};
    auto log = std::make_shared<LogText>(LogText{*api.options.audit, question, std::nullopt});
    if (from.value == last.value + 1) log->question.after.sequence = last;  // nothing yet
    auto first = co_await next_lines(log);  // what fails at once is told as it should be
    if (!first) co_return first.error();
    log->held = std::move(*first);
    Response response;
    response.content_type = "application/x-ndjson";
    response.chunks = [log] { return next_lines(log); };
    co_return response;
}

}  // namespace

void add_audit_routes(Router& router, Api& api) {
    Route checkpoint = get_route(api, "/v1/audit/checkpoint", "get_checkpoint", {"partition"},
                                 kAuditor, get_checkpoint);
    checkpoint.produces = {};  // a note, or a list in JSON, as it is asked for
    checkpoint.partition = partition_asked;
    router.add(std::move(checkpoint));
    Route consistency = get_route(api, "/v1/audit/consistency", "get_consistency",
                                  {"partition", "from", "to"}, kAuditor, get_consistency);
    consistency.partition = partition_asked;
    router.add(std::move(consistency));
    router.add({.method = "GET",
                .pattern = "/v1/audit/proofs/{event}",
                .name = "get_proof",
                .query = {"program", "size"},
                .roles = kAuditor,
                .checks_parameters = true,
                .partition = partition_of_event,
                .handler = reading_later(api, get_proof)});
    router.add({.method = "GET",
                .pattern = "/v1/log",
                .name = "get_log",
                .produces = {"application/x-ndjson"},
                .query = {"from"},
                .roles = kAuditor,
                .checks_parameters = true,
                .partition = partition_of_position,
                .handler = reading_later(api, get_log)});
}

}  // namespace tidings::http
