// Random commands of every kind, reproducible from a seed, over few enough names that they meet.
#pragma once

#include <random>

#include "tests/support/memory_state.h"

namespace tidings::testing {

/// Draws from one seed; the standard's distributions are not used, since their results differ
/// between libraries.
class Random {
public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : engine_() % bound; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
    }

private:
    std::mt19937_64 engine_;
};

class CommandGenerator {
public:
    struct Names {
        std::uint32_t programs = 2, partners = 12, keys = 6;
    };

    explicit CommandGenerator(std::uint64_t seed) : CommandGenerator(seed, Names{}) {}
    CommandGenerator(std::uint64_t seed, Names names) : random_(seed), names_(names) {}

    /// `state` tells which messages there are; half of what refers to one would otherwise miss.
    Command next(const MemoryState& state) {
        Command command;
        command.program = program(static_cast<std::uint32_t>(random_.below(names_.programs)));
        const auto found = state.programs.find(command.program);
        program_ = found == state.programs.end() ? nullptr : &found->second;
        time_ += random_.between(-500, 5'000);  // clocks of several ingresses step back a little
        command.time = Timestamp{time_};
        command.id = id();
        command.actor = Actor{Role::platform, "upstream", "Upstream"};
        command.body = body(command);
        command.digest = ContentDigest::from(
            sha256(std::to_string(random_.below(4))).view().substr(0, ContentDigest::kSize));
        command.remember = random_.one_in(2);
        command.track = std::holds_alternative<SendMessage>(command.body);
        return command;
    }

    static ProgramId program(std::uint32_t index) { return {"program-" + std::to_string(index)}; }
    static PartnerId partner(std::uint64_t index) { return {"partner-" + std::to_string(index)}; }
    Random& random() { return random_; }

private:
    /// Now and then one that was given before: the same key again.
    CommandId id() {
        if (!ids_.empty() && random_.one_in(12)) return ids_[random_.below(ids_.size())];
        ids_.push_back(CommandId::from(
            sha256("id" + std::to_string(ids_.size())).view().substr(0, CommandId::kSize)));
        return ids_.back();
    }

    CommandBody body(Command& command) {
        if (program_ == nullptr && !random_.one_in(10)) {
            return UpsertProgram{"first", Plan::advanced};
        }
        switch (random_.below(22)) {
            case 0:
                return UpsertProgram{"name" + std::to_string(random_.below(2)),
                                     static_cast<Plan>(random_.below(3))};
            case 1:
                if (random_.one_in(2)) return ErasePartner{any_partner()};
                return SetWebhookSecret{"sealed" + std::to_string(random_.below(9))};
            case 2:
                return adjustment();
            case 3:
                return customer();
            case 4:
                return transaction();
            case 5:
            case 6:
            case 7:
            case 8:
            case 9:
                return upsert();
            case 10:
            case 11:
            case 12:
            case 13:
                return send(command);
            case 14:
            case 15:
            case 16:
                return opens();
            case 17:
            case 18:
            case 19:
                return reply(command);
            default:
                return MarkRead{message(), ordinal()};
        }
    }

    PartnerId any_partner() { return partner(random_.below(names_.partners)); }
    std::string any_tag() { return "tag" + std::to_string(random_.below(4)); }
    SourceStamp stamp() {
        SourceStamp out;
        out.micros = static_cast<std::int64_t>(random_.below(20)) + 1;
        out.tiebreak.bytes[0] = static_cast<std::uint8_t>(random_.below(3));
        return out;
    }
    Money money() {
        Money out;
        if (random_.one_in(2)) out["USD"] = random_.between(-5, 100) * 1'000'000;
        if (random_.one_in(4)) out["EUR"] = random_.between(-5, 100) * 10'001;
        return out;
    }
    MetricsPatch metrics() {
        MetricsPatch out;
        if (random_.one_in(2)) out.clicks = random_.below(50);
        if (random_.one_in(4)) out.sales = random_.below(50);
        out.revenue = money();
        out.commission = money();
        return out;
    }

    CommandBody upsert() {
        UpsertPartners out;
        out.must_exist = random_.one_in(6);
        out.revive = !out.must_exist && random_.one_in(2);
        out.hold_unknown = !out.must_exist && random_.one_in(3);
        const std::uint64_t count = 1 + random_.below(5);
        for (std::uint64_t i = 0; i < count; ++i) {
            PartnerPatch patch;
            patch.id = any_partner();
            if (!random_.one_in(4)) patch.email = patch.id.value + "@example.com";
            if (random_.one_in(2)) patch.name = "Name" + std::to_string(random_.below(5));
            if (random_.one_in(3)) patch.surname = "Sürname" + std::to_string(random_.below(5));
            if (random_.one_in(3)) patch.status = static_cast<PartnerStatus>(random_.below(4));
            if (random_.one_in(2)) {
                std::set<std::string> tags;
                for (std::uint64_t n = random_.below(4); n > 0; --n) tags.insert(any_tag());
                patch.tags.emplace(tags.begin(), tags.end());
            }
            if (random_.one_in(3)) patch.joined_at = Timestamp{random_.between(0, 1'000'000)};
            if (random_.one_in(2)) patch.metrics = metrics();
            patch.clear_metrics = random_.one_in(10);
            if (random_.one_in(3)) patch.stamp = stamp();
            out.partners.push_back(std::move(patch));
        }
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
            out.paid_accounts = random_.between(-2, 4);
            out.revenue = money();
        }
        return out;
    }
    CommandBody customer() {
        RecordCustomer out;
        out.key = "customer" + std::to_string(random_.below(names_.keys));
        if (!random_.one_in(5)) out.partner = any_partner();
        out.deleted = random_.one_in(4);
        out.stamp = stamp();
        return out;
    }
    CommandBody transaction() {
        RecordTransaction out;
        out.key = "transaction" + std::to_string(random_.below(names_.keys));
        out.partner = any_partner();
        if (!random_.one_in(4)) out.customer = "customer" + std::to_string(random_.below(3));
        out.revenue = money();
        out.commission = money();
        out.deleted = random_.one_in(4);
        out.stamp = stamp();
        return out;
    }

    Filter filter(int depth) {
        Filter out;
        switch (random_.below(depth > 0 ? 8 : 5)) {
            case 0:
                out.kind = Filter::Kind::tag;
                out.tag = any_tag();
                return out;
            case 1:
            case 2:
                out.kind = Filter::Kind::metric;
                out.metric = static_cast<Metric>(random_.below(6));
                out.op = static_cast<Comparison>(random_.below(6));
                out.value = random_.between(0, 30);
                if (is_money(out.metric)) {
                    out.currency = random_.one_in(2) ? "USD" : "EUR";
                    out.value *= 1'000'000;
                }
                return out;
            case 3:
                out.kind =
                    random_.one_in(2) ? Filter::Kind::joined_before : Filter::Kind::joined_after;
                out.joined = Timestamp{random_.between(0, 1'000'000)};
                return out;
            case 4:
                out.kind = Filter::Kind::engagement;
                out.engagement = static_cast<Engagement>(random_.below(3));
                out.message = message();
                return out;
            case 5:
                out.kind = Filter::Kind::negation;
                out.children.push_back(filter(depth - 1));
                return out;
            default:
                break;
        }
        out.kind = random_.one_in(2) ? Filter::Kind::all : Filter::Kind::any;
        for (std::uint64_t n = random_.below(4); n > 0; --n) {
            out.children.push_back(filter(depth - 1));
        }
        return out;
    }
    CommandBody send(Command& command) {
        command.actor = Actor{Role::owner, "owner", "Olive Owner"};
        SendMessage out;
        out.subject = "Subject";
        out.body = "Body " + std::to_string(random_.below(100));
        out.replies_enabled = !random_.one_in(4);
        out.audience.type = static_cast<Audience::Type>(random_.below(3));
        if (out.audience.type == Audience::Type::partners) {
            for (std::uint64_t n = random_.below(3); n > 0; --n) {
                out.audience.partners.push_back(any_partner());
            }
        } else if (out.audience.type == Audience::Type::filter) {
            out.audience.filter = filter(3);
            if (random_.one_in(3)) out.audience.exclude.push_back(any_partner());
        }
        return out;
    }

    /// Mostly one that exists.
    EventNumber message() {
        if (program_ == nullptr || program_->messages.empty() || random_.one_in(12)) {
            return EventNumber{1 + random_.below(40)};
        }
        auto at = program_->messages.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random_.below(program_->messages.size())));
        return at->first;
    }
    PartnerOrdinal ordinal() {
        const std::uint64_t known = program_ == nullptr ? 0 : program_->partners.size();
        return PartnerOrdinal{static_cast<std::uint32_t>(random_.below(known + 1))};
    }
    CommandBody opens() {
        std::map<EventNumber, RecordOpens::Group> groups;
        for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
            const EventNumber number = message();
            RecordOpens::Group& group = groups[number];
            group = {number, {}, {}};
            for (std::uint64_t k = 1 + random_.below(4); k > 0; --k) {
                group.partners.add(ordinal().value);
            }
            if (random_.one_in(2)) {
                for (std::uint64_t k = group.partners.cardinality(); k > 0; --k) {
                    group.at.push_back(Timestamp{time_ - random_.between(-100, 20'000)});
                }
            }
        }
        RecordOpens out;
        for (auto& [number, group] : groups) out.groups.push_back(std::move(group));
        return out;
    }
    CommandBody reply(Command& command) {
        PostReply out{message(), ordinal(), "Reply " + std::to_string(random_.below(100))};
        command.actor = random_.one_in(2)
                            ? Actor{Role::owner, "owner", "Olive Owner"}
                            : Actor{Role::partner, std::to_string(out.partner.value), "Partner"};
        return out;
    }

    Random random_;
    Names names_;
    const MemoryProgram* program_ = nullptr;
    std::int64_t time_ = 1'700'000'000'000;
    std::vector<CommandId> ids_;
};

}  // namespace tidings::testing
