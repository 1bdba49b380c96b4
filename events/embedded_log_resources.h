// What a process's RocksDB databases share. Internal: only files that use RocksDB anyway include
// it.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/write_buffer_manager.h>

#include <memory>

namespace tidings {

struct LogResources {
    std::shared_ptr<rocksdb::Cache> cache;
    std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
    std::size_t write_buffer_bytes = 0;
    std::shared_ptr<rocksdb::Env> env;  ///< null: the machine's; tests put a faulty disk here
};

}  // namespace tidings
