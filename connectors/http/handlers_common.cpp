#include "connectors/http/handlers_common.h"

#include <charconv>

#include "connectors/http/problem.h"
#include "connectors/http/text.h"
#include "events/text.h"

namespace tidings::http {

namespace {

Error missing(std::string what) {
    return error(ErrorCode::not_found, "no such " + std::move(what));
}

/// All digits of `text`, or nothing.
template <class T>
std::optional<T> parse_digits(std::string_view text) {
    T value{};
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Calls `use` for each element of a comma-separated list until it returns false.
template <class Use>
void for_each_element(std::string_view list, Use use) {
    for (;;) {
        const std::size_t comma = list.find(',');
        if (!use(trim(list.substr(0, comma))) || comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

void check_filter_message(const ProgramScope& scope, const Filter& filter,
                          const std::string& pointer, FieldErrors& errors) {
    switch (filter.kind) {
        case Filter::Kind::all:
        case Filter::Kind::any: {
            const char* const name = filter.kind == Filter::Kind::all ? "all" : "any";
            const std::string place = child_pointer(pointer, name);
            for (std::size_t i = 0; i < filter.children.size(); ++i) {
                check_filter_message(scope, filter.children[i], child_pointer(place, i), errors);
            }
            return;
        }
        case Filter::Kind::negation:
            return check_filter_message(scope, filter.children.front(),
                                        child_pointer(pointer, "not"), errors);
        case Filter::Kind::engagement:
            if (!scope.models->message(scope.id(), filter.message)) {
                errors.add(child_pointer(pointer, "message"), field_code::kNotFound,
                           "is no message of this program");
            }
            return;
        default:
            return;
    }
}

}  // namespace

void CommandCallers::add(const CommandId& id, const CallerDigest& caller) {
    const std::lock_guard lock(mutex_);
    if (latest_.size() >= capacity_) {
        older_ = std::move(latest_);
        latest_.clear();
    }
    latest_[id] = caller;
}

bool CommandCallers::has(const CommandId& id, const CallerDigest& caller) const {
    const std::lock_guard lock(mutex_);
    for (const Generation* generation : {&latest_, &older_}) {
        const auto found = generation->find(id);
        if (found != generation->end()) return found->second == caller;
    }
    return false;
}

std::shared_ptr<void> ExportPlaces::take(const ProgramId& program) {
    {
        const std::lock_guard lock(taken_->mutex);
        if (taken_->all == limits::kExports) return nullptr;
        std::size_t& own = taken_->of[program];
        if (own == kOfProgram) return nullptr;
        ++own;
        ++taken_->all;
    }
    return {taken_.get(), [taken = taken_, program](void*) {
                const std::lock_guard lock(taken->mutex);
                --taken->all;
                const auto own = taken->of.find(program);
                if (--own->second == 0) taken->of.erase(own);
            }};
}

Result<ProgramScope> find_program(Api& api, const Request& request) {
    const ProgramId program{request.parameters[0]};
    ReadModelsPtr models = request.past ? request.past : api.broker.read(program);
    auto view = models->program(program);
    if (!view) return missing("program");
    return ProgramScope{std::move(*view), std::move(models)};
}

Result<PartnerPtr> find_partner(const ProgramScope& scope, std::string_view id) {
    auto partner = scope.models->partner(scope.id(), PartnerId{std::string(id)});
    if (!partner) return missing("partner");
    return partner;
}

Result<MessageView> find_message(const ProgramScope& scope, std::string_view id) {
    const auto number = parse_message_id(scope.id(), id);
    if (!number) return missing("message");
    auto message = scope.models->message(scope.id(), *number);
    if (!message) return missing("message");
    return std::move(*message);
}

Result<ConversationScope> find_conversation(const ReadModels& models, const ProgramId& program,
                                            PartnerPtr partner, std::string_view message) {
    const auto number = parse_message_id(program, message);
    if (!number || !models.is_recipient(program, *number, partner->ordinal)) {
        return missing("message");
    }
    return ConversationScope{std::move(partner), *number};
}

Result<PortalScope> find_portal(Api& api, const Request& request) {
    const Claims& claims = *request.claims;
    if (!claims.program || !claims.partner) return missing("partner");
    ReadModelsPtr models = api.broker.read(*claims.program);
    auto partner = models->partner(*claims.program, *claims.partner);
    if (!partner || partner->status == PartnerStatus::deleted) return missing("partner");
    return PortalScope{*claims.program, std::move(models), std::move(partner)};
}

PageRequest Parameters::page() {
    PageRequest page;
    if (const auto limit = request_.query_value("limit")) {
        const auto value = parse_digits<std::size_t>(*limit);
        if (!value) {
            errors_.add("/limit", field_code::kWrongType, "must be an integer");
        } else if (*value < 1 || *value > limits::kPageMax) {
            errors_.add("/limit", field_code::kOutOfRange,
                        "must be from 1 to " + std::to_string(limits::kPageMax));
        } else {
            page.limit = *value;
        }
    }
    if (const auto cursor = request_.query_value("cursor")) {
        if (cursor->empty()) {
            errors_.add("/cursor", field_code::kBlank, "must not be empty");
        }
        page.cursor = *cursor;
    }
    return page;
}

bool Parameters::flag(std::string_view name) { return choice(name, {"false", "true"}, 0) == 1; }

std::string Parameters::text(std::string_view name, std::size_t most) {
    const auto value = request_.query_value(name);
    if (!value) return {};
    if (value->size() > most && code_points(*value) > most) {
        errors_.add(parameter_pointer(name), field_code::kTooLong,
                    "must have at most " + std::to_string(most) + " characters");
        return {};
    }
    return std::string(*value);
}

std::optional<std::uint64_t> Parameters::number(std::string_view name) {
    const auto value = request_.query_value(name);
    if (!value) return std::nullopt;
    const auto number = parse_digits<std::uint64_t>(*value);
    if (!number) {
        errors_.add(parameter_pointer(name), field_code::kWrongType, "must be a whole number");
    }
    return number;
}

std::size_t Parameters::choice(std::string_view name, std::initializer_list<std::string_view> words,
                               std::size_t otherwise) {
    const auto value = request_.query_value(name);
    if (!value) return otherwise;
    std::size_t index = 0;
    std::string all;
    for (const std::string_view word : words) {
        if (word == *value) return index;
        all.append(index++ == 0 ? "" : ", ").append(word);
    }
    errors_.add(parameter_pointer(name), field_code::kInvalidValue, "must be one of " + all);
    return otherwise;
}

Result<void> Parameters::check() const {
    if (errors_.empty()) return check_parameters(request_);
    Error all = errors_.error();
    if (request_.parameter_error) {
        const auto& fields = request_.parameter_error->fields;
        all.fields.insert(all.fields.begin(), fields.begin(), fields.end());
    }
    return all;
}

Result<void> check_parameters(const Request& request) {
    if (request.parameter_error) return *request.parameter_error;
    return {};
}

void check_filter_messages(const ProgramScope& scope, const Audience& audience,
                           std::string_view pointer, FieldErrors& errors) {
    if (audience.type != Audience::Type::filter) return;
    check_filter_message(scope, audience.filter, child_pointer(pointer, "filter"), errors);
}

std::optional<Positions> parse_positions(std::string_view text, std::uint32_t partitions) {
    Positions positions;
    bool good = true;
    for_each_element(text, [&](std::string_view element) {
        const std::size_t colon = element.find(':');
        if (colon == std::string_view::npos) return good = false;
        const auto partition = parse_digits<std::uint32_t>(element.substr(0, colon));
        const auto sequence = parse_digits<std::uint64_t>(element.substr(colon + 1));
        if (!partition || !sequence || *partition >= partitions) return good = false;
        positions.emplace_back(PartitionId{*partition}, Sequence{*sequence});
        return true;
    });
    if (!good) return std::nullopt;
    return positions;
}

bool prefers_async(const Request& request) {
    bool found = false;
    for (const auto& [name, value] : request.headers) {
        if (name != "prefer") continue;
        for_each_element(value, [&found](std::string_view preference) {
            const std::string_view word =
                trim(preference.substr(0, preference.find_first_of(";=")));
            found = found || equals_ignoring_case(word, "respond-async");
            return !found;
        });
    }
    return found;
}

Response json_response(unsigned status, std::string body) {
    Response response;
    response.status = status;
    response.body = std::move(body);
    return response;
}

void add_position(Response& response, const Applied& applied) {
    response.headers.emplace_back("Tidings-Position",
                                  format_position(applied.partition, applied.sequence));
}

}  // namespace tidings::http
