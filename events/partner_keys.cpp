#include "events/partner_keys.h"

#include <openssl/rand.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include "events/key_database.h"
#include "events/little_endian.h"
#include "events/rocks_erase.h"

namespace tidings {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLocatorBytes = 4;
constexpr std::size_t kRestBytes = kKeyIdBytes - kLocatorBytes;
constexpr std::size_t kEntryBytes = kRestBytes + kPartnerKeyBytes;
constexpr std::size_t kCachedKeys = 1 << 16;         ///< by owner, and by id
constexpr std::size_t kCachedTextBytes = 16u << 20;  ///< in each of two generations
constexpr std::size_t kBlockCacheBytes = 8u << 20;
constexpr std::size_t kWriteBufferBytes = 8u << 20;
constexpr char kKeysTable = 'k', kRetiredTable = 'r', kSealedTable = 's';
constexpr char kRetiredVersion = 1;

std::string locator_and_owner(const KeyOwner& owner) {
    std::string name;
    name += static_cast<char>(owner.program.value.size() >> 8);
    name += static_cast<char>(owner.program.value.size());
    name += owner.program.value;
    name += owner.partner.value;
    return std::string(sha256(name).view().substr(0, kLocatorBytes)) + name;
}
std::string row_key(char table, const std::string& owner) { return table + owner; }

KeyOwner owner_of(std::string_view key) {
    key.remove_prefix(1 + kLocatorBytes);
    const std::size_t size =
        static_cast<unsigned char>(key[0]) << 8 | static_cast<unsigned char>(key[1]);
    return {ProgramId{std::string(key.substr(2, size))},
            PartnerId{std::string(key.substr(2 + size))}};
}

PartnerKey key_of(std::string_view locator, std::string_view entry) {
    PartnerKey key;
    std::copy_n(locator.data(), kLocatorBytes, key.id.data());
    std::copy_n(entry.data(), kRestBytes, key.id.data() + kLocatorBytes);
    std::copy_n(entry.data() + kRestBytes, kPartnerKeyBytes, key.secret.data());
    return key;
}

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

}  // namespace

struct PartnerKeys::State {
    fs::path directory;
    KeyWrap wrap;
    std::unique_ptr<KeyDatabase> db;  ///< null: there are none
    std::mutex writing;               ///< one at a time reads rows in order to change them

    mutable std::mutex mutex;  ///< guards what follows
    mutable std::unordered_map<std::string, PartnerKey> by_id;
    std::unordered_map<std::string, PartnerKey> by_owner;  ///< those that seal
    using Texts = std::unordered_map<std::string, std::string>;
    Texts texts, older_texts;  ///< by their sealed form
    std::size_t text_bytes = 0;
    std::uint64_t destroyed = 0;  ///< what was read before must not be kept

    /// The keys of a row, oldest first. Throws what it cannot read.
    std::vector<PartnerKey> decode(std::string_view key, std::string_view value) const {
        const Result<std::string> plain = wrap.unwrap(value, key);
        if (!plain) throw std::runtime_error("a partner's keys: " + plain.error().detail);
        std::vector<PartnerKey> out;
        for (std::size_t at = 0; at + kEntryBytes <= plain->size(); at += kEntryBytes) {
            out.push_back(key_of(key.substr(1, kLocatorBytes), plain->substr(at, kEntryBytes)));
        }
        return out;
    }
    std::string encode(const std::string& key, const std::vector<PartnerKey>& keys) const {
        std::string plain;
        for (const PartnerKey& one : keys) {
            plain += one.id_view().substr(kLocatorBytes);
            plain.append(one.secret.data(), one.secret.size());
        }
        return wrap.wrap(plain, key);
    }
    /// Empty: there is none.
    std::string get(const std::string& key) const {
        std::string value;
        const rocksdb::Status status = db->use()->Get(rocksdb::ReadOptions(), key, &value);
        if (!status.ok() && !status.IsNotFound()) {
            throw std::runtime_error(db->to_error(status).detail);
        }
        return value;
    }
    std::vector<PartnerKey> keys(const std::string& owner) const {
        const std::string key = row_key(kKeysTable, owner);
        const std::string value = get(key);
        return value.empty() ? std::vector<PartnerKey>() : decode(key, value);
    }
    /// Empty: no erasure has begun.
    std::string retired(const std::string& owner) const {
        return get(row_key(kRetiredTable, owner));
    }
    static bool is_retired(const std::string& retired, const PartnerKey& key) {
        for (std::size_t at = 1; at + kRestBytes <= retired.size(); at += kRestBytes) {
            if (key.id_view().substr(kLocatorBytes) == retired.substr(at, kRestBytes)) return true;
        }
        return false;
    }
    Result<void> write(rocksdb::WriteBatch& batch) const { return db->write(batch, true); }
    std::optional<PartnerKey> cached(const std::string& owner) const {
        const std::lock_guard lock(mutex);
        const auto found = by_owner.find(owner);
        if (found == by_owner.end()) return std::nullopt;
        return found->second;
    }
    /// Under the mutex.
    template <class Map>
    static void keep(Map& map, std::string key, const PartnerKey& value) {
        if (map.size() >= kCachedKeys) map.clear();
        map.insert_or_assign(std::move(key), value);
    }
    void keep(const std::string& owner, const PartnerKey& key) {
        const std::lock_guard lock(mutex);
        keep(by_owner, owner, key);
        keep(by_id, std::string(key.id_view()), key);
    }
    Result<void> check() const;
    /// The key on disk that it may have been sealed under, and opens it.
    std::optional<std::string> open_from_disk(std::string_view id, const ProgramId& program,
                                              PersonalField field, const PersonalText& text) const;
};

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
    return state_->open_from_disk(id, program, field, text);
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

Result<std::vector<PartnerKey>> PartnerKeys::keys_for(std::span<const KeyOwner> owners) {
    const std::lock_guard writing(state_->writing);
    std::vector<PartnerKey> out(owners.size());
    std::map<std::string, std::vector<std::size_t>> missing;  // owner, its places in `out`
    std::string random;
    rocksdb::WriteBatch batch;
    std::map<std::string, PartnerKey> made;
    try {
        for (std::size_t i = 0; i < owners.size(); ++i) {
            const std::string owner = locator_and_owner(owners[i]);
            if (const auto cached = state_->cached(owner)) {
                out[i] = *cached;
            } else {
                missing[owner].push_back(i);
            }
        }
        if (missing.empty()) return out;
        random.resize(missing.size() * kEntryBytes);
        if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()),
                       static_cast<int>(random.size())) != 1) {
            return Error{ErrorCode::io, "no random bytes for a key", {}};
        }
        std::size_t used = 0;
        for (const auto& [owner, places] : missing) {
            std::vector<PartnerKey> keys = state_->keys(owner);
            const std::string retired = keys.empty() ? std::string() : state_->retired(owner);
            if (keys.empty() || State::is_retired(retired, keys.back())) {
                keys.push_back(key_of(owner, std::string_view(random).substr(used, kEntryBytes)));
                used += kEntryBytes;
                const std::string key = row_key(kKeysTable, owner);
                batch.Put(key, state_->encode(key, keys));
                made.emplace(owner, keys.back());
            } else {
                state_->keep(owner, keys.back());
            }
            for (const std::size_t place : places) out[place] = keys.back();
        }
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    if (made.empty()) return out;
    if (const Result<void> written = state_->write(batch); !written) return written.error();
    for (const auto& [owner, key] : made) state_->keep(owner, key);
    return out;
}

Result<void> PartnerKeys::retire(const KeyOwner& who) {
    const std::lock_guard writing(state_->writing);
    const std::string owner = locator_and_owner(who);
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
    if (Result<void> written = state_->write(batch); !written) return written;
    const std::lock_guard lock(state_->mutex);
    state_->by_owner.erase(owner);
    return {};
}

Result<std::size_t> PartnerKeys::destroy_retired(const KeyOwner& who) {
    const std::lock_guard writing(state_->writing);
    const std::string owner = locator_and_owner(who);
    const std::string key = row_key(kKeysTable, owner);
    std::vector<PartnerKey> gone, kept;
    rocksdb::WriteBatch batch;
    try {
        const std::string retired = state_->retired(owner);
        if (retired.empty()) return std::size_t{0};
        for (const PartnerKey& one : state_->keys(owner)) {
            (State::is_retired(retired, one) ? gone : kept).push_back(one);
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
    {
        const std::lock_guard lock(state_->mutex);
        for (const PartnerKey& one : gone) state_->by_id.erase(std::string(one.id_view()));
        state_->texts.clear();
        state_->older_texts.clear();
        state_->text_bytes = 0;
        ++state_->destroyed;
    }
    const auto erased = erase_deleted(*state_->db->use(), state_->directory, {{key, key}});
    if (erased) return gone.size();
    state_->db->note_failure(erased.error());
    return erased.error();
}

Result<void> PartnerKeys::forget_retired(const KeyOwner& owner) {
    const std::lock_guard writing(state_->writing);
    rocksdb::WriteBatch batch;
    batch.Delete(row_key(kRetiredTable, locator_and_owner(owner)));
    return state_->write(batch);
}

Result<Sequence> PartnerKeys::last_plain(PartitionId partition, Sequence now) {
    const std::lock_guard writing(state_->writing);
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
    rocksdb::WriteBatch batch;
    batch.Put(key, value);
    if (const Result<void> written = state_->write(batch); !written) return written.error();
    return now;
}

Result<std::vector<KeyOwner>> PartnerKeys::retired() const {
    std::vector<KeyOwner> out;
    if (!state_->db) return out;
    try {
        const KeyDatabase::Use open = state_->db->use();
        rocksdb::ReadOptions options;
        options.total_order_seek = true;
        const std::unique_ptr<rocksdb::Iterator> at(open->NewIterator(options));
        for (at->Seek(std::string(1, kRetiredTable)); at->Valid() && at->key()[0] == kRetiredTable;
             at->Next()) {
            out.push_back(owner_of(at->key().ToStringView()));
        }
        if (!at->status().ok()) return state_->db->to_error(at->status());
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, failure.what(), {}};
    }
    return out;
}

}  // namespace tidings
