#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "delta/deletion_vector.h"
#include "delta/features.h"
#include "delta/snapshot.h"

namespace quern::warehouse {

using RowSetPtr = std::shared_ptr<const delta::RowSet>;

/// What a transaction sees of one table: a committed version plus its own uncommitted changes. Immutable,
/// shared by pointer; a change makes a new one. Its `id` names this very state inside the process (plans that
/// scan two states must differ).
class TableView {
 public:
  /// One data file; `overlay` hides rows besides those of the file's deletion vector (copy-on-write in the
  /// making).
  struct File {
    delta::DataFilePtr data;
    RowSetPtr overlay;
    RowSetPtr vector;  ///< the deletion vector's rows, when it was made in this process; else it is loaded at need
  };

  static std::shared_ptr<TableView> FromSnapshot(delta::SnapshotPtr snapshot);
  /// A copy to be changed, with an id of its own.
  std::shared_ptr<TableView> Derive() const;

  delta::Table table;
  delta::SnapshotPtr base;  ///< null: the table is being created
  delta::Metadata metadata;
  std::shared_ptr<const delta::StructType> schema;
  delta::ColumnMapping mapping = delta::ColumnMapping::kNone;
  std::vector<File> files;
  uint64_t id = 0;

  int64_t version() const { return base ? base->version() : -1; }
  bool uses_deletion_vectors() const;
  bool IsPartitionColumn(std::string_view name) const;
  /// Live rows; nothing when a file has no statistics.
  std::optional<int64_t> rows() const;
  static std::optional<int64_t> LiveRows(const File& file);
  /// Where the engine opens a file.
  Result<std::string> Location(const delta::Add& add) const;
};
using TableViewPtr = std::shared_ptr<const TableView>;

/// Deletion vectors by descriptor, loaded once and kept up to a bound. Thread-safe.
class DeletionVectorCache {
 public:
  /// Rows hidden by the file's vector and overlay together; null when there are none.
  Result<RowSetPtr> RowsOf(const TableView& view, const TableView::File& file);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, RowSetPtr> rows_;
  uint64_t kept_ = 0;
};

}  // namespace quern::warehouse
