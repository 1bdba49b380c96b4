// A disk for RocksDB that fails on command: it fills up in the middle of a write, fails to sync,
// and in a crash loses every byte and every new file that was not synced. It works on real files.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace tidings::testing {

class FaultyDisk final : public rocksdb::FileSystemWrapper {
public:
    FaultyDisk() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
    const char* Name() const override { return "FaultyDisk"; }

    /// An Env on this disk; keep `disk` as long.
    static std::shared_ptr<rocksdb::Env> env(const std::shared_ptr<FaultyDisk>& disk) {
        return rocksdb::NewCompositeEnv(disk);
    }

    /// Every write puts down half of its bytes and fails with NoSpace.
    void set_full(bool full) { set(full_, full); }
    /// Every sync fails and keeps nothing.
    void set_failing_syncs(bool failing) { set(failing_syncs_, failing); }
    /// Every sync says that it was done, and keeps nothing.
    void set_lying_syncs(bool lying) { set(lying_syncs_, lying); }
    /// Nothing can be made or written, as on a medium mounted read-only.
    void set_read_only(bool read_only) { set(read_only_, read_only); }

    /// From now on nothing is written any more: the machine is off.
    void power_off() { set(off_, true); }
    /// REQUIRES: power_off(), and that everything that used this disk is destroyed. Leaves what a
    /// disk would hold.
    void lose_unsynced() {
        const std::scoped_lock lock(mutex_);
        for (const auto& [path, file] : files_) {
            if (!std::filesystem::exists(path)) continue;
            if (!file.entry_synced) {
                std::filesystem::remove(path);
            } else if (std::filesystem::file_size(path) > file.synced) {
                std::filesystem::resize_file(path, file.synced);
            }
        }
        files_.clear();
    }
    std::size_t syncs() const {
        const std::scoped_lock lock(mutex_);
        return syncs_;
    }

    // ---- rocksdb::FileSystem

    rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* out,
                                      rocksdb::IODebugContext* context) override {
        if (auto status = may_change(path); !status.ok()) return status;
        auto status = FileSystemWrapper::NewWritableFile(path, options, out, context);
        if (status.ok()) {
            const std::scoped_lock lock(mutex_);
            files_[path] = {};
            *out = std::make_unique<File>(std::move(*out), path, *this);
        }
        return status;
    }
    rocksdb::IOStatus ReopenWritableFile(const std::string& path,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* out,
                                         rocksdb::IODebugContext* context) override {
        if (auto status = may_change(path); !status.ok()) return status;
        auto status = FileSystemWrapper::ReopenWritableFile(path, options, out, context);
        if (status.ok()) *out = std::make_unique<File>(std::move(*out), path, *this);
        return status;
    }
    rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                                 const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* context) override {
        if (auto status = may_change(to); !status.ok()) return status;
        auto status = FileSystemWrapper::RenameFile(from, to, options, context);
        const std::scoped_lock lock(mutex_);
        if (auto file = files_.extract(from); status.ok() && !file.empty()) {
            file.key() = to;
            file.mapped().entry_synced =
                true;  // the old name's file was there: a rename loses neither
            files_.erase(to);
            files_.insert(std::move(file));
        }
        return status;
    }
    rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* context) override {
        if (auto status = may_change(path, false); !status.ok()) return status;
        const std::scoped_lock lock(mutex_);
        files_.erase(path);
        return FileSystemWrapper::DeleteFile(path, options, context);
    }
    rocksdb::IOStatus LockFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::FileLock** lock,
                               rocksdb::IODebugContext* context) override {
        if (auto status = may_change(path, false); !status.ok()) return status;
        return FileSystemWrapper::LockFile(path, options, lock, context);
    }
    rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* out,
                                   rocksdb::IODebugContext* context) override {
        auto status = FileSystemWrapper::NewDirectory(path, options, out, context);
        if (status.ok()) *out = std::make_unique<Directory>(std::move(*out), path, *this);
        return status;
    }

private:
    struct Tracked {
        std::uint64_t synced = 0;
        bool entry_synced = false;
    };

    class File final : public rocksdb::FSWritableFileOwnerWrapper {
    public:
        File(std::unique_ptr<rocksdb::FSWritableFile>&& file, std::string path, FaultyDisk& disk)
            : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)), disk_(disk) {}

        using FSWritableFileOwnerWrapper::Append;
        rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* context) override {
            return append(data, options, context);
        }
        rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                                 const rocksdb::DataVerificationInfo& /*info*/,
                                 rocksdb::IODebugContext* context) override {
            return append(data, options, context);
        }
        rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override {
            const auto size = target()->GetFileSize(options, context);
            auto status = disk_.may_sync();
            if (status.ok()) status = FSWritableFileOwnerWrapper::Sync(options, context);
            if (status.ok()) disk_.synced(path_, size);
            return status;
        }
        rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                                rocksdb::IODebugContext* context) override {
            return Sync(options, context);
        }

    private:
        rocksdb::IOStatus append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* context) {
            auto status = disk_.may_change(path_);
            if (status.IsNoSpace()) {
                const rocksdb::Slice half(data.data(), data.size() / 2);
                auto written = FSWritableFileOwnerWrapper::Append(half, options, context);
                return written.ok() ? status : written;
            }
            return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, context)
                               : status;
        }

        std::string path_;
        FaultyDisk& disk_;
    };

    class Directory final : public rocksdb::FSDirectoryWrapper {
    public:
        Directory(std::unique_ptr<rocksdb::FSDirectory>&& directory, std::string path,
                  FaultyDisk& disk)
            : FSDirectoryWrapper(std::move(directory)), path_(std::move(path)), disk_(disk) {}
        rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                                rocksdb::IODebugContext* context) override {
            return synced(FSDirectoryWrapper::Fsync(options, context));
        }
        rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options,
                                              rocksdb::IODebugContext* context,
                                              const rocksdb::DirFsyncOptions& directory) override {
            return synced(FSDirectoryWrapper::FsyncWithDirOptions(options, context, directory));
        }

    private:
        rocksdb::IOStatus synced(rocksdb::IOStatus status) {
            if (auto allowed = disk_.may_sync(); !allowed.ok()) return allowed;
            if (status.ok()) disk_.entries_synced(path_);
            return status;
        }
        std::string path_;
        FaultyDisk& disk_;
    };

    void set(bool& flag, bool value) {
        const std::scoped_lock lock(mutex_);
        flag = value;
    }
    rocksdb::IOStatus may_change(const std::string& path, bool takes_space = true) const {
        const std::scoped_lock lock(mutex_);
        if (off_) return rocksdb::IOStatus::IOError(path, "power is off");
        if (read_only_) return rocksdb::IOStatus::IOError(path, "Read-only file system");
        if (full_ && takes_space)
            return rocksdb::IOStatus::NoSpace(path, "No space left on device");
        return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus may_sync() const {
        const std::scoped_lock lock(mutex_);
        if (off_) return rocksdb::IOStatus::IOError("power is off");
        if (failing_syncs_) return rocksdb::IOStatus::IOError("Input/output error");
        return rocksdb::IOStatus::OK();
    }
    void synced(const std::string& path, std::uint64_t size) {
        const std::scoped_lock lock(mutex_);
        ++syncs_;
        if (!lying_syncs_) files_[path].synced = size;
    }
    void entries_synced(const std::string& directory) {
        const std::scoped_lock lock(mutex_);
        if (lying_syncs_) return;
        for (auto& [path, file] : files_) {
            if (std::filesystem::path(path).parent_path() == std::filesystem::path(directory)) {
                file.entry_synced = true;
            }
        }
    }

    mutable std::mutex mutex_;
    std::map<std::string, Tracked> files_;  ///< those written since the last crash
    bool full_ = false, failing_syncs_ = false, lying_syncs_ = false, read_only_ = false,
         off_ = false;
    std::size_t syncs_ = 0;
};

}  // namespace tidings::testing
