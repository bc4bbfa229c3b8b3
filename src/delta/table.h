#pragma once
#include <memory>
#include <string>

#include "delta/parquet_io.h"
#include "io/object_store.h"

namespace quern::delta {

/// Where a table lies and by what it is read. Cheap to copy; all members are shared and thread-safe.
struct Table {
  std::shared_ptr<io::ObjectStore> store;
  std::string root;  ///< key of the table's folder; a leading '/' names an absolute path of a local store
  std::shared_ptr<ParquetIo> parquet;  ///< null: tables whose state needs a Parquet checkpoint are refused

  /// For messages: where the store keeps it.
  std::string Location() const { return store->Location(root); }
};

/// Keys of the log's files.
std::string LogFolder(const Table& table);                   ///< "<root>/_delta_log/"
std::string CommitKey(const Table& table, int64_t version);  ///< "<root>/_delta_log/00000000000000000007.json"

/// Whether there is a log with at least one commit or checkpoint.
Result<bool> TableExists(const Table& table);

}  // namespace quern::delta
