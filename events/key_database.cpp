#include "events/key_database.h"

#include <stdexcept>
#include <utility>

#include "events/silent_logger.h"

namespace tidings {

namespace {

constexpr std::chrono::seconds kOpenAgainAfter{1};

}  // namespace

Result<std::unique_ptr<KeyDatabase>> KeyDatabase::open(const std::filesystem::path& directory,
                                                       rocksdb::Options options, bool read_only) {
    options.info_log = std::make_shared<SilentLogger>();
    options.max_bgerror_resume_count = 0;  // not behind our back
    std::unique_ptr<KeyDatabase> made(new KeyDatabase(directory, std::move(options), nullptr));
    auto db = made->open_database(read_only);
    if (!db) return db.error();
    made->db_ = std::move(*db);
    return made;
}

Error KeyDatabase::to_error(const rocksdb::Status& status) const {
    const ErrorCode code = status.IsCorruption() ? ErrorCode::corruption : ErrorCode::io;
    return {code, "the partners' keys in " + directory_.string() + ": " + status.ToString(), {}};
}

Result<std::unique_ptr<rocksdb::DB>> KeyDatabase::open_database(bool read_only) const {
    rocksdb::DB* db = nullptr;
    rocksdb::Options options = options_;
    options.create_if_missing = !read_only;
    const rocksdb::Status status =
        read_only ? rocksdb::DB::OpenForReadOnly(options, directory_.string(), &db)
                  : rocksdb::DB::Open(options, directory_.string(), &db);
    if (!status.ok()) return to_error(status);
    return std::unique_ptr<rocksdb::DB>(db);
}

KeyDatabase::Use KeyDatabase::use() const {
    std::shared_lock lock(opening_);
    if (db_) return {std::move(lock), *db_};
    throw std::runtime_error("the partners' keys in " + directory_.string() +
                             " could not be opened again after a failure of the disk");
}

Result<void> KeyDatabase::write(rocksdb::WriteBatch& batch, bool sync) {
    const std::lock_guard writing(writing_);
    if (failed_) {
        if (auto opened = open_again(); !opened) return opened;
    }
    rocksdb::WriteOptions options;
    options.sync = sync;
    const rocksdb::Status status = use()->Write(options, &batch);
    if (status.ok()) return {};
    keep_failure(to_error(status));
    return *failed_;
}

void KeyDatabase::note_failure(Error error) {
    const std::lock_guard writing(writing_);
    keep_failure(std::move(error));
}

void KeyDatabase::keep_failure(Error error) {
    failed_ = std::move(error);
    not_before_ = std::chrono::steady_clock::now() + kOpenAgainAfter;
}

/// Where it cannot be written to it is read, at least. REQUIRES: writing_ is held.
Result<void> KeyDatabase::open_again() {
    if (std::chrono::steady_clock::now() < not_before_) return *failed_;
    const std::unique_lock lock(opening_);
    db_.reset();
    auto opened = open_database(false);
    if (opened) {
        failed_.reset();
    } else {
        keep_failure(opened.error());
        opened = open_database(true);
    }
    if (opened) db_ = std::move(*opened);
    if (failed_) return *failed_;
    return {};
}

}  // namespace tidings
