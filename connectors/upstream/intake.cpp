#include "connectors/upstream/intake.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/uuid/random_generator.hpp>
#include <memory>

#include "connectors/await_outcome.h"

namespace tidings::upstream {
namespace {

/// Commands of one request under way at once; the rest waits, so that one caller can't fill the
/// broker's queue.
constexpr std::size_t kWindow = 4'096;

CommandId random_command_id() {
    static thread_local boost::uuids::random_generator generator;
    const boost::uuids::uuid id = generator();
    return CommandId::from({reinterpret_cast<const char*>(id.data), CommandId::kSize});
}

void reach(Positions& positions, const Applied& applied) {
    Sequence& newest = positions[applied.partition];
    newest = std::max(newest, applied.sequence);
}

/// Why the (only) thing that a command asked did not happen, or nothing.
std::optional<Error> refusal_of(const Outcome& outcome, std::string_view pointer_prefix) {
    if (outcome.refusal) {
        const Refusal& refusal = *outcome.refusal;
        Error error{refusal.code, refusal.detail, {}};
        if (!refusal.pointer.empty()) {
            error.fields.push_back({std::string(pointer_prefix) + refusal.pointer,
                                    name_of(refusal.code), refusal.detail});
        }
        return error;
    }
    if (outcome.rejected.empty()) return std::nullopt;
    const ErrorCode code = outcome.rejected.front().code;
    const char* detail = code == ErrorCode::not_a_recipient
                             ? "the partner did not receive this message"
                             : "the event can't be applied";
    return Error{code, detail, {}};
}

std::string sentence_of(const Error& error) {
    return error.detail.empty() ? name_of(error.code) : error.detail;
}

Error missing(ErrorCode code, const char* detail) { return {code, detail, {}}; }

}  // namespace

bool UpstreamIntake::authentic(const ProgramId& program, std::string_view raw_body,
                               const Headers& headers) const {
    const auto sealed = broker_.read(program)->webhook_secret(program);
    if (!sealed) return false;
    const auto secret = broker_.open(*sealed, program.value);
    return secret.has_value() && verify_signature(raw_body, *secret, headers);
}

boost::asio::awaitable<DeliveryResult> UpstreamIntake::deliver_partnero(ProgramId program,
                                                                        std::string raw_body,
                                                                        Headers headers) {
    DeliveryResult result;
    if (!authentic(program, raw_body, headers)) {
        ++counters_.webhooks_unauthorized;
        co_return result;
    }
    const auto refuse = [&](Error error) {
        ++counters_.webhooks_refused;
        result.status = DeliveryResult::Status::refused;
        result.error = std::move(error);
    };
    auto delivery = parse_delivery(raw_body);
    if (delivery.has_error()) {
        refuse(delivery.error());
        co_return result;
    }
    if (!delivery->command) {
        ++counters_.webhooks_ignored;
        if (!delivery->known) ++counters_.webhooks_unknown_event;
        result.status = DeliveryResult::Status::ignored;
        co_return result;
    }
    // Its rows remember it by their own keys and stamps, so the command's id need not be
    // remembered.
    Command command;
    command.id = random_command_id();
    command.program = std::move(program);
    command.actor = {Role::platform, "partnero", "Partnero"};
    command.digest = broker_.content_digest(raw_body);
    command.body = std::move(*delivery->command);
    const Result<Applied> applied = co_await submit(broker_, std::move(command));
    if (applied.has_error()) {
        refuse(applied.error());
        co_return result;
    }
    reach(result.positions, *applied);
    if (auto refusal = refusal_of(applied->outcome, "/data")) {
        refuse(std::move(*refusal));
        co_return result;
    }
    ++counters_.webhooks_accepted;
    result.status = DeliveryResult::Status::accepted;
    co_return result;
}

Command UpstreamIntake::command_of(const CloudEvent& event, const Actor& actor,
                                   CommandBody body) const {
    Command command;
    command.id = cloudevent_command_id(event.program, event.source, event.id);
    command.program = event.program;
    command.actor = actor;
    command.digest = broker_.content_digest(event.content);
    command.remember = true;
    command.body = std::move(body);
    return command;
}

Result<CommandBody> UpstreamIntake::resolve(const CloudEvent& event,
                                            const UnresolvedOpen& open) const {
    const ReadModelsPtr models = broker_.read(event.program);
    const auto message = parse_message_id(event.program, open.message);
    if (!message || !models->message(event.program, *message)) {
        return missing(ErrorCode::not_found, "the program has no such message");
    }
    const PartnerPtr partner = models->partner(event.program, open.partner);
    if (partner == nullptr)
        return missing(ErrorCode::unknown_partner, "the program has no such partner");
    RecordOpens::Group group;
    group.message = *message;
    group.partners.add(partner->ordinal.value);
    if (open.at) group.at.push_back(*open.at);
    RecordOpens command;
    command.groups.push_back(std::move(group));
    return CommandBody(std::move(command));
}

/// Takes out what this process lacks and can be carried out at all.
std::vector<UpstreamIntake::Group> UpstreamIntake::take_lacking(
    std::vector<CloudEvent>& events) const {
    std::vector<Group> groups;
    std::erase_if(events, [&](CloudEvent& event) {
        if (std::holds_alternative<IgnoredEvent>(event.what)) return false;
        if (std::holds_alternative<Error>(event.what)) return false;
        const PartitionId partition = broker_.partition_of(event.program);
        if (broker_.holds(partition)) return false;
        auto group = std::find_if(groups.begin(), groups.end(), [partition](const Group& one) {
            return one.partition == partition;
        });
        if (group == groups.end()) group = groups.insert(group, Group{partition, {}, {}});
        group->indexes.push_back(event.index);
        group->events.push_back(std::move(event.json));
        return true;
    });
    return groups;
}

/// Delivers all groups at once, and adds what became of their events to `result`.
boost::asio::awaitable<Result<void>> UpstreamIntake::pass_on(std::vector<Group> groups, Actor actor,
                                                             CloudEventsResult& result) {
    namespace asio = boost::asio;
    using Answer = Result<CloudEventsResult>;
    struct Answers {
        std::size_t waiting;
        std::vector<Answer> of;  ///< each group
    };
    const auto executor = co_await asio::this_coro::executor;
    auto answers = std::make_shared<Answers>();
    answers->waiting = groups.size();
    answers->of.assign(groups.size(), Answer(Error{ErrorCode::io, "not delivered elsewhere", {}}));
    // Named, as every closure of a co_await (await_outcome.h).
    auto start = [this, executor, answers, &groups, &actor](auto done) {
        for (std::size_t i = 0; i < groups.size(); ++i) {
            asio::co_spawn(executor,
                           elsewhere_(groups[i].partition, std::move(groups[i].events), actor),
                           [answers, i, done](const std::exception_ptr& failure, Answer answer) {
                               if (!failure) answers->of[i] = std::move(answer);
                               if (--answers->waiting == 0) done(true);
                           });
        }
    };
    co_await await_callback<bool>(std::move(start));

    std::optional<Error> failed;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const Answer& answer = answers->of[i];
        if (answer.has_error()) {
            if (!failed) failed = answer.error();
            continue;
        }
        result.accepted += answer->accepted;
        result.duplicates += answer->duplicates;
        result.ignored += answer->ignored;
        for (const auto& one : answer->rejected) {
            result.rejected.push_back({groups[i].indexes.at(one.index), one.code, one.detail});
        }
        for (const auto& [partition, sequence] : answer->positions) {
            Sequence& newest = result.positions[partition];
            newest = std::max(newest, sequence);
        }
    }
    if (failed) co_return *failed;
    co_return Result<void>{};
}

boost::asio::awaitable<Result<CloudEventsResult>> UpstreamIntake::deliver_cloudevents(
    std::vector<CloudEvent> events, Actor actor, bool may_pass_on) {
    CloudEventsResult result;
    std::vector<Group> lacking;
    if (elsewhere_) lacking = take_lacking(events);
    if (!lacking.empty() && !may_pass_on) {
        co_return Error{ErrorCode::not_caught_up, "a program has moved to another process", {}};
    }
    std::vector<Submitted> submitted;
    Pipeline pipeline(broker_);
    const auto reject = [&result](std::size_t index, const Error& error) {
        result.rejected.push_back({index, error.code, sentence_of(error)});
    };
    for (std::size_t i = 0; i < events.size(); ++i) {
        CloudEvent& event = events[i];
        if (std::holds_alternative<IgnoredEvent>(event.what)) {
            ++result.ignored;
            continue;
        }
        if (const auto* error = std::get_if<Error>(&event.what)) {
            reject(event.index, *error);
            continue;
        }
        CommandBody body;
        if (const auto* open = std::get_if<UnresolvedOpen>(&event.what)) {
            auto resolved = resolve(event, *open);
            if (resolved.has_error() && pipeline.under_way() > 0) {
                // what it names may be made by an event before it
                co_await pipeline.wait_until_at_most(0);
                resolved = resolve(event, *open);
            }
            if (resolved.has_error()) {
                reject(event.index, resolved.error());
                continue;
            }
            body = std::move(*resolved);
        } else {
            body = std::move(std::get<CommandBody>(event.what));
        }
        co_await pipeline.wait_until_at_most(kWindow - 1);
        submitted.push_back({i, pipeline.submit(command_of(event, actor, std::move(body)))});
    }
    co_await pipeline.wait_until_at_most(0);

    std::optional<Error> failed;
    for (const Submitted& one : submitted) {
        const Result<Applied> applied = pipeline.take(one.command);
        if (applied.has_error()) {
            if (!failed) failed = applied.error();
            continue;
        }
        reach(result.positions, *applied);
        if (const auto refusal = refusal_of(applied->outcome, "")) {
            reject(events[one.event].index, *refusal);
        } else if (applied->outcome.status == OutcomeStatus::replayed) {
            ++result.duplicates;
        } else {
            ++result.accepted;
        }
    }
    count(result);  // what is delivered elsewhere is counted there
    if (!lacking.empty()) {
        const auto passed = co_await pass_on(std::move(lacking), actor, result);
        if (!passed && !failed) failed = passed.error();
    }
    std::sort(result.rejected.begin(), result.rejected.end(),
              [](const auto& left, const auto& right) { return left.index < right.index; });
    if (failed) co_return *failed;
    co_return result;
}

void UpstreamIntake::count(const CloudEventsResult& result) {
    counters_.events_accepted += result.accepted;
    counters_.events_duplicate += result.duplicates;
    counters_.events_ignored += result.ignored;
    counters_.events_rejected += result.rejected.size();
}

}  // namespace tidings::upstream
