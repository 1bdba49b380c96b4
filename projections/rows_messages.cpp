// Rows of messages, their conversations, and what callers get again.
#include "core/time.h"
#include "events/json_output.h"
#include "projections/bytes.h"
#include "projections/rows.h"

namespace tidings {

namespace {

void write_actor(ByteWriter& out, const Actor& actor) {
    out.u8(static_cast<std::uint8_t>(actor.role));
    out.string(actor.sub.stored());
    out.string(actor.name.stored());
}

Actor read_actor(ByteReader& in) {
    Actor actor;
    actor.role = static_cast<Role>(in.u8());
    actor.sub = in.string();
    actor.name = in.string();
    return actor;
}

void write_filter(ByteWriter& out, const Filter& filter) {
    out.u8(static_cast<std::uint8_t>(filter.kind));
    switch (filter.kind) {
        case Filter::Kind::all:
        case Filter::Kind::any:
        case Filter::Kind::negation:
            out.varint(filter.children.size());
            for (const Filter& child : filter.children) write_filter(out, child);
            break;
        case Filter::Kind::tag:
            out.string(filter.tag);
            break;
        case Filter::Kind::metric:
            out.u8(static_cast<std::uint8_t>(filter.metric));
            out.u8(static_cast<std::uint8_t>(filter.op));
            out.zigzag(filter.value);
            out.string(filter.currency);
            break;
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after:
            out.zigzag(filter.joined.value);
            break;
        case Filter::Kind::engagement:
            out.u8(static_cast<std::uint8_t>(filter.engagement));
            out.varint(filter.message.value);
            break;
    }
}

Filter read_filter(ByteReader& in) {
    Filter filter;
    filter.kind = static_cast<Filter::Kind>(in.u8());
    switch (filter.kind) {
        case Filter::Kind::all:
        case Filter::Kind::any:
        case Filter::Kind::negation:
            for (std::uint64_t n = in.varint(); n > 0; --n)
                filter.children.push_back(read_filter(in));
            break;
        case Filter::Kind::tag:
            filter.tag = in.string();
            break;
        case Filter::Kind::metric:
            filter.metric = static_cast<Metric>(in.u8());
            filter.op = static_cast<Comparison>(in.u8());
            filter.value = in.zigzag();
            filter.currency = in.string();
            break;
        case Filter::Kind::joined_before:
        case Filter::Kind::joined_after:
            filter.joined = {in.zigzag()};
            break;
        case Filter::Kind::engagement:
            filter.engagement = static_cast<Engagement>(in.u8());
            filter.message = {in.varint()};
            break;
        default:
            throw StorageFailure("a stored filter is malformed");
    }
    return filter;
}

void write_ids(ByteWriter& out, const std::vector<PartnerId>& ids) {
    out.varint(ids.size());
    for (const PartnerId& id : ids) out.string(id.value);
}

std::vector<PartnerId> read_ids(ByteReader& in) {
    std::vector<PartnerId> ids;
    for (std::uint64_t n = in.varint(); n > 0; --n) ids.push_back({std::string(in.string())});
    return ids;
}

}  // namespace

MessageRow MessageRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    MessageRow row;
    row.number = {in.varint()};
    row.id = in.string();
    row.subject = in.string();
    row.preview = in.string();
    row.replies_enabled = in.u8() != 0;
    row.sender = read_actor(in);
    row.sent_at = {in.zigzag()};
    row.plan = static_cast<Plan>(in.u8());
    row.digest = Hash256::from(in.take(Hash256::kSize));
    row.recipients = in.varint();
    row.derive();
    return row;
}
std::string MessageRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(number.value);
    out.string(id);
    out.string(subject);
    out.string(preview);
    out.u8(replies_enabled ? 1 : 0);
    write_actor(out, sender);
    out.zigzag(sent_at.value);
    out.u8(static_cast<std::uint8_t>(plan));
    out.raw(digest.view());
    out.varint(recipients);
    return bytes;
}
void MessageRow::derive() {
    sender_json = "{\"id\":";
    append_json_string(sender_json, sender.sub.plain());
    sender_json += ",\"name\":";
    append_json_string(sender_json, sender.name.plain());
    sender_json += '}';
    inbox_json = "\"id\":\"" + id + "\",\"subject\":";
    append_json_string(inbox_json, subject);
    inbox_json += ",\"preview\":";
    append_json_string(inbox_json, preview);
    inbox_json += ",\"sender\":" + sender_json + ",\"sent_at\":\"" + format_time(sent_at) + '"';
}

MessageTextRow MessageTextRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    MessageTextRow row;
    row.body = in.string();
    row.audience.type = static_cast<Audience::Type>(in.u8());
    row.audience.partners = read_ids(in);
    if (row.audience.type == Audience::Type::filter) row.audience.filter = read_filter(in);
    row.audience.exclude = read_ids(in);
    return row;
}
std::string MessageTextRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.string(body);
    out.u8(static_cast<std::uint8_t>(audience.type));
    write_ids(out, audience.partners);
    if (audience.type == Audience::Type::filter) write_filter(out, audience.filter);
    write_ids(out, audience.exclude);
    return bytes;
}

RecipientsRow RecipientsRow::decode(std::string_view bytes) {
    Result<Bitmap> set = deserialize_bitmap(bytes);
    if (!set) throw StorageFailure("stored recipients are not a Roaring bitmap");
    return {std::move(*set)};
}
std::string RecipientsRow::encode() const { return serialize(set); }

StatsRow StatsRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    StatsRow row;
    row.recipients = in.varint();
    row.opens = in.varint();
    row.replied = in.varint();
    row.unread_replies = in.varint();
    row.conversations = in.varint();
    return row;
}
std::string StatsRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(recipients);
    out.varint(opens);
    out.varint(replied);
    out.varint(unread_replies);
    out.varint(conversations);
    return bytes;
}

ConversationRow ConversationRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    ConversationRow row;
    row.posts = static_cast<std::uint32_t>(in.varint());
    row.partner_posts = static_cast<std::uint32_t>(in.varint());
    row.unread_replies = static_cast<std::uint32_t>(in.varint());
    row.last_owner_post = {in.varint()};
    row.last_partner_post = {in.varint()};
    row.partner_read = {in.varint()};
    row.owner_read = {in.varint()};
    row.first_replied_at = {in.zigzag()};
    row.last_replied_at = {in.zigzag()};
    return row;
}
std::string ConversationRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(posts);
    out.varint(partner_posts);
    out.varint(unread_replies);
    out.varint(last_owner_post.value);
    out.varint(last_partner_post.value);
    out.varint(partner_read.value);
    out.varint(owner_read.value);
    out.zigzag(first_replied_at.value);
    out.zigzag(last_replied_at.value);
    return bytes;
}

PostRow PostRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    PostRow row;
    row.from_owner = in.u8() != 0;
    row.author = read_actor(in);
    row.posted_at = {in.zigzag()};
    row.body = in.string();
    return row;
}
std::string PostRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.u8(from_owner ? 1 : 0);
    write_actor(out, author);
    out.zigzag(posted_at.value);
    out.string(body.stored());
    return bytes;
}

RememberedRow RememberedRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    RememberedRow row;
    row.digest = ContentDigest::from(in.take(ContentDigest::kSize));
    row.answer = {in.varint()};
    row.time = {in.zigzag()};
    return row;
}
std::string RememberedRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.raw(digest.view());
    out.varint(answer.value);
    out.zigzag(time.value);
    return bytes;
}

OutcomeRow OutcomeRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    OutcomeRow row;
    row.outcome.caller = CallerDigest::from(in.take(CallerDigest::kSize));
    row.outcome.status = static_cast<OutcomeStatus>(in.u8());
    row.outcome.answer = {in.varint()};
    row.outcome.message = {in.varint()};
    row.outcome.partner = {static_cast<std::uint32_t>(in.varint())};
    row.time = {in.zigzag()};
    if (in.u8() != 0) {
        Refusal refusal;
        refusal.code = static_cast<ErrorCode>(in.u8());
        refusal.pointer = in.string();
        refusal.detail = in.string();
        refusal.plan = static_cast<Plan>(in.u8());
        row.outcome.refusal = std::move(refusal);
    }
    return row;
}
std::string OutcomeRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.raw(outcome.caller.view());
    out.u8(static_cast<std::uint8_t>(outcome.status));
    out.varint(outcome.answer.value);
    out.varint(outcome.message.value);
    out.varint(outcome.partner.value);
    out.zigzag(time.value);
    out.u8(outcome.refusal ? 1 : 0);
    if (outcome.refusal) {
        out.u8(static_cast<std::uint8_t>(outcome.refusal->code));
        out.string(outcome.refusal->pointer);
        out.string(outcome.refusal->detail);
        out.u8(static_cast<std::uint8_t>(outcome.refusal->plan));
    }
    return bytes;
}

OutcomeWindowRow OutcomeWindowRow::decode(std::string_view bytes) {
    ByteReader in(bytes);
    OutcomeWindowRow row;
    row.first = in.varint();
    row.next = in.varint();
    return row;
}
std::string OutcomeWindowRow::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(first);
    out.varint(next);
    return bytes;
}

std::string make_preview(std::string_view body) {
    constexpr std::size_t kCodePoints = 140;
    std::string out;
    std::size_t count = 0;
    bool space = false;
    for (std::size_t i = 0; i < body.size();) {
        const auto lead = static_cast<unsigned char>(body[i]);
        const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (lead <= ' ' || lead == 0x7f) {
            space = !out.empty();
        } else {
            if (count + (space ? 1 : 0) >= kCodePoints) break;
            if (space) {
                out += ' ';
                ++count;
                space = false;
            }
            out.append(body.substr(i, size));
            ++count;
        }
        i += size;
    }
    return out;
}

}  // namespace tidings
