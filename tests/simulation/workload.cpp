#include "tests/simulation/workload.h"

#include <map>
#include <set>

namespace tidings::simulation {

namespace {

const Actor kPlatform{Role::platform, "platform", "Platform"};
const Actor kOwner{Role::owner, "owner", "Olive Owner"};

class Maker {
public:
    Maker(const ReadModels& models, const ProgramId& program, Timestamp now, Random& random)
        : models_(models), program_(program), now_(now), random_(random) {}

    Command command() {
        Command out;
        out.program = program_;
        out.actor = kPlatform;
        out.body = body(out);
        return out;
    }

private:
    CommandBody body(Command& out) {
        if (!models_.program(program_)) {
            if (random_.one_in(8)) return upsert();
            return UpsertProgram{"Program", Plan::advanced};
        }
        switch (random_.below(30)) {
            case 0:
                return UpsertProgram{"Program " + std::to_string(random_.below(2)),
                                     random_.one_in(3) ? Plan::starter : Plan::partner};
            case 1:
                if (random_.one_in(2)) return ErasePartner{any_partner()};
                return SetWebhookSecret{"sealed" + std::to_string(random_.below(9))};
            case 2:
            case 3:
                return adjustment();
            case 4:
                return customer();
            case 5:
            case 6:
                return transaction();
            case 7:
            case 8:
            case 9:
            case 10:
            case 11:
                return upsert();
            case 12:
                return import();
            case 13:
            case 14:
            case 15:
            case 16:
            case 17:
                return send(out);
            case 18:
            case 19:
            case 20:
                return opens_in_bulk();
            case 21:
            case 22:
            case 23:
                return open(out);
            case 24:
            case 25:
            case 26:
            case 27:
                return reply(out);
            default:
                out.actor = kOwner;
                return MarkRead{message(), ordinal()};
        }
    }

    PartnerId any_partner() { return partner_id(random_.below(kPartners)); }
    std::string any_tag() { return "tag" + std::to_string(random_.below(4)); }
    Timestamp past() { return Timestamp{now_.value - random_.between(-5'000, 40LL * 86'400'000)}; }
    SourceStamp stamp() {
        SourceStamp out;
        out.micros = 1 + static_cast<std::int64_t>(random_.below(30));
        out.tiebreak.bytes[0] = static_cast<std::uint8_t>(random_.below(3));
        return out;
    }
    Money money() {
        Money out;
        if (random_.one_in(2)) out["USD"] = random_.between(0, 100) * 1'000'000;
        if (random_.one_in(4)) out["EUR"] = random_.between(0, 100) * 10'001;
        return out;
    }
    MetricsPatch metrics() {
        MetricsPatch out;
        if (random_.one_in(2)) out.clicks = random_.below(50);
        if (random_.one_in(4)) out.signups = random_.below(50);
        if (random_.one_in(4)) out.sales = random_.below(50);
        if (random_.one_in(4)) out.paid_accounts = random_.below(50);
        out.revenue = money();
        out.commission = money();
        return out;
    }

    PartnerPatch patch(PartnerId id) {
        PartnerPatch out;
        out.id = std::move(id);
        if (!random_.one_in(5)) out.email = out.id.value + "@example.com";
        if (random_.one_in(2)) out.name = "Näme " + std::to_string(random_.below(5));
        if (random_.one_in(3)) out.surname = "Surname" + std::to_string(random_.below(5));
        if (random_.one_in(4)) out.status = static_cast<PartnerStatus>(random_.below(4));
        if (random_.one_in(2)) {
            std::set<std::string> tags;
            for (std::uint64_t n = random_.below(4); n > 0; --n) tags.insert(any_tag());
            out.tags.emplace(tags.begin(), tags.end());
        }
        if (random_.one_in(3)) out.joined_at = past();
        if (random_.one_in(2)) out.metrics = metrics();
        out.clear_metrics = random_.one_in(12);
        out.clear_revenue = random_.one_in(12);
        return out;
    }
    CommandBody upsert() {
        UpsertPartners out;
        switch (random_.below(4)) {
            case 0:
                out.must_exist = true;
                break;
            case 1:
                out.hold_unknown = true;
                break;
            default:
                out.revive = true;
        }
        for (std::uint64_t n = 1 + random_.below(out.must_exist ? 1 : 3); n > 0; --n) {
            out.partners.push_back(patch(any_partner()));
            if (out.hold_unknown) out.partners.back().stamp = stamp();
        }
        return out;
    }
    CommandBody import() {
        UpsertPartners out;
        out.revive = true;
        const std::uint64_t first = random_.below(kPartners);
        for (std::uint64_t n = random_.below(kPartners); n > 0; --n)
            out.partners.push_back(patch(partner_id((first + n) % kPartners)));
        if (out.partners.empty()) out.partners.push_back(patch(any_partner()));
        return out;
    }
    CommandBody adjustment() {
        AdjustMetrics out;
        out.partner = any_partner();
        if (random_.one_in(2)) {
            out.mode = AdjustMetrics::Mode::set;
            out.set = metrics();
            out.stamp = stamp();
        } else {
            out.clicks = random_.between(-10, 20);
            out.signups = random_.between(-1, 3);
            out.sales = random_.between(-2, 4);
            out.paid_accounts = random_.between(-2, 4);
            out.revenue = money();
            if (random_.one_in(3)) out.commission["USD"] = -random_.between(0, 9) * 500'000;
        }
        return out;
    }
    CommandBody customer() {
        RecordCustomer out;
        out.key = "customer" + std::to_string(random_.below(6));
        if (!random_.one_in(5)) out.partner = any_partner();
        out.deleted = random_.one_in(4);
        out.stamp = stamp();
        return out;
    }
    CommandBody transaction() {
        RecordTransaction out;
        out.key = "transaction" + std::to_string(random_.below(8));
        out.partner = any_partner();
        if (!random_.one_in(4)) out.customer = "customer" + std::to_string(random_.below(3));
        out.revenue = money();
        out.commission = money();
        out.deleted = random_.one_in(4);
        out.stamp = stamp();
        return out;
    }

    Filter leaf() {
        Filter out;
        switch (random_.below(4)) {
            case 0:
                out.kind = Filter::Kind::tag;
                out.tag = any_tag();
                return out;
            case 1:
                out.kind = Filter::Kind::metric;
                out.metric = static_cast<Metric>(random_.below(6));
                out.op = static_cast<Comparison>(random_.below(6));
                out.value = random_.between(0, 30);
                if (is_money(out.metric)) {
                    out.currency = random_.one_in(2) ? "USD" : "EUR";
                    out.value *= 1'000'000;
                }
                return out;
            case 2:
                out.kind =
                    random_.one_in(2) ? Filter::Kind::joined_before : Filter::Kind::joined_after;
                out.joined = past();
                return out;
            default:
                out.kind = Filter::Kind::engagement;
                out.engagement = static_cast<Engagement>(random_.below(3));
                out.message = message();
                return out;
        }
    }
    Filter filter(int depth) {
        if (depth == 0 || random_.one_in(2)) return leaf();
        Filter out;
        if (random_.one_in(4)) {
            out.kind = Filter::Kind::negation;
            out.children.push_back(filter(depth - 1));
            return out;
        }
        out.kind = random_.one_in(2) ? Filter::Kind::all : Filter::Kind::any;
        for (std::uint64_t n = random_.below(4); n > 0; --n)
            out.children.push_back(filter(depth - 1));
        return out;
    }
    CommandBody send(Command& out) {
        out.actor = kOwner;
        SendMessage body;
        body.subject = "Subject " + std::to_string(random_.below(100));
        body.body = "Body " + std::to_string(random_.below(100));
        body.replies_enabled = !random_.one_in(4);
        body.audience.type = static_cast<Audience::Type>(random_.below(3));
        if (body.audience.type == Audience::Type::partners) {
            for (std::uint64_t n = random_.below(4); n > 0; --n)
                body.audience.partners.push_back(any_partner());
        } else if (body.audience.type == Audience::Type::filter) {
            body.audience.filter = filter(3);
            if (random_.one_in(3)) body.audience.exclude.push_back(any_partner());
        }
        if (random_.one_in(4)) {  // as after a review
            const auto preview = models_.preview(program_, body.audience, {});
            if (preview) body.expect_digest = preview->digest;
        }
        return body;
    }

    /// Mostly one that exists.
    EventNumber message() {
        if (messages_.empty()) {
            const auto page = models_.messages(program_, {});
            if (page)
                for (const MessageView& row : page->rows) messages_.push_back(row.card->number);
        }
        if (messages_.empty() || random_.one_in(20)) return EventNumber{1 + random_.below(60)};
        return random_.pick(messages_);
    }
    PartnerOrdinal ordinal() {
        const PartnerPtr partner = models_.partner(program_, any_partner());
        if (partner == nullptr) return PartnerOrdinal{static_cast<std::uint32_t>(random_.below(4))};
        return partner->ordinal;
    }
    CommandBody opens_in_bulk() {
        std::map<EventNumber, RecordOpens::Group> groups;
        for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
            const EventNumber number = message();
            RecordOpens::Group& group = groups[number];
            group = {number, {}, {}};
            for (std::uint64_t k = 1 + random_.below(6); k > 0; --k)
                group.partners.add(ordinal().value);
            if (!random_.one_in(2)) continue;
            for (std::uint64_t k = group.partners.cardinality(); k > 0; --k)
                group.at.push_back(Timestamp{now_.value - random_.between(-100, 20'000)});
        }
        RecordOpens out;
        for (auto& [number, group] : groups) out.groups.push_back(std::move(group));
        return out;
    }
    CommandBody open(Command& out) {
        RecordOpens body;
        body.groups.emplace_back().message = message();
        const PartnerOrdinal partner = ordinal();
        body.groups.back().partners.add(partner.value);
        out.actor = Actor{Role::partner, std::to_string(partner.value), ""};
        if (random_.one_in(3)) {
            const auto view = models_.conversation(program_, body.groups.back().message, partner);
            if (view && !view->posts.empty())
                body.up_to = view->posts[random_.below(view->posts.size())].number;
        }
        return body;
    }
    CommandBody reply(Command& out) {
        PostReply body{message(), ordinal(), "Reply " + std::to_string(random_.below(100))};
        out.actor = random_.one_in(2)
                        ? kOwner
                        : Actor{Role::partner, std::to_string(body.partner.value), "Partner"};
        return body;
    }

    const ReadModels& models_;
    const ProgramId& program_;
    const Timestamp now_;
    Random& random_;
    std::vector<EventNumber> messages_;
};

}  // namespace

Command make_command(const ReadModels& models, const ProgramId& program, Timestamp now,
                     Random& random) {
    return Maker(models, program, now, random).command();
}

}  // namespace tidings::simulation
