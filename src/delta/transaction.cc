#include "delta/transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "delta/checkpoint.h"
#include "delta/features.h"
#include "delta/log_segment.h"
#include "delta/path_encoding.h"
#include "delta/replay.h"

namespace quern::delta {

namespace {

constexpr std::string_view kEngine = "Quern/" QUERN_VERSION;
constexpr int64_t kDefaultCheckpointInterval = 10;

/// Another writer's commit, read for conflicts.
struct OtherCommit {
  int64_t version = 0;
  std::string text;
  std::vector<Action> actions;
  const CommitInfo* info = nullptr;
};

std::string Describe(const OtherCommit& other) {
  std::string text = fmt::format("commit {}", other.version);
  if (!other.info) return text;
  const Json& json = other.info->json;
  if (const std::string operation = other.info->operation(); !operation.empty())
    text += fmt::format(" ({}", operation);
  else
    text += " (";
  for (const char* key : {"engineInfo", "quernDagRun", "quernNode"}) {
    if (const auto it = json.find(key); it != json.end() && it->is_string())
      text += fmt::format(", {}", it->get<std::string>());
  }
  if (const auto ms = other.info->timestamp()) text += fmt::format(", {}", FormatUtc(FromMicros(*ms * 1000)));
  return text + ")";
}

std::string TxnIdIn(const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    if (const CommitInfo* info = std::get_if<CommitInfo>(&action)) {
      const auto it = info->json.find("txnId");
      if (it != info->json.end() && it->is_string()) return it->get<std::string>();
    }
  }
  return "";
}

Result<OtherCommit> ReadOther(const Table& table, int64_t version) {
  const std::string key = CommitKey(table, version);
  auto text = QUERN_TRY(table.store->Get(key));
  if (!text)
    return Fail(ErrorCode::kCorruptLog,
                fmt::format("the log lacks commit {}: {}", version, table.store->Location(key)));
  OtherCommit other;
  other.version = version;
  other.text = *std::move(text);
  other.actions = QUERN_TRY(ParseActions(other.text, table.store->Location(key)));
  for (const Action& action : other.actions) {
    if (const CommitInfo* info = std::get_if<CommitInfo>(&action)) other.info = info;
  }
  return other;
}

bool IsBlindAppend(const OtherCommit& other) {
  return other.info && other.info->is_blind_append().value_or(false);
}

Remove ToRemove(const Add& add, int64_t now_ms, bool data_change) {
  Remove remove;
  remove.path = add.path;
  remove.deletion_timestamp = now_ms;
  remove.data_change = data_change;
  remove.extended_file_metadata = true;
  remove.partition_values = add.partition_values;
  remove.size = add.size;
  remove.tags = add.tags;
  remove.deletion_vector = add.deletion_vector;
  remove.base_row_id = add.base_row_id;
  remove.default_row_commit_version = add.default_row_commit_version;
  return remove;
}

}  // namespace

Error Conflicted::ToError(const Table& table) const {
  return Error(ErrorCode::kCommitConflict,
               fmt::format("another writer changed {} meanwhile: {}", table.Location(), reason))
      .Hint("Nothing was committed. Run the statement again: it then sees the new state.");
}

Transaction Transaction::Begin(Table table, SnapshotPtr snapshot, TransactionOptions options) {
  Transaction tx;
  tx.table_ = std::move(table);
  tx.base_ = std::move(snapshot);
  tx.options_ = options;
  tx.txn_id_ = RandomUuid();
  return tx;
}

Result<void> Transaction::SetMetadata(Metadata metadata) {
  StructType schema = QUERN_TRY(ParseSchema(metadata.schema_string));
  for (const std::string& column : metadata.partition_columns) {
    const StructField* field = schema.Find(column);
    if (!field)
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the table has no column '{}' to be partitioned by", column));
    if (field->type.nested())
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("a table cannot be partitioned by '{}': it is {}", column, field->type.ToString()));
  }
  const Protocol current = protocol_ ? *protocol_ : base_ ? base_->protocol() : Protocol{};
  Protocol needed = QUERN_TRY(UpgradeProtocol(current, schema, metadata.configuration));
  if (!base_ || !(needed == base_->protocol())) protocol_ = std::move(needed);
  // These ask for a feature; once the protocol names it they say nothing more.
  std::erase_if(metadata.configuration, [](const auto& entry) { return entry.first.starts_with("delta.feature."); });
  if (base_ && base_->metadata().configuration.count("delta.enableInCommitTimestamps") == 0) {
    const auto it = metadata.configuration.find("delta.enableInCommitTimestamps");
    if (it != metadata.configuration.end() && EqualsIgnoreCase(it->second, "true")) {
      return Fail(
          ErrorCode::kUnsupportedFeature,
          "cannot turn on the Delta feature 'inCommitTimestamp' for a table that exists: only when it is created");
    }
  }
  if (metadata.id.empty()) metadata.id = base_ ? base_->metadata().id : RandomUuid();
  if (!metadata.created_time)
    metadata.created_time = base_ ? base_->metadata().created_time : MillisSinceEpoch(options_.clock->Now());
  schema_ = std::make_shared<const StructType>(std::move(schema));
  metadata_ = std::move(metadata);
  return {};
}

void Transaction::SetProtocol(Protocol protocol) {
  protocol_ = std::move(protocol);
}
void Transaction::Add(delta::Add add) {
  adds_.push_back(std::move(add));
}

void Transaction::Remove(const DataFile& file, bool data_change) {
  delta::Remove remove = ToRemove(file.add(), MillisSinceEpoch(options_.clock->Now()), data_change);
  std::string key = FileKey(remove.path, remove.deletion_vector);
  removes_.insert_or_assign(std::move(key), std::move(remove));
}

void Transaction::RemoveAll() {
  if (!base_) return;
  for (const DataFilePtr& file : base_->files()) Remove(*file);
}

void Transaction::UpdateDeletionVector(const DataFile& file, const DeletionVectorDescriptor& vector) {
  Remove(file);
  delta::Add add = file.add();
  add.deletion_vector = vector;
  add.data_change = true;
  // Minimum and maximum may belong to a row that is now hidden: still bounds, no longer tight.
  if (!add.stats.empty() && file.stats().tight_bounds()) {
    Json stats = Json::parse(add.stats, nullptr, false);
    if (stats.is_object()) {
      // Textually, so that no number of the statistics is printed anew.
      const size_t end = add.stats.rfind('}');
      if (!stats.contains("tightBounds") && end != std::string::npos) {
        add.stats.insert(end, stats.empty() ? "\"tightBounds\":false" : ",\"tightBounds\":false");
      } else {
        add.stats = ReplaceAll(add.stats, "\"tightBounds\":true", "\"tightBounds\":false");
      }
    }
  }
  adds_.push_back(std::move(add));
}

void Transaction::SetTxn(std::string app_id, int64_t version) {
  txns_[std::move(app_id)] = version;
}
void Transaction::SetDomain(DomainMetadata domain) {
  domains_.push_back(std::move(domain));
}
void Transaction::ReadWholeTable() {
  read_whole_ = true;
}
void Transaction::ReadMatching(Predicate predicate) {
  predicates_.push_back(std::move(predicate));
}
void Transaction::ReadFile(const DataFile& file) {
  read_files_.insert(file.add().path);
}
void Transaction::ReadTxn(std::string app_id) {
  read_txns_.insert(std::move(app_id));
}

bool Transaction::blind_append() const {
  return !read_whole_ && predicates_.empty() && read_files_.empty() && removes_.empty() && !metadata_ && !protocol_;
}

bool Transaction::empty() const {
  return adds_.empty() && removes_.empty() && txns_.empty() && domains_.empty() && !metadata_ && !protocol_;
}

Result<void> Transaction::Check() const {
  if (committed_) return Fail(ErrorCode::kInvalidArgument, "this transaction was committed before");
  if (!base_ && !metadata_) return Fail(ErrorCode::kInvalidArgument, "a new table needs metadata");
  const Protocol& protocol = protocol_ ? *protocol_ : base_->protocol();
  const Metadata& metadata = metadata_ ? *metadata_ : base_->metadata();
  const StructType& schema = schema_ ? *schema_ : base_->schema();
  QUERN_TRY(CheckWritable(protocol, metadata, schema));
  bool changes = false;
  for (const auto& [key, remove] : removes_) changes = changes || remove.data_change;
  if (changes && base_) QUERN_TRY(CheckRemovable(base_->metadata()));

  std::set<std::string_view> paths;
  for (const delta::Add& add : adds_) {
    if (add.path.empty()) return Fail(ErrorCode::kInvalidArgument, "an added file has no path");
    if (!paths.insert(add.path).second)
      return Fail(ErrorCode::kInvalidArgument, fmt::format("the file {} is added twice", add.path));
    if (add.deletion_vector && !HasFeature(protocol, "deletionVectors")) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the file {} has a deletion vector, but the table lacks the feature 'deletionVectors'",
                              add.path));
    }
    if (add.partition_values.entries().size() != metadata.partition_columns.size()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the file {} has {} partition values, the table {} partition columns", add.path,
                              add.partition_values.entries().size(), metadata.partition_columns.size()));
    }
    for (const std::string& column : metadata.partition_columns) {
      const StructField* field = schema.Find(column);
      const std::string& name = field ? field->physical_name() : column;
      if (!add.partition_values.Find(name)) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("the file {} lacks a value of the partition column '{}'", add.path, column));
      }
    }
  }
  return {};
}

Result<std::string> Transaction::Print(const Operation& operation, int64_t now_ms, const SnapshotPtr& current) const {
  const Metadata& metadata = metadata_ ? *metadata_ : base_->metadata();
  CommitInfo info;
  info.json = operation.extra.is_object() ? operation.extra : Json::object();
  info.json["timestamp"] = now_ms;
  info.json["operation"] = operation.name;
  info.json["operationParameters"] = operation.parameters;
  if (!operation.metrics.empty()) info.json["operationMetrics"] = operation.metrics;
  if (base_) info.json["readVersion"] = base_->version();
  info.json["isolationLevel"] = isolation_name();
  info.json["isBlindAppend"] = blind_append() && !adds_.empty();
  info.json["engineInfo"] = kEngine;
  info.json["txnId"] = txn_id_;
  const auto in_commit = metadata.configuration.find("delta.enableInCommitTimestamps");
  if (in_commit != metadata.configuration.end() && EqualsIgnoreCase(in_commit->second, "true")) {
    int64_t time = now_ms;
    if (current) time = std::max(time, MillisSinceEpoch(current->timestamp()) + 1);
    info.json["inCommitTimestamp"] = time;
  }
  std::string text = PrintAction(info) + "\n";
  const auto append = [&](const Action& action) {
    text += PrintAction(action);
    text += '\n';
  };
  if (protocol_ || !base_) append(protocol_ ? *protocol_ : Protocol{});
  if (metadata_) append(*metadata_);
  for (const auto& [app, version] : txns_) append(SetTransaction{app, version, now_ms});
  for (const DomainMetadata& domain : domains_) append(domain);
  for (const auto& [key, remove] : removes_) append(remove);
  for (const delta::Add& add : adds_) append(add);
  return text;
}

std::string Transaction::isolation_name() const {
  bool changes = false;
  for (const delta::Add& add : adds_) changes = changes || add.data_change;
  for (const auto& [key, remove] : removes_) changes = changes || remove.data_change;
  if (!changes && !metadata_) return "SnapshotIsolation";
  const std::string level = base_ ? base_->Property("delta.isolationLevel", "Serializable") : "Serializable";
  return EqualsIgnoreCase(level, "WriteSerializable") ? "WriteSerializable" : "Serializable";
}

std::optional<Conflicted> Transaction::FindConflict(const std::vector<Action>& actions, int64_t version) const {
  OtherCommit other;
  other.version = version;
  for (const Action& action : actions) {
    if (const CommitInfo* info = std::get_if<CommitInfo>(&action)) other.info = info;
  }
  const auto conflict = [&](Conflicted::Kind kind, const std::string& what) {
    return Conflicted{kind, version, fmt::format("{} {}", Describe(other), what)};
  };
  const StructType& schema = base_->schema();
  const std::vector<std::string>& partition_columns = base_->metadata().partition_columns;
  std::vector<FilePredicate> predicates;
  for (const Predicate& predicate : predicates_) predicates.emplace_back(predicate, schema, partition_columns);
  const auto matches = [&](const DataFile& file) {
    return read_whole_ ||
           std::any_of(predicates.begin(), predicates.end(), [&](const FilePredicate& p) { return p.MayMatch(file); });
  };
  std::set<std::string_view> removed_paths;
  for (const auto& [key, remove] : removes_) removed_paths.insert(remove.path);

  for (const Action& action : actions) {
    if (std::holds_alternative<Protocol>(action))
      return conflict(Conflicted::Kind::kProtocolChanged, "changed the table's protocol");
    if (std::holds_alternative<Metadata>(action))
      return conflict(Conflicted::Kind::kMetadataChanged, "changed the table's schema or properties");
    if (const auto* txn = std::get_if<SetTransaction>(&action)) {
      if (txns_.count(txn->app_id) || read_txns_.count(txn->app_id)) {
        return conflict(Conflicted::Kind::kConcurrentTransaction,
                        fmt::format("recorded the same application '{}' (version {})", txn->app_id, txn->version));
      }
    }
    if (const auto* domain = std::get_if<DomainMetadata>(&action)) {
      for (const DomainMetadata& ours : domains_) {
        if (ours.domain == domain->domain)
          return conflict(Conflicted::Kind::kMetadataChanged,
                          fmt::format("changed the metadata domain '{}'", domain->domain));
      }
    }
  }
  // Removes before adds: a rewritten file is named as what it is.
  for (const Action& action : actions) {
    const auto* remove = std::get_if<delta::Remove>(&action);
    if (!remove) continue;
    if (removed_paths.count(remove->path)) {
      return conflict(Conflicted::Kind::kConcurrentDeleteDelete,
                      fmt::format("removed or rewrote the file {}, as this one does", remove->path));
    }
    const DataFilePtr file = base_->FindFile(remove->path);
    if (read_files_.count(remove->path) || (file && matches(*file))) {
      return conflict(Conflicted::Kind::kConcurrentDeleteRead,
                      fmt::format("removed or rewrote the file {}, which was read", remove->path));
    }
  }
  const std::string isolation = isolation_name();
  if (isolation == "SnapshotIsolation") return std::nullopt;
  if (isolation == "WriteSerializable" && !metadata_ && IsBlindAppend(other)) return std::nullopt;
  if (!read_whole_ && predicates_.empty()) return std::nullopt;
  for (const Action& action : actions) {
    const auto* add = std::get_if<delta::Add>(&action);
    if (!add || !add->data_change) continue;
    if (matches(DataFile(*add))) {
      return conflict(Conflicted::Kind::kConcurrentAppend,
                      fmt::format("added the file {}, which this one would have read", add->path));
    }
  }
  return std::nullopt;
}

void Transaction::AfterCommit(const SnapshotPtr& snapshot) const {
  if (!options_.write_checkpoints || !table_.parquet || snapshot->version() == 0) return;
  int64_t interval = kDefaultCheckpointInterval;
  const std::string text = snapshot->Property("delta.checkpointInterval");
  int64_t configured = 0;
  if (!text.empty() && std::from_chars(text.data(), text.data() + text.size(), configured).ec == std::errc() &&
      configured > 0)
    interval = configured;
  if (snapshot->version() % interval != 0) return;
  if (const Result<void> written = WriteCheckpoint(*snapshot, options_.clock->Now()); !written) {
    // The commit stands; the next interval tries again.
    LogWarning("delta", "no checkpoint of version {} of {}: {}", snapshot->version(), table_.Location(),
               written.error().message());
  }
}

Result<CommitResult> Transaction::Commit(const Operation& operation) {
  QUERN_TRY(Check());
  committed_ = true;
  if (options_.sync_files) {
    for (const delta::Add& add : adds_) {
      // A file that was there before (a new deletion vector, RESTORE) is durable already.
      if (base_ && base_->FindFile(add.path)) continue;
      QUERN_TRY(table_.store->Sync(QUERN_TRY(ObjectKey(table_.root, add.path))));
    }
  }
  SnapshotPtr current = base_;
  for (int attempt = 0; attempt < options_.max_attempts; ++attempt) {
    const int64_t version = current ? current->version() + 1 : 0;
    const std::string key = CommitKey(table_, version);
    const std::string text = QUERN_TRY(Print(operation, MillisSinceEpoch(options_.clock->Now()), current));
    Result<io::PutResult> put = table_.store->PutIfAbsent(key, text);
    bool ours = put && *put == io::PutResult::kCreated;
    if (!ours) {
      // Lost, or the answer was: the commit that stands there says whose it is.
      Result<std::optional<std::string>> there = table_.store->Get(key);
      if (!put && (!there || !*there))
        return Fail(std::move(put).error().Context(fmt::format("committing version {}", version)));
      if (!there) return Fail(std::move(there).error().Context(fmt::format("committing version {}", version)));
      if (!*there)
        return Fail(ErrorCode::kCorruptLog, fmt::format("a commit vanished: {}", table_.store->Location(key)));
      const std::string_view first = std::string_view(**there).substr(0, (*there)->find('\n'));
      const Result<std::vector<Action>> actions = ParseActions(first, table_.store->Location(key), kCommitInfoAction);
      ours = actions && TxnIdIn(*actions) == txn_id_;
    }
    if (ours) {
      SnapshotPtr after = QUERN_TRY(Advance(current, version, text));
      AfterCommit(after);
      return CommitResult(Committed{version, std::move(after)});
    }
    if (!base_) {
      const OtherCommit other = QUERN_TRY(ReadOther(table_, version));
      return CommitResult(
          Conflicted{Conflicted::Kind::kTableExists, version, fmt::format("{} created the table", Describe(other))});
    }
    // Step over everything that was committed since, one by one.
    const std::vector<LogSegment::Commit> commits = QUERN_TRY(ListCommitsFrom(table_, version));
    int64_t next = version;
    for (const LogSegment::Commit& commit : commits) {
      if (commit.version != next) break;
      ++next;
      const OtherCommit other = QUERN_TRY(ReadOther(table_, commit.version));
      if (auto conflict = FindConflict(other.actions, commit.version)) return CommitResult(*std::move(conflict));
      current = QUERN_TRY(Advance(current, commit.version, other.text));
    }
    if (next == version)
      return Fail(ErrorCode::kCorruptLog, fmt::format("a commit vanished: {}", table_.store->Location(key)));
  }
  return CommitResult(Conflicted{Conflicted::Kind::kTooManyAttempts, current ? current->version() : 0,
                                 fmt::format("{} others were faster, one after the other", options_.max_attempts)});
}

Result<SnapshotPtr> Transaction::Advance(const SnapshotPtr& current, int64_t version, std::string_view text) const {
  const std::string key = CommitKey(table_, version);
  // The file's time is a convenience: a commit that is made must not be told as failed because of it.
  const Result<std::optional<io::ObjectMeta>> head = table_.store->Head(key);
  const bool known = head && *head;
  Replay replay = current ? Replay(*current) : Replay(table_);
  QUERN_TRY(replay.ApplyText(text, table_.store->Location(key)));
  const Timestamp modified = known ? (*head)->modified : options_.clock->Now();
  return Snapshot::WithInCommitTime(QUERN_TRY(replay.Finish(version, modified, known ? (*head)->size : -1)), text);
}

Result<RestorePlan> PlanRestore(const SnapshotPtr& current, int64_t version, TransactionOptions options) {
  const Table& table = current->table();
  const SnapshotPtr target = QUERN_TRY(Snapshot::Load(table, version));
  RestorePlan plan{Transaction::Begin(table, current, options), {}};
  Transaction& tx = plan.transaction;
  tx.ReadWholeTable();
  int64_t restored_files = 0;
  int64_t restored_bytes = 0;
  int64_t removed_files = 0;
  int64_t removed_bytes = 0;
  const auto same = [](const DataFilePtr& a, const DataFilePtr& b) {
    return a && b &&
           FileKey(a->add().path, a->add().deletion_vector) == FileKey(b->add().path, b->add().deletion_vector);
  };
  for (const DataFilePtr& file : current->files()) {
    if (same(target->FindFile(file->add().path), file)) continue;
    tx.Remove(*file);
    ++removed_files;
    removed_bytes += file->add().size;
  }
  for (const DataFilePtr& file : target->files()) {
    if (same(current->FindFile(file->add().path), file)) continue;
    const std::string key = QUERN_TRY(ObjectKey(table.root, file->add().path));
    if (!QUERN_TRY(table.store->Head(key))) {
      return Fail(Error(ErrorCode::kNotFound, fmt::format("cannot restore version {} of {}: its file {} was deleted",
                                                          version, table.Location(), file->add().path)));
    }
    Add add = file->add();
    add.data_change = true;
    tx.Add(std::move(add));
    ++restored_files;
    restored_bytes += file->add().size;
  }
  if (!(target->metadata() == current->metadata())) {
    Metadata metadata = target->metadata();
    metadata.id = current->metadata().id;
    QUERN_TRY(tx.SetMetadata(std::move(metadata)));
  }
  plan.operation.name = "RESTORE";
  plan.operation.parameters = {{"version", fmt::format("{}", version)}};
  plan.operation.metrics = {{"tableSizeAfterRestore", fmt::format("{}", target->total_bytes())},
                            {"numOfFilesAfterRestore", fmt::format("{}", target->files().size())},
                            {"numRemovedFiles", fmt::format("{}", removed_files)},
                            {"numRestoredFiles", fmt::format("{}", restored_files)},
                            {"removedFilesSize", fmt::format("{}", removed_bytes)},
                            {"restoredFilesSize", fmt::format("{}", restored_bytes)}};
  return plan;
}

}  // namespace quern::delta
