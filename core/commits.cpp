#include "core/commits.h"

namespace tidings {

std::string commit_name(Sequence sequence) { return "commit " + std::to_string(sequence.value); }

Result<std::vector<Outcome>> decode_answers(const Codec& codec, const Envelope& envelope,
                                            const CommitRecord& record) {
    auto outcomes = codec.decode_outcomes(record.bytes);
    if (!outcomes) return outcomes;
    const std::uint64_t answered = envelope.last.value - envelope.first.value + 1;
    if (outcomes->size() == answered) return outcomes;
    return Error{ErrorCode::corruption,
                 commit_name(envelope.sequence) + " answers " + std::to_string(answered) +
                     " commands with " + std::to_string(outcomes->size()) + " outcomes",
                 {}};
}

Error at_commit(Error error, const CommitRecord& record, const Tip& after) {
    if (error.code != ErrorCode::corruption) return error;
    error.detail += " (commits log, position " + std::to_string(record.position.value) +
                    ", after " + commit_name(after.sequence) + ")";
    return error;
}

}  // namespace tidings
