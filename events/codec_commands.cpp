// Commands on the wire.
#include "events/codec_parts.h"

namespace tidings::wire {
namespace {

bool is_single(const RecordOpens& opens) {
    if (opens.groups.size() != 1 || !opens.groups[0].at.empty()) return false;
    const auto& partners = opens.groups[0].partners;
    auto member = partners.begin();
    return member != partners.end() && ++member == partners.end();
}

bool is_sealed(const std::optional<PersonalText>& text) { return text && text->is_sealed(); }

void write_texts(schema::PartnerPatch::Personal::Builder to, const PartnerPatch& from) {
    if (is_sealed(from.email) || is_sealed(from.name) || is_sealed(from.surname)) {
        const std::optional<PersonalText> all[] = {from.email, from.name, from.surname};
        to.setSealed(blob(pack_texts(all)));
        return;
    }
    auto plain = to.initPlain();
    if (from.email) plain.setEmail(text(from.email->stored()));
    if (from.name) plain.setName(text(from.name->stored()));
    if (from.surname) plain.setSurname(text(from.surname->stored()));
}

void read_texts(schema::PartnerPatch::Personal::Reader from, PartnerPatch& to) {
    if (from.isSealed()) {
        auto all = texts(from.getSealed(), 3);
        to.email = std::move(all[0]);
        to.name = std::move(all[1]);
        to.surname = std::move(all[2]);
        return;
    }
    const auto open = plain(from);
    if (open.hasEmail()) to.email = plain_text(open.getEmail());
    if (open.hasName()) to.name = plain_text(open.getName());
    if (open.hasSurname()) to.surname = plain_text(open.getSurname());
}

void write(schema::PartnerPatch::Builder to, const PartnerPatch& from) {
    to.setId(text(from.id.value));
    write_texts(to.getPersonal(), from);
    if (from.tags) to.setTags(blob(pack_tags(*from.tags)));
    if (from.metrics != MetricsPatch{}) wire::write(to.initMetrics(), from.metrics);
    if (from.stamp) wire::write(to.initStamp(), *from.stamp);
    to.setClearMetrics(from.clear_metrics);
    to.setClearRevenue(from.clear_revenue);
    to.setClearCommission(from.clear_commission);
    if (from.status) {
        to.setStatusGiven(true);
        to.setStatus(to_wire<schema::PartnerStatus>(*from.status));
    }
    if (from.joined_at) {
        to.setJoinedAtGiven(true);
        to.setJoinedAt(from.joined_at->value);
    }
}

PartnerPatch read(schema::PartnerPatch::Reader from) {
    PartnerPatch out;
    out.id.value = string(from.getId());
    read_texts(from.getPersonal(), out);
    if (from.hasTags()) out.tags = tags(from.getTags());
    if (from.hasMetrics()) out.metrics = wire::read(from.getMetrics());
    if (from.hasStamp()) out.stamp = wire::read(from.getStamp());
    out.clear_metrics = from.getClearMetrics();
    out.clear_revenue = from.getClearRevenue();
    out.clear_commission = from.getClearCommission();
    if (from.getStatusGiven()) out.status = partner_status(from.getStatus());
    if (from.getJoinedAtGiven()) out.joined_at = Timestamp{from.getJoinedAt()};
    return out;
}

/// One overload a kind of command: how it is put under `body`.
struct BodyWriter {
    schema::Command::Body::Builder to;

    void operator()(const RecordOpens& from) {
        if (is_single(from)) {
            auto one = to.initOpenOne();
            one.setMessage(from.groups[0].message.value);
            one.setPartner(*from.groups[0].partners.begin());
            one.setUpTo(from.up_to.value);
            return;
        }
        auto opens = to.initRecordOpens();
        write_opens(opens.initGroups(from.groups.size()), from.groups);
        opens.setUpTo(from.up_to.value);
    }
    void operator()(const UpsertProgram& from) {
        auto program = to.initUpsertProgram();
        program.setName(text(from.name));
        program.setPlan(to_wire<schema::Plan>(from.plan));
    }
    void operator()(const SetWebhookSecret& from) {
        to.initSetWebhookSecret().setSealed(blob(from.sealed));
    }
    void operator()(const UpsertPartners& from) {
        auto upsert = to.initUpsertPartners();
        upsert.setMustExist(from.must_exist);
        upsert.setRevive(from.revive);
        upsert.setHoldUnknown(from.hold_unknown);
        auto partners = upsert.initPartners(from.partners.size());
        for (unsigned i = 0; i < from.partners.size(); ++i) write(partners[i], from.partners[i]);
    }
    void operator()(const AdjustMetrics& from) {
        auto adjust = to.initAdjustMetrics();
        adjust.setMode(to_wire<schema::AdjustMode>(from.mode));
        adjust.setPartner(text(from.partner.value));
        adjust.setClicks(from.clicks);
        adjust.setSignups(from.signups);
        adjust.setSales(from.sales);
        adjust.setPaidAccounts(from.paid_accounts);
        wire::write(adjust.initSet(), from.set);
        adjust.setRevenue(blob(pack_money(from.revenue)));
        adjust.setCommission(blob(pack_money(from.commission)));
        wire::write(adjust.initStamp(), from.stamp);
    }
    void operator()(const RecordCustomer& from) {
        auto customer = to.initRecordCustomer();
        customer.setKey(text(from.key));
        customer.setPartner(text(from.partner.value));
        customer.setDeleted(from.deleted);
        wire::write(customer.initStamp(), from.stamp);
    }
    void operator()(const RecordTransaction& from) {
        auto transaction = to.initRecordTransaction();
        transaction.setKey(text(from.key));
        transaction.setPartner(text(from.partner.value));
        transaction.setCustomer(text(from.customer));
        transaction.setRevenue(blob(pack_money(from.revenue)));
        transaction.setCommission(blob(pack_money(from.commission)));
        transaction.setDeleted(from.deleted);
        wire::write(transaction.initStamp(), from.stamp);
    }
    void operator()(const SendMessage& from) {
        auto send = to.initSendMessage();
        auto personal = send.getPersonal().initPlain();
        personal.setSubject(text(from.subject));
        personal.setBody(text(from.body));
        wire::write(send.initAudience(), from.audience);
        send.setRepliesEnabled(from.replies_enabled);
        if (from.expect_digest) send.setExpectDigest(blob(from.expect_digest->view()));
    }
    void operator()(const PostReply& from) {
        auto reply = to.initPostReply();
        reply.setMessage(from.message.value);
        reply.setPartner(from.partner.value);
        write_post(reply.getPersonal(), from.body);
    }
    void operator()(const ErasePartner& from) {
        auto erase = to.initErasePartner();
        erase.setPartner(text(from.partner.value));
        erase.setKeyEpoch(from.key_epoch);
    }
    void operator()(const MarkRead& from) {
        auto mark = to.initMarkRead();
        mark.setMessage(from.message.value);
        mark.setPartner(from.partner.value);
    }
};

RecordOpens read(schema::Command::Body::OpenOne::Reader from) {
    RecordOpens out;
    auto& group = out.groups.emplace_back();
    group.message.value = from.getMessage();
    group.partners.add(from.getPartner());
    out.up_to.value = from.getUpTo();
    return out;
}

RecordOpens read(schema::RecordOpens::Reader from, const Budget& budget) {
    return {read_opens<RecordOpens::Group>(from.getGroups(), budget), EventNumber{from.getUpTo()}};
}

UpsertPartners read(schema::UpsertPartners::Reader from, const Budget& budget) {
    UpsertPartners out;
    out.must_exist = from.getMustExist();
    out.revive = from.getRevive();
    out.hold_unknown = from.getHoldUnknown();
    const auto partners = from.getPartners();
    out.partners.reserve(budget.count(partners));
    for (const auto partner : partners) out.partners.push_back(read(partner));
    return out;
}

AdjustMetrics read(schema::AdjustMetrics::Reader from) {
    AdjustMetrics out;
    out.mode = from_wire(from.getMode(), AdjustMetrics::Mode::set);
    out.partner.value = string(from.getPartner());
    out.clicks = from.getClicks();
    out.signups = from.getSignups();
    out.sales = from.getSales();
    out.paid_accounts = from.getPaidAccounts();
    out.set = wire::read(from.getSet());
    out.revenue = money(from.getRevenue());
    out.commission = money(from.getCommission());
    out.stamp = wire::read(from.getStamp());
    return out;
}

RecordCustomer read(schema::RecordCustomer::Reader from) {
    return {string(from.getKey()), PartnerId{string(from.getPartner())}, from.getDeleted(),
            wire::read(from.getStamp())};
}

RecordTransaction read(schema::RecordTransaction::Reader from) {
    return {string(from.getKey()),       PartnerId{string(from.getPartner())},
            string(from.getCustomer()),  money(from.getRevenue()),
            money(from.getCommission()), from.getDeleted(),
            wire::read(from.getStamp())};
}

SendMessage read(schema::SendMessage::Reader from) {
    SendMessage out;
    const auto personal = plain(from.getPersonal());
    out.subject = string(personal.getSubject());
    out.body = string(personal.getBody());
    out.audience = wire::read(from.getAudience());
    out.replies_enabled = from.getRepliesEnabled();
    if (from.hasExpectDigest()) out.expect_digest = hash(from.getExpectDigest());
    return out;
}

PostReply read(schema::PostReply::Reader from) {
    return {EventNumber{from.getMessage()}, PartnerOrdinal{from.getPartner()},
            read_post(from.getPersonal())};
}

CommandBody read(schema::Command::Body::Reader from, const Budget& budget) {
    using Body = schema::Command::Body;
    switch (from.which()) {
        case Body::OPEN_ONE:
            return read(from.getOpenOne());
        case Body::RECORD_OPENS:
            return read(from.getRecordOpens(), budget);
        case Body::UPSERT_PROGRAM: {
            const auto program = from.getUpsertProgram();
            return UpsertProgram{string(program.getName()), plan(program.getPlan())};
        }
        case Body::SET_WEBHOOK_SECRET:
            return SetWebhookSecret{std::string(view(from.getSetWebhookSecret().getSealed()))};
        case Body::UPSERT_PARTNERS:
            return read(from.getUpsertPartners(), budget);
        case Body::ADJUST_METRICS:
            return read(from.getAdjustMetrics());
        case Body::RECORD_CUSTOMER:
            return read(from.getRecordCustomer());
        case Body::RECORD_TRANSACTION:
            return read(from.getRecordTransaction());
        case Body::SEND_MESSAGE:
            return read(from.getSendMessage());
        case Body::POST_REPLY:
            return read(from.getPostReply());
        case Body::ERASE_PARTNER:
            return ErasePartner{PartnerId{string(from.getErasePartner().getPartner())},
                                from.getErasePartner().getKeyEpoch()};
        case Body::MARK_READ: {
            const auto mark = from.getMarkRead();
            return MarkRead{EventNumber{mark.getMessage()}, PartnerOrdinal{mark.getPartner()}};
        }
    }
    newer("an unknown command");
}

}  // namespace

void write(schema::Command::Builder to, const Command& from) {
    to.setTime(from.time.value);
    write_bytes16(to.getId(), from.id);
    write_bytes16(to.getDigest(), from.digest);
    write_bytes16(to.getCaller(), from.caller);
    to.setRemember(from.remember);
    to.setTrack(from.track);
    to.setProgram(text(from.program.value));
    to.setRole(to_wire<schema::Role>(from.actor.role));
    write_actor(to.getPersonal(), from.actor);
    std::visit(BodyWriter{to.getBody()}, from.body);
}

Command read(schema::Command::Reader from, const Budget& budget) {
    if (from.getNeeds() > 0) newer("a command");
    Command out;
    out.time.value = from.getTime();
    out.id = read_bytes16<CommandId>(from.getId());
    out.digest = read_bytes16<ContentDigest>(from.getDigest());
    out.caller = read_bytes16<CallerDigest>(from.getCaller());
    out.remember = from.getRemember();
    out.track = from.getTrack();
    out.program.value = string(from.getProgram());
    out.actor = read_actor(role(from.getRole()), from.getPersonal());
    out.body = read(from.getBody(), budget);
    return out;
}

}  // namespace tidings::wire
