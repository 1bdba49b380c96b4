// The partners' keys on disk: a small RocksDB database beside the log, in which every key is
// wrapped. Destroying a partner's keys makes everything unreadable that they sealed, in every copy.
//
//   key                                            value, wrapped with the row's key as context
//   'k' | locator (4) | u16 length | program | partner      (rest of the key id (4), key (32))*
//   'r' | the same                     not wrapped: 01 (rest of the key id (4))*: retired
//   'e' | the same                     not wrapped, shared keys: epoch (2) | commit (8)
//   's' | partition (4)                not wrapped: commit (8): all later ones are sealed
//
// A key id is the locator, a hash of program and partner, and four random bytes: so that a text
// finds its key's row. Retired keys open, and seal no more.
//
// Several processes share their keys by a journal (key_journal.h). Each then has a replica, made
// anew at its start. There the rest of a key's id begins with an epoch (2). The commit that erases
// a partner begins an epoch: from there on nothing is taken that a key of an older one has sealed,
// so that these keys can be destroyed, those too that a process makes which has not heard of it
// yet.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "events/key_journal.h"
#include "events/sealing.h"

namespace tidings {

struct KeyOwner {
    ProgramId program;
    PartnerId partner;
    auto operator<=>(const KeyOwner&) const = default;
};

/// An erasure that has begun and not ended.
struct BegunErasure {
    KeyOwner owner;
    std::uint16_t key_epoch = 0;  ///< 0: the keys are not shared
    bool operator==(const BegunErasure&) const = default;
};

/// How keys are wrapped for the disk; `context` is authenticated.
struct KeyWrap {
    std::function<std::string(std::string_view plain, std::string_view context)> wrap;
    std::function<Result<std::string>(std::string_view wrapped, std::string_view context)> unwrap;
};

/// Thread-safe. Failures of the disk, or of the journal, while opening a text are thrown: they are
/// no missing key.
class PartnerKeys final : public Keys {
public:
    /// For the process that owns the data directory; made if missing. Errors: io, corruption (the
    /// keys are wrapped with another deployment key).
    static Result<std::unique_ptr<PartnerKeys>> open(const std::filesystem::path& directory,
                                                     KeyWrap wrap);
    /// For others, also beside it: the keys as they are now. A missing directory has none.
    static Result<std::unique_ptr<PartnerKeys>> open_for_reading(
        const std::filesystem::path& directory, KeyWrap wrap);
    /// An empty replica, instead of what the directory holds. Errors: io.
    static Result<std::unique_ptr<PartnerKeys>> make_replica(const std::filesystem::path& directory,
                                                             KeyWrap wrap);
    ~PartnerKeys() override;

    /// A replica that follows `journal` asks it for a key that it lacks: once for each.
    std::optional<std::string> open(const ProgramId& program, PersonalField field,
                                    const PersonalText& text) const override;

    /// The key of each owner, that seals now; those that are missing are made, durable on return.
    /// `epochs`: of the owners, as the read models know them; empty: the keys are not shared.
    /// Errors: io (nothing was made).
    Result<std::vector<PartnerKey>> keys_for(std::span<const KeyOwner> owners,
                                             std::span<const std::uint16_t> epochs = {});
    /// Keeps what was just sealed at hand: whoever folds it is about to ask.
    void remember(const PersonalText& sealed, std::string text);

    /// Begins an erasure. Not shared: what is sealed from now on gets another key than those there
    /// are; returns 0. Shared: returns the epoch that its commit is to begin. Durable. Errors: io.
    Result<std::uint16_t> retire(const KeyOwner& owner);
    /// Destroys the retired keys (shared: those older than `epoch`), and says how many there were.
    /// Durable. Errors: io (ask again).
    Result<std::size_t> destroy_retired(const KeyOwner& owner, std::uint16_t epoch);
    /// Ends that erasure, which was decided in commit `at`, or (0) refused. Errors: io.
    Result<void> end_erasure(const KeyOwner& owner, std::uint16_t epoch, Sequence at);
    /// Those that began, or were heard of, at least `age` ago, and those whose keys have come back.
    /// Errors: io.
    Result<std::vector<BegunErasure>> begun(std::chrono::milliseconds age) const;
    /// Destroyed keys leave the disk, where they were only taken out of use. Errors: io.
    Result<void> erase_destroyed();
    bool is_shared() const;

    /// The last commit that may hold plain texts of older versions: `now`, at the first call for a
    /// partition. Errors: io.
    Result<Sequence> last_plain(PartitionId partition, Sequence now);

    // Of a replica.

    /// Shares what is made, retired and destroyed from now on. `journal` outlives every use.
    /// Call once, before others use the replica.
    void share(KeyJournal& journal);
    /// What was appended to the journal, in its order; again does no harm. What is no record of
    /// ours is counted and left out. Errors: io (none is applied).
    Result<void> apply(std::span<const KeyRecord> records);
    std::uint64_t ignored() const;
    /// The last commit that erased one of a program's partners, as far as it was told of.
    std::map<ProgramId, Sequence> erasures() const;
    /// Changes whenever erasures() does.
    std::uint64_t erasures_version() const;

private:
    struct State;
    explicit PartnerKeys(std::unique_ptr<State> state);
    static Result<std::unique_ptr<PartnerKeys>> open(const std::filesystem::path& directory,
                                                     KeyWrap wrap, bool read_only);
    Result<std::uint16_t> retire_shared(const std::string& owner);
    Result<std::size_t> destroy_shared(const std::string& owner, std::uint16_t epoch);
    Result<void> end_shared(const std::string& owner, std::uint16_t epoch, Sequence at);
    std::unique_ptr<State> state_;
};

}  // namespace tidings
