// Deciding UpsertPartners: patches one after the other, each seeing the ones before it.
#include <algorithm>
#include <unordered_map>

#include "core/deciding.h"
#include "core/limits.h"

namespace tidings::deciding {
namespace {

/// Rough encoded size, from above: what the after-state adds to the event.
std::size_t encoded_size(const PartnerState& partner) {
    constexpr std::size_t kFixed = 320;  // numbers, stamps, list heads, padding
    constexpr std::size_t kItem = 32;    // a tag's or an amount's pointer, padding, value
    std::size_t size = kFixed + partner.id.value.size() + partner.email.stored().size() +
                       partner.name.stored().size() + partner.surname.stored().size();
    for (const std::string& tag : partner.tags) size += kItem + tag.size();
    return size + 2 * kItem * (partner.metrics.revenue.size() + partner.metrics.commission.size());
}

void zero(Money& money) {
    for (auto& [currency, micros] : money) micros = 0;
}

/// Sets what the patch names. False: a metric out of range.
bool apply_fields(const PartnerPatch& patch, PartnerState& partner) {
    if (patch.email) partner.email = *patch.email;
    if (patch.name) partner.name = *patch.name;
    if (patch.surname) partner.surname = *patch.surname;
    if (patch.status) partner.status = *patch.status;
    if (patch.tags) partner.tags = *patch.tags;
    if (patch.joined_at) partner.joined_at = *patch.joined_at;
    Metrics& metrics = partner.metrics;
    if (patch.clear_metrics) {
        metrics.clicks = metrics.signups = metrics.sales = metrics.paid_accounts = 0;
    }
    if (patch.clear_metrics || patch.clear_revenue) zero(metrics.revenue);
    if (patch.clear_metrics || patch.clear_commission) zero(metrics.commission);
    return apply_metrics(metrics, patch.metrics);
}

/// What a partner is first seen with; one that was erased is seen again like a new one.
bool introduces(const UpsertPartners& body, const PartnerPatch& patch) {
    const bool revives = patch.status ? *patch.status != PartnerStatus::deleted : body.revive;
    return revives || patch.name || patch.surname;
}

bool is_stale(const std::optional<PersonalText>& text, const PartnerState& partner) {
    return text && is_stale(*text, partner.key_epoch);
}

/// Equal in everything that is visible.
bool looks_equal(const PartnerState& left, PartnerState right) {
    right.profile_stamp = left.profile_stamp;
    right.metrics_stamp = left.metrics_stamp;
    return left == right;
}

class Upsert {
public:
    Upsert(const Context& context, const UpsertPartners& body)
        : context_(context), body_(body), next_ordinal_(context.program.next_ordinal) {}

    void run() {
        for (std::uint32_t i = 0; i < body_.partners.size(); ++i) apply(i, body_.partners[i]);
        if (refuse_single()) return;
        emit_changes();
    }

private:
    struct Entry {
        std::shared_ptr<const PartnerState> before;  ///< null: first seen by this command
        PartnerState after;
    };

    void apply(std::uint32_t index, const PartnerPatch& patch) {
        if (Entry* const entry = find(patch.id)) {
            update(index, patch, *entry);
        } else if (body_.must_exist) {
            reject(index, ErrorCode::not_found);
        } else if (patch.email) {
            first_sight(index, patch);
        } else if (body_.hold_unknown && patch.status == PartnerStatus::deleted && patch.stamp) {
            hold_delete(patch);
        } else {
            reject(index, ErrorCode::invalid);
        }
    }

    Entry* find(const PartnerId& id) {
        const auto found = entries_.find(id);
        if (found != entries_.end()) return &found->second;
        auto before = context_.facts.partner(context_.id(), id);
        if (before == nullptr) return nullptr;
        Entry entry{before, *before};
        return &entries_.emplace(id, std::move(entry)).first->second;
    }

    void update(std::uint32_t index, const PartnerPatch& patch, Entry& entry) {
        if (patch.stamp && *patch.stamp <= entry.after.profile_stamp) {
            ++context_.outcome.unchanged;
            return;
        }
        PartnerState after = entry.after;
        if (after.erased && !patch.email && introduces(body_, patch)) {
            return reject(index, ErrorCode::invalid);
        }
        if (is_stale(patch.email, after) || is_stale(patch.name, after) ||
            is_stale(patch.surname, after)) {
            return reject(index, ErrorCode::not_found);
        }
        if (patch.email) after.erased = false;
        if (body_.revive && !patch.status && after.status == PartnerStatus::deleted) {
            after.status = PartnerStatus::active;
        }
        if (!apply_fields(patch, after)) return reject(index, ErrorCode::invalid);
        if (patch.stamp) after.profile_stamp = *patch.stamp;
        if (!reserve(after)) return reject(index, ErrorCode::payload_too_large);
        ++(looks_equal(entry.after, after) ? context_.outcome.unchanged : context_.outcome.updated);
        entry.after = std::move(after);
    }

    void first_sight(std::uint32_t index, const PartnerPatch& patch) {
        PartnerState partner;
        partner.id = patch.id;
        partner.ordinal = next_ordinal_;
        partner.joined_at = context_.now;
        const std::optional<HeldPartner> held = find_held(patch.id);
        if (held) {
            partner.metrics = held->metrics;
            partner.metrics_stamp = held->metrics_stamp;
        }
        if (!apply_fields(patch, partner)) return reject(index, ErrorCode::invalid);
        if (patch.stamp) partner.profile_stamp = *patch.stamp;
        if (held && held->deleted_stamp > partner.profile_stamp) {
            partner.profile_stamp = held->deleted_stamp;
            // A write of our own API is newer than whatever was held; an upstream fact is so only
            // by its stamp.
            if (patch.stamp) partner.status = PartnerStatus::deleted;
        }
        if (!reserve(partner)) return reject(index, ErrorCode::payload_too_large);
        if (held) held_[patch.id] = HeldPartner{.id = patch.id};
        ++next_ordinal_.value;
        ++context_.outcome.created;
        entries_.emplace(patch.id, Entry{nullptr, std::move(partner)});
    }

    /// Keeps when an unknown partner was deleted, in case its older creation is still to come.
    void hold_delete(const PartnerPatch& patch) {
        ++context_.outcome.unchanged;
        HeldPartner held = find_held(patch.id).value_or(HeldPartner{.id = patch.id});
        if (*patch.stamp <= held.deleted_stamp) return;
        held.deleted_stamp = *patch.stamp;
        held_[patch.id] = std::move(held);
    }

    std::optional<HeldPartner> find_held(const PartnerId& id) const {
        const auto found = held_.find(id);
        if (found != held_.end()) return found->second;
        return context_.facts.held(context_.id(), id);
    }

    bool reserve(const PartnerState& after) {
        const std::size_t size = encoded_size(after);
        if (bytes_ + size > limits::kUpsertEventBytes) return false;
        bytes_ += size;
        return true;
    }

    void reject(std::uint32_t index, ErrorCode code) {
        context_.outcome.rejected.push_back(Rejected{index, {}, code});
    }

    /// A single write is answered as such, not as a list with one bad line.
    bool refuse_single() {
        if (body_.partners.size() != 1 || context_.outcome.rejected.empty()) return false;
        switch (context_.outcome.rejected.front().code) {
            case ErrorCode::not_found:
                context_.refuse(ErrorCode::not_found, body_.must_exist && is_new()
                                                          ? "no such partner"
                                                          : "this partner was erased");
                break;
            case ErrorCode::payload_too_large:
                context_.refuse(ErrorCode::payload_too_large, "the partner is too large");
                break;
            default:
                if (const PartnerPatch& patch = body_.partners.front();
                    !patch.email && is_unseen(patch)) {
                    context_.refuse(ErrorCode::invalid, "required when a partner is first seen",
                                    "/email");
                } else {
                    context_.refuse(ErrorCode::invalid, "a metric is out of range", "/metrics");
                }
        }
        return true;
    }

    bool is_new() { return find(body_.partners.front().id) == nullptr; }

    bool is_unseen(const PartnerPatch& patch) {
        const Entry* entry = find(patch.id);
        return entry == nullptr || (entry->after.erased && introduces(body_, patch));
    }

    void emit_changes() {
        PartnersChanged changed;
        for (auto& [id, entry] : entries_) {  // order does not matter: sorted below
            if (entry.before == nullptr || *entry.before != entry.after) {
                changed.partners.push_back(std::move(entry.after));
            }
        }
        std::sort(changed.partners.begin(), changed.partners.end(),
                  [](const PartnerState& left, const PartnerState& right) {
                      return left.ordinal < right.ordinal;
                  });
        if (!changed.partners.empty()) context_.emit(std::move(changed));
        UpstreamFactsChanged facts;
        for (auto& [id, held] : held_) {
            // Held and first seen within one command: was never a fact.
            const bool empty = held == HeldPartner{.id = id};
            if (empty && !context_.facts.held(context_.id(), id)) continue;
            facts.held.push_back(std::move(held));
        }
        if (!facts.held.empty()) context_.emit(std::move(facts));
    }

    const Context& context_;
    const UpsertPartners& body_;
    PartnerOrdinal next_ordinal_;
    std::unordered_map<PartnerId, Entry> entries_;
    std::map<PartnerId, HeldPartner> held_;  ///< after-states
    std::size_t bytes_ = 0;
};

}  // namespace

void upsert_partners(const Context& context, const UpsertPartners& body) {
    Upsert(context, body).run();
}

/// An epoch that another erasure has had already is taken only where there is nothing to erase: the
/// texts seen since are sealed under its keys, which would not be destroyed.
void erase_partner(const Context& context, const ErasePartner& body) {
    const auto before = context.facts.partner(context.id(), body.partner);
    if (before == nullptr) return context.refuse(ErrorCode::not_found, "no such partner");
    const bool new_epoch = body.key_epoch > before->key_epoch;
    if (before->erased && !new_epoch) return;
    if (!new_epoch && body.key_epoch != 0) {
        return context.refuse(ErrorCode::overloaded,
                              "the partner was erased at the same time, and seen again: ask again");
    }
    PartnerState after = *before;
    after.email = after.name = after.surname = PersonalText();
    after.status = PartnerStatus::deleted;
    after.erased = true;
    after.key_epoch = std::max(before->key_epoch, body.key_epoch);
    PartnersChanged changed;
    changed.partners.push_back(std::move(after));
    context.emit(std::move(changed));
    if (!before->erased) context.emit(PartnerErased{before->ordinal});
}

}  // namespace tidings::deciding
