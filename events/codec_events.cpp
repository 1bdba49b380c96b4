// Events on the wire.
#include "events/codec_parts.h"
#include "events/little_endian.h"

namespace tidings::wire {
namespace {

/// Texts are not empty there.
std::optional<PersonalText> given(const PersonalText& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

void write_texts(schema::PartnerState::Personal::Builder to, const PartnerState& from) {
    const std::optional<PersonalText> all[] = {given(from.email), given(from.name),
                                               given(from.surname)};
    if (from.erased) require(!all[0] && !all[1] && !all[2], "an erased partner has no texts");
    if (from.key_epoch != 0) {
        std::string packed;
        put_le(packed, from.key_epoch);
        if (!from.erased) packed += pack_texts(all);
        to.setRekeyed(blob(packed));
    } else if (from.erased) {
        to.setErased();
    } else if (from.email.is_sealed() || from.name.is_sealed() || from.surname.is_sealed()) {
        to.setSealed(blob(pack_texts(all)));
    } else {
        auto plain = to.initPlain();
        if (all[0]) plain.setEmail(text(from.email.stored()));
        if (all[1]) plain.setName(text(from.name.stored()));
        if (all[2]) plain.setSurname(text(from.surname.stored()));
    }
}

void read_packed(capnp::Data::Reader from, PartnerState& to) {
    const auto all = texts(from, 3);
    to.email = all[0].value_or(PersonalText());
    to.name = all[1].value_or(PersonalText());
    to.surname = all[2].value_or(PersonalText());
}

void read_texts(schema::PartnerState::Personal::Reader from, PartnerState& to) {
    if (from.isRekeyed()) {
        const capnp::Data::Reader packed = from.getRekeyed();
        require(packed.size() >= sizeof(to.key_epoch), "a key epoch is cut off");
        to.key_epoch = get_le<std::uint16_t>(view(packed), 0);
        require(to.key_epoch != 0, "a key epoch of 0");
        to.erased = packed.size() == sizeof(to.key_epoch);
        if (!to.erased) read_packed(packed.slice(sizeof(to.key_epoch), packed.size()), to);
    } else if (from.isErased()) {
        to.erased = true;
    } else if (from.isSealed()) {
        read_packed(from.getSealed(), to);
    } else {
        const auto open = plain(from);
        to.email = plain_text(open.getEmail());
        to.name = plain_text(open.getName());
        to.surname = plain_text(open.getSurname());
    }
}

void write(schema::PartnerState::Builder to, const PartnerState& from) {
    to.setOrdinal(from.ordinal.value);
    to.setStatus(to_wire<schema::PartnerStatus>(from.status));
    to.setId(text(from.id.value));
    write_texts(to.getPersonal(), from);
    if (!from.tags.empty()) to.setTags(blob(pack_tags(from.tags)));
    to.setJoinedAt(from.joined_at.value);
    if (from.metrics != Metrics{}) wire::write(to.initMetrics(), from.metrics);
    if (from.profile_stamp != SourceStamp{}) wire::write(to.initProfileStamp(), from.profile_stamp);
    if (from.metrics_stamp != SourceStamp{}) wire::write(to.initMetricsStamp(), from.metrics_stamp);
}

PartnerState read(schema::PartnerState::Reader from) {
    PartnerState out;
    out.ordinal.value = from.getOrdinal();
    out.status = partner_status(from.getStatus());
    out.id.value = string(from.getId());
    read_texts(from.getPersonal(), out);
    out.tags = tags(from.getTags());
    out.joined_at.value = from.getJoinedAt();
    if (from.hasMetrics()) out.metrics = wire::read(from.getMetrics());
    if (from.hasProfileStamp()) out.profile_stamp = wire::read(from.getProfileStamp());
    if (from.hasMetricsStamp()) out.metrics_stamp = wire::read(from.getMetricsStamp());
    return out;
}

void write(schema::HeldPartner::Builder to, const HeldPartner& from) {
    to.setId(text(from.id.value));
    wire::write(to.initMetrics(), from.metrics);
    wire::write(to.initDeletedStamp(), from.deleted_stamp);
    wire::write(to.initMetricsStamp(), from.metrics_stamp);
}
HeldPartner read(schema::HeldPartner::Reader from) {
    return {PartnerId{string(from.getId())}, wire::read(from.getMetrics()),
            wire::read(from.getDeletedStamp()), wire::read(from.getMetricsStamp())};
}

void write(schema::CustomerState::Builder to, const CustomerState& from) {
    to.setKey(text(from.key));
    to.setPartner(text(from.partner.value));
    to.setDeleted(from.deleted);
    wire::write(to.initStamp(), from.stamp);
}
CustomerState read(schema::CustomerState::Reader from) {
    return {string(from.getKey()), PartnerId{string(from.getPartner())}, from.getDeleted(),
            wire::read(from.getStamp())};
}

void write(schema::TransactionState::Builder to, const TransactionState& from) {
    to.setKey(text(from.key));
    to.setPartner(text(from.partner.value));
    to.setCustomer(text(from.customer));
    to.setRevenue(blob(pack_money(from.revenue)));
    to.setCommission(blob(pack_money(from.commission)));
    to.setDeleted(from.deleted);
    wire::write(to.initStamp(), from.stamp);
}
TransactionState read(schema::TransactionState::Reader from) {
    return {string(from.getKey()),       PartnerId{string(from.getPartner())},
            string(from.getCustomer()),  money(from.getRevenue()),
            money(from.getCommission()), from.getDeleted(),
            wire::read(from.getStamp())};
}

void write(schema::PayerState::Builder to, const PayerState& from) {
    to.setPartner(text(from.partner.value));
    to.setCustomer(text(from.customer));
    to.setTransactions(from.transactions);
}
PayerState read(schema::PayerState::Reader from) {
    return {PartnerId{string(from.getPartner())}, string(from.getCustomer()),
            from.getTransactions()};
}

template <class List, class T>
void write_list(List to, const std::vector<T>& from) {
    for (unsigned i = 0; i < from.size(); ++i) write(to[i], from[i]);
}
template <class List, class T>
void read_list(List from, std::vector<T>& to, const Budget& budget) {
    to.reserve(budget.count(from));
    for (const auto element : from) to.push_back(read(element));
}

struct EventWriter {
    schema::Event::Builder to;

    void operator()(const ProgramChanged& from) {
        auto program = to.initProgramChanged();
        program.setName(text(from.name));
        program.setPlan(to_wire<schema::Plan>(from.plan));
    }
    void operator()(const WebhookSecretSet& from) {
        to.initWebhookSecretSet().setSealed(blob(from.sealed));
    }
    void operator()(const PartnersChanged& from) {
        write_list(to.initPartnersChanged(from.partners.size()), from.partners);
    }
    void operator()(const UpstreamFactsChanged& from) {
        auto facts = to.initUpstreamFactsChanged();
        if (!from.held.empty()) write_list(facts.initHeld(from.held.size()), from.held);
        if (!from.customers.empty()) {
            write_list(facts.initCustomers(from.customers.size()), from.customers);
        }
        if (!from.transactions.empty()) {
            write_list(facts.initTransactions(from.transactions.size()), from.transactions);
        }
        if (!from.payers.empty()) write_list(facts.initPayers(from.payers.size()), from.payers);
    }
    void operator()(const MessageSent& from) {
        auto sent = to.initMessageSent();
        auto personal = sent.getPersonal().initPlain();
        personal.setSubject(text(from.subject));
        personal.setBody(text(from.body));
        sent.setRepliesEnabled(from.replies_enabled);
        sent.setPlan(to_wire<schema::Plan>(from.plan));
        wire::write(sent.initSender(), from.sender);
        sent.setSentAt(from.sent_at.value);
        wire::write(sent.initAudience(), from.audience);
        sent.setRecipients(blob(serialize(from.recipients)));
        sent.setDigest(blob(from.digest.view()));
    }
    void operator()(const MessagesOpened& from) {
        write_opens(to.initMessagesOpened(from.groups.size()), from.groups);
    }
    void operator()(const ReplyPosted& from) {
        auto reply = to.initReplyPosted();
        reply.setMessage(from.message.value);
        reply.setPartner(from.partner.value);
        reply.setFromOwner(from.from_owner);
        wire::write(reply.initAuthor(), from.author);
        write_post(reply.getPersonal(), from.body);
        reply.setPostedAt(from.posted_at.value);
    }
    void operator()(const PartnerErased& from) {
        to.initPartnerErased().setPartner(from.partner.value);
    }
    void operator()(const ConversationRead& from) {
        auto mark = to.initConversationRead();
        mark.setMessage(from.message.value);
        mark.setPartner(from.partner.value);
        mark.setByOwner(from.by_owner);
        mark.setUpTo(from.up_to.value);
    }
};

UpstreamFactsChanged read(schema::UpstreamFactsChanged::Reader from, const Budget& budget) {
    UpstreamFactsChanged out;
    read_list(from.getHeld(), out.held, budget);
    read_list(from.getCustomers(), out.customers, budget);
    read_list(from.getTransactions(), out.transactions, budget);
    read_list(from.getPayers(), out.payers, budget);
    return out;
}

MessageSent read(schema::MessageSent::Reader from) {
    MessageSent out;
    const auto personal = plain(from.getPersonal());
    out.subject = string(personal.getSubject());
    out.body = string(personal.getBody());
    out.replies_enabled = from.getRepliesEnabled();
    out.plan = plan(from.getPlan());
    out.sender = wire::read(from.getSender());
    out.sent_at.value = from.getSentAt();
    out.audience = wire::read(from.getAudience());
    out.recipients = bitmap(from.getRecipients());
    out.digest = hash(from.getDigest());
    return out;
}

ReplyPosted read(schema::ReplyPosted::Reader from) {
    return {EventNumber{from.getMessage()},
            PartnerOrdinal{from.getPartner()},
            from.getFromOwner(),
            wire::read(from.getAuthor()),
            read_post(from.getPersonal()),
            Timestamp{from.getPostedAt()}};
}

}  // namespace

void write(schema::Event::Builder to, const Event& from) { std::visit(EventWriter{to}, from); }

Event read(schema::Event::Reader from, const Budget& budget) {
    switch (from.which()) {
        case schema::Event::PROGRAM_CHANGED: {
            const auto program = from.getProgramChanged();
            return ProgramChanged{string(program.getName()), plan(program.getPlan())};
        }
        case schema::Event::WEBHOOK_SECRET_SET:
            return WebhookSecretSet{std::string(view(from.getWebhookSecretSet().getSealed()))};
        case schema::Event::PARTNERS_CHANGED: {
            PartnersChanged out;
            read_list(from.getPartnersChanged(), out.partners, budget);
            return out;
        }
        case schema::Event::UPSTREAM_FACTS_CHANGED:
            return read(from.getUpstreamFactsChanged(), budget);
        case schema::Event::MESSAGE_SENT:
            return read(from.getMessageSent());
        case schema::Event::MESSAGES_OPENED:
            return MessagesOpened{
                read_opens<MessagesOpened::Group>(from.getMessagesOpened(), budget)};
        case schema::Event::REPLY_POSTED:
            return read(from.getReplyPosted());
        case schema::Event::PARTNER_ERASED:
            return PartnerErased{PartnerOrdinal{from.getPartnerErased().getPartner()}};
        case schema::Event::CONVERSATION_READ: {
            const auto mark = from.getConversationRead();
            return ConversationRead{EventNumber{mark.getMessage()},
                                    PartnerOrdinal{mark.getPartner()}, mark.getByOwner(),
                                    EventNumber{mark.getUpTo()}};
        }
    }
    newer("an unknown event");
}

}  // namespace tidings::wire
