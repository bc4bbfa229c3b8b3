#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "delta/actions.h"
#include "delta/predicate.h"
#include "delta/snapshot.h"

namespace quern::delta {

/// What goes into commitInfo. Parameters and metrics are texts, as Spark writes them (nested values as JSON text).
struct Operation {
  std::string name =
      "WRITE";  ///< "WRITE", "DELETE", "UPDATE", "MERGE", "CREATE TABLE", "CREATE OR REPLACE TABLE AS SELECT", ...
  StringMap parameters = {};    ///< {"mode": "Append", "partitionBy": "[]"}; values are written as JSON strings
  StringMap metrics = {};       ///< {"numFiles": "1", "numOutputRows": "10", "numOutputBytes": "512"}
  Json extra = Json::object();  ///< further keys of commitInfo: quernDagRun, quernNode, gitCommit, ...
};

struct TransactionOptions {
  const Clock* clock = &Clock::System();
  int max_attempts = 1000;        ///< lost races before giving up with a conflict
  bool write_checkpoints = true;  ///< every delta.checkpointInterval (10) commits, after the commit
  bool sync_files = true;         ///< make added files durable before the commit
};

struct Committed {
  int64_t version = 0;
  SnapshotPtr snapshot;  ///< the state after the commit
};
struct Conflicted {
  enum class Kind {
    kTableExists,  ///< created by somebody else meanwhile
    kProtocolChanged,
    kMetadataChanged,
    kConcurrentAppend,        ///< a file that our reads would have seen was added
    kConcurrentDeleteRead,    ///< a file that we read was removed
    kConcurrentDeleteDelete,  ///< a file that we remove was removed
    kConcurrentTransaction,   ///< the same txn appId was committed
    kTooManyAttempts,
  };
  Kind kind = Kind::kTooManyAttempts;
  int64_t version = 0;  ///< of the other commit
  std::string reason;   ///< a sentence that names the other commit: version, operation, engine, time
  /// As an Error, for those who have nothing better to do with it: kCommitConflict.
  Error ToError(const Table& table) const;
};
using CommitResult = std::variant<Committed, Conflicted>;

/// One commit under optimistic concurrency: begin from a snapshot, say what was read, gather actions, commit once.
///
///     auto tx = Transaction::Begin(table, snapshot);
///     tx.ReadMatching(predicate);            // nothing of the kind for a blind append
///     tx.Remove(*file); tx.Add(add);
///     CommitResult r = QUERN_TRY(tx.Commit(operation));
///
/// Others' commits in between are stepped over when they change nothing that was read or is removed, by delta-spark's
/// rules: Serializable by default; where delta.isolationLevel is WriteSerializable, blind appends of others never
/// conflict; a transaction that changes no data (compaction) is not disturbed by appends. A lost or ambiguous answer of
/// the store is settled by reading the commit back (txnId). Not thread-safe.
class Transaction {
 public:
  /// From a snapshot; null creates the table (SetMetadata is then needed).
  static Transaction Begin(Table table, SnapshotPtr snapshot, TransactionOptions options = {});

  const SnapshotPtr& base() const { return base_; }
  const std::string& id() const { return txn_id_; }

  /// New metadata (schema, configuration, partition columns); the id of an existing table stays unless `metadata.id` is
  /// set on purpose. The protocol is raised as needed.
  Result<void> SetMetadata(Metadata metadata);
  /// Protocol on purpose; never lower than needed.
  void SetProtocol(Protocol protocol);
  void Add(delta::Add add);
  /// Of an active file; `data_change` false when rows stay the same (compaction).
  void Remove(const DataFile& file, bool data_change = true);
  /// Every active file of the base.
  void RemoveAll();
  /// Replaces an active file's deletion vector: remove + add of the same path; statistics lose their tight bounds.
  void UpdateDeletionVector(const DataFile& file, const DeletionVectorDescriptor& vector);
  void SetTxn(std::string app_id, int64_t version);
  void SetDomain(DomainMetadata domain);

  /// What the content depended on. None of these: a blind append.
  void ReadWholeTable();
  void ReadMatching(Predicate predicate);
  void ReadFile(const DataFile& file);
  /// The txn version of an application was looked at: the same application's concurrent commit conflicts.
  void ReadTxn(std::string app_id);

  /// True when nothing was read and nothing is removed.
  bool blind_append() const;
  bool empty() const;  ///< nothing to commit
  size_t added_files() const { return adds_.size(); }
  size_t removed_files() const { return removes_.size(); }

  /// Once. A conflict is a value; then nothing was written (files that were added are the caller's to delete).
  /// Errors: kUnsupportedFeature (the table may not be written so), kInvalidArgument (a transaction that contradicts
  /// itself: a file added twice, an add without its partition columns), and the store's.
  Result<CommitResult> Commit(const Operation& operation);

 private:
  Transaction() = default;
  Result<void> Check() const;
  std::string isolation_name() const;
  Result<std::string> Print(const Operation& operation, int64_t now_ms, const SnapshotPtr& current) const;
  Result<SnapshotPtr> Advance(const SnapshotPtr& current, int64_t version, std::string_view text) const;
  std::optional<Conflicted> FindConflict(const std::vector<Action>& other, int64_t version) const;
  void AfterCommit(const SnapshotPtr& snapshot) const;

  Table table_;
  SnapshotPtr base_;
  TransactionOptions options_;
  std::string txn_id_;
  std::optional<Metadata> metadata_;
  std::optional<Protocol> protocol_;
  std::shared_ptr<const StructType> schema_;
  std::vector<delta::Add> adds_;
  std::map<std::string, delta::Remove> removes_;  // by path + vector
  std::map<std::string, int64_t> txns_;
  std::vector<DomainMetadata> domains_;
  bool read_whole_ = false;
  std::vector<Predicate> predicates_;
  std::set<std::string> read_files_;
  std::set<std::string> read_txns_;
  bool committed_ = false;
};

/// Begins the commit that makes the table's files, schema, partitioning and configuration those of `version` again
/// (Spark's RESTORE): removes what is active now and was not then, adds back what was active then (dataChange true).
/// Txns are not taken back. The protocol is never lowered. Missing data files (vacuumed): kNotFound that names the
/// first.
struct RestorePlan {
  Transaction transaction;
  Operation operation;  ///< "RESTORE" with its parameters and metrics
};
Result<RestorePlan> PlanRestore(const SnapshotPtr& current, int64_t version, TransactionOptions options = {});

}  // namespace quern::delta
