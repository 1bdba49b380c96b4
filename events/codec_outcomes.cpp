// A commit's payload: its outcomes, with the programs that they name held once.
#include <capnp/schema.h>

#include <unordered_map>

#include "events/codec_canonical.h"
#include "events/codec_parts.h"

namespace tidings::wire {
namespace {

/// The distinct programs of one payload, by first use.
class ProgramTable {
public:
    std::uint32_t index_of(const ProgramId& program) {
        if (!programs_.empty() && programs_[last_]->value == program.value) return last_;
        const auto [at, added] =
            index_.try_emplace(program.value, static_cast<std::uint32_t>(programs_.size()));
        if (added) programs_.push_back(&program);
        return last_ = at->second;
    }
    const std::vector<const ProgramId*>& programs() const { return programs_; }

private:
    std::unordered_map<std::string_view, std::uint32_t> index_;
    std::vector<const ProgramId*> programs_;
    std::uint32_t last_ = 0;  ///< a run often stays within one program
};

/// The group if `outcome` is what the schema's firstOpen stands for.
const MessagesOpened::Group* first_open(const Outcome& outcome) {
    if (outcome.events.size() != 1 || outcome.first_opens != 1 || outcome.refusal ||
        !outcome.rejected.empty() || outcome.answer.value != 0 || outcome.created != 0 ||
        outcome.updated != 0 || outcome.unchanged != 0) {
        return nullptr;
    }
    const auto* opened = std::get_if<MessagesOpened>(outcome.events.data());
    if (opened == nullptr || opened->groups.size() != 1) return nullptr;
    const auto& group = opened->groups[0];
    auto member = group.partners.begin();
    const bool single = member != group.partners.end() && ++member == group.partners.end();
    return single && group.at.empty() ? &group : nullptr;
}

bool has_detail(const Outcome& outcome) {
    return !outcome.events.empty() || !outcome.rejected.empty() || outcome.refusal ||
           outcome.answer.value != 0 || outcome.created != 0 || outcome.updated != 0 ||
           outcome.unchanged != 0 || outcome.first_opens != 0;
}

/// A run ends where the message or code changes, or an index does not ascend: the order comes back
/// as it was.
void write_rejected(schema::Detail::Builder to, const std::vector<Rejected>& from) {
    require(from.size() <= kMostMembers, "too many rejections");
    std::vector<std::pair<std::size_t, Bitmap>> runs;  // first of the run, indexes
    for (std::size_t i = 0; i < from.size(); ++i) {
        const bool continues = i > 0 && from[i].message == from[i - 1].message &&
                               from[i].code == from[i - 1].code &&
                               from[i].index > from[i - 1].index;
        if (!continues) runs.emplace_back(i, Bitmap{});
        runs.back().second.add(from[i].index);
    }
    auto list = to.initRejected(runs.size());
    for (unsigned i = 0; i < runs.size(); ++i) {
        list[i].setMessage(from[runs[i].first].message.value);
        list[i].setCode(code(from[runs[i].first].code));
        list[i].setIndexes(blob(serialize(runs[i].second)));
    }
}

std::vector<Rejected> read_rejected(capnp::List<schema::RejectedRun>::Reader from,
                                    const Budget& budget) {
    std::vector<Rejected> out;
    budget.count(from);
    for (const auto run : from) {
        const Bitmap indexes = bitmap(run.getIndexes());
        const std::uint64_t count = indexes.cardinality();
        if (count > kMostMembers - out.size()) malformed("too many rejections");
        out.reserve(out.size() + count);
        const EventNumber message{run.getMessage()};
        const ErrorCode why = code(run.getCode());
        for (const std::uint32_t index : indexes) out.push_back({index, message, why});
    }
    return out;
}

void write(schema::Detail::Builder to, const Outcome& from) {
    to.setAnswer(from.answer.value);
    to.setCreated(from.created);
    to.setUpdated(from.updated);
    to.setUnchanged(from.unchanged);
    to.setFirstOpens(from.first_opens);
    if (!from.rejected.empty()) write_rejected(to, from.rejected);
    if (from.refusal) {
        auto refusal = to.initRefusal();
        refusal.setCode(code(from.refusal->code));
        refusal.setPlan(to_wire<schema::Plan>(from.refusal->plan));
        refusal.setPointer(text(from.refusal->pointer));
        refusal.setDetail(text(from.refusal->detail));
    }
    if (from.events.empty()) return;
    auto events = to.initEvents(from.events.size());
    for (unsigned i = 0; i < from.events.size(); ++i) wire::write(events[i], from.events[i]);
}

void read(schema::Detail::Reader from, Outcome& out, const Budget& budget) {
    out.answer.value = from.getAnswer();
    out.created = from.getCreated();
    out.updated = from.getUpdated();
    out.unchanged = from.getUnchanged();
    out.first_opens = from.getFirstOpens();
    if (from.hasRejected()) out.rejected = read_rejected(from.getRejected(), budget);
    if (from.hasRefusal()) {
        const auto refusal = from.getRefusal();
        out.refusal = Refusal{code(refusal.getCode()), string(refusal.getPointer()),
                              string(refusal.getDetail()), plan(refusal.getPlan())};
    }
    const auto events = from.getEvents();
    out.events.reserve(budget.count(events));
    for (const auto event : events) out.events.push_back(wire::read(event, budget));
}

void write(schema::Outcome::Builder to, const Outcome& from, std::uint32_t program) {
    require((from.status == OutcomeStatus::refused) == from.refusal.has_value(),
            "a refusal and its status disagree");
    write_bytes16(to.getId(), from.id);
    write_bytes16(to.getDigest(), from.digest);
    write_bytes16(to.getCaller(), from.caller);
    to.setTime(from.time.value);
    to.setFirstEvent(from.first_event.value);
    to.setProgram(program);
    to.setStatus(to_wire<schema::OutcomeStatus>(from.status));
    to.setRemember(from.remember);
    to.setTrack(from.track);
    if (const auto* group = first_open(from)) {
        auto open = to.getDetail().initFirstOpen();
        open.setMessage(group->message.value);
        open.setPartner(*group->partners.begin());
    } else if (has_detail(from)) {
        write(to.getDetail().initFull(), from);
    }
}

void read_detail(schema::Outcome::Reader from, Outcome& out, const Budget& budget) {
    const auto detail = from.getDetail();
    switch (detail.which()) {
        case schema::Outcome::Detail::NONE:
            return;
        case schema::Outcome::Detail::FIRST_OPEN: {
            out.first_opens = 1;
            auto& opened = std::get<MessagesOpened>(out.events.emplace_back(MessagesOpened{}));
            auto& group = opened.groups.emplace_back();
            group.message.value = detail.getFirstOpen().getMessage();
            group.partners.add(detail.getFirstOpen().getPartner());
            return;
        }
        case schema::Outcome::Detail::FULL:
            read(detail.getFull(), out, budget);
            return;
    }
    newer("an unknown outcome");
}

void read(schema::Outcome::Reader from, Outcome& out, const Budget& budget) {
    out.id = read_bytes16<CommandId>(from.getId());
    out.digest = read_bytes16<ContentDigest>(from.getDigest());
    out.caller = read_bytes16<CallerDigest>(from.getCaller());
    out.time.value = from.getTime();
    out.first_event.value = from.getFirstEvent();
    out.status = from_wire(from.getStatus(), OutcomeStatus::refused);
    out.remember = from.getRemember();
    out.track = from.getTrack();
    read_detail(from, out, budget);
    if ((out.status == OutcomeStatus::refused) != out.refusal.has_value()) {
        malformed("a refusal and its status disagree");
    }
}

}  // namespace

void write(schema::Outcomes::Builder to, std::span<const Outcome> from) {
    ProgramTable table;
    auto outcomes = to.initOutcomes(from.size());
    for (unsigned i = 0; i < from.size(); ++i) {
        write(outcomes[i], from[i], table.index_of(from[i].program));
    }
    auto programs = to.initPrograms(table.programs().size());
    for (unsigned i = 0; i < table.programs().size(); ++i) {
        programs.set(i, text(table.programs()[i]->value));
    }
}

std::vector<Outcome> read(schema::Outcomes::Reader from, const Budget& budget) {
    if (from.getNeeds() > 0) newer("a commit");
    std::vector<ProgramId> programs;
    const auto names = from.getPrograms();
    programs.reserve(budget.count(names));
    for (const auto name : names) programs.push_back({string(name)});
    const auto outcomes = from.getOutcomes();
    std::vector<Outcome> out(budget.count(outcomes));
    for (unsigned i = 0; i < out.size(); ++i) {
        const std::uint32_t program = outcomes[i].getProgram();
        if (program >= programs.size()) malformed("an outcome without a program");
        out[i].program = programs[program];
        read(outcomes[i], out[i], budget);
    }
    return out;
}

Outcome read(schema::Leaf::Reader from, const Budget& budget) {
    Outcome out;
    out.program = {string(from.getProgram())};
    read(from.getOutcome(), out, budget);
    return out;
}

void write_leaf(std::vector<std::uint64_t>& words, schema::Outcome::Reader outcome,
                capnp::Text::Reader program) {
    // as the schema says, which is what the bytes of leaves are bound to
    static const std::size_t program_byte =
        sizeof(std::uint32_t) * capnp::Schema::from<schema::Outcome>()
                                    .getFieldByName("program")
                                    .getProto()
                                    .getSlot()
                                    .getOffset();
    CanonicalWriter leaf(words, 2);
    leaf.set_root_text(0, program);
    leaf.set_root_struct(1, outcome, program_byte);
}

}  // namespace tidings::wire
