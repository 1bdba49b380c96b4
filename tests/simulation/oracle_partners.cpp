// Partners' profiles: first sight, patches, deletes that arrive before their partner.
#include <algorithm>

#include "core/limits.h"
#include "tests/simulation/oracle_rules.h"

namespace tidings::simulation {
namespace {

void zero_all(Money& money) {
    for (auto& [currency, amount] : money) amount = 0;
}

void set_all(Money& money, const Money& to) {
    for (const auto& [currency, amount] : to) money[currency] = amount;
}

void patch_metrics(Metrics& metrics, const PartnerPatch& patch) {
    if (patch.clear_metrics) metrics.clicks = metrics.signups = metrics.sales = 0;
    if (patch.clear_metrics) metrics.paid_accounts = 0;
    if (patch.clear_metrics || patch.clear_revenue) zero_all(metrics.revenue);
    if (patch.clear_metrics || patch.clear_commission) zero_all(metrics.commission);
    metrics.clicks = patch.metrics.clicks.value_or(metrics.clicks);
    metrics.signups = patch.metrics.signups.value_or(metrics.signups);
    metrics.sales = patch.metrics.sales.value_or(metrics.sales);
    metrics.paid_accounts = patch.metrics.paid_accounts.value_or(metrics.paid_accounts);
    set_all(metrics.revenue, patch.metrics.revenue);
    set_all(metrics.commission, patch.metrics.commission);
}

bool in_bounds(const Metrics& metrics) {
    return std::max({metrics.clicks, metrics.signups, metrics.sales, metrics.paid_accounts}) <=
               limits::kCounterMax &&
           metrics.revenue.size() <= limits::kCurrencies &&
           metrics.commission.size() <= limits::kCurrencies;
}

/// Members left out keep their value.
void patch_profile(PartnerState& partner, const PartnerPatch& patch, bool revive) {
    const bool was_deleted = partner.status == PartnerStatus::deleted;
    partner.email = patch.email.value_or(partner.email);
    partner.name = patch.name.value_or(partner.name);
    partner.surname = patch.surname.value_or(partner.surname);
    partner.tags = patch.tags.value_or(partner.tags);
    partner.joined_at = patch.joined_at.value_or(partner.joined_at);
    if (patch.status) {
        partner.status = *patch.status;
    } else if (revive && was_deleted) {
        partner.status = PartnerStatus::active;
    }
    patch_metrics(partner.metrics, patch);
}

bool only_deletes(const PartnerPatch& patch) {
    return patch.status == PartnerStatus::deleted && !patch.email && patch.stamp;
}

class Upserting {
public:
    Upserting(Program& program, const UpsertPartners& upsert, Timestamp now)
        : program_(program), upsert_(upsert), now_(now) {}

    Verdict run() {
        const auto partners = program_.partners;
        const auto held = program_.held;
        for (const PartnerPatch& patch : upsert_.partners) apply(patch);
        // A patch alone is answered as itself, not as a part of many.
        if (upsert_.partners.size() == 1 && !out_.rejected.empty()) {
            Verdict out = Verdict::refuse(out_.rejected.front().code, pointer_);
            out.rejected = out_.rejected;  // no document says so, but it is true of it too
            return out;
        }
        const bool changed = partners != program_.partners || held != program_.held;
        out_.status = changed ? OutcomeStatus::applied : OutcomeStatus::unchanged;
        return out_;
    }

private:
    void apply(const PartnerPatch& patch) {
        if (PartnerState* known = program_.find(patch.id)) {
            change(*known, patch);
        } else if (upsert_.must_exist) {
            reject(ErrorCode::not_found, "");
        } else if (upsert_.hold_unknown && only_deletes(patch)) {
            hold(patch);
        } else if (!patch.email) {
            reject(ErrorCode::invalid, "/email");
        } else {
            create(patch);
        }
        ++index_;
    }

    void change(PartnerState& known, const PartnerPatch& patch) {
        if (patch.stamp && *patch.stamp <= known.profile_stamp) {
            ++out_.unchanged;
            return;
        }
        const bool returns =
            patch.status ? *patch.status != PartnerStatus::deleted : upsert_.revive;
        if (known.erased && !patch.email && (returns || patch.name || patch.surname)) {
            return reject(ErrorCode::invalid, "/email");  // as at first sight
        }
        PartnerState after = known;
        if (patch.email) after.erased = false;
        patch_profile(after, patch, upsert_.revive);
        if (!in_bounds(after.metrics)) return reject(ErrorCode::invalid, "/metrics");
        ++(after == known ? out_.unchanged : out_.updated);
        // Not a change that callers are told of, but what lies in between is ignored from now on.
        if (patch.stamp) after.profile_stamp = *patch.stamp;
        known = after;
    }

    void create(const PartnerPatch& patch) {
        PartnerState fresh;
        fresh.ordinal = {static_cast<std::uint32_t>(program_.partners.size())};
        fresh.id = patch.id;
        fresh.joined_at = now_;
        const auto held = program_.held.find(patch.id);
        if (held != program_.held.end()) {
            fresh.metrics = held->second.metrics;
            fresh.metrics_stamp = held->second.metrics_stamp;
            fresh.profile_stamp = held->second.deleted_stamp;
        }
        patch_profile(fresh, patch, false);
        if (!in_bounds(fresh.metrics)) return reject(ErrorCode::invalid, "/metrics");
        const bool delete_came = fresh.profile_stamp != SourceStamp{};
        if (patch.stamp && delete_came && *patch.stamp < fresh.profile_stamp) {
            // The delete that came first is the newer fact. (Of the same stamp: the creation
            // stands, as it does when it comes first.)
            fresh.status = PartnerStatus::deleted;
        } else if (patch.stamp) {
            fresh.profile_stamp = *patch.stamp;
        }
        program_.partners.push_back(fresh);
        program_.held.erase(patch.id);
        ++out_.created;
    }

    void hold(const PartnerPatch& patch) {
        HeldPartner& held = program_.held[patch.id];
        held.id = patch.id;
        held.deleted_stamp = std::max(held.deleted_stamp, *patch.stamp);
        ++out_.unchanged;
    }

    void reject(ErrorCode code, const std::string& pointer) {
        // payload_too_large (kUpsertEventBytes) is not modelled: no document says what is counted.
        out_.rejected.push_back({index_, {}, code});
        pointer_ = pointer;
    }

    Program& program_;
    const UpsertPartners& upsert_;
    Timestamp now_;
    Verdict out_;
    std::uint32_t index_ = 0;
    std::string pointer_;
};

}  // namespace

PartnerState* Program::find(const PartnerId& id) {
    const auto found = std::find_if(partners.begin(), partners.end(),
                                    [&id](const PartnerState& one) { return one.id == id; });
    return found == partners.end() ? nullptr : &*found;
}

const PartnerState* Program::find(const PartnerId& id) const {
    return const_cast<Program*>(this)->find(id);
}

Verdict judge(Program& program, const UpsertPartners& upsert, const Occasion& occasion) {
    return Upserting(program, upsert, occasion.now).run();
}

/// An erased partner has no text, in its profile or in what was said with it; whatever is counted
/// stays.
Verdict judge(Program& program, const ErasePartner& erase, const Occasion&) {
    PartnerState* known = program.find(erase.partner);
    if (known == nullptr) return Verdict::refuse(ErrorCode::not_found);
    if (known->erased) return Verdict::changed(false);
    known->erased = true;
    known->status = PartnerStatus::deleted;
    known->email = known->name = known->surname = "";
    for (auto& [number, message] : program.messages) {
        const auto conversation = message.conversations.find(known->ordinal);
        if (conversation == message.conversations.end()) continue;
        for (Post& post : conversation->second.posts) {
            post.body = "";
            if (!post.from_owner) post.author.sub = post.author.name = "";
        }
    }
    return Verdict::changed(true);
}

}  // namespace tidings::simulation
