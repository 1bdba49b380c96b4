// The partners' keys on disk: a small RocksDB database beside the log, in which every key is
// wrapped. Destroying a partner's keys makes everything unreadable that they sealed, in every copy.
//
//   key                                            value, wrapped with the row's key as context
//   'k' | locator (4) | u16 length | program | partner      (rest of the key id (4), key (32))*
//   'r' | the same                     not wrapped: 01 (rest of the key id (4))*: retired
//   's' | partition (4)                not wrapped: commit (8): all later ones are sealed
//
// A key id is the locator, a hash of program and partner, and four random bytes: so that a text
// finds its key's row. Retired keys open, and seal no more.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "events/sealing.h"

namespace tidings {

struct KeyOwner {
    ProgramId program;
    PartnerId partner;
    auto operator<=>(const KeyOwner&) const = default;
};

/// How keys are wrapped for the disk; `context` is authenticated.
struct KeyWrap {
    std::function<std::string(std::string_view plain, std::string_view context)> wrap;
    std::function<Result<std::string>(std::string_view wrapped, std::string_view context)> unwrap;
};

/// Thread-safe. Failures of the disk while opening a text are thrown: they are no missing key.
class PartnerKeys final : public Keys {
public:
    /// For the process that owns the data directory; made if missing. Errors: io, corruption (the
    /// keys are wrapped with another deployment key).
    static Result<std::unique_ptr<PartnerKeys>> open(const std::filesystem::path& directory,
                                                     KeyWrap wrap);
    /// For others, also beside it: the keys as they are now. A missing directory has none.
    static Result<std::unique_ptr<PartnerKeys>> open_for_reading(
        const std::filesystem::path& directory, KeyWrap wrap);
    ~PartnerKeys() override;

    std::optional<std::string> open(const ProgramId& program, PersonalField field,
                                    const PersonalText& text) const override;

    /// The key of each owner, that seals now; those that are missing are made, durable on return.
    /// Errors: io (nothing was made).
    Result<std::vector<PartnerKey>> keys_for(std::span<const KeyOwner> owners);
    /// Keeps what was just sealed at hand: whoever folds it is about to ask.
    void remember(const PersonalText& sealed, std::string text);

    /// Begins an erasure: what is sealed from now on gets another key than those there are.
    /// Durable. Errors: io.
    Result<void> retire(const KeyOwner& owner);
    /// Destroys the retired keys, on disk and in memory, and says how many there were. Durable, and
    /// their bytes are gone from the database's files. Errors: io (ask again).
    Result<std::size_t> destroy_retired(const KeyOwner& owner);
    /// Ends the erasure. Errors: io.
    Result<void> forget_retired(const KeyOwner& owner);
    /// Whose erasure has begun and not ended. Errors: io.
    Result<std::vector<KeyOwner>> retired() const;

    /// The last commit that may hold plain texts of older versions: `now`, at the first call for a
    /// partition. Errors: io.
    Result<Sequence> last_plain(PartitionId partition, Sequence now);

private:
    struct State;
    explicit PartnerKeys(std::unique_ptr<State> state);
    static Result<std::unique_ptr<PartnerKeys>> open(const std::filesystem::path& directory,
                                                     KeyWrap wrap, bool read_only);
    std::unique_ptr<State> state_;
};

}  // namespace tidings
