// What the API's handlers share: finding what a path names, reading parameters, building commands,
// and turning outcomes into answers. Api is one per router and thread-safe; everything else lives
// for one request.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "connectors/canonical.h"
#include "connectors/http/api.h"
#include "connectors/http/message.h"
#include "connectors/http/router.h"
#include "connectors/positions.h"
#include "events/json_input.h"
#include "projections/broker.h"

namespace tidings::http {

inline constexpr std::string_view kCsv = "text/csv";  ///< as Accept names it

/// Who submitted the latest tracked commands here, so that only they are told "pending" by
/// GET /v1/commands/{id}; what is pending is the broker's to say. Keeps at least the `capacity`
/// latest and at most twice as many. Thread-safe.
class CommandCallers {
public:
    explicit CommandCallers(std::size_t capacity) : capacity_(capacity) {}
    void add(const CommandId& id, const CallerDigest& caller);
    bool has(const CommandId& id, const CallerDigest& caller) const;

private:
    using Generation = std::unordered_map<CommandId, CallerDigest>;
    const std::size_t capacity_;
    mutable std::mutex mutex_;
    Generation latest_, older_;
};

/// How many exports are under way. Thread-safe.
class ExportPlaces {
public:
    static constexpr std::size_t kOfProgram = 4;  ///< of limits::kExports: so that none takes all
    /// A place for as long as it is held; null: all are taken, or all that one program may take.
    std::shared_ptr<void> take(const ProgramId& program);

private:
    struct Taken {
        std::mutex mutex;
        std::map<ProgramId, std::size_t> of;  ///< none is 0
        std::size_t all = 0;
    };
    std::shared_ptr<Taken> taken_ = std::make_shared<Taken>();
};

/// What handlers work with.
struct Api {
    Api(Broker& the_broker, const ApiOptions& the_options)
        : broker(the_broker), options(the_options), callers(the_options.callers_kept) {}
    Broker& broker;
    const ApiOptions options;
    CommandCallers callers;
    ExportPlaces exports;
};

// Finding what a path names. All errors are not_found.

struct ProgramScope {
    ProgramView program;
    ReadModelsPtr models;
    const ProgramId& id() const { return program.id; }
};
/// The program that the path begins with, live or as of the past that the request asks about.
Result<ProgramScope> find_program(Api& api, const Request& request);
Result<PartnerPtr> find_partner(const ProgramScope& scope, std::string_view id);
/// Of any partner's: that the message exists is checked.
Result<MessageView> find_message(const ProgramScope& scope, std::string_view id);

/// A partner and a message that it received.
struct ConversationScope {
    PartnerPtr partner;
    EventNumber message;
};
Result<ConversationScope> find_conversation(const ReadModels& models, const ProgramId& program,
                                            PartnerPtr partner, std::string_view message);

/// The partner that the token speaks for; gone once it is deleted.
struct PortalScope {
    ProgramId program;
    ReadModelsPtr models;
    PartnerPtr partner;
};
Result<PortalScope> find_portal(Api& api, const Request& request);

// Reading parameters and bodies.

/// Reads query parameters and collects what is wrong; begins with what the router found.
class Parameters {
public:
    explicit Parameters(const Request& request) : request_(request) {}
    PageRequest page();
    bool flag(std::string_view name);
    /// At most `most` code points; empty if not given.
    std::string text(std::string_view name, std::size_t most);
    /// Index of the value in `words`; `otherwise` if not given.
    std::size_t choice(std::string_view name, std::initializer_list<std::string_view> words,
                       std::size_t otherwise);
    /// A whole number; nothing if it was not given.
    std::optional<std::uint64_t> number(std::string_view name);
    /// All that was wrong, as one error.
    Result<void> check() const;

private:
    const Request& request_;
    FieldErrors errors_;
};

/// The router's finding alone, for calls without parameters of their own.
Result<void> check_parameters(const Request& request);

/// Parses the JSON body and hands it to `read(value, errors)`.
template <class Read>
auto read_body(const Request& request, Read read)
    -> Result<decltype(read(std::declval<const JsonValue&>(), std::declval<FieldErrors&>()))> {
    const auto json = parse_json(request.body);
    if (!json) return json.error();
    FieldErrors errors;
    auto value = read(*json, errors);
    if (!errors.empty()) return errors.error();
    return value;
}

/// Filters may name only messages that were sent: adds unknown_message where one was not.
void check_filter_messages(const ProgramScope& scope, const Audience& audience,
                           std::string_view pointer, FieldErrors& errors);

/// "0:12,3:4". Nothing if malformed or a partition is not below `partitions`.
using Positions = std::vector<std::pair<PartitionId, Sequence>>;
std::optional<Positions> parse_positions(std::string_view text, std::uint32_t partitions);
/// Whether a Prefer header (RFC 7240) asks for respond-async.
bool prefers_async(const Request& request);

// Commands and their outcomes.

CommandId random_command_id();
/// Where to ask what became of it.
std::string command_location(const CommandId& id);
/// A command by the token's holder: with the id that the request was passed on with, or else a
/// random one.
Command make_command(const Request& request, const ProgramId& program, CommandBody body);
/// Makes a send or reply of it: its id from the Idempotency-Key if there is one, its digest from
/// `content`, its caller; tracked. One that was passed on is remembered in any case: if the
/// connection breaks, it comes again, here or elsewhere.
void make_tracked(const Api& api, const Request& request, const Canonical& content,
                  Command& command);
CallerDigest caller_of(const Api& api, const ProgramId& program, const Claims& claims);

/// As a caller sees it, with the pointer of the bad field.
Error error_of(const Refusal& refusal);

Response json_response(unsigned status, std::string body);
/// Tidings-Position.
void add_position(Response& response, const Applied& applied);

/// The outcome of a write that is neither send nor reply.
struct Written {
    Applied applied;
    std::optional<Response> refusal;  ///< the answer, if it was refused
};
/// Errors: those of Broker::submit.
Task<Result<Written>> write(Api& api, Command command);
/// Answers 204 with the position, or the refusal.
Task<Result<Response>> write_no_content(Api& api, Command command);

/// Submits a send or a reply and answers: 201 with the document, the problem, or 202.
Task<Response> write_tracked(Api& api, const Request& request, Command command);

/// The answer to a tracked command that was decided: what a call that waited got.
Response tracked_answer(const ReadModels& models, const ProgramId& program,
                        const TrackedOutcome& outcome);
/// {"id","state","status","answer"}; `answer` null: pending.
std::string render_command(const CommandId& id, const Response* answer);

// Routes.

using Read = Result<Response> (*)(Api&, const Request&);
using Write = Task<Result<Response>> (*)(Api&, Request&);
/// A handler that honours Tidings-Min-Position first. `api` outlives it.
Handler reading(Api& api, Read read);
/// The same for what is not answered from the read models alone.
Handler reading_later(Api& api, Write read);
Handler writing(Api& api, Write write);
/// A route to read something; its handler checks the parameters. What auditors may read of a
/// program they may read `as_of` the past, too.
Route get_route(Api& api, std::string pattern, std::string name, std::vector<std::string> query,
                std::vector<Role> roles, Read read);

inline const std::vector<Role> kPlatform = {Role::platform};
inline const std::vector<Role> kOwner = {Role::owner};
/// Who reads what an owner reads.
inline const std::vector<Role> kReaders = {Role::owner, Role::platform, Role::analyst,
                                           Role::auditor};
/// Those of them that may read conversations.
inline const std::vector<Role> kConversationReaders = {Role::owner, Role::platform, Role::auditor};
inline const std::vector<Role> kPartner = {Role::partner};

// Each file of handlers adds its own routes.
void add_program_routes(Router& router, Api& api);
void add_bulk_routes(Router& router, Api& api);
void add_message_routes(Router& router, Api& api);
void add_export_routes(Router& router, Api& api);
void add_conversation_routes(Router& router, Api& api);
void add_portal_routes(Router& router, Api& api);
void add_receipt_routes(Router& router, Api& api);
void add_erasure_routes(Router& router, Api& api);
void add_command_routes(Router& router, Api& api);
void add_schema_routes(Router& router);
/// REQUIRES: ApiOptions::audit is set.
void add_audit_routes(Router& router, Api& api);
/// REQUIRES: ApiOptions::rebuilder is set.
void add_rebuild_routes(Router& router, Api& api);

}  // namespace tidings::http
