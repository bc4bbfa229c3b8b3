#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "delta/actions.h"
#include "delta/schema.h"
#include "delta/shared_map.h"
#include "delta/stats.h"
#include "delta/table.h"

namespace quern::delta {

/// An active file of a table: its Add and, parsed at first use and kept, its statistics. Thread-safe.
class DataFile {
 public:
  explicit DataFile(Add add);
  const Add& add() const { return add_; }
  /// The path's one spelling: what tells files apart.
  std::string_view key() const { return canonical_.empty() ? std::string_view(add_.path) : canonical_; }
  const FileStats& stats() const;
  /// Rows in the file; nothing without statistics.
  std::optional<int64_t> num_records() const { return stats().num_records(); }
  /// Rows less those that the deletion vector hides.
  std::optional<int64_t> live_records() const;

 private:
  Add add_;
  std::string canonical_;  // when it is not add_.path
  mutable std::once_flag once_;
  mutable FileStats stats_;
};
using DataFilePtr = std::shared_ptr<const DataFile>;

/// The state of a table at one version (protocol, "Action Reconciliation"). Immutable, thread-safe; share it by
/// pointer. Loading checks that the protocol can be read: kUnsupportedFeature.
class Snapshot {
 public:
  /// The newest version, or the given one. Cost: one LIST, the checkpoint, and each commit after it once.
  /// Errors: kTableNotFound, kVersionNotFound, kCorruptLog (file:line), kUnsupportedFeature, and the store's.
  static Result<std::shared_ptr<const Snapshot>> Load(const Table& table, std::optional<int64_t> version = {});
  /// The newest version, reading only commits after `previous`; `previous` itself when there is none. A table that was
  /// deleted and made anew meanwhile is loaded from its beginning.
  static Result<std::shared_ptr<const Snapshot>> Update(const std::shared_ptr<const Snapshot>& previous);

  const Table& table() const { return table_; }
  int64_t version() const { return version_; }
  /// In-commit timestamp where the table has them, else the commit file's time.
  Timestamp timestamp() const { return timestamp_; }
  const Protocol& protocol() const { return protocol_; }
  const Metadata& metadata() const { return metadata_; }
  const StructType& schema() const { return *schema_; }
  /// A configuration value, or `otherwise`.
  std::string Property(std::string_view key, std::string_view otherwise = "") const;
  bool PropertyIsTrue(std::string_view key) const;  ///< "true" in any case

  /// Active files in the order in which they were added.
  const std::vector<DataFilePtr>& files() const { return files_; }
  /// The file of a log path (as in add.path), null when it is not active.
  DataFilePtr FindFile(std::string_view path) const;
  /// Where the engine opens a file.
  Result<std::string> FileLocation(const Add& add) const;
  /// Removed files not yet expired when the log was written: for checkpoints and VACUUM. Unordered.
  std::vector<Remove> Tombstones() const;
  const std::map<std::string, SetTransaction, std::less<>>& txns() const { return txns_; }
  std::optional<int64_t> TxnVersion(std::string_view app_id) const;
  const std::map<std::string, DomainMetadata, std::less<>>& domains() const { return domains_; }
  int64_t total_bytes() const { return total_bytes_; }
  /// Live rows of all files; nothing when one file has no statistics.
  std::optional<int64_t> total_rows() const;
  /// The version of the checkpoint that the state was read from, -1 for none.
  int64_t checkpoint_version() const { return checkpoint_version_; }

 private:
  friend class Replay;
  friend class Transaction;
  Snapshot() = default;
  Snapshot(const Snapshot&) = default;
  /// `text` is the version's commit, read when it is not given.
  static Result<std::shared_ptr<const Snapshot>> WithInCommitTime(std::shared_ptr<const Snapshot> snapshot,
                                                                  std::optional<std::string_view> text = {});

  Table table_;
  int64_t version_ = -1;
  int64_t checkpoint_version_ = -1;
  Timestamp timestamp_{};
  Timestamp commit_modified_{};
  int64_t commit_size_ = -1;
  Protocol protocol_;
  Metadata metadata_;
  std::shared_ptr<const StructType> schema_;
  std::vector<DataFilePtr> files_;
  SharedMap<std::string_view, DataFilePtr> by_path_;                  // views into the files
  SharedMap<std::string, std::shared_ptr<const Remove>> tombstones_;  // by path + vector
  std::map<std::string, SetTransaction, std::less<>> txns_;
  std::map<std::string, DomainMetadata, std::less<>> domains_;
  int64_t total_bytes_ = 0;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace quern::delta
