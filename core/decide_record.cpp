#include "core/decide_record.h"

#include "core/decide.h"

namespace tidings {
namespace {

/// A record in the command log that no decider can read: it must not block the partition (rule 12).
Outcome malformed_outcome(const Error& error) {
    Outcome outcome;
    outcome.status = OutcomeStatus::refused;
    outcome.refusal = Refusal{ErrorCode::malformed, {}, error.detail, {}};
    return outcome;
}

Outcome misrouted_outcome(const Command& command) {
    Outcome outcome;
    outcome.id = command.id;
    outcome.digest = command.digest;
    outcome.caller = command.caller;
    outcome.program = command.program;
    outcome.time = command.time;
    outcome.remember = command.remember;
    outcome.track = command.track;
    outcome.status = OutcomeStatus::refused;
    outcome.refusal = Refusal{ErrorCode::invalid, {}, "the program lives in another partition", {}};
    return outcome;
}

}  // namespace

Result<Outcome> decide_record(const Codec& codec, const Genesis& genesis, const Facts& facts,
                              std::string_view record) {
    const auto command = codec.decode_command(record);
    if (command.has_error()) {
        if (command.error().code != ErrorCode::malformed) return command.error();
        return malformed_outcome(command.error());
    }
    if (route(command->program, genesis.partitions) != genesis.partition) {
        return misrouted_outcome(*command);
    }
    return decide(facts, *command);
}

}  // namespace tidings
