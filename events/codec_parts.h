// What commands and events share on their way between the domain's types and schema.capnp's.
// Internal to the codec: undecodable bytes are thrown as Undecodable (or kj::Exception) and become
// Results in codec.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.h"
#include "events/little_endian.h"
#include "events/packed.h"
#include "events/schema.capnp.h"

namespace tidings::wire {

/// malformed stands for corruption too: codec.cpp knows which of them its bytes can have.
struct Undecodable {
    ErrorCode code;
    std::string detail;
};
[[noreturn]] void malformed(const char* what);
[[noreturn]] void newer(const char* what);
/// On the way out: what could not be decoded again must not become durable. An own bug:
/// std::logic_error.
void require(bool holds, const char* what);

/// Bounds what a message may claim to hold by the bytes that it has.
struct Budget {
    std::size_t words;
    /// Elements of lists whose decoded form is large: each takes 24 bytes or more on the wire.
    template <class List>
    unsigned count(const List& list) const {
        if (list.size() > words / 3)
            malformed("a list claims more elements than its bytes can hold");
        return list.size();
    }
};

/// Opens or rejections in one command or outcome: a bitmap of a few bytes may otherwise claim 2^32.
inline constexpr std::uint64_t kMostMembers = 1 << 20;

// ---- text and bytes

inline capnp::Text::Reader text(const std::string& value) { return {value.data(), value.size()}; }
inline std::string string(capnp::Text::Reader value) { return {value.begin(), value.size()}; }
inline capnp::Data::Reader blob(std::string_view value) {
    return {reinterpret_cast<const capnp::byte*>(value.data()), value.size()};
}
inline std::string_view view(capnp::Data::Reader value) {
    return {reinterpret_cast<const char*>(value.begin()), value.size()};
}
Hash256 hash(capnp::Data::Reader value);

/// 16 bytes in a group of two words.
template <class Group, class Bytes>
void write_bytes16(Group group, const Bytes& bytes) {
    group.setLow(get_le<std::uint64_t>(bytes.view(), 0));
    group.setHigh(get_le<std::uint64_t>(bytes.view(), 8));
}
template <class Bytes, class Group>
Bytes read_bytes16(Group group) {
    Bytes out;
    for (int i = 0; i < 8; ++i) {
        out.bytes[i] = static_cast<std::uint8_t>(group.getLow() >> (8 * i));
        out.bytes[8 + i] = static_cast<std::uint8_t>(group.getHigh() >> (8 * i));
    }
    return out;
}

// ---- enums: the numbers agree (asserted in codec_parts.cpp), so that only the range is checked

template <class Wire, class Core>
Wire to_wire(Core value) {
    return static_cast<Wire>(value);
}
template <class Core, class Wire>
Core from_wire(Wire value, Core last) {
    if (static_cast<unsigned>(value) > static_cast<unsigned>(last)) newer("an unknown enumerator");
    return static_cast<Core>(value);
}
inline Role role(schema::Role value) { return from_wire(value, Role::auditor); }
inline Plan plan(schema::Plan value) { return from_wire(value, Plan::advanced); }
inline PartnerStatus partner_status(schema::PartnerStatus value) {
    return from_wire(value, PartnerStatus::deleted);
}
schema::Code code(ErrorCode value);
ErrorCode code(schema::Code value);

// ---- personal data: `plain`, or `sealed` where any of it is

/// Of what is never sealed.
template <class Union>
auto plain(const Union& personal) {
    if (!personal.isPlain()) newer("personal data");
    return personal.getPlain();
}
/// Refuses what reads as sealed and is not: rows tell the two forms apart by their first byte.
PersonalText plain_text(capnp::Text::Reader value);
std::vector<std::optional<PersonalText>> texts(capnp::Data::Reader packed, std::size_t count);

/// The union of an actor: its groups and that of a command have types of their own.
template <class Union>
void write_actor(Union personal, const Actor& from) {
    if (from.sub.is_sealed() || from.name.is_sealed()) {
        const std::optional<PersonalText> both[] = {from.sub, from.name};
        personal.setSealed(blob(pack_texts(both)));
        return;
    }
    auto plain = personal.initPlain();
    if (!from.sub.empty()) plain.setSub(text(from.sub.stored()));
    if (!from.name.empty()) plain.setName(text(from.name.stored()));
}
template <class Union>
Actor read_actor(Role role, const Union& personal) {
    if (personal.isSealed()) {
        const auto both = texts(personal.getSealed(), 2);
        return {role, both[0].value_or(PersonalText()), both[1].value_or(PersonalText())};
    }
    const auto open = plain(personal);
    return {role, plain_text(open.getSub()), plain_text(open.getName())};
}

/// Of a post.
template <class Union>
void write_post(Union personal, const PersonalText& from) {
    if (from.is_sealed()) {
        personal.setSealed(blob(from.stored()));
    } else {
        personal.setPlain(text(from.stored()));
    }
}
template <class Union>
PersonalText read_post(const Union& personal) {
    if (!personal.isSealed()) return plain_text(plain(personal));
    PersonalText out(view(personal.getSealed()));
    if (!out.is_sealed()) malformed("a sealed text");
    return out;
}

// ---- parts

void write(schema::Actor::Builder to, const Actor& from);
Actor read(schema::Actor::Reader from);

void write(schema::Stamp::Builder to, const SourceStamp& from);
SourceStamp read(schema::Stamp::Reader from);

void write(schema::Metrics::Builder to, const Metrics& from);
Metrics read(schema::Metrics::Reader from);

void write(schema::MetricsPatch::Builder to, const MetricsPatch& from);
MetricsPatch read(schema::MetricsPatch::Reader from);

void write(schema::Audience::Builder to, const Audience& from);
Audience read(schema::Audience::Reader from);

/// Sorted and distinct, as tags must be.
std::string pack_tags(const std::vector<std::string>& tags);
std::vector<std::string> tags(capnp::Data::Reader packed);
Money money(capnp::Data::Reader packed);
Bitmap bitmap(capnp::Data::Reader bytes);

/// Groups of RecordOpens and MessagesOpened: messages ascending and distinct, times for all or
/// none.
template <class Group>
void write_opens(capnp::List<schema::OpensGroup>::Builder to, const std::vector<Group>& from) {
    for (unsigned i = 0; i < from.size(); ++i) {
        require(i == 0 || from[i].message > from[i - 1].message, "messages of opens out of order");
        require(from[i].at.empty() || from[i].at.size() == from[i].partners.cardinality(),
                "not as many times as opens");
        to[i].setMessage(from[i].message.value);
        to[i].setPartners(blob(serialize(from[i].partners)));
        if (!from[i].at.empty()) to[i].setAt(blob(pack_times(from[i].at)));
    }
}
template <class Group>
std::vector<Group> read_opens(capnp::List<schema::OpensGroup>::Reader from, const Budget& budget) {
    std::vector<Group> out(budget.count(from));
    std::uint64_t members = 0;
    for (unsigned i = 0; i < out.size(); ++i) {
        const auto group = from[i];
        out[i].message.value = group.getMessage();
        if (i > 0 && out[i].message <= out[i - 1].message)
            malformed("messages of opens out of order");
        out[i].partners = bitmap(group.getPartners());
        const std::uint64_t count = out[i].partners.cardinality();
        members += count;
        if (members > kMostMembers) malformed("too many opens");
        if (!group.hasAt()) continue;
        auto times = unpack_times(view(group.getAt()), count);
        if (!times) malformed("times of opens");
        out[i].at = std::move(*times);
    }
    return out;
}

// ---- codec_commands.cpp, codec_events.cpp

void write(schema::Command::Builder to, const Command& from);
Command read(schema::Command::Reader from, const Budget& budget);

void write(schema::Outcomes::Builder to, std::span<const Outcome> from);
std::vector<Outcome> read(schema::Outcomes::Reader from, const Budget& budget);
Outcome read(schema::Leaf::Reader from, const Budget& budget);
/// Copies what is stored, known to this version or not.
void write_leaf(std::vector<std::uint64_t>& words, schema::Outcome::Reader outcome,
                capnp::Text::Reader program);

void write(schema::Event::Builder to, const Event& from);
Event read(schema::Event::Reader from, const Budget& budget);

}  // namespace tidings::wire
