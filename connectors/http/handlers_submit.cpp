// How handlers build commands, submit them, and turn outcomes into answers.
#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid.hpp>
#include <chrono>
#include <cstring>

#include "connectors/await_outcome.h"
#include "connectors/http/handlers_common.h"
#include "connectors/http/problem.h"
#include "connectors/http/render.h"
#include "events/json_output.h"

namespace tidings::http {

CommandId random_command_id() {
    thread_local boost::uuids::random_generator_mt19937 generate;  // seeded from the system
    const boost::uuids::uuid uuid = generate();
    CommandId id;
    static_assert(sizeof(uuid) == CommandId::kSize);
    std::memcpy(id.bytes.data(), &uuid, sizeof(uuid));
    return id;
}

std::string command_location(const CommandId& id) { return "/v1/commands/" + to_hex(id.view()); }

namespace {

/// The message as its sender first saw it: nobody had opened it yet.
std::optional<MessageView> as_sent(const ReadModels& models, const ProgramId& program,
                                   EventNumber number) {
    auto message = models.message(program, number);
    if (message) message->stats = MessageStats{message->card->recipients, 0, 0, 0};
    return message;
}

std::optional<Positions> min_positions(const Api& api, const Request& request) {
    return parse_positions(*request.header("tidings-min-position"), api.broker.partitions());
}

void add_parameter_error(Request& request, std::string_view name, const char* code,
                         const std::string& rule) {
    Error bad = invalid_field(parameter_pointer(name), code, std::string(name) + " " + rule);
    if (request.parameter_error) {
        request.parameter_error->fields.push_back(std::move(bad.fields.front()));
    } else {
        request.parameter_error = std::move(bad);
    }
}

/// Waits for Tidings-Min-Position. A malformed one becomes a parameter error, told in its turn.
Task<Result<void>> reach_position(Api& api, Request& request) {
    const auto positions = min_positions(api, request);
    if (!positions) {
        add_parameter_error(request, "Tidings-Min-Position", field_code::kInvalidFormat,
                            "must be <partition>:<sequence>[,...]");
        co_return Result<void>{};
    }
    // What this process lacks it cannot wait for; the answer speaks of one partition alone anyway.
    const Broker& broker = api.broker;
    const bool all_held = std::all_of(positions->begin(), positions->end(),
                                      [&](const auto& one) { return broker.holds(one.first); });
    const ProgramId program{std::string(all_held ? std::string_view() : request.program())};
    using Clock = std::chrono::steady_clock;
    const auto deadline =
        Clock::now() + std::chrono::milliseconds(api.options.min_position_wait_ms);
    for (const auto& [partition, sequence] : *positions) {
        if (!all_held && partition != broker.partition_of(program)) continue;
        if (api.broker.read(partition)->tip().sequence >= sequence) continue;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        const int wait_ms = std::max(0, static_cast<int>(left.count()));
        const auto reached = co_await wait_for(api.broker, partition, sequence, wait_ms);
        if (!reached) co_return reached.error();
    }
    co_return Result<void>{};
}

Response to_response(Result<Response> result) {
    return result ? std::move(*result) : problem(result.error());
}

Task<Response> run_read_later(Api& api, Write read, Request& request) {
    if (request.header("tidings-min-position")) {
        const auto reached = co_await reach_position(api, request);
        if (!reached) co_return problem(reached.error());
    }
    co_return to_response(co_await read(api, request));
}

Task<Response> run_read(Api& api, Read read, Request& request) {
    if (request.header("tidings-min-position")) {
        const auto reached = co_await reach_position(api, request);
        if (!reached) co_return problem(reached.error());
    }
    co_return to_response(read(api, request));
}

/// Finds the past that `as_of` names. What is wrong with it becomes a parameter error, told in its
/// turn.
Task<Result<void>> find_past(Api& api, Request& request) {
    if (request.claims->role != Role::auditor) {
        co_return error(ErrorCode::forbidden, "as_of is for the role auditor");
    }
    const ProgramId program{request.parameters[0]};
    const PartitionId partition = api.broker.partition_of(program);
    const Sequence tip = api.broker.read(partition)->tip().sequence;
    auto as_of = parse_as_of(*request.query_value("as_of"), partition, tip);
    if (!as_of) {
        add_parameter_error(request, "as_of", field_code::kInvalidFormat, as_of.error().detail);
        co_return Result<void>{};
    }
    auto start = [&broker = api.broker, program, as_of = *as_of](const auto& done) {
        broker.read_past(program, as_of, done);
    };
    auto past = co_await await_callback<Result<ReadModelsPtr>>(std::move(start));
    if (!past) co_return past.error();
    request.past = std::move(*past);
    co_return Result<void>{};
}

Task<Response> run_read_as_of(Api& api, Read read, Request& request) {
    const bool wanted = request.query_value("as_of") && !request.parameter_error;
    if (!wanted) co_return co_await run_read(api, read, request);
    if (request.header("tidings-min-position")) {
        const auto reached = co_await reach_position(api, request);
        if (!reached) co_return problem(reached.error());
    }
    const auto found = co_await find_past(api, request);
    if (!found) co_return problem(found.error());
    Response response = to_response(read(api, request));
    if (request.past) {
        const ProgramId program{request.parameters[0]};
        response.headers.emplace_back(
            "Tidings-Position",
            format_position(api.broker.partition_of(program), request.past->tip().sequence));
    }
    request.past.reset();  // a connection at rest keeps no past open
    co_return response;
}

Task<Response> run_write(Api& api, Write write, Request& request) {
    if (request.header("tidings-min-position")) {
        const auto reached = co_await reach_position(api, request);
        if (!reached) co_return problem(reached.error());
    }
    co_return to_response(co_await write(api, request));
}

}  // namespace

Command make_command(const Request& request, const ProgramId& program, CommandBody body) {
    const Claims& claims = *request.claims;
    Command command;
    command.id = request.command_id ? *request.command_id : random_command_id();
    command.program = program;
    command.actor = Actor{claims.role, claims.sub, claims.name};
    command.body = std::move(body);
    return command;
}

CallerDigest caller_of(const Api& api, const ProgramId& program, const Claims& claims) {
    Canonical canonical("tidings.caller.v1");
    canonical.add_scope(program, claims);
    return api.broker.caller_digest(canonical.bytes());
}

void make_tracked(const Api& api, const Request& request, const Canonical& content,
                  Command& command) {
    if (request.idempotency_key) {
        command.id = command_id_of_key(*request.claims, command.program, *request.idempotency_key);
        command.remember = true;
    }
    if (request.command_id) command.remember = true;
    command.track = true;
    command.digest = api.broker.content_digest(content.bytes());
    command.caller = caller_of(api, command.program, *request.claims);
}

Error error_of(const Refusal& refusal) {
    Error out{refusal.code, refusal.detail, {}};
    if (!refusal.pointer.empty()) {
        out.fields.push_back({refusal.pointer, name_of(refusal.code), refusal.detail});
    }
    return out;
}

Task<Result<Written>> write(Api& api, Command command) {
    auto applied = co_await submit(api.broker, std::move(command));
    if (!applied) co_return applied.error();
    Written written{std::move(*applied), std::nullopt};
    if (written.applied.outcome.refusal) {
        written.refusal = problem(error_of(*written.applied.outcome.refusal));
        add_position(*written.refusal, written.applied);
    }
    co_return written;
}

Task<Result<Response>> write_no_content(Api& api, Command command) {
    auto written = co_await write(api, std::move(command));
    if (!written) co_return written.error();
    if (written->refusal) co_return std::move(*written->refusal);
    Response response;
    response.status = 204;
    response.content_type.clear();
    add_position(response, written->applied);
    co_return response;
}

Response tracked_answer(const ReadModels& models, const ProgramId& program,
                        const TrackedOutcome& outcome) {
    if (outcome.refusal) return problem(error_of(*outcome.refusal));
    if (outcome.message.value == 0) {
        const auto message = as_sent(models, program, outcome.answer);
        if (message) return json_response(201, render_message(program, *message));
    } else {
        const auto post = models.post(program, outcome.message, outcome.partner, outcome.answer);
        if (post) return json_response(201, render_post(program, *post));
    }
    return internal_error("an outcome names what the read models do not have");
}

std::string render_command(const CommandId& id, const Response* answer) {
    std::string out;
    JsonWriter json(out);
    json.open_object().key("id").string(to_hex(id.view())).key("state");
    if (answer == nullptr) {
        json.string("pending").key("status").null().key("answer").null();
    } else {
        json.string(answer->status < 400 ? "done" : "refused");
        json.key("status").number(answer->status);
        json.key("answer").raw() += answer->body;
    }
    json.close_object();
    return out;
}

Task<Response> write_tracked(Api& api, const Request& request, Command command) {
    const CommandId id = command.id;
    const ProgramId program = command.program;
    TrackedOutcome tracked;
    tracked.caller = command.caller;
    if (const auto* reply = std::get_if<PostReply>(&command.body)) {
        tracked.message = reply->message;
        tracked.partner = reply->partner;
    }
    api.callers.add(id, command.caller);
    const auto applied = co_await submit(api.broker, std::move(command));
    if (!applied) {
        Response response = problem(applied.error());
        if (applied.error().code == ErrorCode::outcome_unknown) {
            response.headers.emplace_back("Location", command_location(id));
        }
        co_return response;
    }
    tracked.status = applied->outcome.status;
    tracked.answer = applied->outcome.answer;
    tracked.refusal = applied->outcome.refusal;
    Response answer = tracked_answer(*api.broker.read(program), program, tracked);
    if (prefers_async(request)) {
        answer = json_response(202, render_command(id, &answer));
        answer.headers.emplace_back("Location", command_location(id));
        answer.headers.emplace_back("Preference-Applied", "respond-async");
    }
    add_position(answer, *applied);
    co_return answer;
}

Handler reading_later(Api& api, Write read) {
    return [&api, read](Request& request) { return run_read_later(api, read, request); };
}

/// As reading(), at the place in the past that the query may name.
static Handler reading_as_of(Api& api, Read read) {
    return [&api, read](Request& request) { return run_read_as_of(api, read, request); };
}

Handler reading(Api& api, Read read) {
    return [&api, read](Request& request) { return run_read(api, read, request); };
}

Route get_route(Api& api, std::string pattern, std::string name, std::vector<std::string> query,
                std::vector<Role> roles, Read read) {
    const bool of_the_past = pattern.starts_with("/v1/programs/") &&
                             std::find(roles.begin(), roles.end(), Role::auditor) != roles.end();
    if (of_the_past) query.emplace_back("as_of");
    return {.method = "GET",
            .pattern = std::move(pattern),
            .name = std::move(name),
            .query = std::move(query),
            .roles = std::move(roles),
            .checks_parameters = true,
            .handler = of_the_past ? reading_as_of(api, read) : reading(api, read)};
}

Handler writing(Api& api, Write write) {
    return [&api, write](Request& request) { return run_write(api, write, request); };
}

}  // namespace tidings::http
