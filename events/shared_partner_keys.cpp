// PartnerKeys where processes share them: what is applied from the journal, and appended to it.
#include <algorithm>
#include <stdexcept>

#include "events/little_endian.h"
#include "events/partner_keys_state.h"

namespace tidings {

using namespace key_rows;

namespace {

constexpr std::size_t kMissingKeys = 1 << 20;  ///< remembered
constexpr char kMarkTable = 'm';
constexpr std::uint16_t kLastEpoch = 0xffff;
constexpr std::size_t kEpochBytes = 2, kCommitBytes = 8;

std::string epoch_key(const std::string& owner, std::uint16_t epoch) {
    return row_key(kEpochTable, owner) + big_endian(epoch);
}

std::string commit(Sequence at) {
    std::string out;
    put_le(out, at.value);
    return out;
}

bool has_older(const std::vector<PartnerKey>& keys, std::uint16_t epoch) {
    return std::ranges::any_of(keys, [&](const auto& key) { return epoch_of(key) < epoch; });
}

}  // namespace

/// What a run of records comes to: at first beside the rows, so that they change in one step.
struct PartnerKeys::State::Applied {
    std::map<std::string, std::string> rows;  ///< empty: gone
    std::vector<PartnerKey> gone, come;
    std::set<std::string> destroyed_rows;
    // By owner.
    std::map<std::string, std::uint16_t> begun;
    std::map<std::string, Epoch> epochs;
    std::map<std::string, std::uint16_t> late;  ///< see State::late; 0: there are none
    std::uint64_t ignored = 0;
};

std::string PartnerKeys::State::row_in(const std::string& key, const Applied& applied) const {
    const auto changed = applied.rows.find(key);
    return changed == applied.rows.end() ? get(key) : changed->second;
}

std::vector<PartnerKey> PartnerKeys::State::keys_in(const std::string& row,
                                                    const Applied& applied) const {
    const std::string value = row_in(row, applied);
    return value.empty() ? std::vector<PartnerKey>() : decode(row, value);
}

void PartnerKeys::State::apply_key(const KeyRecord& record, Applied& applied) {
    const std::string_view key = record.key;
    if (key.size() < kPrintBytes || !is_row_key(key.substr(0, key.size() - kPrintBytes))) {
        ++applied.ignored;
        return;
    }
    const std::string row(key.substr(0, key.size() - kPrintBytes));
    const std::string_view print = key.substr(row.size());
    std::vector<PartnerKey> keys = keys_in(row, applied);
    if (record.value) {
        const Result<std::string> entry = wrap.unwrap(*record.value, row);
        if (!entry || entry->size() != kEntryBytes) {
            ++applied.ignored;
            return;
        }
        const PartnerKey made = key_of(row.substr(1, kLocatorBytes), *entry);
        if (print_of(made) != print) {
            ++applied.ignored;
            return;
        }
        if (std::ranges::find(keys, made) != keys.end()) return;
        keys.push_back(made);
        applied.come.push_back(made);
    } else {
        const auto gone = std::ranges::find_if(
            keys, [&](const PartnerKey& one) { return print_of(one) == print; });
        if (gone == keys.end()) return;
        applied.gone.push_back(*gone);
        applied.destroyed_rows.insert(row);
        keys.erase(gone);
    }
    const std::string owner = row.substr(1);
    const Epoch epoch = Epoch::decode(row_in(row_key(kEpochTable, owner), applied));
    applied.late[owner] = has_older(keys, epoch.number) ? epoch.number : std::uint16_t{0};
    applied.rows[row] = keys.empty() ? std::string() : encode(row, keys);
}

void PartnerKeys::State::apply_epoch(const KeyRecord& record, Applied& applied) {
    const std::string_view key = record.key;
    if (key.size() < kEpochBytes || !is_row_key(key.substr(0, key.size() - kEpochBytes)) ||
        !record.value || record.value->size() != kCommitBytes) {
        ++applied.ignored;
        return;
    }
    const std::string row(key.substr(0, key.size() - kEpochBytes)), owner = row.substr(1);
    const std::string_view number = key.substr(row.size());
    const Epoch told{static_cast<std::uint16_t>(static_cast<unsigned char>(number[0]) << 8 |
                                                static_cast<unsigned char>(number[1])),
                     Sequence{get_le<std::uint64_t>(*record.value, 0)}};
    const Epoch before = Epoch::decode(row_in(row, applied));
    if (told.at.value == 0) {
        if (told.number > before.number) applied.begun[owner] = told.number;
        return;
    }
    const Epoch now{std::max(told.number, before.number), std::max(told.at, before.at)};
    applied.rows[row] = now.encode();
    applied.epochs[owner] = now;
    const auto begun_here = applied.begun.find(owner);
    if (begun_here != applied.begun.end() && begun_here->second <= now.number) {
        applied.begun.erase(begun_here);
    }
    const bool late = has_older(keys_in(row_key(kKeysTable, owner), applied), now.number);
    applied.late[owner] = late ? now.number : std::uint16_t{0};
}

Result<void> PartnerKeys::State::apply(std::span<const KeyRecord> records) {
    const std::lock_guard one_at_a_time(writing);
    Applied applied;
    rocksdb::WriteBatch batch;
    try {
        for (const KeyRecord& record : records) {
            const char table = record.key.empty() ? '\0' : record.key[0];
            if (table == kKeysTable) {
                apply_key(record, applied);
            } else if (table == kEpochTable) {
                apply_epoch(record, applied);
            } else if (table == kSealedTable && record.value &&
                       record.value->size() == kCommitBytes) {
                applied.rows[record.key] = *record.value;
            } else if (table != kMarkTable) {
                ++applied.ignored;
            }
        }
        for (const auto& [row, value] : applied.rows) {
            value.empty() ? batch.Delete(row) : batch.Put(row, value);
        }
        if (!applied.rows.empty()) {
            if (auto written = write(batch); !written) return written;
        }
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    destroyed_rows.merge(applied.destroyed_rows);
    note(applied);
    return {};
}

/// What is at hand follows the rows.
void PartnerKeys::State::note(const Applied& applied) {
    const std::lock_guard lock(mutex);
    ignored += applied.ignored;
    if (!applied.gone.empty()) let_go(applied.gone);
    if (!applied.gone.empty() || !applied.epochs.empty()) ++retirements;
    for (const std::string& row : applied.destroyed_rows) by_owner.erase(row.substr(1));
    for (const PartnerKey& key : applied.come) missing.erase(std::string(key.id_view()));
    for (const auto& [owner, epoch] : applied.epochs) {
        by_owner.erase(owner);
        const auto open = begun.find(owner);
        if (open != begun.end() && open->second.first <= epoch.number) begun.erase(open);
        Sequence& last = erasures[owner_of(row_key(kEpochTable, owner)).program];
        if (epoch.at > last) ++erasures_version;
        last = std::max(last, epoch.at);
    }
    for (const auto& [owner, epoch] : applied.begun) {
        begun.insert_or_assign(owner, std::pair(epoch, Clock::now()));
    }
    for (const auto& [owner, epoch] : applied.late) {
        if (epoch == 0) {
            late.erase(owner);
        } else {
            late.insert_or_assign(owner, std::pair(epoch, Clock::now()));
        }
    }
}

/// A key is in the journal before anything that it seals is in the log: what is not there by now
/// never comes.
std::optional<std::string> PartnerKeys::State::open_from_journal(std::string_view id,
                                                                 const ProgramId& program,
                                                                 PersonalField field,
                                                                 const PersonalText& text) const {
    {
        const std::lock_guard lock(mutex);
        if (missing.contains(std::string(id))) return std::nullopt;
    }
    if (const auto caught_up = journal->catch_up(); !caught_up) {
        throw std::runtime_error("the partners' keys: " + caught_up.error().detail);
    }
    auto opened = open_from_disk(id, program, field, text);
    if (!opened) {
        const std::lock_guard lock(mutex);
        if (missing.size() >= kMissingKeys) missing.clear();
        missing.insert(std::string(id));
    }
    return opened;
}

bool PartnerKeys::is_shared() const { return state_->journal != nullptr; }

void PartnerKeys::share(KeyJournal& journal) { state_->journal = &journal; }

Result<void> PartnerKeys::apply(std::span<const KeyRecord> records) {
    return state_->apply(records);
}

std::uint64_t PartnerKeys::ignored() const {
    const std::lock_guard lock(state_->mutex);
    return state_->ignored;
}

std::map<ProgramId, Sequence> PartnerKeys::erasures() const {
    const std::lock_guard lock(state_->mutex);
    return state_->erasures;
}

std::uint64_t PartnerKeys::erasures_version() const {
    const std::lock_guard lock(state_->mutex);
    return state_->erasures_version;
}

/// Only told of, so that another process can finish it: what seals changes with the commit.
Result<std::uint16_t> PartnerKeys::retire_shared(const std::string& owner) {
    if (auto caught_up = state_->journal->catch_up(); !caught_up) return caught_up.error();
    std::uint16_t last = 0;
    try {
        last = state_->epoch(owner).number;
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    if (last == kLastEpoch) {
        return Error{ErrorCode::invalid, "the partner was erased too often", {}};
    }
    const auto next = static_cast<std::uint16_t>(last + 1);
    if (auto told = state_->journal->append({{epoch_key(owner, next), commit({})}}); !told) {
        return told.error();
    }
    return next;
}

/// What older keys have sealed until the commit lies behind the journal's records of these keys;
/// what they seal later is refused.
Result<std::size_t> PartnerKeys::destroy_shared(const std::string& owner, std::uint16_t epoch) {
    if (auto caught_up = state_->journal->catch_up(); !caught_up) return caught_up.error();
    std::vector<KeyRecord> tombstones;
    try {
        for (const PartnerKey& key : state_->keys(owner)) {
            if (epoch_of(key) >= epoch) continue;
            tombstones.push_back({row_key(kKeysTable, owner) + print_of(key), std::nullopt});
        }
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    const std::size_t count = tombstones.size();
    if (count > 0) {
        auto destroyed = state_->journal->append(std::move(tombstones));
        if (!destroyed) return destroyed.error();
    }
    if (auto erased = erase_destroyed(); !erased) return erased.error();
    return count;
}

Result<void> PartnerKeys::end_shared(const std::string& owner, std::uint16_t epoch, Sequence at) {
    if (at.value != 0) return state_->journal->append({{epoch_key(owner, epoch), commit(at)}});
    const std::lock_guard lock(state_->mutex);  // nothing happened, and others see that, too
    const auto open = state_->begun.find(owner);
    if (open != state_->begun.end() && open->second.first == epoch) state_->begun.erase(open);
    return {};
}

}  // namespace tidings
