#pragma once
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "delta/snapshot.h"
#include "warehouse/table_view.h"
#include "warehouse/warehouse.h"

namespace quern::warehouse {

/// The warehouse's folders: <root>/<schema>/<table>/_delta_log, views as SQL text in
/// <root>/<schema>/_views/<view>.sql. Names are found without case; a folder's own spelling is what is
/// printed. Knows committed states only, and keeps the newest state of each table, so that looking at an
/// unchanged table costs two small requests. Thread-safe.
class Storage {
 public:
  /// `clock` must outlive the object.
  Storage(std::filesystem::path root, const Clock& clock);

  /// Another warehouse, read by the same means.
  std::shared_ptr<Storage> ForRoot(std::filesystem::path root) const;

  const std::filesystem::path& root() const { return root_; }
  const Clock& clock() const { return *clock_; }
  /// Must be set before tables with checkpoints are read.
  void SetParquet(std::shared_ptr<delta::ParquetIo> parquet) { parquet_ = std::move(parquet); }

  std::vector<std::string> Schemas() const;
  /// The schema's folder as spelt on disk; nothing when there is none.
  std::optional<std::string> FindSchema(std::string_view name) const;
  Result<void> CreateSchema(const std::string& name);
  /// Whether the folder holds no table or view.
  bool SchemaIsEmpty(const std::string& schema) const;
  Result<void> DropSchema(const std::string& schema);

  std::vector<std::string> Tables(const std::string& schema) const;
  std::vector<std::string> Views(const std::string& schema) const;
  std::optional<std::string> FindTable(const std::string& schema, std::string_view name) const;
  std::optional<std::string> FindView(const std::string& schema, std::string_view name) const;

  /// Whether a new schema, table or view may be called so. Errors: kInvalidArgument that says why not.
  static Result<void> CheckName(std::string_view name, std::string_view what);

  delta::Table TableOf(const std::string& schema, const std::string& table) const;
  /// The newest committed state. Errors: delta::Snapshot::Load's, naming the table.
  Result<TableViewPtr> Load(const std::string& schema, const std::string& table);
  Result<TableViewPtr> LoadVersion(const std::string& schema, const std::string& table, int64_t version);
  /// The state after a commit of our own.
  TableViewPtr Remember(const std::string& schema, const std::string& table, delta::SnapshotPtr snapshot);
  void Forget(const std::string& schema, const std::string& table);

  /// Takes the table away at once (by renaming it), then removes its files.
  Result<void> DropTable(const std::string& schema, const std::string& table);
  Result<void> RenameTable(const std::string& schema, const std::string& from, const std::string& to);

  Result<std::string> ReadView(const std::string& schema, const std::string& view) const;
  Result<void> WriteView(const std::string& schema, const std::string& view, std::string_view sql);
  Result<void> DropView(const std::string& schema, const std::string& view);
  std::filesystem::path ViewPath(const std::string& schema, const std::string& view) const;

  /// Removes what a killed process left of dropped tables.
  void EmptyTrash() const;

  DeletionVectorCache& deletion_vectors() { return deletion_vectors_; }

 private:
  struct Cached {
    TableViewPtr view;
    int64_t commit_size = 0;  ///< of the newest commit's file: a table made anew has another one
    Timestamp commit_time;
  };
  std::filesystem::path FolderOf(const std::string& schema, const std::string& table) const {
    return root_ / schema / table;
  }
  Result<void> Trash(const std::filesystem::path& folder);

  std::filesystem::path root_;
  const Clock* clock_;
  std::shared_ptr<io::ObjectStore> store_;
  std::shared_ptr<delta::ParquetIo> parquet_;
  DeletionVectorCache deletion_vectors_;
  std::mutex mutex_;
  std::map<std::string, Cached> newest_;
  std::list<std::pair<std::string, TableViewPtr>> older_;  // time travel, most recently used first
};

/// Adds the table's name to an error on its way up.
Error NameTable(Error error, std::string_view schema, std::string_view table);

}  // namespace quern::warehouse
