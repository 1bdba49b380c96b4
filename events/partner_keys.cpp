#include "events/partner_keys.h"

#include <openssl/rand.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <stdexcept>

#include "events/little_endian.h"
#include "events/partner_keys_state.h"
#include "events/rocks_erase.h"

namespace tidings {

namespace fs = std::filesystem;
using namespace key_rows;

namespace {

constexpr std::size_t kCachedTextBytes = 16u << 20;  ///< in each of two generations
constexpr std::size_t kBlockCacheBytes = 8u << 20;
constexpr std::size_t kWriteBufferBytes = 8u << 20;

rocksdb::Options options_of() {
    rocksdb::Options options;
    options.write_buffer_size = kWriteBufferBytes;
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1 + kLocatorBytes));
    options.memtable_prefix_bloom_size_ratio = 0.05;
    options.memtable_whole_key_filtering = true;
    options.compression = rocksdb::kNoCompression;  // nothing in it can be
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

Result<std::string> random_bytes(std::size_t count) {
    std::string out(count, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) == 1) {
        return out;
    }
    return Error{ErrorCode::io, "no random bytes for a key", {}};
}

std::optional<PartnerKey> newest_sealing(const std::vector<PartnerKey>& keys,
                                         std::string_view retired, std::uint16_t epoch) {
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
        if (!is_retired(retired, *key) && (epoch == 0 || epoch_of(*key) >= epoch)) return *key;
    }
    return std::nullopt;
}

void set_epoch(PartnerKey& key, std::uint16_t epoch) {
    key.id[kLocatorBytes] = static_cast<char>(epoch);
    key.id[kLocatorBytes + 1] = static_cast<char>(epoch >> 8);
}

}  // namespace

std::vector<PartnerKey> PartnerKeys::State::decode(std::string_view key,
                                                   std::string_view value) const {
    const Result<std::string> plain = wrap.unwrap(value, key);
    if (!plain) throw std::runtime_error("a partner's keys: " + plain.error().detail);
    std::vector<PartnerKey> out;
    for (std::size_t at = 0; at + kEntryBytes <= plain->size(); at += kEntryBytes) {
        out.push_back(key_of(key.substr(1, kLocatorBytes), plain->substr(at, kEntryBytes)));
    }
    return out;
}

std::string PartnerKeys::State::encode(const std::string& key,
                                       const std::vector<PartnerKey>& keys) const {
    std::string plain;
    for (const PartnerKey& one : keys) {
        plain += one.id_view().substr(kLocatorBytes);
        plain.append(one.secret.data(), one.secret.size());
    }
    return wrap.wrap(plain, key);
}

std::string PartnerKeys::State::get(const std::string& key) const {
    std::string value;
    const rocksdb::Status status = db->use()->Get(rocksdb::ReadOptions(), key, &value);
    if (!status.ok() && !status.IsNotFound()) throw std::runtime_error(db->to_error(status).detail);
    return value;
}

std::vector<PartnerKey> PartnerKeys::State::keys(const std::string& owner) const {
    const std::string key = row_key(kKeysTable, owner);
    const std::string value = get(key);
    return value.empty() ? std::vector<PartnerKey>() : decode(key, value);
}

std::string PartnerKeys::State::retired(const std::string& owner) const {
    return get(row_key(kRetiredTable, owner));
}

Epoch PartnerKeys::State::epoch(const std::string& owner) const {
    return Epoch::decode(get(row_key(kEpochTable, owner)));
}

std::optional<PartnerKey> PartnerKeys::State::cached(const std::string& owner) const {
    const std::lock_guard lock(mutex);
    const auto found = by_owner.find(owner);
    if (found == by_owner.end()) return std::nullopt;
    return found->second;
}

void PartnerKeys::State::keep(const std::string& owner, const PartnerKey& key) {
    const std::lock_guard lock(mutex);
    keep(by_owner, owner, key);
    keep(by_id, std::string(key.id_view()), key);
}

void PartnerKeys::State::let_go(const std::vector<PartnerKey>& gone) {
    for (const PartnerKey& one : gone) by_id.erase(std::string(one.id_view()));
    texts.clear();
    older_texts.clear();
    text_bytes = 0;
    ++destroyed;
}

std::optional<std::string> PartnerKeys::State::open_from_disk(std::string_view id,
                                                              const ProgramId& program,
                                                              PersonalField field,
                                                              const PersonalText& text) const {
    std::uint64_t before = 0;
    {
        const std::lock_guard lock(mutex);
        before = destroyed;
    }
    const std::string prefix = kKeysTable + std::string(id.substr(0, kLocatorBytes));
    rocksdb::ReadOptions options;
    options.prefix_same_as_start = true;
    const KeyDatabase::Use open = db->use();
    const std::unique_ptr<rocksdb::Iterator> at(open->NewIterator(options));
    for (at->Seek(prefix); at->Valid(); at->Next()) {
        for (const PartnerKey& key : decode(at->key().ToStringView(), at->value().ToStringView())) {
            if (key.id_view() != id) continue;
            auto opened = open_text(key, program, field, text);
            if (!opened) continue;
            const std::lock_guard lock(mutex);
            if (destroyed == before) keep(by_id, std::string(id), key);
            return opened;
        }
    }
    if (!at->status().ok()) throw std::runtime_error(db->to_error(at->status()).detail);
    return std::nullopt;
}

PartnerKeys::PartnerKeys(std::unique_ptr<State> state) : state_(std::move(state)) {}
PartnerKeys::~PartnerKeys() = default;

Result<std::unique_ptr<PartnerKeys>> PartnerKeys::open(const fs::path& directory, KeyWrap wrap) {
    return open(directory, std::move(wrap), false);
}
Result<std::unique_ptr<PartnerKeys>> PartnerKeys::open_for_reading(const fs::path& directory,
                                                                   KeyWrap wrap) {
    return open(directory, std::move(wrap), true);
}

Result<std::unique_ptr<PartnerKeys>> PartnerKeys::make_replica(const fs::path& directory,
                                                               KeyWrap wrap) {
    std::error_code error;
    fs::remove_all(directory, error);
    if (error) return Error{ErrorCode::io, "cannot remove " + directory.string(), {}};
    return open(directory, std::move(wrap), false);
}

Result<std::unique_ptr<PartnerKeys>> PartnerKeys::open(const fs::path& directory, KeyWrap wrap,
                                                       bool read_only) {
    auto state = std::make_unique<State>();
    state->directory = directory;
    state->wrap = std::move(wrap);
    std::error_code error;
    if (read_only && !fs::exists(directory / "CURRENT", error)) {
        return std::unique_ptr<PartnerKeys>(new PartnerKeys(std::move(state)));
    }
    if (!read_only) fs::create_directories(directory, error);
    if (error) return Error{ErrorCode::io, "cannot make " + directory.string(), {}};
    auto db = KeyDatabase::open(directory, options_of(), read_only);
    if (!db) return db.error();
    state->db = std::move(*db);
    if (auto checked = state->check(); !checked) return checked.error();
    return std::unique_ptr<PartnerKeys>(new PartnerKeys(std::move(state)));
}

/// Whether the deployment key opens the first of them.
Result<void> PartnerKeys::State::check() const {
    const KeyDatabase::Use open = db->use();
    rocksdb::ReadOptions all;
    all.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> first(open->NewIterator(all));
    first->Seek(std::string(1, kKeysTable));
    if (!first->status().ok()) return db->to_error(first->status());
    if (first->Valid() && first->key()[0] == kKeysTable &&
        !wrap.unwrap(first->value().ToStringView(), first->key().ToStringView())) {
        return Error{ErrorCode::corruption,
                     "the partners' keys in " + directory.string() +
                         " do not open under this deployment key: whoever changes it loses them",
                     {}};
    }
    return {};
}

std::optional<std::string> PartnerKeys::open(const ProgramId& program, PersonalField field,
                                             const PersonalText& text) const {
    const std::string_view id = key_id_of(text);
    if (id.empty()) return std::nullopt;
    std::optional<PartnerKey> key;
    {
        const std::lock_guard lock(state_->mutex);
        for (const State::Texts* texts : {&state_->texts, &state_->older_texts}) {
            if (const auto found = texts->find(text.stored()); found != texts->end()) {
                return found->second;
            }
        }
        const auto found = state_->by_id.find(std::string(id));
        if (found != state_->by_id.end()) key = found->second;
    }
    if (key) {
        if (auto opened = open_text(*key, program, field, text)) return opened;
    }
    if (!state_->db) return std::nullopt;
    auto opened = state_->open_from_disk(id, program, field, text);
    if (opened || state_->journal == nullptr) return opened;
    return state_->open_from_journal(id, program, field, text);
}

void PartnerKeys::remember(const PersonalText& sealed, std::string text) {
    constexpr std::size_t kOverhead = 128;
    const std::lock_guard lock(state_->mutex);
    state_->text_bytes += sealed.stored().size() + text.size() + kOverhead;
    state_->texts.insert_or_assign(sealed.stored(), std::move(text));
    if (state_->text_bytes < kCachedTextBytes) return;
    state_->older_texts = std::exchange(state_->texts, {});
    state_->text_bytes = 0;
}

Result<std::vector<PartnerKey>> PartnerKeys::keys_for(std::span<const KeyOwner> owners,
                                                      std::span<const std::uint16_t> epochs) {
    std::unique_lock writing(state_->writing);
    std::vector<PartnerKey> out(owners.size());
    std::map<std::string, std::vector<std::size_t>> missing;  // owner, its places in `out`
    std::map<std::string, PartnerKey> made;
    std::vector<KeyRecord> records;
    std::uint64_t retirements = 0;
    try {
        for (std::size_t i = 0; i < owners.size(); ++i) {
            const std::string owner = locator_and_owner(owners[i]);
            const auto cached = state_->cached(owner);
            if (cached && (epochs.empty() || epoch_of(*cached) >= epochs[i])) {
                out[i] = *cached;
            } else {
                missing[owner].push_back(i);
            }
        }
        if (missing.empty()) return out;
        const auto random = random_bytes(missing.size() * kEntryBytes);
        if (!random) return random.error();
        {
            const std::lock_guard lock(state_->mutex);
            retirements = state_->retirements;
        }
        std::size_t used = 0;
        for (const auto& [owner, places] : missing) {
            const std::string row = row_key(kKeysTable, owner);
            std::vector<PartnerKey> keys = state_->keys(owner);
            std::uint16_t epoch = epochs.empty() ? 0 : epochs[places.back()];
            if (is_shared()) epoch = std::max(epoch, state_->epoch(owner).number);
            std::optional<PartnerKey> key = newest_sealing(keys, state_->retired(owner), epoch);
            if (key) {
                state_->keep(owner, *key);
            } else {
                key = key_of(owner, std::string_view(*random).substr(used, kEntryBytes));
                used += kEntryBytes;
                if (is_shared()) set_epoch(*key, epoch);
                if (is_shared()) keys.clear();  // a record has one
                keys.push_back(*key);
                records.push_back(
                    {is_shared() ? row + print_of(*key) : row, state_->encode(row, keys)});
                made.emplace(owner, *key);
            }
            for (const std::size_t place : places) out[place] = *key;
        }
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    if (made.empty()) return out;
    if (is_shared()) {
        writing.unlock();
        const auto appended = state_->journal->append(std::move(records));
        if (!appended) return appended.error();
    } else {
        rocksdb::WriteBatch batch;
        for (const KeyRecord& record : records) batch.Put(record.key, *record.value);
        if (const auto written = state_->write(batch); !written) return written.error();
    }
    const std::lock_guard lock(state_->mutex);
    if (state_->retirements != retirements) return out;
    for (const auto& [owner, key] : made) {
        State::keep(state_->by_owner, owner, key);
        State::keep(state_->by_id, std::string(key.id_view()), key);
    }
    return out;
}

Result<std::uint16_t> PartnerKeys::retire(const KeyOwner& who) {
    const std::string owner = locator_and_owner(who);
    if (is_shared()) return retire_shared(owner);
    const std::lock_guard writing(state_->writing);
    rocksdb::WriteBatch batch;
    try {
        std::string ids(1, kRetiredVersion);
        for (const PartnerKey& key : state_->keys(owner)) {
            ids += key.id_view().substr(kLocatorBytes);
        }
        batch.Put(row_key(kRetiredTable, owner), ids);
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    if (const Result<void> written = state_->write(batch); !written) return written.error();
    const std::lock_guard lock(state_->mutex);
    state_->by_owner.erase(owner);
    ++state_->retirements;
    return std::uint16_t{0};
}

Result<std::size_t> PartnerKeys::destroy_retired(const KeyOwner& who, std::uint16_t epoch) {
    const std::string owner = locator_and_owner(who);
    if (is_shared()) return destroy_shared(owner, epoch);
    std::size_t count = 0;
    {
        const std::lock_guard writing(state_->writing);
        const std::string key = row_key(kKeysTable, owner);
        std::vector<PartnerKey> gone, kept;
        rocksdb::WriteBatch batch;
        try {
            const std::string retired = state_->retired(owner);
            if (retired.empty()) return std::size_t{0};
            for (const PartnerKey& one : state_->keys(owner)) {
                (is_retired(retired, one) ? gone : kept).push_back(one);
            }
            if (kept.empty()) {
                batch.Delete(key);
            } else if (!gone.empty()) {
                batch.Put(key, state_->encode(key, kept));
            }
        } catch (const std::exception& failure) {
            return Error{ErrorCode::io, failure.what(), {}};
        }
        if (const Result<void> written = state_->write(batch); !written) return written.error();
        state_->destroyed_rows.insert(key);
        count = gone.size();
        const std::lock_guard lock(state_->mutex);
        state_->let_go(gone);
    }
    if (const auto erased = erase_destroyed(); !erased) return erased.error();
    return count;
}

Result<void> PartnerKeys::erase_destroyed() {
    std::set<std::string> rows;
    {
        const std::lock_guard writing(state_->writing);
        rows.swap(state_->destroyed_rows);
    }
    if (rows.empty()) return {};
    std::vector<std::pair<std::string, std::string>> ranges;
    ranges.reserve(rows.size());
    for (const std::string& row : rows) ranges.emplace_back(row, row);
    Result<void> erased;
    try {
        erased = erase_deleted(*state_->db->use(), state_->directory, ranges);
        if (!erased) state_->db->note_failure(erased.error());
    } catch (const std::exception& failure) {
        erased = Error{ErrorCode::io, failure.what(), {}};
    }
    if (erased) return {};
    const std::lock_guard writing(state_->writing);
    state_->destroyed_rows.merge(rows);
    return erased;
}

Result<void> PartnerKeys::end_erasure(const KeyOwner& who, std::uint16_t epoch, Sequence at) {
    const std::string owner = locator_and_owner(who);
    if (is_shared()) return end_shared(owner, epoch, at);
    const std::lock_guard writing(state_->writing);
    rocksdb::WriteBatch batch;
    batch.Delete(row_key(kRetiredTable, owner));
    return state_->write(batch);
}

Result<Sequence> PartnerKeys::last_plain(PartitionId partition, Sequence now) {
    std::unique_lock writing(state_->writing);
    std::string key(1, kSealedTable);
    put_le(key, partition.value);
    try {
        const std::string stored = state_->get(key);
        if (!stored.empty()) return Sequence{get_le<std::uint64_t>(stored, 0)};
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    std::string value;
    put_le(value, now.value);
    Result<void> written;
    if (is_shared()) {
        writing.unlock();
        written = state_->journal->append({{key, value}});
    } else {
        rocksdb::WriteBatch batch;
        batch.Put(key, value);
        written = state_->write(batch);
    }
    if (!written) return written.error();
    return now;
}

Result<std::vector<BegunErasure>> PartnerKeys::begun(std::chrono::milliseconds age) const {
    std::vector<BegunErasure> out;
    if (!state_->db) return out;
    if (is_shared()) {
        const auto before = State::Clock::now() - age;
        const std::lock_guard lock(state_->mutex);
        for (const auto* unfinished : {&state_->begun, &state_->late}) {
            for (const auto& [owner, since] : *unfinished) {
                if (since.second > before) continue;
                out.push_back({owner_of(row_key(kRetiredTable, owner)), since.first});
            }
        }
        return out;
    }
    try {
        const KeyDatabase::Use open = state_->db->use();
        rocksdb::ReadOptions options;
        options.total_order_seek = true;
        const std::unique_ptr<rocksdb::Iterator> at(open->NewIterator(options));
        for (at->Seek(std::string(1, kRetiredTable)); at->Valid() && at->key()[0] == kRetiredTable;
             at->Next()) {
            out.push_back({owner_of(at->key().ToStringView()), 0});
        }
        if (!at->status().ok()) return state_->db->to_error(at->status());
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    return out;
}

}  // namespace tidings
