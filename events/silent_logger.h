// RocksDB's own log, nowhere. RocksDB 7.8 as Debian builds it, with assertions, ends the process at
// the second line that its log file cannot take, on a full disk; and readers write no file into a
// directory that is not theirs. What fails is in the statuses that it returns.
#pragma once

#include <rocksdb/env.h>

namespace tidings {

class SilentLogger final : public rocksdb::Logger {
public:
    using rocksdb::Logger::Logv;
    void Logv(const char*, va_list) override {}
};

}  // namespace tidings
