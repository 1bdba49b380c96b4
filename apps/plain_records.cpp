#include "apps/plain_records.h"

#include <algorithm>

#include "core/limits.h"

namespace tidings::apps {

namespace {

bool is_plain(const PersonalText& text) { return !text.empty() && !text.is_sealed(); }
bool is_plain(const std::optional<PersonalText>& text) { return text && is_plain(*text); }
bool is_plain(const Actor& actor) { return is_plain(actor.sub) || is_plain(actor.name); }

/// Whether a body or event holds a text of one partner.
struct Holds {
    const PlainRecords& partner;
    const Actor* actor;  ///< of a command

    bool by_partner() const {
        return actor != nullptr && actor->role == Role::partner && is_plain(*actor);
    }
    bool operator()(const UpsertPartners& body) const {
        return std::ranges::any_of(body.partners, [this](const PartnerPatch& patch) {
            return patch.id == partner.partner &&
                   (is_plain(patch.email) || is_plain(patch.name) || is_plain(patch.surname));
        });
    }
    bool operator()(const PostReply& body) const {
        return body.partner == partner.ordinal && (is_plain(body.body) || by_partner());
    }
    bool operator()(const RecordOpens& body) const {
        return by_partner() && body.groups.size() == 1 &&
               body.groups.front().partners.contains(partner.ordinal.value);
    }
    bool operator()(const PartnersChanged& event) const {
        return std::ranges::any_of(event.partners, [this](const PartnerState& state) {
            return state.ordinal == partner.ordinal &&
                   (is_plain(state.email) || is_plain(state.name) || is_plain(state.surname));
        });
    }
    bool operator()(const ReplyPosted& event) const {
        return event.partner == partner.ordinal &&
               (is_plain(event.body) || (!event.from_owner && is_plain(event.author)));
    }
    template <class Other>
    bool operator()(const Other&) const {
        return false;
    }
};

bool holds(const Outcome& outcome, const PlainRecords& partner) {
    return outcome.program == partner.program &&
           std::ranges::any_of(outcome.events, [&](const Event& event) {
               return std::visit(Holds{partner, nullptr}, event);
           });
}

void count(const Codec& codec, const WalkedCommit& commit, PlainRecords& partner) {
    std::uint64_t found = std::ranges::any_of(
        commit.outcomes, [&](const Outcome& outcome) { return holds(outcome, partner); });
    for (std::size_t i = 0; i < commit.commands.size(); ++i) {
        const bool ours = commit.outcomes.at(i).program == partner.program;
        if (!ours) continue;
        const Result<Command> command = codec.decode_command(commit.commands[i].bytes);
        if (!command) continue;  // malformed: it was refused unread
        found += std::visit(Holds{partner, &command->actor}, command->body);
    }
    if (found == 0) return;
    if (partner.records == 0) partner.first = commit.envelope.sequence;
    partner.records += found;
    partner.last = commit.envelope.sequence;
}

}  // namespace

Result<void> count_plain(CommitSource& log, CommandsAhead& commands, const Codec& codec,
                         Sequence last, std::vector<PlainRecords>& partners) {
    const Genesis& genesis = log.genesis();
    Tip tip{.hash = genesis.hash, .next_record = LogPosition{1}};
    while (tip.sequence < last) {
        std::vector<CommitRecord> records;
        const auto read = log.read_commits(tip.next_record, limits::kRunBytes, records);
        if (!read) return read.error();
        if (records.empty()) break;
        for (CommitRecord& record : records) {
            const auto envelope = codec.decode_envelope(record.bytes);
            if (!envelope) return envelope.error();
            const Verdict verdict = judge(genesis, tip, *envelope);
            if (verdict == Verdict::alarm) {
                return Error{ErrorCode::log_mismatch, "the log's chain is broken", {}};
            }
            if (verdict == Verdict::skip) {
                tip.next_record = LogPosition{record.position.value + 1};
                continue;
            }
            tip = advance(*envelope, record.position);
            WalkedCommit commit{std::move(record), *envelope, {}, {}};
            auto outcomes = codec.decode_outcomes(commit.record.bytes);
            if (!outcomes) return outcomes.error();
            commit.outcomes = std::move(*outcomes);
            const auto taken = commands.take(*envelope, commit.commands);
            if (!taken) return taken.error();
            for (PlainRecords& partner : partners) count(codec, commit, partner);
            if (tip.sequence >= last) break;
        }
    }
    return {};
}

}  // namespace tidings::apps
