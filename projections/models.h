// One partition's read models on one store: what the partition loop folds into and what readers
// ask.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/projection.h"
#include "projections/read_models.h"

namespace tidings {

class Store;

/// Memory and threads that all partitions share: block cache, write buffers, background threads.
/// Opaque here.
struct StoreResources;
/// `cache_bytes`: blocks of RocksDB; `write_buffer_bytes`: memtables of all partitions together.
std::shared_ptr<StoreResources> make_store_resources(std::size_t cache_bytes,
                                                     std::size_t write_buffer_bytes);

/// Decoded rows kept in memory, of all partitions together.
class RowMemory;
std::shared_ptr<RowMemory> make_row_memory(std::size_t bytes);

struct ModelsOptions {
    std::filesystem::path directory;            ///< created if missing
    std::shared_ptr<StoreResources> resources;  ///< null: small private ones
    std::shared_ptr<RowMemory> row_memory;      ///< null: 64 MiB of its own
    std::shared_ptr<const Keys> keys = {};      ///< of sealed texts; null: none can be read
    bool read_only = false;
    bool scratch = false;  ///< thrown away when closed: what is not flushed then is lost
    /// Much is folded before it is read, as in a rebuild: rows are written past the memtable, in as
    /// large batches as come, and are merged by end_bulk(). REQUIRES: not read_only.
    bool bulk = false;
    /// Once set, merging in bulk ends with an error. Outlives the models.
    const std::atomic<bool>* cancelled = nullptr;
    /// Published work that a kill may leave to be replayed: written out once this many bytes of
    /// rows are pending.
    std::size_t flush_bytes = 16 << 20;
};

struct ModelDigest {
    std::string model;  ///< "partners", "inboxes", …
    Hash256 digest;
};

/// Threads: Projection's calls, tidy(), flush() and snapshot() on one thread; ReadModels' and
/// digest() on any.
class Models : public Projection, public ReadModels {
public:
    /// Errors: io, corruption, newer_format, older_format (the layout of another version: they are
    /// made anew from the log).
    static Result<std::unique_ptr<Models>> open(const ModelsOptions& options);
    /// On a store that is open already; `options.directory` only names it in messages.
    static Result<std::unique_ptr<Models>> open_on(std::unique_ptr<Store> store,
                                                   const ModelsOptions& options);

    Tip tip() const override = 0;
    /// Makes room for what readers want to keep in memory, if it is short. For idle times:
    /// publishing does the same.
    virtual void tidy() = 0;
    /// Makes everything published durable. Called by close as well.
    virtual Result<void> flush() = 0;
    /// Whether ModelsOptions::bulk still holds: publishing seldom is cheaper then.
    virtual bool is_bulk() const = 0;
    /// Ends it: merges what was written, and from now on as readers like it. On the publishing
    /// thread, while nobody reads; returns when that is done, and may be called again after an
    /// error. Errors: io, also if cancelled.
    virtual Result<void> end_bulk() = 0;
    /// Puts a durable copy of everything published into `directory`, which is made; it can be
    /// opened like any other. Shares the files that never change. Errors: io.
    virtual Result<void> snapshot(const std::filesystem::path& directory) = 0;
    /// Makes what was erased of a program's partners leave the disk, but for snapshots. From any
    /// thread. Errors: io.
    virtual Result<void> erase_deleted(const ProgramId& program) = 0;
    /// Every program, by id.
    virtual std::vector<ProgramId> program_ids() const = 0;
    /// Logical values only, so that equal logs give equal digests however they were cut into
    /// commits or partitions (PROTOCOL.md rule 15). Reads every row. None, if `cancelled` was set
    /// meanwhile.
    virtual std::vector<ModelDigest> digests(
        const std::atomic<bool>* cancelled = nullptr) const = 0;
    /// One digest per program over all models, by program id: they can be compared across
    /// partitionings.
    virtual std::vector<std::pair<ProgramId, Hash256>> program_digests() const = 0;
    /// Walks every row: decodes it and checks the invariants between models (conservation, counters
    /// against sets). Returns what is wrong, in words; empty: sound.
    virtual std::vector<std::string> check() const = 0;
};

/// SHA-256 over the program digests of all partitions, ordered by program id.
Hash256 combine_digests(std::vector<std::pair<ProgramId, Hash256>> programs);

}  // namespace tidings
