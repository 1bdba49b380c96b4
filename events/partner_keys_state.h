// What PartnerKeys keeps, and how its rows are read and written. Internal.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "events/key_database.h"
#include "events/partner_keys.h"

namespace tidings {

namespace key_rows {

inline constexpr std::size_t kLocatorBytes = 4;
inline constexpr std::size_t kRestBytes = kKeyIdBytes - kLocatorBytes;
inline constexpr std::size_t kEntryBytes = kRestBytes + kPartnerKeyBytes;
inline constexpr std::size_t kPrintBytes = 8;
inline constexpr char kKeysTable = 'k', kRetiredTable = 'r', kEpochTable = 'e', kSealedTable = 's';
inline constexpr char kRetiredVersion = 1;

std::string locator_and_owner(const KeyOwner& owner);
inline std::string row_key(char table, const std::string& owner) { return table + owner; }
/// Of a row's key. REQUIRES: is_row_key().
KeyOwner owner_of(std::string_view key);
/// Whether a table's letter, a locator, a program and a partner are there.
bool is_row_key(std::string_view key);
PartnerKey key_of(std::string_view locator, std::string_view entry);

/// An 'e' row.
struct Epoch {
    std::uint16_t number = 0;  ///< 0: there is none
    Sequence at;
    std::string encode() const;
    static Epoch decode(std::string_view value);
};

std::uint16_t epoch_of(const PartnerKey& key);
/// `retired`: the owner's 'r' row; empty: there is none.
bool is_retired(std::string_view retired, const PartnerKey& key);
/// See key_journal.h.
std::string print_of(const PartnerKey& key);

}  // namespace key_rows

struct PartnerKeys::State {
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t kCachedKeys = 1 << 16;  ///< by owner, and by id

    std::filesystem::path directory;
    KeyWrap wrap;
    std::unique_ptr<KeyDatabase> db;       ///< null: there are none
    KeyJournal* journal = nullptr;         ///< null: not shared
    std::mutex writing;                    ///< one at a time reads rows in order to change them
    std::set<std::string> destroyed_rows;  ///< under `writing`: their older versions are on disk

    mutable std::mutex mutex;  ///< guards what follows
    mutable std::unordered_map<std::string, PartnerKey> by_id;
    std::unordered_map<std::string, PartnerKey> by_owner;  ///< those that seal
    using Texts = std::unordered_map<std::string, std::string>;
    Texts texts, older_texts;  ///< by their sealed form
    std::size_t text_bytes = 0;
    std::uint64_t destroyed = 0;    ///< what was read before must not be kept
    std::uint64_t retirements = 0;  ///< whoever sealed before must not be kept as sealing
    mutable std::unordered_set<std::string> missing;  ///< ids of keys that the journal lacks, too
    using Unfinished = std::map<std::string, std::pair<std::uint16_t, Clock::time_point>>;
    Unfinished begun;  ///< erasures, by owner: their epoch, and when they were heard of
    /// The same of those that were decided, while there are older keys: made by a process that had
    /// not heard of them.
    Unfinished late;
    std::map<ProgramId, Sequence> erasures;
    std::uint64_t erasures_version = 0, ignored = 0;

    /// The keys of a row, oldest first. Throws what it cannot read.
    std::vector<PartnerKey> decode(std::string_view key, std::string_view value) const;
    std::string encode(const std::string& key, const std::vector<PartnerKey>& keys) const;
    /// Empty: there is none.
    std::string get(const std::string& key) const;
    std::vector<PartnerKey> keys(const std::string& owner) const;
    /// Empty: no erasure has begun.
    std::string retired(const std::string& owner) const;
    key_rows::Epoch epoch(const std::string& owner) const;
    Result<void> write(rocksdb::WriteBatch& batch) const {
        return db->write(batch, journal == nullptr);  // a replica's are durable in the journal
    }
    std::optional<PartnerKey> cached(const std::string& owner) const;
    /// Under the mutex.
    template <class Map>
    static void keep(Map& map, std::string key, const PartnerKey& value) {
        if (map.size() >= kCachedKeys) map.clear();
        map.insert_or_assign(std::move(key), value);
    }
    void keep(const std::string& owner, const PartnerKey& key);
    /// Under the mutex: nothing of these is at hand any more.
    void let_go(const std::vector<PartnerKey>& gone);
    Result<void> check() const;
    /// The key on disk that it may have been sealed under, and opens it.
    std::optional<std::string> open_from_disk(std::string_view id, const ProgramId& program,
                                              PersonalField field, const PersonalText& text) const;
    /// The same, for a key that may only be on its way here.
    std::optional<std::string> open_from_journal(std::string_view id, const ProgramId& program,
                                                 PersonalField field,
                                                 const PersonalText& text) const;

    struct Applied;
    std::string row_in(const std::string& key, const Applied& applied) const;
    std::vector<PartnerKey> keys_in(const std::string& row, const Applied& applied) const;
    void apply_key(const KeyRecord& record, Applied& applied);
    void apply_epoch(const KeyRecord& record, Applied& applied);
    void note(const Applied& applied);
    Result<void> apply(std::span<const KeyRecord> records);
};

}  // namespace tidings
