// What connectors see of the running broker: where a program lives, how to submit a command, how to
// read. Implemented by the host in apps/ (threads, queues); reads are answered from ReadModels on
// the caller's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/command.h"
#include "core/event.h"
#include "core/explain.h"
#include "core/result.h"
#include "projections/read_models.h"

namespace tidings {

/// The outcome of a submitted command, once its commit is durable and visible.
struct Applied {
    Outcome outcome;  ///< without its events
    PartitionId partition;
    Sequence sequence;  ///< of the commit: Tidings-Position
};

/// Where in the past: after a commit, or after the last one at or before a time of the program's
/// log time.
using AsOf = std::variant<Sequence, Timestamp>;

/// The send of a message, as it was decided.
struct SendReceipt {
    PartitionId partition;
    Sequence sequence;  ///< of its commit
    CommandPosition command_position;
    CommandId command;
    EventNumber number;
    MessageSent sent;
    std::optional<Selection> why;  ///< of the partner that was asked about
    PartnerTexts texts = {};       ///< of that partner, if it was known
};

/// What an erasure has done, and what it could not reach.
struct Erasure {
    Applied applied;       ///< of its command
    std::size_t keys = 0;  ///< destroyed
    // Records of the log, commands and commits, that hold texts of the partner as older versions
    // wrote them: plain. They are there for ever.
    std::uint64_t plain_records = 0;
    Sequence first_plain, last_plain;  ///< the commits where they are
};

class Broker {
public:
    using Done = std::function<void(Result<Applied>)>;
    virtual ~Broker() = default;

    virtual std::uint32_t partitions() const = 0;
    virtual PartitionId partition_of(const ProgramId&) const = 0;
    /// Whether this process can answer for the partition.
    virtual bool holds(PartitionId) const { return true; }
    /// Base URLs ("http://10.0.0.7:8080") of other live processes that hold it, best first.
    virtual std::vector<std::string> holders(PartitionId) const { return {}; }
    /// Thread-safe reads of a partition's read models, which live at least as long as the pointer.
    /// Others may take their place meanwhile: after a write, ask again. REQUIRES: holds(partition).
    virtual ReadModelsPtr read(PartitionId) const = 0;
    ReadModelsPtr read(const ProgramId& program) const { return read(partition_of(program)); }

    /// The read models as they stood then. `done` is called once, from any thread, and may be
    /// before this returns; the first question about a place takes a while. REQUIRES:
    /// holds(partition). Errors: invalid (a position beyond the tip), overloaded (too many
    /// questions about the past).
    virtual void read_past(const ProgramId&, AsOf,
                           const std::function<void(Result<ReadModelsPtr>)>& done) {
        done(no_history());
    }
    /// What was decided about a message, and why `partner` was selected or not, if one is named.
    /// As read_past. Errors: also not_found.
    virtual void receipt(const ProgramId&, EventNumber message,
                         const std::optional<PartnerId>& partner,
                         const std::function<void(Result<SendReceipt>)>& done) {
        (void)message, (void)partner;
        done(no_history());
    }

    /// Stamps `command.time` with the clock, encodes, and appends. `done` is called exactly once,
    /// on a thread of the broker; it must not block. Errors given to `done`: overloaded (nothing
    /// happened), outcome_unknown (it may yet happen), io (stopped).
    virtual void submit(Command command, Done done) = 0;

    using Erased = std::function<void(Result<Erasure>)>;
    /// Submits an ErasePartner, and erases what is not the log's: keys, older rows, older states.
    /// `done` as of submit. Errors: those of submit; io, overloaded (it may have been decided; then
    /// it is finished later). A refusal is in the outcome.
    virtual void erase(Command command, Erased done) = 0;

    /// True while a command with this id is submitted here and not yet answered.
    virtual bool pending(const ProgramId&, const CommandId&) const = 0;

    /// Calls `done` once the partition has applied `sequence`, or with not_caught_up after
    /// `timeout_ms`. May call `done` before it returns.
    virtual void wait_for(PartitionId, Sequence sequence, int timeout_ms,
                          std::function<void(Result<void>)> done) = 0;

    /// Keyed digest of a command's content or of a caller (HMAC-SHA-256 under the deployment's
    /// digest key).
    virtual ContentDigest content_digest(std::string_view canonical) const = 0;
    virtual CallerDigest caller_digest(std::string_view canonical) const = 0;
    /// Seals and opens secrets under the deployment key (AES-256-GCM; `context` is authenticated,
    /// not stored).
    virtual std::string seal(std::string_view plain, std::string_view context) const = 0;
    virtual Result<std::string> open(std::string_view sealed, std::string_view context) const = 0;

    /// Ready: every partition has caught up and accepts commands. Otherwise says why not.
    virtual Result<void> ready() const = 0;
    /// Milliseconds since the epoch, as commands are stamped.
    virtual Timestamp now() const = 0;

private:
    static Error no_history() { return {ErrorCode::overloaded, "no history is kept here", {}}; }
};

}  // namespace tidings
