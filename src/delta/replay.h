#pragma once
// Builds snapshots out of actions; shared by the files of delta/, not for other parts.
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "delta/log_segment.h"
#include "delta/snapshot.h"

namespace quern::delta {

/// The key of a file in reconciliation: its path and deletion vector.
std::string FileKey(std::string_view path, const std::optional<DeletionVectorDescriptor>& vector);

/// Applies actions in the order of versions. Use: make, Apply..., Finish once.
class Replay {
 public:
  /// From nothing, or from an earlier snapshot (which stays as it is).
  explicit Replay(const Table& table);
  explicit Replay(const Snapshot& base);

  /// A checkpoint's action, or a commit's. Within one commit the order does not matter.
  void Apply(Action&& action);
  /// Actions of a checkpoint file or commit given as text.
  Result<void> ApplyText(std::string_view text, std::string_view file);
  Result<void> ApplyCheckpoint(const LogSegment::Checkpoint& checkpoint);
  /// Reads the commit's file.
  Result<void> ApplyCommit(const LogSegment::Commit& commit);

  /// Checks what every version must have, that it can be read, and sets its version and time.
  Result<SnapshotPtr> Finish(int64_t version, Timestamp modified, int64_t commit_size);

 private:
  void ApplyAdd(Add&& add);
  void ApplyRemove(Remove&& remove);
  void AddTombstone(Remove&& remove);
  void ApplyReplacements();

  std::shared_ptr<Snapshot> snapshot_;
  std::vector<Add> pending_adds_;  // of the commit at hand
  std::vector<Remove> pending_removes_;
  ActionReader reader_;
  bool have_protocol_ = false;
  bool have_metadata_ = false;
  bool metadata_changed_ = false;
  /// What became of files in snapshot_->files_: null when removed, else the entry that takes the place. Followed until
  /// an entry is not here; the list itself is put right once, at the end.
  std::unordered_map<const DataFile*, DataFilePtr> replaced_;
};

/// Reads all actions of a checkpoint.
Result<void> ReadCheckpoint(const Table& table, const LogSegment::Checkpoint& checkpoint,
                            const std::function<void(Action&&)>& sink);

}  // namespace quern::delta
